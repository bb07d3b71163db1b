//! The other end of the local socket: asks, and prints what comes back.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{Ask, Format, Peers};
use crate::failure::Failure;
use crate::follow;
use crate::lines::{all_text, timed_out_text};
use crate::messages::{Bytes, LevelView, MessageView, shortened};
use crate::paths;
use crate::prometheus;
use crate::protocol::{MemberView, NumberView, PeerView, Reply, Request, Response, WhyView, label, millis};
use crate::table::table;
use crate::tools::{print, print_raw};

/// Beyond what the request itself may take.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn run(ask: &Ask, control: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let (request, takes) = request(ask)?;
    let stream = connect(control)?;
    let mut agent = Agent::ask(&stream, &request)?;
    if let Ask::Listen { .. } = ask {
        return follow::listen(&mut agent, json);
    }
    if let Ask::Broadcast { report: Some(within), .. } = ask {
        return follow::report(&mut agent, *within, json);
    }
    let reply = agent.reply(Some(takes + ANSWER_WITHIN))?;
    let format = if let Ask::Stats { format } = ask { *format } else { Format::Text };
    match (reply, format) {
        (Reply::Stats(stats), Format::Prometheus) => print_raw(&prometheus::render(&stats)),
        (reply, Format::Json) => print_json(&reply)?,
        (reply, _) if json => print_json(&reply)?,
        (reply, _) => print_raw(&text(&reply)),
    }
    Ok(())
}

/// The request, and how long the agent may rightly take over it.
fn request(ask: &Ask) -> Result<(Request, Duration), Failure> {
    let request = match ask {
        Ask::Members => Request::Members {},
        Ask::Join { seeds } => Request::Join { seeds: seeds.clone() },
        Ask::Peers { does: Peers::Add { addr } } => Request::PeersAdd { addr: *addr },
        Ask::Peers { does: Peers::Remove { member } } => Request::PeersRemove { member: member.clone() },
        Ask::Peers { does: Peers::List } => Request::PeersList {},
        Ask::Ping { member, addr } => Request::Ping { member: member.clone(), addr: *addr },
        Ask::Stats { .. } => Request::Stats {},
        Ask::Leave { within } => return Ok((Request::Leave { within_ms: millis(*within) }, *within)),
        Ask::Why { member } => Request::Why { member: member.clone() },
        Ask::Broadcast { topic, report, text } => {
            let payload = Bytes::of(&follow::payload(text)?);
            Request::Broadcast { topic: topic.clone(), payload, report_ms: report.map(millis) }
        }
        Ask::Listen { topic } => Request::Listen { topic: topic.clone() },
        Ask::Messages { topic, max } => Request::Messages { topic: topic.clone(), max: *max },
        Ask::Pending => Request::Pending {},
    };
    Ok((request, Duration::ZERO))
}

/// The socket that was named, or the only one that answers.
fn connect(control: Option<PathBuf>) -> Result<UnixStream, Failure> {
    if let Some(path) = control {
        let stream = UnixStream::connect(&path);
        return stream.map_err(|error| Failure::NoAgent(format!("no agent at {}: {error}", path.display())));
    }
    let sockets = paths::sockets();
    let mut live: Vec<(&Path, UnixStream)> =
        sockets.iter().filter_map(|path| Some((path.as_path(), UnixStream::connect(path).ok()?))).collect();
    if live.len() > 1 {
        let paths: Vec<_> = live.iter().map(|(path, _)| path.display().to_string()).collect();
        return Err(Failure::Usage(format!(
            "several agents run here; give --control, one of {}",
            paths.join(", ")
        )));
    }
    let only = live.pop().map(|(_, stream)| stream);
    only.ok_or_else(|| {
        Failure::NoAgent(format!("no agent of this user answers below {}", paths::directory().display()))
    })
}

/// An agent that was asked something, and answers.
#[derive(Debug)]
pub(crate) struct Agent<'a> {
    stream: &'a UnixStream,
    reader: BufReader<&'a UnixStream>,
}

impl<'a> Agent<'a> {
    fn ask(stream: &'a UnixStream, request: &Request) -> Result<Self, Failure> {
        let mut line = serde_json::to_string(request).map_err(Failure::refused)?;
        line.push('\n');
        let mut writer = stream;
        writer.write_all(line.as_bytes()).map_err(lost)?;
        Ok(Self { stream, reader: BufReader::new(stream) })
    }

