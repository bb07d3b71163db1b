//! A member's record: what the member says of itself. It is stored, hashed and relayed as the bytes received (rule G5),
//! and read in place.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::codec::{Put, Reader, addr_bytes};
use super::error::DecodeError;
use super::sizes::{KEYS_MAX, RECORD_FIXED_BYTES};
use crate::id::{Incarnation, NodeId, Rank};
use crate::limits::{EXTENSION_BYTES_MAX, META_BYTES_MAX, NAME_BYTES_MAX, TAGS_BYTES_MAX, ZONE_BYTES_MAX};
use crate::tags::are_tags;

/// A member's record, checked when it was read and kept as its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record<'a> {
    bytes: &'a [u8],
}

/// The known fields of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFields<'a> {
    /// The id of the member.
    pub id: NodeId,
    /// The incarnation in which the member has made the record.
    pub incarnation: Incarnation,
    /// The rank of the member's process among all that use its id; it contains the boot.
    pub rank: Rank,
    /// The digest of the settings that all members must share (rule G4).
    pub shared: u64,
    /// The version of the roster of voters that the member has adopted; 0 for none.
    pub roster: u32,
    /// The priority of the member in elections.
    pub priority: u32,
    /// The least and the greatest protocol version that the member speaks (rule B5).
    pub protocol: (u8, u8),
    /// Whether the member stands in elections.
    pub eligible: bool,
    /// The address that datagrams for the member go to.
    pub addr: SocketAddr,
    /// The name of the member.
    pub name: &'a str,
    /// The failure zone of the member; empty if it has none.
    pub zone: &'a str,
    /// The metadata: bytes of the application.
    pub meta: &'a [u8],
    /// The tags of the member, as their bytes.
    pub tags: &'a [u8],
}

impl RecordFields<'_> {
    /// Encodes the record, without keys and extensions.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            RECORD_FIXED_BYTES
                + addr_bytes(self.addr)
                + 6
                + self.name.len()
                + self.zone.len()
                + self.meta.len()
                + self.tags.len(),
        );
        out.put_id(self.id);
        out.put_incarnation(self.incarnation);
        out.put_rank(self.rank);
        out.put_u64(self.shared);
        out.put_u32(self.roster);
        out.put_u32(self.priority);
        out.put_u8(self.protocol.0);
        out.put_u8(self.protocol.1);
        out.put_u8(u8::from(self.eligible));
        out.put_addr(self.addr);
        put_short(&mut out, self.name.as_bytes());
        put_short(&mut out, self.zone.as_bytes());
        out.put_u16(u16::try_from(self.meta.len()).expect("metadata is bounded when it is set"));
        out.put(self.meta);
        put_short(&mut out, self.tags);
        out.put_u8(0);
        out
    }
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u8(u8::try_from(bytes.len()).expect("names, zones and tags are bounded when they are set"));
    out.put(bytes);
}

