//! Requests that draw one answer after the other, as the caller sees them; and what is broadcast.

use std::ffi::OsStr;
use std::io::{Read, Write, stdin, stdout};
use std::time::Duration;
use std::{io, process, thread};

use bruit_udp::core::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::client::{ANSWER_WITHIN, Agent, text};
use crate::failure::Failure;
use crate::protocol::Reply;

/// No settings allow a longer payload.
const PAYLOAD_BYTES_MAX: usize = FRAGMENTS_MAX * FRAGMENT_BYTES;

/// What is broadcast: the word itself, or all of standard input.
pub(crate) fn payload(word: &OsStr) -> Result<Vec<u8>, Failure> {
    if word != "-" {
        return Ok(word.as_encoded_bytes().to_vec());
    }
    let mut payload = Vec::new();
    let read = stdin().lock().take(PAYLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut payload);
    read.map_err(|error| Failure::Usage(format!("cannot read standard input: {error}")))?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Failure::Refused(format!(
            "payload: more than {PAYLOAD_BYTES_MAX} bytes, which no settings allow"
        )));
    }
    Ok(payload)
}

/// Prints how a broadcast spreads.
pub(crate) fn report(agent: &mut Agent<'_>, within: Duration, json: bool) -> Result<(), Failure> {
    loop {
        let reply = agent.reply(Some(within.saturating_add(ANSWER_WITHIN)))?;
        // Whoever reads our output may go; the exit code still says how it ends.
        let _ = show(&reply, json)?;
        if let Reply::All { .. } = reply {
            return Ok(());
        }
        if let Reply::TimedOut { .. } = reply {
            return Err(Failure::Refused("not all members have said in time that they have it".to_owned()));
        }
    }
}

/// Prints what is delivered, until Ctrl-C, or until nobody reads it.
pub(crate) fn listen(agent: &mut Agent<'_>, json: bool) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Failure::refused)?;
    let end = move || {
        if signals.forever().next().is_some() {
            process::exit(0);
        }
    };
    thread::Builder::new().name("bruit-signals".to_owned()).spawn(end).map_err(Failure::refused)?;
    loop {
        let reply = agent.reply(None)?;
        if show(&reply, json)?.is_err() {
            return Ok(());
        }
        if let Reply::Ended {} = reply {
            return Err(Failure::NoAgent("the agent has ended".to_owned()));
        }
    }
}

fn show(reply: &Reply, json: bool) -> Result<io::Result<()>, Failure> {
    let line =
        if json { serde_json::to_string(reply).map_err(Failure::refused)? + "\n" } else { text(reply) };
    let mut out = stdout().lock();
    Ok(out.write_all(line.as_bytes()).and_then(|()| out.flush()))
}
