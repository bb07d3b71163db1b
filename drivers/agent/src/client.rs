//! The commands that ask a running agent: each sends a request over the local socket and prints the replies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Ask, Format, MembersArgs, Peers, Tags};
use crate::connection::{ANSWER_WITHIN, Agent, connect};
use crate::failure::Failure;
use crate::follow;
use crate::messages::Bytes;
use crate::prometheus;
use crate::protocol::{MemberView, Reply, Request, millis, state_name};
use crate::text::{long_members_text, text};
use crate::tools::{print, print_raw};

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
    let mut reply = agent.reply(Some(takes + ANSWER_WITHIN))?;
    if let (Reply::Members(members), Ask::Members(args)) = (&mut reply, ask) {
        members.retain(|member| is_selected(member, args));
        if args.long && !json {
            print_raw(&long_members_text(members));
            return Ok(());
        }
    }
    let format = if let Ask::Stats { format } = ask { *format } else { Format::Text };
    match (reply, format) {
        (Reply::Stats(stats), Format::Prometheus) => print_raw(&prometheus::render(&stats)),
        (reply, Format::Json) => print_json(&reply)?,
        (reply, _) if json => print_json(&reply)?,
        (reply, _) => print_raw(&text(&reply)),
    }
    Ok(())
}

/// The request for a command, and the time that the agent may take to carry it out.
fn request(ask: &Ask) -> Result<(Request, Duration), Failure> {
    let request = match ask {
        Ask::Members(_) => Request::Members {},
        Ask::ForceLeave { member, yes: true } => Request::ForceLeave { member: member.clone() },
        Ask::ForceLeave { member, yes: false } => {
            return Err(Failure::Usage(format!(
                "{member} would count as left everywhere, and stop if it runs; add --yes to do that"
            )));
        }
        Ask::Tags { does } => tags_request(does.as_ref()),
        Ask::Join { seeds } => Request::Join { seeds: seeds.clone() },
        Ask::Peers { does: Peers::Add { addr } } => Request::PeersAdd { addr: *addr },
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

fn tags_request(does: Option<&Tags>) -> Request {
    match does {
        None => Request::Tags { member: None },
        Some(Tags::List { member }) => Request::Tags { member: member.clone() },
        Some(Tags::Set { tags }) => {
            Request::ChangeTags { set: tags.iter().cloned().collect(), unset: Vec::new() }
        }
        Some(Tags::Unset { keys }) => Request::ChangeTags { set: BTreeMap::new(), unset: keys.clone() },
    }
}

/// Whether the arguments ask for this member.
fn is_selected(member: &MemberView, args: &MembersArgs) -> bool {
    let MembersArgs { status, zone, tag, .. } = args;
    let has = |tag: &String| match tag.split_once('=') {
        Some((key, value)) => member.tags.get(key).is_some_and(|of| of == value),
        None => member.tags.contains_key(tag),
    };
    (status.is_empty() || status.iter().any(|status| state_name(status.state()) == member.state))
        && zone.as_ref().is_none_or(|zone| *zone == member.zone)
        && tag.iter().all(has)
}

/// Prints a reply as one line of JSON.
fn print_json(reply: &Reply) -> Result<(), Failure> {
    print(serde_json::to_string(reply).map_err(Failure::refused)?);
    Ok(())
}