impl<'a> Record<'a> {
    /// Checks every field and length of a record.
    ///
    /// # Errors
    /// A field is out of its range, or the record ends too early or too late.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.id()? == NodeId::NOBODY {
            return Err(DecodeError::Invalid("record id"));
        }
        reader.bytes(RECORD_FIXED_BYTES - 8)?;
        reader.addr()?;
        utf8(short(&mut reader, NAME_BYTES_MAX, "name")?)?;
        utf8(short(&mut reader, ZONE_BYTES_MAX, "zone")?)?;
        let meta = usize::from(reader.u16()?);
        if meta > META_BYTES_MAX {
            return Err(DecodeError::Invalid("metadata length"));
        }
        reader.bytes(meta)?;
        if !are_tags(short(&mut reader, TAGS_BYTES_MAX, "tags")?) {
            return Err(DecodeError::Invalid("tags"));
        }
        let keys = usize::from(reader.u8()?);
        if keys > KEYS_MAX {
            return Err(DecodeError::Invalid("key count"));
        }
        reader.bytes(4 * keys)?;
        if reader.remaining() > EXTENSION_BYTES_MAX {
            return Err(DecodeError::Invalid("extensions"));
        }
        while reader.remaining() > 0 {
            let _tag = reader.u8()?;
            let len = reader.u8()?;
            reader.bytes(len.into())?;
        }
        Ok(Self { bytes })
    }

    /// A record from bytes that [`Record::read`] has accepted before.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes of the record.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Encodes this record with empty name, zone, metadata and tags, and without keys and extensions.
    pub(crate) fn bare(self) -> Vec<u8> {
        RecordFields { name: "", zone: "", meta: &[], tags: &[], ..self.fields() }.encode()
    }

    /// The fields that have a fixed width.
    fn head(self) -> &'a [u8; RECORD_FIXED_BYTES] {
        self.bytes.first_chunk().expect(CHECKED)
    }

    /// Reads the eight-byte number at `offset` in the fixed part.
    fn word(self, offset: usize) -> u64 {
        u64::from_le_bytes(*self.head()[offset..].first_chunk().expect(CHECKED))
    }

    /// The id of the member.
    #[must_use]
    pub fn id(self) -> NodeId {
        NodeId(self.word(0))
    }

    /// The incarnation in which the member has made the record.
    #[must_use]
    pub fn incarnation(self) -> Incarnation {
        let [a, b, c, d] = *self.head()[16..].first_chunk().expect(CHECKED);
        Incarnation { epoch: self.word(8), counter: u32::from_le_bytes([a, b, c, d]) }
    }

    /// The boot of the member: the random number of its process.
    #[must_use]
    pub fn boot(self) -> u64 {
        self.word(30)
    }

    /// The rank of the member's process among all that use its id.
    #[must_use]
    pub fn rank(self) -> Rank {
        let [low, high] = *self.head()[28..].first_chunk().expect(CHECKED);
        Rank { seniority: self.word(20), draws: u16::from_le_bytes([low, high]), boot: self.boot() }
    }

    /// The digest of the settings that all members must share.
    #[must_use]
    pub fn shared(self) -> u64 {
        self.word(38)
    }

    /// The least and the greatest protocol version that the member speaks.
    #[must_use]
    pub fn protocol(self) -> (u8, u8) {
        (self.head()[54], self.head()[55])
    }

    /// The address that datagrams for the member go to.
    #[must_use]
    pub fn addr(self) -> SocketAddr {
        Reader::new(&self.bytes[RECORD_FIXED_BYTES..]).addr().expect(CHECKED)
    }

    /// The part that an application may see: address, name, zone, metadata, tags, keys, extensions.
    pub(crate) fn described(self) -> &'a [u8] {
        &self.bytes[RECORD_FIXED_BYTES..]
    }

    /// Reads all known fields.
    #[must_use]
    pub fn fields(self) -> RecordFields<'a> {
        let mut reader = Reader::new(self.bytes);
        Self::read_fields(&mut reader).expect(CHECKED)
    }

    fn read_fields(reader: &mut Reader<'a>) -> Result<RecordFields<'a>, DecodeError> {
        let id = reader.id()?;
        let incarnation = reader.incarnation()?;
        let rank = reader.rank()?;
        let shared = reader.u64()?;
        let roster = reader.u32()?;
        let priority = reader.u32()?;
        let protocol = (reader.u8()?, reader.u8()?);
        let eligible = reader.u8()? & 1 == 1;
        let addr = reader.addr()?;
        let name = utf8(short(reader, NAME_BYTES_MAX, "name")?)?;
        let zone = utf8(short(reader, ZONE_BYTES_MAX, "zone")?)?;
        let meta = usize::from(reader.u16()?);
        let meta = reader.bytes(meta)?;
        let tags = short(reader, TAGS_BYTES_MAX, "tags")?;
        Ok(RecordFields {
            id,
            incarnation,
            rank,
            shared,
            roster,
            priority,
            protocol,
            eligible,
            addr,
            name,
            zone,
            meta,
            tags,
        })
    }
}

const CHECKED: &str = "a record was checked when it was read";

fn short<'a>(reader: &mut Reader<'a>, max: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
    let len = usize::from(reader.u8()?);
    if len > max {
        return Err(DecodeError::Invalid(what));
    }
    reader.bytes(len)
}

fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    core::str::from_utf8(bytes).map_err(|_| DecodeError::Invalid("text"))
}
