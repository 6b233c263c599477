//! One batch in the making: each change is compared with what is stored *and* with what came earlier in the batch.
//!
//! The higher stamp wins (merge = max), so repeated and late writes leave no trace. The chunks of a replaced value
//! are removed in the same batch. Counters and documents are changed on copies, which the committer publishes
//! after the sync: a batch that fails leaves memory as it was. It neither applies nor syncs anything.

use std::collections::HashMap;

use bytes::Bytes;

use super::engine::{self, Batch, Store};
use super::hint::{Ledger, Limits, Target};
use super::{WriteError, chunk, keyspace, record};
use crate::protocol::id::{NodeId, PartitionId};
use crate::protocol::record::{Content, Record, Value, Version};
use crate::protocol::stamp::Stamp;

/// A record in its stored form, made by the thread that submits it.
pub(super) struct Encoded {
    pub(super) row: Bytes,
    pub(super) version: Version,
    head: Bytes,
    chunks: Vec<(Bytes, Bytes)>,
    chunked_bytes: usize,
}

impl Encoded {
    /// The stored form of a record under this row.
    pub(super) fn new(row: Bytes, record: &Record) -> Self {
        let chunked_bytes = match &record.content {
            Content::Value(value) if record::is_chunked(value) => value.bytes.len(),
            _ => 0,
        };
        let head = record::encode(&row, record);
        let chunks = chunk::split(&row, record);
        Self { version: record.version(), head, chunks, chunked_bytes, row }
    }

    /// Bytes it takes as stored, as hints are counted.
    pub(super) fn size(&self) -> usize {
        self.row.len() + self.head.len() + self.chunked_bytes
    }
}

/// A change that the committer can make.
pub(super) enum Mutation {
    /// Merge a record.
    Write(Encoded),
    /// Merge several records.
    WriteMany(Vec<Encoded>),
    /// Keep a record for a target.
    Hint { target: NodeId, partition: PartitionId, record: Encoded },
    /// Remove hints that still have the stamp that was delivered.
    RemoveHints { target: NodeId, delivered: Vec<(Bytes, Stamp)> },
    /// Mark a partition dirty, or clean.
    Dirty { target: NodeId, partition: PartitionId, dirty: bool },
    /// Put a document, or remove it.
    Document { name: String, bytes: Option<Bytes> },
}

impl Mutation {
    /// What it counts against the queue's bounds: writes and bytes.
    pub(super) fn weight(&self) -> (usize, usize) {
        match self {
            Self::Write(write) => (1, write.size()),
            Self::WriteMany(writes) => (writes.len(), writes.iter().map(Encoded::size).sum()),
            Self::Hint { record, .. } => (1, record.size()),
            Self::RemoveHints { delivered, .. } => (1, delivered.iter().map(|(row, _)| row.len()).sum()),
            Self::Dirty { .. } => (1, 0),
            Self::Document { bytes, .. } => (1, bytes.as_ref().map_or(0, Bytes::len)),
        }
    }

    /// The records whose stamps are in flight while this is.
    pub(super) fn writes(&self) -> &[Encoded] {
        match self {
            Self::Write(write) => std::slice::from_ref(write),
            Self::WriteMany(writes) => writes,
            _ => &[],
        }
    }
}

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the batch, or covered by something in it: durable after the sync.
    InBatch,
    /// What is durable already covers it.
    Durable,
}

/// What to publish once the batch is durable.
#[derive(Default)]
pub(super) struct Published {
    /// Records more, or fewer.
    pub(super) records: i64,
    /// Tombstones more, or fewer.
    pub(super) tombstones: i64,
    /// Hint counts that changed.
    pub(super) targets: Ledger,
    /// Documents put or removed.
    pub(super) documents: Vec<(String, Option<Bytes>)>,
}

#[derive(Clone, Copy)]
struct Stored {
    version: Version,
    chunked_bytes: usize,
    size: u64,
    in_batch: bool,
}

/// A batch in the making.
pub(super) struct Draft<'a> {
    store: &'a dyn Store,
    ledger: &'a Ledger,
    limits: Limits,
    now_micros: u64,
    earlier: HashMap<Bytes, Option<Stored>>,
    batch: Batch,
    published: Published,
}

impl<'a> Draft<'a> {
    /// An empty batch; `now_micros` is wall time, for the age of hints.
    pub(super) fn new(store: &'a dyn Store, ledger: &'a Ledger, limits: Limits, now_micros: u64) -> Self {
        let (earlier, batch, published) = Default::default();
        Self { store, ledger, limits, now_micros, earlier, batch, published }
    }

    /// Adds a change. After an error other changes stay valid; of several writes in one, some may have been added.
    pub(super) fn add(&mut self, mutation: &Mutation) -> Result<Outcome, WriteError> {
        match mutation {
            Mutation::Write(write) => self.merge(write),
            Mutation::WriteMany(writes) => {
                let mut all = Outcome::Durable;
                for write in writes {
                    if self.merge(write)? == Outcome::InBatch {
                        all = Outcome::InBatch;
                    }
                }
                Ok(all)
            }
            Mutation::Hint { target, partition, record } => self.hint(*target, *partition, record),
            Mutation::RemoveHints { target, delivered } => self.remove_hints(*target, delivered),
            Mutation::Dirty { target, partition, dirty } => Ok(self.mark(*target, *partition, *dirty)),
            Mutation::Document { name, bytes } => self.document(name, bytes.as_ref()),
        }
    }

