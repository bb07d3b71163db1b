//! The envelope of a datagram: a header that names cluster, sender and receiver, and a checksum at the end.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::checksum;
use super::codec::{Put, Reader};
use super::error::DecodeError;
use super::kind::Message;
use super::sizes::{CRC_BYTES, HEADER_BYTES};
use crate::id::{Incarnation, NodeId, hash64};

const VERSION: u8 = 1;
const CIPHER_NONE: u8 = 0;

/// The tag of a cluster, as it stands in each header: the frozen hash of the cluster's name (rule B13).
#[must_use]
pub fn cluster_tag(cluster: &str) -> u64 {
    hash64(cluster.as_bytes())
}

/// The header of a datagram: its cluster, sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tag of the cluster; see [`cluster_tag`].
    pub cluster: u64,
    /// The member that sends the datagram; never 0.
    pub sender: NodeId,
    /// The incarnation of the sender (rule A4).
    pub incarnation: Incarnation,
    /// The boot of the sender: the random number of its process (rule A2).
    pub boot: u64,
    /// The member that the datagram is for, or [`NodeId::NOBODY`] where that is unknown or a group (rule A5).
    pub receiver: NodeId,
    /// The number of the datagram. It rises by one with each datagram of the sender's process.
    pub sequence: u64,
}

/// A datagram whose envelope has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The header.
    pub header: Header,
    /// The messages, not decoded yet.
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

/// The front part of the header, which all datagrams of one incarnation share, with its checksum.
///
/// To encode and checksum it once saves a third of the work of a small datagram.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HeaderPrefix {
    bytes: Vec<u8>,
    checksum: u32,
}

const PREFIX_BYTES: usize = HEADER_BYTES - 16;

impl HeaderPrefix {
    pub(crate) fn new(cluster: u64, sender: NodeId, incarnation: Incarnation, boot: u64) -> Self {
        let header = Header { cluster, sender, incarnation, boot, receiver: NodeId::NOBODY, sequence: 0 };
        let bytes = header.bytes()[..PREFIX_BYTES].to_vec();
        let checksum = checksum::checksum(&bytes);
        Self { bytes, checksum }
    }

    /// Appends the header of a datagram to `out`.
    pub(crate) fn begin(&self, receiver: NodeId, sequence: u64, out: &mut Vec<u8>) {
        let mut rest = [0; HEADER_BYTES - PREFIX_BYTES];
        rest[..8].copy_from_slice(&receiver.0.to_le_bytes());
        rest[8..].copy_from_slice(&sequence.to_le_bytes());
        out.put(&self.bytes);
        out.put(&rest);
    }

    /// The checksum of the prefix, for [`finish`].
    pub(crate) const fn checksum(&self) -> u32 {
        self.checksum
    }
}

/// Writes the checksum over the last bytes of an unsealed datagram, which hold its place. `prefix` is the checksum of
/// the [`HeaderPrefix`] that the datagram begins with.
pub(crate) fn finish(datagram: &mut [u8], prefix: u32) {
    let end = datagram.len() - CRC_BYTES;
    let checksum = checksum::extend(prefix, &datagram[PREFIX_BYTES..end]);
    datagram[end..].copy_from_slice(&checksum.to_le_bytes());
}

/// Composes an unsealed datagram from a header and encoded messages: for tests, fuzzing and tools.
#[must_use]
pub fn compose(header: &Header, messages: &[u8]) -> Vec<u8> {
    let mut out = header.bytes().to_vec();
    out.put(messages);
    let checksum = checksum::checksum(&out);
    out.put_u32(checksum);
    out
}

/// Checks the envelope of a datagram; `cluster` is the tag of the receiver's cluster.
///
/// # Errors
/// The bytes are not a datagram of this version and cluster, or were damaged on the way.
pub fn open(bytes: &[u8], cluster: u64) -> Result<Datagram<'_>, DecodeError> {
    open_of(bytes, Some(cluster))
}

/// Checks the envelope of a datagram of any cluster.
///
/// # Errors
/// The bytes are not a datagram of this version, or were damaged on the way.
pub(crate) fn open_any(bytes: &[u8]) -> Result<Datagram<'_>, DecodeError> {
    open_of(bytes, None)
}

#[inline]
fn open_of(bytes: &[u8], cluster: Option<u64>) -> Result<Datagram<'_>, DecodeError> {
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
    if cluster.is_some_and(|cluster| header.cluster != cluster) {
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

/// The messages of a datagram, in order. The first unreadable message yields an error and ends the iteration.
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
