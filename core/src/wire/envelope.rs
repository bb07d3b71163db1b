//! The envelope of a datagram: who speaks to whom, in which cluster, and a checksum.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::checksum;
use super::codec::{Put, Reader};
use super::kind::Message;
use super::sizes::{CRC_BYTES, HEADER_BYTES};
use crate::error::DecodeError;
use crate::id::{Incarnation, NodeId, hash64};

const VERSION: u8 = 1;
const CIPHER_NONE: u8 = 0;

/// The cluster id as it stands in each header: the frozen hash of its bytes (rule B13).
#[must_use]
pub fn cluster_tag(cluster: &str) -> u64 {
    hash64(cluster.as_bytes())
}

/// Who sent a datagram, in which life, and for whom it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which cluster; see [`cluster_tag`].
    pub cluster: u64,
    /// The sender.
    pub sender: NodeId,
    /// Its incarnation (rule A4).
    pub incarnation: Incarnation,
    /// Its process (rule A2).
    pub boot: u64,
    /// The receiver, or [`NodeId::NOBODY`] where it is unknown or a group (rule A5).
    pub receiver: NodeId,
    /// Rises by one with each datagram of the sender's process.
    pub sequence: u64,
}

/// A datagram whose envelope is good.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The envelope.
    pub header: Header,
    /// What is in it.
    pub messages: Messages<'a>,
}

impl Header {
    fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = VERSION;
        bytes[1] = CIPHER_NONE;
        bytes[8..16].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sender.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.incarnation.epoch.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.incarnation.counter.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.boot.to_le_bytes());
        bytes[44..52].copy_from_slice(&self.receiver.0.to_le_bytes());
        bytes[52..60].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }
}

/// The part of the header that is the same in all datagrams of one incarnation, with its checksum: a third of
/// the work of a small datagram, done once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Letterhead {
    bytes: Vec<u8>,
    checksum: u32,
}

const LETTERHEAD_BYTES: usize = HEADER_BYTES - 16;

impl Letterhead {
    pub(crate) fn new(cluster: u64, sender: NodeId, incarnation: Incarnation, boot: u64) -> Self {
        let header = Header { cluster, sender, incarnation, boot, receiver: NodeId::NOBODY, sequence: 0 };
        let bytes = header.bytes()[..LETTERHEAD_BYTES].to_vec();
        let checksum = checksum::checksum(&bytes);
        Self { bytes, checksum }
    }

    /// Begins a datagram at the end of `out`.
    pub(crate) fn begin(&self, receiver: NodeId, sequence: u64, out: &mut Vec<u8>) {
        let mut rest = [0; HEADER_BYTES - LETTERHEAD_BYTES];
        rest[..8].copy_from_slice(&receiver.0.to_le_bytes());
        rest[8..].copy_from_slice(&sequence.to_le_bytes());
        out.put(&self.bytes);
        out.put(&rest);
    }

    /// What [`finish`] needs of it.
    pub(crate) const fn checksum(&self) -> u32 {
        self.checksum
    }
}

/// Puts the checksum at the end of an unsealed datagram, over the bytes that hold its place; `letterhead` is the
/// checksum of what it begins with.
pub(crate) fn finish(datagram: &mut [u8], letterhead: u32) {
    let end = datagram.len() - CRC_BYTES;
    let checksum = checksum::extend(letterhead, &datagram[LETTERHEAD_BYTES..end]);
    datagram[end..].copy_from_slice(&checksum.to_le_bytes());
}

/// A whole unsealed datagram out of its envelope and encoded messages: for tests, fuzzing and tools.
#[must_use]
pub fn compose(header: &Header, messages: &[u8]) -> Vec<u8> {
    let mut out = header.bytes().to_vec();
    out.put(messages);
    let checksum = checksum::checksum(&out);
    out.put_u32(checksum);
    out
}

/// Checks the envelope of a datagram of `cluster`.
///
/// # Errors
/// It is no datagram of this version and cluster, or was damaged on the way.
pub fn open(bytes: &[u8], cluster: u64) -> Result<Datagram<'_>, DecodeError> {
    let (head, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(DecodeError::Truncated)?;
    let [version, cipher, ..] = *head;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let mut reader = Reader::new(&head[8..]);
    let header = Header {
        cluster: reader.u64()?,
        sender: reader.id()?,
        incarnation: reader.incarnation()?,
        boot: reader.u64()?,
        receiver: reader.id()?,
        sequence: reader.u64()?,
    };
    if header.cluster != cluster {
        return Err(DecodeError::OtherCluster);
    }
    if cipher != CIPHER_NONE {
        return Err(DecodeError::Sealed);
    }
    let (covered, checksum) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(DecodeError::Truncated)?;
    if checksum::checksum(covered) != u32::from_le_bytes(*checksum) {
        return Err(DecodeError::Checksum);
    }
    let body = covered.get(HEADER_BYTES..).ok_or(DecodeError::Truncated)?;
    if header.sender == NodeId::NOBODY {
        return Err(DecodeError::Invalid("sender"));
    }
    Ok(Datagram { header, messages: Messages { reader: Reader::new(body) } })
}

/// The messages of a datagram, in order. After an error nothing more is readable.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.remaining() == 0 {
            return None;
        }
        let message = self.reader.message().and_then(|(tag, body)| Message::decode(tag, body));
        if message.is_err() {
            self.reader.rest();
        }
        Some(message)
    }
}
