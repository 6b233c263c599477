//! [`Storage`]: the handle the rest of the node holds.
//!
//! Cheap to clone; every method may be called from any thread. Completions are called exactly once, on the calling
//! or the committer's thread, and must not block or close the store. Only [`Storage::scan`], [`Storage::close`]
//! and the `_blocking` methods wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::chunk::JoinError;
use super::commit::Committer;
use super::directory::{self, Held};
use super::disk_guard::DiskGuard;
use super::draft::{Encoded, Mutation};
use super::engine::{self, Store};
use super::hint::{self, HintCount};
use super::queue::{Done, Kind, Operation, Refused};
use super::scan::{self, Query, ScanPage};
use super::shared::Shared;
use super::sled::SledStore;
use super::statistics::Statistics;
use super::{Config, Engine, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_NAME_BYTES, MAX_VALUE_BYTES};
use super::{OpenError, Origin, ReadError, WriteError, counter, keyspace};
use crate::protocol::id::{NodeId, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record, Version, version_of};
use crate::protocol::stamp::Stamp;

/// Most bytes of one operation made of several writes, so that a batch stays bounded.
const MAX_OPERATION_BYTES: usize = 1 << 20;

/// An open store.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
    held: Mutex<Option<Held>>,
}

impl Storage {
    /// Opens or creates the store and starts its committer. What it shows from the start is durable.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let folder = config.directory.clone();
        let (held, store, guarded): (_, Box<dyn Store>, _) = match &config.engine {
            Engine::Memory(memory) => (None, Box::new(memory.clone()), None),
            Engine::Sled => {
                let held = directory::hold(&folder)?;
                let store = SledStore::open(folder.join("sled"), config.cache_bytes);
                (Some(held), Box::new(store.map_err(|error| open_error(&config, &error))?), Some(folder.clone()))
            }
        };
        let guard = DiskGuard::new(guarded, config.free_floor_percent);
        let shared = Shared::new(config, store, guard);
        load(&shared).map_err(|error| open_error(&shared.config, &error))?;
        let shared = Arc::new(shared);
        let committer = Committer::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("storage-commit".to_owned()).spawn(move || committer.run());
        let thread = thread.map_err(|error| OpenError::Failed { folder, reason: error.to_string().into() })?;
        let inner = Inner { shared, committer: Mutex::new(Some(thread)), held: Mutex::new(held) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Merges a record. Success once it, or a higher one, is durable here.
    pub fn write(
        &self,
        partition: PartitionId,
        key: &Key,
        record: &Record,
        origin: Origin,
        done: impl FnOnce(Result<(), WriteError>) + Send + 'static,
    ) {
        if origin == Origin::Client && matches!(record.content, Content::Value(_)) && self.disk_full() {
            self.shared().counters.refused_disk_full.fetch_add(1, Ordering::Relaxed);
            return done(Err(WriteError::BelowFloor));
        }
        match encode(keyspace::record_row(partition, key), record) {
            Ok(write) => self.submit(Mutation::Write(write), Kind::External, Some(Box::new(done))),
            Err(error) => done(Err(error)),
        }
    }

    /// Merges several records, not atomically. Success once each, or a higher one, is durable; on an error some may be.
    pub fn write_many(
        &self,
        records: Vec<(PartitionId, Key, Record)>,
        done: impl FnOnce(Result<(), WriteError>) + Send + 'static,
    ) {
        let encoded: Result<Vec<Encoded>, WriteError> = records
            .into_iter()
            .map(|(partition, key, record)| encode(keyspace::record_row(partition, &key), &record))
            .collect();
        let operations = match encoded {
            Ok(writes) if writes.is_empty() => return done(Ok(())),
            Ok(writes) => split(writes),
            Err(error) => return done(Err(error)),
        };
        let joined = Joined::new(operations.len(), Box::new(done));
        for writes in operations {
            let joined = Arc::clone(&joined);
            let done: Done = Box::new(move |outcome| joined.one(outcome));
            self.submit(Mutation::WriteMany(writes), Kind::External, Some(done));
        }
    }

    /// Reads the durable record of a key; usually answered before this returns.
    pub fn read(
        &self,
        partition: PartitionId,
        key: &Key,
        done: impl FnOnce(Result<Option<Record>, ReadError>) + Send + 'static,
    ) {
        let (shared, row) = (self.shared(), keyspace::record_row(partition, key));
        let generation = shared.generation();
        match shared.visible_record(&row) {
            Ok(record) => shared.when_durable(&row, version_of(record.as_ref()).stamp, generation, record, done),
            Err(error) => done(Err(error)),
        }
    }

    /// Reads the version of the durable record of a key without its value; usually answered before this returns.
    pub fn read_version(
        &self,
        partition: PartitionId,
        key: &Key,
        done: impl FnOnce(Result<Version, ReadError>) + Send + 'static,
    ) {
        let (shared, row) = (self.shared(), keyspace::record_row(partition, key));
        let generation = shared.generation();
        match shared.visible_version(&row) {
            Ok(version) => shared.when_durable(&row, version.stamp, generation, version, done),
            Err(error) => done(Err(error)),
        }
    }

    /// The highest version of a key that is stored or in flight, durable or not: round 1 of a write.
    pub fn latest_version(&self, partition: PartitionId, key: &Key) -> Result<Version, ReadError> {
        let row = keyspace::record_row(partition, key);
        // The table first: what leaves it meanwhile is in the engine by then.
        let in_flight = self.shared().in_flight.highest(&row);
        let stored = self.shared().visible_version(&row)?;
        Ok(if in_flight.stamp > stored.stamp { in_flight } else { stored })
    }

    /// One page of records in key order over the partitions, keys from `start` (inclusive) to `end` (exclusive,
    /// empty for no end). At most `limit` items and 3 MiB, or one item. May block for a sync: not for completions.
    pub fn scan(
        &self,
        partitions: &[PartitionId],
        start: &[u8],
        end: &[u8],
        limit: usize,
        with_values: bool,
    ) -> Result<ScanPage, ReadError> {
        scan::page(self.shared(), &Query { partitions, start, end, limit, with_values })
    }

    /// Keeps a record for a target that missed it; durable with the next sync. Past a cap, or with the queue full,
    /// its partition is marked dirty instead. A store that is failed or closed keeps nothing.
    pub fn add_hint(&self, target: NodeId, partition: PartitionId, key: &Key, record: &Record) {
        let hint = encode(keyspace::hint_row(target, partition, key), record);
        let refused = hint.and_then(|record| {
            let operation = Operation { mutation: Mutation::Hint { target, partition, record }, done: None };
            self.shared().queue.push(operation, Kind::Internal).map_err(|refused| refused.error)
        });
        if refused.is_err() {
            self.shared().unhinted.lock().insert((target, partition));
        }
    }

    /// Up to `limit` hints for a target, and at most about 3 MiB of them.
    pub fn hints(&self, target: NodeId, limit: usize) -> Result<Vec<(PartitionId, Key, Record)>, ReadError> {
        let shared = self.shared();
        let (start, end) = keyspace::hint_range(target);
        let (mut hints, mut bytes) = (Vec::new(), 0);
        for row in shared.store.scan(&start, &end) {
            if hints.len() >= limit || bytes >= scan::MAX_PAGE_BYTES {
                break;
            }
            let (row, _) = row.map_err(|error| shared.read_error(JoinError::Engine(error)))?;
            let parsed = keyspace::parse_hint(&row);
            let (partition, key) = parsed.ok_or_else(|| shared.read_error(JoinError::Damaged))?;
            // A hint that was removed or replaced meanwhile is none of this page.
            if let Some(record) = shared.visible_record(&row)? {
                if let Content::Value(value) = &record.content {
                    bytes += value.bytes.len();
                }
                hints.push((partition, key, record));
            }
        }
        Ok(hints)
    }

    /// Removes hints that were delivered, unless a higher stamp has replaced them. Dropped under overload: they are
    /// then delivered again, which is harmless.
    pub fn remove_hints(&self, target: NodeId, delivered: Vec<(PartitionId, Key, Stamp)>) {
        let rows = delivered.into_iter();
        let delivered = rows.map(|(partition, key, stamp)| (keyspace::hint_row(target, partition, &key), stamp));
        self.submit(Mutation::RemoveHints { target, delivered: delivered.collect() }, Kind::Internal, None);
    }

    /// What is kept for each target, as of the last sync.
    #[must_use]
    pub fn hint_counts(&self) -> BTreeMap<NodeId, HintCount> {
        self.shared().ledger.lock().iter().map(|(target, count)| (*target, count.count())).collect()
    }

    /// Forgets that a partition awaits a full push, unless the target was marked again since [`HintCount::marks`] was
    /// read (before the push began): a hint dropped during the push must not be forgotten. Durable with the next sync.
    /// Dropped under overload: the partition is then pushed again, which is harmless.
    pub fn clear_dirty(&self, target: NodeId, partition: PartitionId, marks: u64) {
        self.submit(Mutation::Clean { target, partition, marks }, Kind::Internal, None);
    }

    /// A named document, as of the last sync; none if there is none.
    pub fn document(&self, name: &str) -> Result<Option<Bytes>, ReadError> {
        match self.shared().failure.get() {
            Some(reason) => Err(ReadError::Failed { reason: Arc::clone(reason) }),
            None => Ok(self.shared().documents.read().get(name).cloned()),
        }
    }

    /// Puts a document in place of any other of its name; success once it is durable. `name` has 1 to
    /// [`MAX_DOCUMENT_NAME_BYTES`], `bytes` at most [`MAX_DOCUMENT_BYTES`].
    pub fn put_document(&self, name: &str, bytes: Bytes, done: impl FnOnce(Result<(), WriteError>) + Send + 'static) {
        for (length, max) in [(bytes.len(), MAX_DOCUMENT_BYTES), (name.len(), MAX_DOCUMENT_NAME_BYTES)] {
            if length > max {
                return done(Err(WriteError::TooLarge { bytes: length, max }));
            }
        }
        let mutation = Mutation::Document { name: name.to_owned(), bytes: Some(bytes) };
        self.submit(mutation, Kind::External, Some(Box::new(done)));
    }

    /// [`Storage::put_document`] for threads that may wait, such as at start.
    pub fn put_document_blocking(&self, name: &str, bytes: Bytes) -> Result<(), WriteError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.put_document(name, bytes, move |outcome| drop(sender.send(outcome)));
        receiver.recv().unwrap_or(Err(WriteError::Closed))
    }

