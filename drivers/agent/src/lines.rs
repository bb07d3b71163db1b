//! The lines that the agent prints while it runs: one for each notice, for people or as JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bruit_udp::DriverNotice;
use bruit_udp::core::{Incarnation, Member, MemberChange, NodeId, Notice, Time, broadcast::Reached};
use serde_json::{Value, json};

use crate::label::{harmless, label};
use crate::messages::{LostView, MessageView, shortened};
use crate::protocol::{MemberView, millis};

/// A line to print: the name of the event, a text for people, and the fields for JSON.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) event: &'static str,
    pub(crate) text: String,
    pub(crate) fields: Value,
}

impl Line {
    pub(crate) const fn new(event: &'static str, text: String, fields: Value) -> Self {
        Self { event, text, fields }
    }

    fn as_text(&self, name: &str, calendar: Duration) -> String {
        let (secs, millis) = (calendar.as_secs(), calendar.subsec_millis());
        let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
        let time = format!("{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
        format!("{time} {}  {:<10} {}", harmless(name), self.event, self.text)
    }

    fn as_json(&self, name: &str, calendar: Duration, at: Time) -> String {
        let mut object = json!({
            "time_ms": millis(calendar),
            "at_ms": at.as_millis(),
            "agent": name,
            "event": self.event,
        });
        if let (Some(object), Some(fields)) = (object.as_object_mut(), self.fields.as_object()) {
            object.extend(fields.clone());
        }
        object.to_string()
    }
}

/// Prints the lines of one agent, each with its name and the time of day in UTC, so that those of several agents can be mixed.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    pub(crate) name: String,
    pub(crate) json: bool,
}

