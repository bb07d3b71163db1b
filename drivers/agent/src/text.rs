//! Replies of the agent as text for people.

use std::time::Duration;

use crate::label::{harmless, label};
use crate::lines::{all_text, left_text, tags_text, timed_out_text};
use crate::messages::{LevelView, MessageView, shortened};
use crate::protocol::{MemberView, NumberView, PeerView, Reply, WhyView};
use crate::table::table;

/// The text for a reply, with its line ends. Replies without content have an empty text.
pub(crate) fn text(reply: &Reply) -> String {
    match reply {
        Reply::Done {} => String::new(),
        Reply::Members(members) => members_text(members),
        Reply::Peers(peers) => peers_text(peers),
        Reply::Pong { member, addr, round_trip_us } => {
            format!("{member} at {addr} answered after {:?}\n", Duration::from_micros(*round_trip_us))
        }
        Reply::Stats(stats) => {
            let row =
                |number: &NumberView| [number.name.clone(), number.value.to_string(), number.help.clone()];
            let rows: Vec<_> = stats.gauges.iter().chain(&stats.counters).map(row).collect();
            table(["NAME", "VALUE", "MEANING"], &rows)
        }
        Reply::Left { acknowledged, alone } => format!("left; {}\n", left_text(*acknowledged, *alone)),
        Reply::Tags(tags) => {
            tags.iter().map(|(key, value)| harmless(&format!("{key}={value}")) + "\n").collect()
        }
        Reply::Why(why) => why_text(why),
        Reply::Sent { id } => format!("sent       {id}\n"),
        Reply::Majority { .. } => "majority   more than half of the members have it\n".to_owned(),
        Reply::All { without, .. } => format!("all        {}\n", all_text(without)),
        Reply::TimedOut { missing, .. } => format!("timed-out  {}\n", timed_out_text(missing)),
        Reply::Listening {} | Reply::Ended {} => String::new(),
        Reply::Delivered(message) => format!("delivered  {}\n", message.line(&message.payload.shown())),
        Reply::Lost(lost) => format!("lost       {}\n", lost.line()),
        Reply::Missed { notices } => {
            format!(
                "missed     {notices} notices were not read in time; `bruit messages` lists the broadcasts that are still kept\n"
            )
        }
        Reply::Messages(messages) => messages_text(messages),
        Reply::Pending(levels) => levels_text(levels),
    }
}

const MEMBER_HEADS: [&str; 7] = ["NAME", "STATE", "ADDRESS", "HEARD", "ZONE", "TAGS", "META"];

fn members_text(members: &[MemberView]) -> String {
    let rows: Vec<_> = members.iter().map(member_row).collect();
    table(MEMBER_HEADS, &rows)
}

/// The table of members with their ids, incarnations and boots.
pub(crate) fn long_members_text(members: &[MemberView]) -> String {
    let row = |member: &MemberView| {
        let [name, state, addr, heard, zone, tags, meta] = member_row(member);
        let MemberView { id, incarnation, boot, .. } = member.clone();
        [name, state, addr, heard, zone, tags, meta, id, incarnation, boot]
    };
    let [name, state, addr, heard, zone, tags, meta] = MEMBER_HEADS;
    let heads = [name, state, addr, heard, zone, tags, meta, "ID", "INCARNATION", "BOOT"];
    table(heads, &members.iter().map(row).collect::<Vec<_>>())
}

fn member_row(member: &MemberView) -> [String; 7] {
    let heard = match (member.heard_ms_ago, member.gone_ms_ago) {
        _ if member.oneself => "this agent".to_owned(),
        (_, Some(gone)) => format!("{} {} ago", member.state, ago(gone)),
        (Some(heard), None) => format!("{} ago", ago(heard)),
        (None, None) => "never".to_owned(),
    };
    let MemberView { state, addr, zone, tags, meta, .. } = member.clone();
    [member.label(), state, addr.to_string(), heard, harmless(&zone), tags_text(&tags), meta]
}

fn peers_text(peers: &[PeerView]) -> String {
    let row = |peer: &PeerView| {
        let addrs: Vec<_> = peer.addrs.iter().map(ToString::to_string).collect();
        [peer.peer.clone(), peer.from.clone(), addrs.join(" ")]
    };
    table(["PEER", "FROM", "ADDRESSES"], &peers.iter().map(row).collect::<Vec<_>>())
}

fn messages_text(messages: &[MessageView]) -> String {
    let row = |message: &MessageView| {
        let MessageView { id, origin, name, topic, payload, bytes } = message;
        [label(name, origin), harmless(topic), bytes.to_string(), shortened(payload), id.clone()]
    };
    table(["FROM", "TOPIC", "BYTES", "PAYLOAD", "ID"], &messages.iter().map(row).collect::<Vec<_>>())
}

fn levels_text(levels: &[LevelView]) -> String {
    let row = |level: &LevelView| {
        let max = level.max.map_or_else(String::new, |max| max.to_string());
        let name = level.name.strip_prefix("broadcasts_").unwrap_or(&level.name);
        [name.to_owned(), level.value.to_string(), max, level.help.clone()]
    };
    table(["NAME", "VALUE", "LIMIT", "MEANING"], &levels.iter().map(row).collect::<Vec<_>>())
}

fn why_text(why: &WhyView) -> String {
    let since = |at: Option<u64>| at.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", ago(ms)));
    let by = if why.suspected_by.is_empty() { "no member".to_owned() } else { why.suspected_by.join(", ") };
    let mut rows = vec![
        ["declared down".to_owned(), format!("{} ago by {}", ago(why.declared_ms_ago), why.declared_by)],
        ["suspected".to_owned(), format!("{} by {by}", since(why.suspected_ms_ago))],
        ["last heard".to_owned(), since(why.heard_ms_ago)],
        ["incarnation".to_owned(), why.incarnation.clone()],
    ];
    if let Some(left) = why.probation_ms {
        let text =
            format!("it is alive, and shown as up in {} unless it is suspected: it came and went", ago(left));
        rows.push(["on probation".to_owned(), text]);
    }
    table(["MEMBER", &why.member], &rows)
}

/// A time in seconds with one decimal place.
fn ago(ms: u64) -> String {
    format!("{}.{}s", ms / 1_000, ms % 1_000 / 100)
}
