//! The lines that the agent prints while it runs: one for each notice, for people or as JSON.

use std::io::Write;
use std::net::SocketAddr;

use bruit_udp::DriverNotice;
use bruit_udp::core::{Incarnation, Member, MemberChange, NodeId, Notice, Time, broadcast::Reached};
use serde_json::{Value, json};

use crate::label::label;
use crate::messages::{LostView, MessageView, shortened};
use crate::protocol::MemberView;

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

    /// Prints the line. If the output has no reader any more, the member still goes on.
    pub(crate) fn print(&self, at: Time, json: bool) {
        let line = if json { self.as_json(at) } else { format!("+{at}  {:<12} {}", self.event, self.text) };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    fn as_json(&self, at: Time) -> String {
        let mut object = json!({ "at_ms": at.as_millis(), "event": self.event });
        if let (Some(object), Some(fields)) = (object.as_object_mut(), self.fields.as_object()) {
            object.extend(fields.clone());
        }
        object.to_string()
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
    Line::new("spread", format!("{id}: {text}"), all)
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

fn member_line(change: MemberChange, member: &Member<'_>) -> Line {
    let view = MemberView::of(member);
    let text = format!("{} at {}, incarnation {}", view.label(), view.addr, view.incarnation);
    Line::new(change_name(change), text, json!({ "member": view }))
}

const fn change_name(change: MemberChange) -> &'static str {
    match change {
        MemberChange::Up => "up",
        MemberChange::Updated => "updated",
        MemberChange::Suspected => "suspected",
        MemberChange::Refuted => "refuted",
        MemberChange::Down => "down",
        MemberChange::Left => "left",
        MemberChange::Forgotten => "forgotten",
        _ => "changed",
    }
}