    /// The next answer, waiting for it for so long, or for ever.
    pub(crate) fn reply(&mut self, within: Option<Duration>) -> Result<Reply, Failure> {
        self.stream.set_read_timeout(within).map_err(lost)?;
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(lost)?;
        if line.is_empty() {
            return Err(Failure::NoAgent("the agent closed the connection".to_owned()));
        }
        match serde_json::from_str(&line) {
            Ok(Response::Ok(reply)) => Ok(reply),
            Ok(Response::Refused(reason)) => Err(Failure::Refused(reason)),
            Err(error) => Err(Failure::Refused(format!("the agent's answer is not understood ({error})"))),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn lost(error: std::io::Error) -> Failure {
    Failure::NoAgent(format!("the agent did not answer: {error}"))
}

fn print_json(reply: &Reply) -> Result<(), Failure> {
    print(serde_json::to_string(reply).map_err(Failure::refused)?);
    Ok(())
}

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
        Reply::Left { acknowledged: true } => "left, and the others know\n".to_owned(),
        Reply::Left { acknowledged: false } => "left, but nobody has acknowledged it in time\n".to_owned(),
        Reply::Why(why) => why_text(why),
        Reply::Sent { id } => format!("sent       {id}\n"),
        Reply::Majority { .. } => "majority   more than half of the members have it\n".to_owned(),
        Reply::All { without, .. } => format!("all        {}\n", all_text(without)),
        Reply::TimedOut { missing, .. } => format!("timed-out  {}\n", timed_out_text(missing)),
        Reply::Listening {} | Reply::Ended {} => String::new(),
        Reply::Delivered(message) => format!("delivered  {}\n", message.line(&message.payload.shown())),
        Reply::Lost(lost) => format!("lost       {}\n", lost.line()),
        Reply::Missed { notices } => {
            format!("missed     {notices} lines were not read in time; `bruit messages` lists what is kept\n")
        }
        Reply::Messages(messages) => messages_text(messages),
        Reply::Pending(levels) => levels_text(levels),
    }
}

fn members_text(members: &[MemberView]) -> String {
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            let heard = match member.heard_ms_ago {
                _ if member.oneself => "oneself".to_owned(),
                Some(ms) => format!("{} ago", ago(ms)),
                None => "never".to_owned(),
            };
            let MemberView { id, name, state, addr, zone, incarnation, meta, .. } = member.clone();
            [name, id, state, addr.to_string(), heard, zone, incarnation, meta]
        })
        .collect();
    table(["NAME", "ID", "STATE", "ADDRESS", "HEARD", "ZONE", "INCARNATION", "META"], &rows)
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
        [label(name, origin), topic.clone(), bytes.to_string(), shortened(payload), id.clone()]
    };
    table(["FROM", "TOPIC", "BYTES", "PAYLOAD", "ID"], &messages.iter().map(row).collect::<Vec<_>>())
}

fn levels_text(levels: &[LevelView]) -> String {
    let row = |level: &LevelView| {
        let max = level.max.map_or_else(String::new, |max| max.to_string());
        [level.name.clone(), level.value.to_string(), max, level.help.clone()]
    };
    table(["NAME", "VALUE", "LIMIT", "MEANING"], &levels.iter().map(row).collect::<Vec<_>>())
}

fn why_text(why: &WhyView) -> String {
    let since = |at: Option<u64>| at.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", ago(ms)));
    let by = if why.suspected_by.is_empty() { "nobody".to_owned() } else { why.suspected_by.join(", ") };
    let rows = [
        ["declared down".to_owned(), format!("{} ago by {}", ago(why.declared_ms_ago), why.declared_by)],
        ["suspected".to_owned(), format!("{} by {by}", since(why.suspected_ms_ago))],
        ["last heard".to_owned(), since(why.heard_ms_ago)],
        ["incarnation".to_owned(), why.incarnation.clone()],
    ];
    table(["MEMBER", &why.member], &rows)
}

/// Seconds to a tenth.
fn ago(ms: u64) -> String {
    format!("{}.{}s", ms / 1_000, ms % 1_000 / 100)
}