    /// Removes a document if there is one; success once that is durable.
    pub fn remove_document(&self, name: &str, done: impl FnOnce(Result<(), WriteError>) + Send + 'static) {
        let mutation = Mutation::Document { name: name.to_owned(), bytes: None };
        self.submit(mutation, Kind::External, Some(Box::new(done)));
    }

    /// Figures at this moment.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (writes, bytes) = self.shared().queue.depth();
        Statistics {
            store_bytes: self.shared().store.size_on_disk(),
            queued_writes: writes as u64,
            queued_bytes: bytes as u64,
            ..self.shared().counters.read()
        }
    }

    /// How long the batch under way has taken so far; none while the committer is idle. A healthy one takes
    /// milliseconds.
    #[must_use]
    pub fn committer_stuck_for(&self) -> Option<Duration> {
        self.shared().busy_for()
    }

    /// Whether client values are refused because the disk is below its free-space floor.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        self.shared().guard.is_full()
    }

    /// Why the store has failed for good; none while it works.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.shared().failure.get().cloned()
    }

    /// Refuses new work, makes durable what was accepted, releases files and folder. May be repeated.
    pub fn close(&self) {
        self.inner.close();
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    #[cfg(test)]
    pub(super) fn inner_for_test(&self) -> &Shared {
        &self.inner.shared
    }

    fn submit(&self, mutation: Mutation, kind: Kind, done: Option<Done>) {
        let shared = self.shared();
        // Before the queue has it, else it could be done before it began.
        for write in mutation.writes() {
            shared.in_flight.submit(write.row.clone(), write.version);
        }
        let Err(refused) = shared.queue.push(Operation { mutation, done }, kind) else { return };
        let Refused { operation, error } = *refused;
        let mut woken = Vec::new();
        for write in operation.mutation.writes() {
            shared.in_flight.withdraw(&write.row, write.version.stamp, &mut woken);
        }
        if error == WriteError::Overloaded {
            shared.counters.refused_overloaded.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(done) = operation.done {
            done(Err(error));
        }
        woken.into_iter().for_each(|waiter| waiter(Ok(())));
    }
}

impl Inner {
    fn close(&self) {
        self.shared.queue.end(WriteError::Closed);
        let Some(thread) = self.committer.lock().take() else { return };
        // Dropped inside a completion: the committer cannot wait for itself, and ends right after.
        if thread.thread().id() != std::thread::current().id() {
            // It has raised the alarm itself if it panicked.
            let _ended = thread.join();
        }
        drop(self.held.lock().take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// One completion for several operations: the first error, else success, once all have ended.
struct Joined {
    left: AtomicUsize,
    state: Mutex<(Result<(), WriteError>, Option<Done>)>,
}

impl Joined {
    fn new(operations: usize, done: Done) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(operations), state: Mutex::new((Ok(()), Some(done))) })
    }

    fn one(&self, outcome: Result<(), WriteError>) {
        let mut state = self.state.lock();
        if state.0.is_ok() {
            state.0 = outcome;
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = state.1.take()
        {
            let outcome = state.0.clone();
            drop(state);
            done(outcome);
        }
    }
}

fn split(writes: Vec<Encoded>) -> Vec<Vec<Encoded>> {
    let (mut operations, mut bytes) = (vec![Vec::new()], 0);
    for write in writes {
        let size = write.size();
        if bytes > 0 && bytes + size > MAX_OPERATION_BYTES {
            operations.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(last) = operations.last_mut() {
            last.push(write);
        }
    }
    operations
}

fn encode(row: Bytes, record: &Record) -> Result<Encoded, WriteError> {
    match &record.content {
        Content::Value(value) if value.bytes.len() > MAX_VALUE_BYTES => {
            Err(WriteError::TooLarge { bytes: value.bytes.len(), max: MAX_VALUE_BYTES })
        }
        _ => Ok(Encoded::new(row, record)),
    }
}

/// Fills the memory side of a store that was just opened.
fn load(shared: &Shared) -> Result<(), engine::Error> {
    let row = keyspace::totals_row();
    if let Some([records, tombstones]) = shared.store.get(&row)?.and_then(|stored| counter::decode(&row, &stored)) {
        shared.counters.records.store(records, Ordering::Relaxed);
        shared.counters.tombstones.store(tombstones, Ordering::Relaxed);
    }
    *shared.ledger.lock() = hint::load(&*shared.store)?;
    let (start, end) = keyspace::document_range();
    let mut documents = BTreeMap::new();
    for row in shared.store.scan(&start, &end) {
        let (row, _) = row?;
        let damaged = || engine::Error::Damaged { reason: "a document fails its checksum".into() };
        let name = keyspace::parse_document(&row).ok_or_else(damaged)?;
        match shared.visible_record(&row).map_err(|_| damaged())?.map(|record| record.content) {
            Some(Content::Value(value)) => documents.insert(name.to_owned(), value.bytes),
            _ => return Err(damaged()),
        };
    }
    *shared.documents.write() = documents;
    Ok(())
}

fn open_error(config: &Config, error: &engine::Error) -> OpenError {
    let folder = config.directory.clone();
    match error {
        engine::Error::Damaged { reason } => OpenError::Damaged { folder, reason: Arc::clone(reason) },
        other => OpenError::Failed { folder, reason: other.to_string().into() },
    }
}
