//! The stored form of a record's head: everything but the chunks of a long value. A stability boundary.
//!
//! ```text
//! format 1 | flags 1 | CRC-32 4 | stamp 20 | expires_at 8? | length 1, content type? | value, or its length 4
//! ```
//! The checksum (CRC-32, IEEE 802.3) covers the row's name too, so that a head that turns up under another key is
//! damage like any other. Engines have checksums of their own; ours is checked after everything they do.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes};

use super::keyspace::put_stamp;
use crate::protocol::record::{Content, Record, Value, Version};
use crate::protocol::stamp::Stamp;

/// Longest value kept inside the head, in bytes: an engine page of 16 such heads stays far below its blob limit.
pub(super) const MAX_INLINE_BYTES: usize = 4096;

const FORMAT: u8 = 1;
const TOMBSTONE: u8 = 1;
const EXPIRES: u8 = 2;
const CONTENT_TYPE: u8 = 4;
const CHUNKED: u8 = 8;
const KNOWN_FLAGS: u8 = TOMBSTONE | EXPIRES | CONTENT_TYPE | CHUNKED;
const CHECKSUM: Range<usize> = 2..6;

/// Why stored bytes are not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// The checksum does not fit the bytes.
    Checksum,
    /// The checksum fits but the content is not of a format this release knows.
    Format,
}

/// A head whose checksum held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// What the register protocol wants to know.
    pub(super) version: Version,
    /// Bytes of the whole value that stand in chunk rows; 0 if the value is in the head.
    pub(super) chunked_bytes: usize,
    content_type: Option<Range<usize>>,
    value: Range<usize>,
}

