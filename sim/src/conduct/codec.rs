//! CS8: what a node sends is readable, canonical and not longer than its mtu.

use bruit_core::wire::{self, Message};
use bruit_core::{DecodeError, Time};

use crate::check::{Check, Violation};
use crate::cluster::Cluster;
use crate::happening::Happening;
use crate::process::{BRUIT_PORT, Process};

/// CS8: each datagram of a node decodes, and encoding what was decoded gives the same bytes.
#[derive(Clone, Debug, Default)]
pub struct Codec {
    messages: Vec<u8>,
}

impl Codec {
    fn round_trip(&mut self, bytes: &[u8]) -> Result<(), String> {
        let header = wire::describe(bytes).map_err(|error| format!("{error}"))?.header;
        let datagram = wire::open(bytes, header.cluster).map_err(|error| format!("{error}"))?;
        self.messages.clear();
        for message in datagram.messages {
            match message {
                Ok(Message::Unknown { tag }) => return Err(format!("a message of unknown tag {tag}")),
                Ok(message) => message.encode(&mut self.messages),
                Err(error) => return Err(describe(&error)),
            }
        }
        if wire::compose(&header, &self.messages) == bytes {
            return Ok(());
        }
        Err("encoding what was decoded gives other bytes".to_owned())
    }
}

fn describe(error: &DecodeError) -> String {
    format!("a message is not readable: {error}")
}

impl<P: Process> Check<P> for Codec {
    fn id(&self) -> &'static str {
        "CS8"
    }

    fn observe(
        &mut self,
        at: Time,
        happening: &Happening<'_>,
        cluster: &Cluster<P>,
    ) -> Result<(), Violation> {
        let Happening::Sent { from, port: BRUIT_PORT, bytes, .. } = happening else { return Ok(()) };
        let Some(node) = cluster.node(*from) else { return Ok(()) };
        let mtu = usize::from(node.config().mtu);
        if bytes.len() > mtu {
            let text = format!("a datagram of {} bytes, with an mtu of {mtu}", bytes.len());
            return Err(Violation::new("CS8", at, text).at_node(*from));
        }
        self.round_trip(bytes).map_err(|text| Violation::new("CS8", at, text).at_node(*from))
    }
}
