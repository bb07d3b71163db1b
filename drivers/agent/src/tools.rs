//! The commands that need no agent, `estimate` and `replay`, and the functions that print to stdout.

use std::fmt::Display;

use bruit_driver::journal::{Step, replay as replay_journal};
use bruit_udp::core::{Estimate, Event};
use serde_json::json;

use crate::cli::{ConfigArgs, EstimateArgs, ReplayArgs};
use crate::failure::Failure;
use crate::table::table;

/// Prints the estimates for a cluster of this size.
pub(crate) fn estimate(args: &EstimateArgs, json: bool) -> Result<(), Failure> {
    // The estimate does not depend on the name of the cluster, so none has to be given.
    let cluster =
        args.config.cluster.clone().or_else(|| args.config.config.is_none().then(|| "any".to_owned()));
    let config = ConfigArgs { cluster, preset: args.config.preset, config: args.config.config.clone() };
    let estimate = Estimate::new(&crate::config::load(&config)?, args.nodes);
    if json {
        print(json!({
            "nodes": args.nodes,
            "first_suspicion_ms": millis(estimate.first_suspicion),
            "probed_within_ms": millis(estimate.probed_within),
            "suspicion_min_ms": millis(estimate.suspicion_min),
            "suspicion_max_ms": millis(estimate.suspicion_max),
            "spread_ms": millis(estimate.spread),
            "known_by_all_ms": millis(estimate.known_by_all),
            "transmissions": estimate.transmissions,
            "settled_bytes_per_second": estimate.settled_bytes_per_second,
        }));
        return Ok(());
    }
    let row = |what: &str, value: String| [what.to_owned(), value];
    let rows = [
        row("a crash is first suspected after (average)", format!("{:?}", estimate.first_suspicion)),
        row("every member is probed by every other within", format!("{:?}", estimate.probed_within)),
        row("a suspicion lasts at least", format!("{:?}", estimate.suspicion_min)),
        row("a suspicion lasts at most", format!("{:?}", estimate.suspicion_max)),
        row("an update reaches every member within", format!("{:?}", estimate.spread)),
        row("a crash is known to every member after (average)", format!("{:?}", estimate.known_by_all)),
        row("each member sends an update", format!("{} times", estimate.transmissions)),
        row("a settled member sends", format!("{} B/s", estimate.settled_bytes_per_second)),
    ];
    print_raw(&table(["WITHOUT LOSS", &format!("{} MEMBERS", args.nodes)], &rows));
    Ok(())
}

fn millis(duration: std::time::Duration) -> u64 {
    crate::protocol::millis(duration)
}

/// Replays a journal and prints the result.
pub(crate) fn replay(args: &ReplayArgs, json: bool) -> Result<(), Failure> {
    let report = replay_journal(&args.dir, |step| {
        if args.events {
            print(step_line(step, json));
        }
    });
    let report = report.map_err(Failure::refused)?;
    if json {
        print(json!({
            "segments": report.segments,
            "boots": report.boots,
            "events": report.events,
            "torn": report.torn,
            "hash": format!("{:016x}", report.hash),
        }));
    } else {
        let torn = if report.torn > 0 { "; the last record of a segment is incomplete" } else { "" };
        let (events, segments, boots) = (report.events, report.segments, report.boots);
        print(format_args!(
            "{events} events in {segments} segments of {boots} boots replayed with equal actions{torn}"
        ));
        print(format_args!("hash {:016x}", report.hash));
    }
    Ok(())
}

fn step_line(step: &Step<'_>, json: bool) -> String {
    let event = match step.event {
        Event::Datagram { from, bytes } => match bruit_udp::core::wire::describe(bytes) {
            Ok(described) => format!("<- {from} {described}"),
            Err(error) => format!("<- {from} {} bytes, {error}", bytes.len()),
        },
        Event::Tick => "tick".to_owned(),
        Event::Command(command) => format!("{command:?}"),
        Event::Stored { slot, serial } => format!("stored {slot:?} {serial}"),
        Event::Seed(_) => "a new seed".to_owned(),
    };
    let (segment, number, actions) = (step.segment, step.number, step.actions.len());
    if json {
        let at_ms = step.now.as_millis();
        json!({ "segment": segment, "number": number, "at_ms": at_ms, "event": event, "actions": actions })
            .to_string()
    } else {
        format!("{segment}/{number}  {}  {event}  ({actions} actions)", step.now)
    }
}

/// Prints a line. It is no error if the output has no reader any more.
pub(crate) fn print(line: impl Display) {
    print_raw(&format!("{line}\n"));
}

/// Prints a text as it is.
pub(crate) fn print_raw(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
