//! The commands that print several replies: `listen`, and `broadcast --report`. Also reads the payload of a broadcast.

use std::ffi::OsStr;
use std::io::{Read, Write, stdin, stdout};
use std::time::Duration;
use std::{io, process, thread};

use bruit_udp::core::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::connection::{ANSWER_WITHIN, Agent};
use crate::failure::Failure;
use crate::protocol::Reply;
use crate::text::text;

/// The longest payload that any settings allow.
const PAYLOAD_BYTES_MAX: usize = FRAGMENTS_MAX * FRAGMENT_BYTES;

/// The payload of a broadcast: the word itself, or all of standard input if the word is `-`.
pub(crate) fn payload(word: &OsStr) -> Result<Vec<u8>, Failure> {
    if word != "-" {
        return Ok(word.as_encoded_bytes().to_vec());
    }
    let mut payload = Vec::new();
    let read = stdin().lock().take(PAYLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut payload);
    read.map_err(|error| Failure::Usage(format!("cannot read standard input: {error}")))?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Failure::Refused(format!(
            "the payload is longer than {PAYLOAD_BYTES_MAX} bytes, which no settings allow"
        )));
    }
    Ok(payload)
}

/// Prints the reports of a broadcast until the last one.
pub(crate) fn report(agent: &mut Agent<'_>, within: Duration, json: bool) -> Result<(), Failure> {
    loop {
        let reply = agent.reply(Some(within.saturating_add(ANSWER_WITHIN)))?;
        // The reader of our output may have gone; the exit code still tells the result.
        let _ = show(&reply, json)?;
        if let Reply::All { .. } = reply {
            return Ok(());
        }
        if let Reply::TimedOut { .. } = reply {
            return Err(Failure::Refused("not all members have acknowledged it in time".to_owned()));
        }
    }
}

/// Prints deliveries until Ctrl-C, or until the output has no reader.
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

/// Prints a reply. The inner error is that of the output, whose reader may have gone.
fn show(reply: &Reply, json: bool) -> Result<io::Result<()>, Failure> {
    let line =
        if json { serde_json::to_string(reply).map_err(Failure::refused)? + "\n" } else { text(reply) };
    let mut out = stdout().lock();
    Ok(out.write_all(line.as_bytes()).and_then(|()| out.flush()))
}