/// The stored form of a record under this row. A long value leaves only its length here.
pub(super) fn encode(row: &[u8], record: &Record) -> Bytes {
    let (mut flags, mut body) = (0, 0);
    if let Content::Value(value) = &record.content {
        body = if is_chunked(value) { 4 } else { value.bytes.len() };
    }
    let mut out = Vec::with_capacity(6 + 20 + 8 + 1 + Value::MAX_CONTENT_TYPE_BYTES.min(64) + body);
    out.extend_from_slice(&[FORMAT, 0, 0, 0, 0, 0]);
    put_stamp(&mut out, record.stamp);
    match &record.content {
        Content::Tombstone => flags |= TOMBSTONE,
        Content::Value(value) => flags |= encode_value(&mut out, value),
    }
    out[1] = flags;
    let checksum = checksum(row, &out);
    out[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    out.into()
}

fn encode_value(out: &mut Vec<u8>, value: &Value) -> u8 {
    let mut flags = 0;
    if let Some(at) = value.expires_at {
        flags |= EXPIRES;
        out.put_u64(at);
    }
    // Longer ones are refused at the API; dropping one here beats storing a head that cannot be read.
    if let Some((text, length)) =
        value.content_type.as_ref().and_then(|text| Some((text, u8::try_from(text.len()).ok()?)))
    {
        flags |= CONTENT_TYPE;
        out.put_u8(length);
        out.extend_from_slice(text.as_bytes());
    }
    if is_chunked(value) {
        flags |= CHUNKED;
        out.put_u32(u32::try_from(value.bytes.len()).unwrap_or(u32::MAX));
    } else {
        out.extend_from_slice(&value.bytes);
    }
    flags
}

/// Whether a value is too long to stand in the head.
pub(super) fn is_chunked(value: &Value) -> bool {
    value.bytes.len() > MAX_INLINE_BYTES
}

/// Checks and reads a head without copying its value.
pub(super) fn decode(row: &[u8], stored: &[u8]) -> Result<Head, Damage> {
    let expected = stored.get(CHECKSUM).ok_or(Damage::Checksum)?;
    if checksum(row, stored).to_be_bytes() != *expected {
        return Err(Damage::Checksum);
    }
    decode_checked(stored).ok_or(Damage::Format)
}

fn decode_checked(stored: &[u8]) -> Option<Head> {
    let mut cursor = Cursor { bytes: stored, at: 0 };
    let [format, flags] = cursor.take()?;
    let _checksum: [u8; 4] = cursor.take()?;
    if format != FORMAT || flags & !KNOWN_FLAGS != 0 {
        return None;
    }
    let stamp = Stamp {
        time: u64::from_be_bytes(cursor.take()?),
        writer: u64::from_be_bytes(cursor.take()?),
        rmw: u32::from_be_bytes(cursor.take()?),
    };
    let expires_at = if flags & EXPIRES != 0 { Some(u64::from_be_bytes(cursor.take()?)) } else { None };
    let content_type = if flags & CONTENT_TYPE != 0 {
        let [length] = cursor.take()?;
        Some(cursor.range(usize::from(length))?)
    } else {
        None
    };
    let chunked_bytes = if flags & CHUNKED != 0 { u32::from_be_bytes(cursor.take()?) } else { 0 };
    let chunked_bytes = usize::try_from(chunked_bytes).ok().filter(|bytes| *bytes <= super::MAX_VALUE_BYTES)?;
    let value = cursor.at..stored.len();
    let is_value = flags & TOMBSTONE == 0;
    let bodiless = !is_value || flags & CHUNKED != 0;
    (!bodiless || value.is_empty()).then_some(())?;
    Some(Head { version: Version { stamp, is_value, expires_at }, chunked_bytes, content_type, value })
}

impl Head {
    /// The record, its value sliced out of `stored`, or `chunks` if the value is chunked.
    pub(super) fn into_record(self, stored: &Bytes, chunks: Bytes) -> Result<Record, Damage> {
        let stamp = self.version.stamp;
        if !self.version.is_value {
            return Ok(Record { stamp, content: Content::Tombstone });
        }
        let content_type = match self.content_type {
            None => None,
            Some(range) => {
                let text = stored.get(range).and_then(|text| std::str::from_utf8(text).ok());
                Some(Arc::from(text.ok_or(Damage::Format)?))
            }
        };
        let bytes = if self.chunked_bytes > 0 { chunks } else { stored.slice(self.value) };
        Ok(Record {
            stamp,
            content: Content::Value(Value { bytes, content_type, expires_at: self.version.expires_at }),
        })
    }
}

/// CRC-32 over the row's name and the stored bytes but for the checksum itself.
pub(super) fn checksum(row: &[u8], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(row);
    hasher.update(stored.get(..CHECKSUM.start).unwrap_or_default());
    hasher.update(stored.get(CHECKSUM.end..).unwrap_or_default());
    hasher.finalize()
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*taken)
    }

    fn range(&mut self, length: usize) -> Option<Range<usize>> {
        let range = self.at..self.at.checked_add(length)?;
        self.bytes.get(range.clone())?;
        self.at = range.end;
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMP: Stamp = Stamp { time: 0x0102_0304_0506_0708, writer: 0x1112_1314_1516_1718, rmw: 0x2122_2324 };

    fn value(bytes: impl Into<Bytes>, content_type: Option<&str>, expires_at: Option<u64>) -> Record {
        let value = Value { bytes: bytes.into(), content_type: content_type.map(Arc::from), expires_at };
        Record { stamp: STAMP, content: Content::Value(value) }
    }

    fn check_golden(record: &Record, golden: &str) {
        let stored = encode(b"row", record);
        let hex = stored.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex, golden);
        let head = decode(b"row", &stored).expect("reads back");
        assert_eq!(head.version, record.version());
    }

    #[test]
    fn format_1_is_pinned() {
        let tombstone = Record { stamp: STAMP, content: Content::Tombstone };
        check_golden(&tombstone, "010185edca690102030405060708111213141516171821222324");
        check_golden(&value("v", None, None), "010048a76b72010203040506070811121314151617182122232476");
        check_golden(
            &value("v", Some("a/b"), Some(9)),
            "0106110a5aad0102030405060708111213141516171821222324000000000000000903612f6276",
        );
        check_golden(&value(vec![7; 4097], None, None), "01083915af73010203040506070811121314151617182122232400001001");
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_noticed(bytes in proptest::collection::vec(any::<u8>(), 0..60), bit: prop::sample::Index) {
            let stored = encode(b"row", &value(bytes, Some("text/plain"), Some(5)));
            let mut flipped = stored.to_vec();
            let bit = bit.index(flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(b"row", &flipped).is_err());
            prop_assert!(decode(b"other", &stored).is_err());
            prop_assert!(decode(b"row", &stored[..stored.len() - 1]).is_err());
        }

        #[test]
        fn records_round_trip(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            content_type in proptest::option::of("[a-z/]{0,30}"), expires_at: Option<u64>
        ) {
            let record = value(bytes, content_type.as_deref(), expires_at);
            let stored = encode(b"row", &record);
            let head = decode(b"row", &stored).expect("own bytes");
            prop_assert_eq!(head.into_record(&stored, Bytes::new()), Ok(record));
        }

        #[test]
        fn arbitrary_bytes_with_a_good_checksum_never_panic(mut stored in proptest::collection::vec(any::<u8>(), 6..80)) {
            let checksum = checksum(b"row", &stored);
            stored[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
            let stored = Bytes::from(stored);
            if let Ok(head) = decode(b"row", &stored) {
                // Whatever it is, it is a record or named damage.
                drop(head.into_record(&stored, Bytes::new()));
            }
        }
    }
}
