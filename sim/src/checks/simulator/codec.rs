//! CS8: a datagram of a node can be decoded, is in canonical form, and is not longer than the mtu.

use bruit_core::wire::{self, Message};

use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::network::BRUIT_PORT;

/// CS8: each datagram of a node can be decoded, and encoding the result gives the same bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Codec {
    messages: Vec<u8>,
}

impl Codec {
    fn round_trip(&mut self, bytes: &[u8]) -> Result<(), String> {
        let header = wire::describe(bytes).map_err(|error| error.to_string())?.header;
        let datagram = wire::open(bytes, header.cluster).map_err(|error| error.to_string())?;
        self.messages.clear();
        for message in datagram.messages {
            match message {
                Ok(Message::Unknown { tag }) => {
                    return Err(format!("it sent a message of unknown tag {tag}"));
                }
                Ok(message) => message.encode(&mut self.messages),
                Err(error) => return Err(format!("it sent a message that cannot be decoded: {error}")),
            }
        }
        if wire::compose(&header, &self.messages) == bytes {
            return Ok(());
        }
        Err("encoding the decoded datagram gives other bytes".to_owned())
    }
}

impl Check<Scene<'_>> for Codec {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Sent { from, port: BRUIT_PORT, bytes, .. } = happening else { return Ok(()) };
        let Some(node) = scene.node(*from) else { return Ok(()) };
        scene.judges();
        let mtu = usize::from(node.config().mtu);
        if bytes.len() > mtu {
            let text = format!("it sent a datagram of {} bytes, above its mtu of {mtu}", bytes.len());
            return Err(scene.violation(*from, text));
        }
        self.round_trip(bytes).map_err(|text| scene.violation(*from, text))
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::NodeId;
    use bruit_core::wire::Nack;

    use crate::checks::fixture::Fixture;
    use crate::network::forge;

    #[test]
    fn bytes_that_are_no_datagram_and_unknown_messages_are_found() {
        Fixture::new(2, "CS8").sends(0, b"no datagram").fires("");
        let header = forge::header("fixture", NodeId(1), NodeId(2));
        Fixture::new(2, "CS8").sends(0, &forge::raw(&header, &[99, 0, 0])).fires("unknown tag 99");
        Fixture::new(2, "CS8").sends(0, &[0; 1_401]).fires("above its mtu");
    }

    #[test]
    fn a_good_datagram_is_fine() {
        let header = forge::header("fixture", NodeId(1), NodeId(2));
        let nack = forge::datagram(&header, &[Nack { seq: 7 }.into()]);
        Fixture::new(2, "CS8").sends(0, &nack).is_silent();
    }
}
