//! Long values in pieces: sled writes values that are long for a page to files that it never syncs.
//!
//! A value over 4 KiB leaves its length in the head; its pieces stand in rows of their own, named by head row,
//! stamp and index, so that pieces of two versions never mix. They are put and removed in the batch that changes
//! the head. Stored form: `format 1 | 0 | CRC-32 4 | data`, the checksum covering the row's name.

use bytes::{BufMut, Bytes, BytesMut};

use super::engine::{self, Store};
use super::keyspace::chunk_row;
use super::record::{self, MAX_INLINE_BYTES};
use crate::protocol::record::{Content, Record};
use crate::protocol::stamp::Stamp;

/// Bytes of value per chunk.
pub(super) const CHUNK_BYTES: usize = MAX_INLINE_BYTES;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 6;

/// Why a value was not put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JoinError {
    /// A chunk is missing or damaged; if the head has changed meanwhile, read again.
    Damaged,
    /// The engine failed.
    Engine(engine::Error),
}

/// The chunk rows of a record; none unless its value is long.
pub(super) fn split(head: &[u8], record: &Record) -> Vec<(Bytes, Bytes)> {
    match &record.content {
        Content::Value(value) if record::is_chunked(value) => (0u32..)
            .zip(value.bytes.chunks(CHUNK_BYTES))
            .map(|(index, data)| {
                let row = chunk_row(head, record.stamp, index);
                let stored = encode(&row, data);
                (row, stored)
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The rows that hold a chunked value of this length.
pub(super) fn rows(head: &[u8], stamp: Stamp, chunked_bytes: usize) -> impl Iterator<Item = Bytes> {
    let count = u32::try_from(chunked_bytes.div_ceil(CHUNK_BYTES)).unwrap_or(u32::MAX);
    (0..count).map(move |index| chunk_row(head, stamp, index))
}

/// Reads a chunked value back; empty if `chunked_bytes` is 0.
pub(super) fn join(store: &dyn Store, head: &[u8], stamp: Stamp, chunked_bytes: usize) -> Result<Bytes, JoinError> {
    // The length comes from a head whose checksum held and which is bounded by MAX_VALUE_BYTES.
    let mut value = BytesMut::with_capacity(chunked_bytes);
    for row in rows(head, stamp, chunked_bytes) {
        let stored = store.get(&row).map_err(JoinError::Engine)?.ok_or(JoinError::Damaged)?;
        let data = decode(&row, &stored).ok_or(JoinError::Damaged)?;
        let wanted = CHUNK_BYTES.min(chunked_bytes - value.len());
        if data.len() != wanted {
            return Err(JoinError::Damaged);
        }
        value.extend_from_slice(data);
    }
    Ok(value.freeze())
}

fn encode(row: &[u8], data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER_BYTES + data.len());
    out.extend_from_slice(&[FORMAT, 0, 0, 0, 0, 0]);
    out.put_slice(data);
    let checksum = record::checksum(row, &out);
    out[2..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
    out.into()
}

fn decode<'a>(row: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let data = stored.get(HEADER_BYTES..)?;
    let intact = stored[0] == FORMAT && record::checksum(row, stored).to_be_bytes() == stored[2..HEADER_BYTES];
    intact.then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::Value;
    use crate::storage::engine::Batch;
    use crate::storage::memory::MemoryStore;

    const STAMP: Stamp = Stamp { time: 1, writer: 2, rmw: 3 };

    fn long(bytes: Vec<u8>) -> Record {
        Record {
            stamp: STAMP,
            content: Content::Value(Value { bytes: bytes.into(), content_type: None, expires_at: None }),
        }
    }

    fn store_with(chunks: Vec<(Bytes, Bytes)>) -> MemoryStore {
        let store = MemoryStore::new();
        let mut batch = Batch::default();
        for (row, stored) in chunks {
            batch.put(row, stored);
        }
        store.apply(batch).expect("memory");
        store
    }

    #[test]
    fn values_of_every_length_come_back() {
        for length in [4097, 8192, 8193, 100_000] {
            let bytes: Vec<u8> = (0..length).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect();
            let store = store_with(split(b"row", &long(bytes.clone())));
            assert_eq!(join(&store, b"row", STAMP, length), Ok(Bytes::from(bytes)), "{length}");
        }
        for length in [0, 1, 4096] {
            assert_eq!(split(b"row", &long(vec![1; length])), Vec::new(), "{length}");
        }
    }

    #[test]
    fn a_missing_swapped_or_flipped_chunk_is_damage() {
        let chunks = split(b"row", &long(vec![5; 9000]));
        let mut missing = chunks.clone();
        missing.remove(1);
        let mut swapped = chunks.clone();
        swapped[0].1 = chunks[1].1.clone();
        let mut flipped = chunks.clone();
        let mut bytes = flipped[2].1.to_vec();
        bytes[10] ^= 4;
        flipped[2].1 = bytes.into();
        let mut short = chunks;
        short[1].1 = encode(&short[1].0, &[5; 10]);
        for (name, chunks) in [("missing", missing), ("swapped", swapped), ("flipped", flipped), ("short", short)] {
            assert_eq!(join(&store_with(chunks), b"row", STAMP, 9000), Err(JoinError::Damaged), "{name}");
        }
    }
}
