//! Arbitrary bytes as a datagram.

use bruit_core::wire::{self, Alive, Header, Message, Record, Swim, cluster_tag};
use bruit_core::{Incarnation, NodeId};

/// The body of the fuzz target `wire`. It decodes arbitrary bytes, once as they are and once as the messages of a valid
/// envelope. Each message that can be decoded must be equal after encoding and decoding it again, and so must the fields of
/// each record.
///
/// # Panics
/// A decoded message or record differs after encoding and decoding it again.
pub fn wire(bytes: &[u8]) {
    read(bytes);
    read(&wire::compose(&header(), bytes));
}

fn header() -> Header {
    Header {
        cluster: cluster_tag("fuzz"),
        sender: NodeId(2),
        incarnation: Incarnation::first(1),
        boot: 7,
        receiver: NodeId(1),
        sequence: 1,
    }
}

fn read(bytes: &[u8]) {
    let Ok(described) = wire::describe(bytes) else { return };
    assert!(!described.to_string().is_empty(), "a datagram that can be decoded has a description");
    let Ok(datagram) = wire::open(bytes, described.header.cluster) else {
        panic!("a datagram that can be described can be opened");
    };
    for message in datagram.messages.map_while(Result::ok) {
        round_trip(&message);
        if let Message::Swim(Swim::Alive(Alive(record))) = message {
            fields_round_trip(record);
        }
    }
}

fn round_trip(message: &Message<'_>) {
    if matches!(message, Message::Unknown { .. }) {
        return;
    }
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    let whole = wire::compose(&header(), &encoded);
    let datagram = wire::open(&whole, cluster_tag("fuzz")).expect("a composed envelope is good");
    let again: Vec<_> = datagram.messages.collect();
    assert_eq!(again, [Ok(*message)], "encoding and decoding give the same message");
}

fn fields_round_trip(record: Record<'_>) {
    let fields = record.fields();
    let encoded = fields.encode();
    let mut message = vec![6];
    let len = u16::try_from(encoded.len()).expect("a record is bounded");
    message.extend(len.to_le_bytes());
    message.extend(&encoded);
    let whole = wire::compose(&header(), &message);
    let datagram = wire::open(&whole, cluster_tag("fuzz")).expect("a composed envelope is good");
    for message in datagram.messages {
        let Ok(Message::Swim(Swim::Alive(Alive(record)))) = message else {
            panic!("the fields of a record encode to a record")
        };
        assert_eq!(record.fields(), fields, "a record reads back as its fields");
    }
}
