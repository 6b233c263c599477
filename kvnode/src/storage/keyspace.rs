//! How everything a node stores is laid out in one ordered space of rows: a prefix byte, then fixed-width fields.
//!
//! | prefix | row | value |
//! |---|---|---|
//! | `r` | partition, key | head of a record (`record`) |
//! | `h` | target, partition, key | head of a hinted record |
//! | `m` | name | head of a document |
//! | `c` | length of head row, head row, stamp, index | one chunk of a long value (`chunk`) |
//! | `d` | target, partition | marks a dirty partition |
//! | `n` | `t`, or `h` and target | counters (`statistics`, `hint`) |
//!
//! Numbers are big-endian, so that byte order is numeric order. These bytes are a stability boundary.

use bytes::{BufMut, Bytes};

use crate::protocol::id::{NodeId, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::stamp::Stamp;

const RECORD: u8 = b'r';
const HINT: u8 = b'h';
const DOCUMENT: u8 = b'm';
const CHUNK: u8 = b'c';
const DIRTY: u8 = b'd';
const COUNTER: u8 = b'n';
const HINT_COUNTER: u8 = b'h';

/// First row and the row after the last of a range.
pub(super) type Range = (Vec<u8>, Vec<u8>);

/// The row of a record's head.
pub(super) fn record_row(partition: PartitionId, key: &Key) -> Bytes {
    let key = key.as_bytes();
    let mut row = Vec::with_capacity(3 + key.len());
    row.push(RECORD);
    row.put_u16(partition.0);
    row.extend_from_slice(key);
    row.into()
}

/// The records of one partition with keys from `start` (inclusive) to `end` (exclusive; empty for no end).
pub(super) fn record_range(partition: PartitionId, start: &[u8], end: &[u8]) -> Range {
    let mut prefix = vec![RECORD];
    prefix.put_u16(partition.0);
    let last = if end.is_empty() { after(&prefix) } else { [&prefix, end].concat() };
    ([&prefix, start].concat(), last)
}

/// The key in a record's row.
pub(super) fn key_of_record(row: &Bytes) -> Option<Key> {
    match row.first() {
        Some(&RECORD) if row.len() > 3 => Key::parse(row.slice(3..)).ok(),
        _ => None,
    }
}

/// The row of a hint's head.
pub(super) fn hint_row(target: NodeId, partition: PartitionId, key: &Key) -> Bytes {
    let key = key.as_bytes();
    let mut row = Vec::with_capacity(19 + key.len());
    row.push(HINT);
    row.put_u128(target.bits());
    row.put_u16(partition.0);
    row.extend_from_slice(key);
    row.into()
}

/// All hints for a target.
pub(super) fn hint_range(target: NodeId) -> Range {
    let mut prefix = vec![HINT];
    prefix.put_u128(target.bits());
    let last = after(&prefix);
    (prefix, last)
}

/// Partition and key in a hint's row.
pub(super) fn parse_hint(row: &Bytes) -> Option<(PartitionId, Key)> {
    let partition = row.get(17..19)?.try_into().ok()?;
    (row.first() == Some(&HINT)).then_some(())?;
    Some((PartitionId(u16::from_be_bytes(partition)), Key::parse(row.slice(19..)).ok()?))
}

/// The row of a document's head.
pub(super) fn document_row(name: &str) -> Bytes {
    [&[DOCUMENT], name.as_bytes()].concat().into()
}

/// All documents.
pub(super) fn document_range() -> Range {
    (vec![DOCUMENT], vec![DOCUMENT + 1])
}

/// The name in a document's row.
pub(super) fn parse_document(row: &[u8]) -> Option<&str> {
    row.strip_prefix(&[DOCUMENT]).and_then(|name| std::str::from_utf8(name).ok())
}

/// The row of chunk `index` of the value whose head stands at `head` with this stamp.
pub(super) fn chunk_row(head: &[u8], stamp: Stamp, index: u32) -> Bytes {
    let mut row = Vec::with_capacity(27 + head.len());
    row.push(CHUNK);
    // Rows are at most 19 + 1024 bytes long; the length makes the fields behind it unambiguous.
    row.put_u16(u16::try_from(head.len()).unwrap_or(u16::MAX));
    row.extend_from_slice(head);
    put_stamp(&mut row, stamp);
    row.put_u32(index);
    row.into()
}

/// The row that marks a partition dirty for a target.
pub(super) fn dirty_row(target: NodeId, partition: PartitionId) -> Bytes {
    let mut row = vec![DIRTY];
    row.put_u128(target.bits());
    row.put_u16(partition.0);
    row.into()
}

/// All dirty marks.
pub(super) fn dirty_range() -> Range {
    (vec![DIRTY], vec![DIRTY + 1])
}

/// Target and partition in a dirty mark's row.
pub(super) fn parse_dirty(row: &[u8]) -> Option<(NodeId, PartitionId)> {
    let (target, partition) = row.strip_prefix(&[DIRTY])?.split_first_chunk::<16>()?;
    Some((NodeId::from_bits(u128::from_be_bytes(*target)), PartitionId(u16::from_be_bytes(partition.try_into().ok()?))))
}

/// The row of the store's totals.
pub(super) fn totals_row() -> Bytes {
    Bytes::from_static(&[COUNTER, b't'])
}

/// The row of a target's hint counters.
pub(super) fn hint_counter_row(target: NodeId) -> Bytes {
    let mut row = vec![COUNTER, HINT_COUNTER];
    row.put_u128(target.bits());
    row.into()
}

/// All hint counters.
pub(super) fn hint_counter_range() -> Range {
    (vec![COUNTER, HINT_COUNTER], vec![COUNTER, HINT_COUNTER + 1])
}

/// The target in a hint counter's row.
pub(super) fn parse_hint_counter(row: &[u8]) -> Option<NodeId> {
    let target = row.strip_prefix(&[COUNTER, HINT_COUNTER])?.try_into().ok()?;
    Some(NodeId::from_bits(u128::from_be_bytes(target)))
}

/// Appends a stamp in its ordered form.
pub(super) fn put_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    out.put_u64(stamp.time);
    out.put_u64(stamp.writer);
    out.put_u32(stamp.rmw);
}