impl Printer {
    /// Prints a line; `at` is the time by the node's clock. If the output has no reader any more, the member still goes on.
    pub(crate) fn print(&self, line: &Line, at: Time) {
        let calendar = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = if self.json {
            line.as_json(&self.name, calendar, at)
        } else {
            line.as_text(&self.name, calendar)
        };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// The line for a notice. `name` returns the name of a member.
pub(crate) fn line(notice: &DriverNotice, name: impl Fn(NodeId) -> String) -> Line {
    match notice {
        DriverNotice::Node(notice) => notice_line(notice, name),
        DriverNotice::Trouble(trouble) => {
            Line::new("trouble", trouble.to_string(), json!({ "text": trouble.to_string() }))
        }
        DriverNotice::Lagged { missed } => Line::new(
            "lagged",
            format!("{missed} notices were dropped because they were not printed in time"),
            json!({ "missed": missed }),
        ),
    }
}

/// The fields of a notice about the process that has the id of this member.
fn holder_fields(addr: SocketAddr, boot: u64, incarnation: Incarnation) -> Value {
    json!({ "addr": addr, "boot": format!("{boot:016x}"), "incarnation": incarnation.to_string() })
}

fn notice_line(notice: &Notice<'_>, name: impl Fn(NodeId) -> String) -> Line {
    let about = |id: &NodeId| label(&name(*id), &id.to_string());
    let id_only = |event, text, id: &NodeId| Line::new(event, text, json!({ "id": id.to_string() }));
    match notice {
        Notice::Member { change, member } => member_line(*change, member),
        Notice::SeedSilent { addr, tries } => {
            let text = format!("{addr} has not answered ({tries} tries)");
            Line::new("no-answer", text, json!({ "addr": addr, "tries": tries }))
        }
        Notice::SeedOfOtherCluster { addr } => {
            Line::new("no-member", format!("{addr} answers for another cluster"), json!({ "addr": addr }))
        }
        Notice::Joined { via } => id_only("joined", format!("through {}", about(via)), via),
        Notice::Reincarnated { incarnation } => {
            let text = incarnation.to_string();
            Line::new("reincarnated", format!("as {text}"), json!({ "incarnation": text }))
        }
        Notice::AddressLearnt { addr } => {
            Line::new("address", format!("the others see this member at {addr}"), json!({ "addr": addr }))
        }
        Notice::NameHeld { addr, boot, incarnation } => {
            let text = format!("{addr} has this member's id; this one waits until it is free");
            Line::new("held", text, holder_fields(*addr, *boot, *incarnation))
        }
        Notice::NameTaken { addr, boot, incarnation } => {
            let text = format!("{addr} still has this member's id; this one stops");
            Line::new("taken", text, holder_fields(*addr, *boot, *incarnation))
        }
        Notice::IdentityConflict { other, stopped } => {
            let end = if *stopped { "this one stops" } else { "the other one must stop" };
            let fields = json!({ "boot": format!("{other:016x}"), "stopped": stopped });
            Line::new("conflict", format!("another process has this id ({other:016x}); {end}"), fields)
        }
        Notice::Removed => Line::new("removed", "an operator has removed this member".to_owned(), json!({})),
        Notice::Departed { acknowledged, alone } => {
            let fields = json!({ "acknowledged": acknowledged, "alone": alone });
            Line::new("departed", left_text(*acknowledged, *alone).to_owned(), fields)
        }
        Notice::ConfigMismatch { id, field } => {
            let fields = json!({ "id": id.to_string(), "field": field });
            Line::new("mismatch", format!("{} runs with another value of {field}", about(id)), fields)
        }
        Notice::AdmissionAsked { id } => {
            id_only("admission", format!("{} waits to be admitted", about(id)), id)
        }
        Notice::Delivered { id, topic, payload, .. } => {
            let view = MessageView::of(*id, name(id.origin), topic, payload);
            let text = view.line(&shortened(&view.payload));
            Line::new("delivered", text, json!({ "message": view }))
        }
        Notice::Lost { origin, epoch, first, last } => {
            let view = LostView::of(*origin, name(*origin), *epoch, *first, *last);
            Line::new("lost", view.line(), json!({ "lost": view }))
        }
        Notice::Pushed { id, acked, contacted } => {
            let fields = json!({ "id": id.to_string(), "acked": acked, "contacted": contacted });
            Line::new(
                "pushed",
                format!("{id}: {acked} of {contacted} members received it from here first"),
                fields,
            )
        }
        Notice::Report { id, reached } => spread_line(&id.to_string(), reached, about),
        Notice::Pong { id, round_trip, .. } => {
            let fields = json!({ "id": id.to_string(), "round_trip_us": round_trip.as_micros() });
            Line::new("pong", format!("{} after {round_trip:?}", about(id)), fields)
        }
        Notice::PingFailed { id, .. } => id_only("ping-failed", about(id), id),
        other => Line::new("notice", format!("{other:?}"), json!({ "text": format!("{other:?}") })),
    }
}

fn spread_line(id: &str, reached: &Reached, about: impl Fn(&NodeId) -> String) -> Line {
    let labels = |ids: &[NodeId]| ids.iter().map(&about).collect::<Vec<_>>();
    let (text, fields) = match reached {
        Reached::Majority => {
            ("more than half of the members have it".to_owned(), json!({ "reached": "majority" }))
        }
        Reached::All { without } => {
            let without = labels(without);
            (all_text(&without), json!({ "reached": "all", "without": without }))
        }
        Reached::TimedOut { missing } => {
            let missing = labels(missing);
            (timed_out_text(&missing), json!({ "reached": "timed_out", "missing": missing }))
        }
        other => (format!("{other:?}"), json!({ "reached": format!("{other:?}") })),
    };
    let mut all = json!({ "id": id });
    if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object()) {
        all.extend(fields.clone());
    }
    let number = id.rsplit(':').next().unwrap_or(id);
    Line::new("spread", format!("broadcast {number}: {text}"), all)
}

/// The text for a broadcast that all members have; `without` are those that went before they acknowledged it.
pub(crate) fn all_text(without: &[String]) -> String {
    match without {
        [] => "all members have it".to_owned(),
        gone => {
            format!("all remaining members have it; gone before they acknowledged it: {}", gone.join(", "))
        }
    }
}

/// The text for a broadcast whose report has timed out.
pub(crate) fn timed_out_text(missing: &[String]) -> String {
    format!("the time is over; not acknowledged by: {}", missing.join(", "))
}

/// The text for a leave: whether the others know of it.
pub(crate) const fn left_text(acknowledged: bool, alone: bool) -> &'static str {
    match (acknowledged, alone) {
        (_, true) => "there was no other member to tell",
        (true, false) => "the others have acknowledged it",
        (false, false) => "too few members have acknowledged it in time",
    }
}

/// Tags as `key=value`, with a comma between two.
pub(crate) fn tags_text(tags: &BTreeMap<String, String>) -> String {
    let tags: Vec<_> = tags.iter().map(|(key, value)| harmless(&format!("{key}={value}"))).collect();
    tags.join(",")
}

fn member_line(change: MemberChange, member: &Member<'_>) -> Line {
    let view = MemberView::of(member);
    let tags = if view.tags.is_empty() { String::new() } else { format!(", {}", tags_text(&view.tags)) };
    let text = format!("{} at {}{tags}", view.label(), view.addr);
    Line::new(change_name(change), text, json!({ "member": view }))
}

const fn change_name(change: MemberChange) -> &'static str {
    match change {
        MemberChange::Up => "up",
        MemberChange::Updated => "updated",
        MemberChange::Restarted => "restarted",
        MemberChange::Suspected => "suspected",
        MemberChange::Refuted => "refuted",
        MemberChange::Down => "down",
        MemberChange::Left => "left",
        MemberChange::Forgotten => "forgotten",
        _ => "changed",
    }
}
