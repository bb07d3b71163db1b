//! Timelines: one line of text for each happening, for people and for traces. A [`Timeline`] is a check that never objects.

use core::fmt;

use bruit_core::{Command, Member, MemberChange, Notice, Time, wire};

use crate::base::Index;
use crate::kernel::{Check, Cluster, Happening, Violation};
use crate::network::{BRUIT_PORT, Fate};
use crate::process::Process;

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// The true time.
    #[serde(serialize_with = "nanos")]
    pub at: Time,
    /// The process that the happening concerns; `None` if it concerns all.
    pub node: Option<Index>,
    /// The kind of the happening in one word.
    pub kind: &'static str,
    /// The happening as text.
    pub text: String,
}

fn nanos<S: serde::Serializer>(at: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(at.as_nanos())
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, node) = (self.at.to_string(), self.node.map(|node| node.to_string()).unwrap_or_default());
        write!(f, "{at:>10}  {node:<5} {}", self.text)
    }
}

/// The detail of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Faults and verdicts about members.
    Verdicts,
    /// The lines of `Verdicts`, and all notices, commands and answers.
    Notices,
    /// The lines of `Notices`, and all datagrams.
    Datagrams,
}

/// Passes a line for each happening to a sink.
pub struct Timeline<S> {
    detail: Detail,
    sink: S,
}

impl<S> fmt::Debug for Timeline<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline").field("detail", &self.detail).finish_non_exhaustive()
    }
}

impl<S: FnMut(Line)> Timeline<S> {
    /// A timeline with this detail, whose lines go to `sink`.
    pub const fn new(detail: Detail, sink: S) -> Self {
        Self { detail, sink }
    }
}

impl<P: Process, S: FnMut(Line)> Check<Cluster<P>> for Timeline<S> {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<P>) -> Result<(), Violation> {
        if let Some((node, kind, text)) = line(happening, self.detail) {
            (self.sink)(Line { at: cluster.now(), node, kind, text });
        }
        Ok(())
    }
}

