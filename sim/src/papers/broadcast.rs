//! What a broadcast takes, in time, hops, bytes and repeats, beside the goals of the design: one table.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{BroadcastConfig, Config};

use super::spread::{self, Outcome, Talk};
use super::{Options, in_parallel, percentile, seconds};
use crate::network::{Delay, Link, NetworkConfig};

const MEMBERS: u32 = 1_000;

pub(super) fn lan(loss_ppm: u32) -> NetworkConfig {
    let delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };
    NetworkConfig::uniform(Link::with_delay(delay).with_loss(loss_ppm))
}

fn config(broadcast: BroadcastConfig) -> Config {
    Config { broadcast, ..Config::lan("broadcast") }
}

pub(super) fn run(options: &Options) -> String {
    let members = options.members.unwrap_or(MEMBERS);
    let talk = |warm_up, messages, one_origin| Talk {
        warm_up,
        messages,
        every: Duration::from_secs(3),
        payload: 64,
        one_origin,
        patience: Duration::from_secs(10),
    };
    let rows = [
        ("tree cold", BroadcastConfig::tree(), 0, talk(0, 1, true)),
        ("tree one origin", BroadcastConfig::tree(), 0, talk(20, 10, true)),
        ("tree any origin", BroadcastConfig::tree(), 0, talk(20, 10, false)),
        ("tree 5 %", BroadcastConfig::tree(), 50_000, talk(20, 10, false)),
        ("tree 25 %", BroadcastConfig::tree(), 250_000, talk(20, 10, false)),
        ("push", BroadcastConfig::push_ack(), 0, talk(0, 10, false)),
        ("push 25 %", BroadcastConfig::push_ack(), 250_000, talk(0, 10, false)),
        ("bimodal", BroadcastConfig::bimodal(), 0, talk(0, 10, false)),
        ("pull", BroadcastConfig::pull(), 0, talk(0, 10, false)),
    ];
    let results: Vec<Outcome> = in_parallel(&rows, options, "broadcast", |(_, broadcast, loss, talk)| {
        let mut sim = spread::settled(options.seed, members, &config(broadcast.clone()), lan(*loss), 0);
        spread::talk(&mut sim, talk, options.seed, true)
    });
    let mut text = String::new();
    for ((name, ..), outcome) in rows.iter().zip(&results) {
        let last = outcome.last();
        let (mean, most) = outcome.hops();
        let _ = writeln!(
            text,
            "{name:<18} all {:>7} / {:>7} | hops {mean:>5.1} {most:>3} | {:>7.1} B {:>5.2} dg | rmr {:>6.3} dup {} | missed {}",
            seconds(percentile(&last, 50)),
            seconds(last.last().copied()),
            outcome.bytes(),
            outcome.datagrams(),
            outcome.redundancy(),
            outcome.duplicates,
            outcome.missed(),
        );
        for (kind, count, bytes) in outcome.kinds() {
            let _ = write!(text, "      {kind} {count:.2}/{bytes:.0}B");
        }
        let _ = writeln!(text);
    }
    text
}