    /// The batch, and what to publish once it is durable.
    pub(super) fn finish(mut self) -> (Batch, Published) {
        for (target, count) in &self.published.targets {
            // Counters go with the hints they count.
            self.batch.join();
            let row = keyspace::hint_counter_row(*target);
            if *count == Target::default() {
                self.batch.remove(row);
            } else {
                let stored = count.encode(&row);
                self.batch.put(row, stored);
            }
        }
        (self.batch, self.published)
    }

    fn merge(&mut self, write: &Encoded) -> Result<Outcome, WriteError> {
        let before = self.stored(&write.row)?;
        if let Some(stored) = before.filter(|stored| stored.version.stamp >= write.version.stamp) {
            return Ok(if stored.in_batch { Outcome::InBatch } else { Outcome::Durable });
        }
        let tombstone = |version: Version| i64::from(!version.is_value);
        self.published.records += i64::from(before.is_none());
        self.published.tombstones += tombstone(write.version) - before.map_or(0, |stored| tombstone(stored.version));
        self.replace(before, write);
        Ok(Outcome::InBatch)
    }

    fn hint(&mut self, target: NodeId, partition: PartitionId, hint: &Encoded) -> Result<Outcome, WriteError> {
        let before = self.stored(&hint.row)?;
        if before.is_some_and(|stored| stored.version.stamp >= hint.version.stamp) {
            return Ok(Outcome::Durable);
        }
        let (limits, now, size) = (self.limits, self.now_micros, hint.size() as u64);
        let count = self.target(target);
        let mut after = count.clone();
        before.iter().for_each(|stored| after.subtract(stored.size));
        if count.is_past(limits, 0, now) || after.is_past(limits, size, now) {
            return Ok(self.mark(target, partition, true));
        }
        after.add(size, now);
        if before.is_some() {
            after.since_micros = count.since_micros;
        }
        *count = after;
        self.replace(before, hint);
        Ok(Outcome::InBatch)
    }

    fn remove_hints(&mut self, target: NodeId, delivered: &[(Bytes, Stamp)]) -> Result<Outcome, WriteError> {
        for (row, stamp) in delivered {
            if let Some(stored) = self.stored(row)?.filter(|stored| stored.version.stamp == *stamp) {
                self.target(target).subtract(stored.size);
                self.remove(row, stored);
            }
        }
        Ok(Outcome::InBatch)
    }

    fn mark(&mut self, target: NodeId, partition: PartitionId, dirty: bool) -> Outcome {
        let row = keyspace::dirty_row(target, partition);
        let count = self.target(target);
        match dirty {
            true if count.dirty.insert(partition) => self.batch.put(row, Bytes::from_static(&[1])),
            false if count.dirty.remove(&partition) => self.batch.remove(row),
            _ => {}
        }
        Outcome::InBatch
    }

    fn document(&mut self, name: &str, bytes: Option<&Bytes>) -> Result<Outcome, WriteError> {
        let row = keyspace::document_row(name);
        let before = self.stored(&row)?;
        match (bytes, before) {
            (None, None) => {}
            (None, Some(stored)) => self.remove(&row, stored),
            (Some(bytes), before) => {
                // The stamp only counts up, so that the chunks of two versions never share rows.
                let time = before.map_or(0, |stored| stored.version.stamp.time) + 1;
                let value = Value { bytes: bytes.clone(), content_type: None, expires_at: None };
                let record = Record { stamp: Stamp { time, ..Stamp::ZERO }, content: Content::Value(value) };
                self.replace(before, &Encoded::new(row, &record));
            }
        }
        self.published.documents.push((name.to_owned(), bytes.cloned()));
        Ok(Outcome::InBatch)
    }

    fn target(&mut self, target: NodeId) -> &mut Target {
        let ledger = self.ledger;
        self.published.targets.entry(target).or_insert_with(|| ledger.get(&target).cloned().unwrap_or_default())
    }

    fn stored(&self, row: &Bytes) -> Result<Option<Stored>, WriteError> {
        if let Some(earlier) = self.earlier.get(row) {
            return Ok(*earlier);
        }
        let failed = |error: engine::Error| match error {
            engine::Error::Full => WriteError::DiskFull,
            engine::Error::Closed => WriteError::Closed,
            other => WriteError::Failed { reason: other.to_string().into() },
        };
        let Some(stored) = self.store.get(row).map_err(failed)? else { return Ok(None) };
        let head = record::decode(row, &stored).map_err(|_damage| WriteError::Damaged)?;
        let size = (row.len() + stored.len() + head.chunked_bytes) as u64;
        Ok(Some(Stored { version: head.version, chunked_bytes: head.chunked_bytes, size, in_batch: false }))
    }

    fn replace(&mut self, before: Option<Stored>, with: &Encoded) {
        if let Some(stored) = before {
            self.remove_chunks(&with.row, stored);
        }
        if !with.chunks.is_empty() {
            self.batch.join();
        }
        self.batch.put(with.row.clone(), with.head.clone());
        with.chunks.iter().for_each(|(row, chunk)| self.batch.put(row.clone(), chunk.clone()));
        let (version, chunked_bytes, size) = (with.version, with.chunked_bytes, with.size() as u64);
        self.earlier.insert(with.row.clone(), Some(Stored { version, chunked_bytes, size, in_batch: true }));
    }

    fn remove(&mut self, row: &Bytes, stored: Stored) {
        self.remove_chunks(row, stored);
        self.batch.remove(row.clone());
        self.earlier.insert(row.clone(), None);
    }

    fn remove_chunks(&mut self, row: &Bytes, stored: Stored) {
        for chunk in chunk::rows(row, stored.version.stamp, stored.chunked_bytes) {
            self.batch.join();
            self.batch.remove(chunk);
        }
    }
}