/// The first row behind all rows with this prefix.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            break;
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(bytes: &[u8]) -> Key {
        Key::parse(bytes.to_vec()).expect("test key")
    }

    #[test]
    fn rows_are_pinned() {
        let target = NodeId::from_bits(0x0102);
        let hex = |row: &[u8]| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let record = record_row(PartitionId(0x0103), &key(b"k"));
        assert_eq!(hex(&record), "7201036b");
        assert_eq!(
            hex(&chunk_row(&record, Stamp { time: 1, writer: 2, rmw: 3 }, 4)),
            "6300047201036b000000000000000100000000000000020000000300000004"
        );
        assert_eq!(hex(&hint_row(target, PartitionId(1), &key(b"k"))), "680000000000000000000000000000010200016b");
        assert_eq!(hex(&dirty_row(target, PartitionId(1))), "64000000000000000000000000000001020001");
        assert_eq!(hex(&document_row("ring")), "6d72696e67");
        assert_eq!(hex(&hint_counter_row(target)), "6e6800000000000000000000000000000102");
    }

    proptest! {
        #[test]
        fn rows_parse_back_and_stand_in_their_range(
            bits: u128, partition: u16, bytes in proptest::collection::vec(any::<u8>(), 1..40)
        ) {
            let (target, partition, key) = (NodeId::from_bits(bits), PartitionId(partition), key(&bytes));
            let inside = |row: &Bytes, (start, end): Range| start[..] <= row[..] && row[..] < end[..];
            let record = record_row(partition, &key);
            prop_assert!(inside(&record, record_range(partition, &[], &[])));
            prop_assert!(!inside(&record, record_range(partition, &[], &bytes)));
            prop_assert_eq!(key_of_record(&record), Some(key.clone()));
            let hint = hint_row(target, partition, &key);
            prop_assert!(inside(&hint, hint_range(target)) || bits == u128::MAX);
            prop_assert_eq!(parse_hint(&hint), Some((partition, key)));
            prop_assert_eq!(parse_dirty(&dirty_row(target, partition)), Some((target, partition)));
            prop_assert_eq!(parse_hint_counter(&hint_counter_row(target)), Some(target));
        }

        #[test]
        fn arbitrary_rows_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let row = Bytes::from(bytes);
            key_of_record(&row);
            parse_hint(&row);
            parse_dirty(&row);
            parse_hint_counter(&row);
            parse_document(&row);
        }
    }
}
