//! Pages of records in key order over several partitions: a k-way merge of one engine scan per partition.
//!
//! A page is bounded in items and in bytes of values. It is no snapshot: each record is as new as the moment it was
//! met. Like every read it shows only durable records, for which it may wait for one sync; so it runs on a thread
//! that may block, never in a completion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc;

use bytes::Bytes;

use super::chunk::JoinError;
use super::engine::Rows;
use super::shared::Shared;
use super::{ReadError, keyspace, record};
use crate::protocol::id::PartitionId;
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record};

/// Most bytes of keys and values in a page of several: with stamps and content types it still fits a peer frame, so
/// that a page can always be sent, and bounded memory per request.
pub(super) const MAX_PAGE_BYTES: usize = 3 << 20;

/// Some records in key order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// The records, tombstones included; values are empty unless asked for.
    pub items: Vec<(Key, Record)>,
    /// True if the range holds more behind the last item.
    pub more: bool,
}

/// What is wanted.
pub(super) struct Query<'a> {
    pub(super) partitions: &'a [PartitionId],
    pub(super) start: &'a [u8],
    pub(super) end: &'a [u8],
    pub(super) limit: usize,
    pub(super) with_values: bool,
}

/// Reads one page; blocks for at most the syncs under way.
pub(super) fn page(shared: &Shared, query: &Query<'_>) -> Result<ScanPage, ReadError> {
    let generation = shared.generation();
    let (page, rows) = merge(shared, query)?;
    let (sender, receiver) = mpsc::channel();
    for (row, (_, record)) in rows.iter().zip(&page.items) {
        if shared.in_flight.contains(row, record.stamp) {
            let sender = sender.clone();
            let waiter = Box::new(move |outcome| drop(sender.send(outcome)));
            if let Err(waiter) = shared.in_flight.wait_for(row, record.stamp, waiter) {
                waiter(Ok(()));
            }
        }
    }
    drop(sender);
    for outcome in receiver {
        outcome.map_err(|reason| ReadError::Failed { reason })?;
    }
    shared.unless_taken_back(generation)?;
    Ok(page)
}

/// A page and the rows of its items.
fn merge(shared: &Shared, query: &Query<'_>) -> Result<(ScanPage, Vec<Bytes>), ReadError> {
    let mut merged = Merge::new(shared, query)?;
    let (mut page, mut rows, mut bytes) = (ScanPage::default(), Vec::new(), 0);
    while let Some((key, row, stored)) = merged.next()? {
        if page.items.len() >= query.limit {
            page.more = true;
            break;
        }
        let record = read(shared, &row, &stored, query.with_values)?;
        bytes += key.as_bytes().len() + record.value_bytes();
        if !page.items.is_empty() && bytes > MAX_PAGE_BYTES {
            page.more = true;
            break;
        }
        page.items.push((key, record));
        rows.push(row);
    }
    Ok((page, rows))
}

fn read(shared: &Shared, row: &Bytes, stored: &Bytes, with_value: bool) -> Result<Record, ReadError> {
    let damaged = |_damage| shared.read_error(JoinError::Damaged);
    let head = record::decode(row, stored).map_err(damaged)?;
    if with_value && head.chunked_bytes > 0 {
        // Records are never removed, only replaced: an absent one is damage.
        return shared.visible_record(row)?.ok_or_else(|| shared.read_error(JoinError::Damaged));
    }
    let mut record = head.into_record(stored, Bytes::new()).map_err(damaged)?;
    if let Content::Value(value) = &mut record.content
        && !with_value
    {
        value.bytes = Bytes::new();
    }
    Ok(record)
}

type Next = (Key, Bytes, Bytes);

struct Merge<'a> {
    shared: &'a Shared,
    sources: Vec<Rows<'a>>,
    /// The next item of each source that has one; keys first, so that the heap orders by key.
    heads: BinaryHeap<Reverse<(Next, usize)>>,
}

impl<'a> Merge<'a> {
    fn new(shared: &'a Shared, query: &Query<'_>) -> Result<Self, ReadError> {
        let mut sources: Vec<Rows<'a>> = Vec::with_capacity(query.partitions.len());
        for partition in query.partitions {
            let (start, end) = keyspace::record_range(*partition, query.start, query.end);
            if start < end {
                sources.push(shared.store.scan(&start, &end));
            }
        }
        let mut merge = Self { shared, heads: BinaryHeap::with_capacity(sources.len()), sources };
        (0..merge.sources.len()).try_for_each(|index| merge.advance(index))?;
        Ok(merge)
    }

    fn advance(&mut self, index: usize) -> Result<(), ReadError> {
        if let Some(step) = self.sources[index].next() {
            let (row, stored) = step.map_err(|error| self.shared.read_error(JoinError::Engine(error)))?;
            let key = keyspace::key_of_record(&row).ok_or_else(|| self.shared.read_error(JoinError::Damaged))?;
            self.heads.push(Reverse(((key, row, stored), index)));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Next>, ReadError> {
        let Some(Reverse((next, index))) = self.heads.pop() else { return Ok(None) };
        self.advance(index)?;
        Ok(Some(next))
    }
}
