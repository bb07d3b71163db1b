//! Prints datagrams for people: for traces, hooks by message kind, and the simulator's timeline.

use core::fmt;

use super::envelope::{Header, Messages, open_any};
use super::error::DecodeError;
use super::kind::Kind;

/// A datagram with a good envelope, ready to print: `n1@5.0 -> n2 #9: ping 4, suspect n3@7.1 by n1`.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The header.
    pub header: Header,
    messages: Messages<'a>,
}

impl Described<'_> {
    /// The kinds of the messages in order, up to the first unreadable one.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.messages.map_while(Result::ok).map(|message| message.kind())
    }
}

/// Opens a datagram of any cluster for printing.
///
/// # Errors
/// The envelope is not readable; see [`open`](super::open).
pub fn describe(bytes: &[u8]) -> Result<Described<'_>, DecodeError> {
    let datagram = open_any(bytes)?;
    Ok(Described { header: datagram.header, messages: datagram.messages })
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { sender, incarnation, receiver, sequence, .. } = self.header;
        write!(f, "{sender}@{incarnation} -> {receiver} #{sequence}:")?;
        for (i, message) in self.messages.enumerate() {
            f.write_str(if i == 0 { " " } else { ", " })?;
            match message {
                Ok(message) => write!(f, "{message}")?,
                Err(error) => write!(f, "({error})")?,
            }
        }
        Ok(())
    }
}
