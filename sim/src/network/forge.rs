//! Forged datagrams for tests: as another version, an impostor or a recording would send them. The envelope is written
//! from the documented format and not by the core's encoder.

use bruit_core::wire::{Header, Join, Message, Record, RecordFields, Swim, cluster_tag, open};
use bruit_core::{Action, Event, Incarnation, Node, NodeId, Rank, Time, virtual_addr};

/// The header of a datagram from the first boot of `sender`.
#[must_use]
pub fn header(cluster: &str, sender: NodeId, receiver: NodeId) -> Header {
    let cluster = cluster_tag(cluster);
    Header { cluster, sender, incarnation: Incarnation::first(1), boot: sender.0, receiver, sequence: 0 }
}

/// The fields of the record of a member, at the address `virtual_addr(id)`, with the id as its boot and without a name.
/// Encode them, or change some first.
#[must_use]
pub fn record(id: u64, incarnation: Incarnation) -> RecordFields<'static> {
    RecordFields {
        id: NodeId(id),
        incarnation,
        rank: Rank { seniority: incarnation.epoch, draws: 0, boot: id },
        shared: 0,
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: virtual_addr(id),
        name: "",
        zone: "",
        meta: &[],
        tags: &[],
    }
}

/// Lets a forged process join through `node`: it asks for a number and sends it back, so that the node takes it for a member
/// at `virtual_addr(id)` and believes what it tells of others.
///
/// # Panics
/// The node does not run, or belongs to another cluster.
pub fn introduce(node: &mut Node, cluster: &str, id: NodeId, now: Time) {
    let record = record(id.0, Incarnation::first(1)).encode();
    let record = Record::read(&record).expect("it was encoded just now");
    let join = |node: &mut Node, cookie| {
        let join = Join { cookie, cluster, record };
        let bytes = datagram(&header(cluster, id, NodeId::NOBODY), &[join.into()]);
        node.handle(Event::Datagram { from: virtual_addr(id.0), bytes: &bytes }, now)
    };
    let echo = |action: &Action<'_>| {
        let Action::Send { bytes, .. } = action else { return None };
        open(bytes, cluster_tag(cluster)).ok()?.messages.find_map(|message| match message {
            Ok(Message::Swim(Swim::JoinEcho(echo))) => Some(echo.cookie),
            _ => None,
        })
    };
    let cookie = join(node, 0).iter().find_map(echo).expect("a Join without a number is sent one");
    drop(join(node, cookie));
}

/// A datagram that contains these messages.
#[must_use]
pub fn datagram(header: &Header, messages: &[Message<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for message in messages {
        message.encode(&mut body);
    }
    raw(header, &body)
}

/// A datagram with any bytes as its body.
#[must_use]
pub fn raw(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(header.cluster.to_le_bytes());
    bytes.extend(header.sender.0.to_le_bytes());
    bytes.extend(header.incarnation.epoch.to_le_bytes());
    bytes.extend(header.incarnation.counter.to_le_bytes());
    bytes.extend(header.boot.to_le_bytes());
    bytes.extend(header.receiver.0.to_le_bytes());
    bytes.extend(header.sequence.to_le_bytes());
    bytes.extend(body);
    let checksum = crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// CRC-32C, computed bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_core::wire::{Kind, Nack, describe};

    #[test]
    fn the_core_decodes_a_forged_datagram() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let header = header("forge", NodeId(3), NodeId(4));
        let bytes = datagram(&header, &[Nack { seq: 7 }.into()]);
        let read = describe(&bytes).expect("a good envelope");
        assert_eq!(read.header, header);
        assert_eq!(read.kinds().collect::<Vec<_>>(), [Kind::Nack]);
    }
}