/// A line without its time: process, kind and text.
type Entry = (Option<Index>, &'static str, String);

fn line(happening: &Happening<'_>, detail: Detail) -> Option<Entry> {
    let entry = |node: Index, kind, text: String| Some((Some(node), kind, text));
    match happening {
        Happening::Started { node } => entry(*node, "start", "starts".into()),
        Happening::Crashed { node } => entry(*node, "crash", "crashes".into()),
        Happening::Restarted { node, memory } => entry(*node, "restart", format!("restarts, {memory}")),
        Happening::Paused { node } => entry(*node, "pause", "is paused".into()),
        Happening::Resumed { node } => entry(*node, "resume", "is resumed".into()),
        Happening::Moved { node, addr } => entry(*node, "move", format!("moves to {addr}")),
        Happening::Cloned { node, id } => entry(*node, "clone", format!("starts as a second {id}")),
        Happening::CutMade { id, cut } => Some((None, "cut", format!("{id}: {cut}"))),
        Happening::Healed { id } => Some((None, "heal", format!("{id} heals"))),
        Happening::Saved { node } => entry(*node, "save", "is saved".into()),
        Happening::DiskChanged { node, fails: true } => entry(*node, "disk", "has a disk that fails".into()),
        Happening::DiskChanged { node, fails: false } => entry(*node, "disk", "has a disk that works".into()),
        Happening::ClockSet { node, clock } => entry(*node, "clock", format!("sets its clock: {clock:?}")),
        Happening::NetworkChanged => Some((None, "network", "the network changes".into())),
        Happening::Notice { node, notice } => entry(*node, "notice", describe_notice(notice, detail)?),
        Happening::Command { node, command } if detail >= Detail::Notices => {
            entry(*node, "command", format!("is told to {}", describe_command(command)))
        }
        Happening::Answered { node, answer } if detail >= Detail::Notices => {
            entry(*node, "answer", format!("answers {answer:?}"))
        }
        Happening::Sent { from, to, port: BRUIT_PORT, bytes, fate } if detail >= Detail::Datagrams => {
            entry(*from, "send", format!("-> {to} {} {}", describe_datagram(bytes), describe_fate(fate)))
        }
        Happening::Delivered { from, to, port: BRUIT_PORT, bytes, .. } if detail >= Detail::Datagrams => {
            entry(*to, "receive", format!("<- {from} {}", describe_datagram(bytes)))
        }
        Happening::Lost { from, to: Some(to), reason, .. } if detail >= Detail::Datagrams => {
            entry(*to, "lose", format!("<- {from} lost: {reason}"))
        }
        Happening::Command { .. }
        | Happening::Answered { .. }
        | Happening::Sent { .. }
        | Happening::Delivered { .. }
        | Happening::Lost { .. }
        | Happening::Storing { .. }
        | Happening::Durable { .. }
        | Happening::Ticked { .. }
        | Happening::Handled { .. } => None,
    }
}

fn describe_datagram(bytes: &[u8]) -> String {
    wire::describe(bytes).map_or_else(|error| format!("({error})"), |datagram| datagram.to_string())
}

fn describe_fate(fate: &Fate) -> String {
    match fate {
        Fate::Dropped(reason) => format!("(lost: {reason})"),
        Fate::Group { carried, dropped } => format!("(to {carried} of {})", carried + dropped),
        Fate::Carried { arrives, copies, damaged } => {
            let copies = if *copies > 1 { ", twice" } else { "" };
            let damaged = if *damaged { ", damaged" } else { "" };
            format!("(arrives {arrives}{copies}{damaged})")
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other notice has a text")]
fn describe_notice(notice: &Notice<'_>, detail: Detail) -> Option<String> {
    match notice {
        Notice::Member {
            change: MemberChange::Up | MemberChange::Updated | MemberChange::Restarted, ..
        } if detail < Detail::Notices => None,
        Notice::Member { change, member } => Some(describe_change(*change, member)),
        Notice::Joined { via } => (detail >= Detail::Notices).then(|| format!("has joined through {via}")),
        Notice::Reincarnated { incarnation } => {
            (detail >= Detail::Notices).then(|| format!("takes incarnation {incarnation}"))
        }
        Notice::Delivered { id, topic, payload, hops } => (detail >= Detail::Notices)
            .then(|| format!("gets {id}{}, after {hops} hops", describe_payload(topic, payload))),
        Notice::Lost { origin, epoch, first, last } => {
            Some(format!("is told that {origin}:{epoch}:{first}..{last} is lost"))
        }
        Notice::Pushed { id, acked, contacted } => (detail >= Detail::Notices)
            .then(|| format!("has pushed {id}: {acked} of {contacted} had it from here")),
        Notice::Report { id, reached } => {
            (detail >= Detail::Notices).then(|| format!("is told how far {id} is: {reached:?}"))
        }
        other => Some(format!("is told {other:?}")),
    }
}

/// Prints a short text as it is, and the length of any other payload.
fn describe_payload(topic: &str, payload: &[u8]) -> String {
    let topic = if topic.is_empty() { String::new() } else { format!(" on topic {topic}") };
    match core::str::from_utf8(payload) {
        Ok(text) if text.len() <= 40 && !text.contains(char::is_control) => format!("{topic} \"{text}\""),
        Ok(_) | Err(_) => format!("{topic} ({} bytes)", payload.len()),
    }
}

fn describe_command(command: &Command) -> String {
    if let Command::Broadcast(broadcast) = command {
        return format!("broadcast{}", describe_payload(&broadcast.topic, &broadcast.payload));
    }
    format!("{command:?}")
}

fn describe_change(change: MemberChange, member: &Member<'_>) -> String {
    let verb = match change {
        MemberChange::Up => "sees",
        MemberChange::Updated => "sees new content of",
        MemberChange::Restarted => "sees a new process of",
        MemberChange::Suspected => "suspects",
        MemberChange::Refuted => "clears",
        MemberChange::Down => "holds Down",
        MemberChange::Left => "sees leave",
        MemberChange::Forgotten => "forgets",
        _ => "sees a change of",
    };
    format!("{verb} {}@{}", member.id, member.incarnation)
}
