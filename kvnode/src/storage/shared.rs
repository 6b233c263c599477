//! What the handle and the committer share, and how a record is read so that only durable ones are seen.
//!
//! The order of a read is: note the generation, read the engine, look in the in-flight table, compare the
//! generation. A stamp in flight is waited for and then answered as it was read: it is durable by then, and a
//! key that is written all the time cannot keep a reader waiting for more than the sync that covers what it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::chunk::{self, JoinError};
use super::disk_guard::DiskGuard;
use super::engine::{self, Store};
use super::hint::Ledger;
use super::in_flight::InFlight;
use super::queue::Queue;
use super::statistics::Counters;
use super::{Config, ReadError, record};
use crate::protocol::id::{NodeId, PartitionId};
use crate::protocol::record::{Record, Version};
use crate::protocol::stamp::Stamp;
use crate::runtime::clock;

/// State of one open store.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) store: Box<dyn Store>,
    pub(super) in_flight: InFlight,
    pub(super) queue: Queue,
    pub(super) guard: DiskGuard,
    pub(super) counters: Counters,
    /// Hint counts as of the last sync. Only the committer changes them.
    pub(super) ledger: Mutex<Ledger>,
    /// All documents as of the last sync: they are few and small, and so never shown before they are durable.
    pub(super) documents: RwLock<BTreeMap<String, Bytes>>,
    /// Partitions to mark dirty because a hint found no room, in the queue or on the disk.
    pub(super) unhinted: Mutex<BTreeSet<(NodeId, PartitionId)>>,
    /// Held for reading while chunks must not be replaced, for writing while a batch is applied.
    pub(super) apply_gate: RwLock<()>,
    /// Counts the times at which what the engine showed may have been taken back.
    pub(super) generation: AtomicU64,
    pub(super) failure: OnceLock<Arc<str>>,
    opened_at: Instant,
    /// Microseconds after `opened_at` at which the batch under way began, plus one; 0 while there is none.
    busy_since: AtomicU64,
}

impl Shared {
    /// State over an open engine, with what was loaded from it.
    pub(super) fn new(config: Config, store: Box<dyn Store>, guard: DiskGuard) -> Self {
        Self {
            queue: Queue::new(config.queue_writes, config.queue_bytes),
            config,
            store,
            in_flight: InFlight::new(),
            guard,
            counters: Counters::default(),
            ledger: Mutex::new(Ledger::new()),
            documents: RwLock::new(BTreeMap::new()),
            unhinted: Mutex::new(BTreeSet::new()),
            apply_gate: RwLock::new(()),
            generation: AtomicU64::new(0),
            failure: OnceLock::new(),
            opened_at: clock::monotonic_now(),
            busy_since: AtomicU64::new(0),
        }
    }

    /// What the engine shows of a record: perhaps not yet durable.
    pub(super) fn visible_record(&self, row: &[u8]) -> Result<Option<Record>, ReadError> {
        match self.read_once(row) {
            // The head may have been replaced between reading it and its chunks: once more, with writes held back.
            Err(JoinError::Damaged) => {
                let _gate = self.apply_gate.read();
                self.read_once(row).map_err(|error| self.read_error(error))
            }
            other => other.map_err(|error| self.read_error(error)),
        }
    }

    fn read_once(&self, row: &[u8]) -> Result<Option<Record>, JoinError> {
        let Some(stored) = self.store.get(row).map_err(JoinError::Engine)? else { return Ok(None) };
        let head = record::decode(row, &stored).map_err(|_damage| JoinError::Damaged)?;
        let chunks = chunk::join(&*self.store, row, head.version.stamp, head.chunked_bytes)?;
        head.into_record(&stored, chunks).map(Some).map_err(|_damage| JoinError::Damaged)
    }

    /// What the engine shows of a record's version: perhaps not yet durable.
    pub(super) fn visible_version(&self, row: &[u8]) -> Result<Version, ReadError> {
        let stored = self.store.get(row).map_err(|error| self.read_error(JoinError::Engine(error)))?;
        match stored.map(|stored| record::decode(row, &stored)) {
            None => Ok(Version::NONE),
            Some(Ok(head)) => Ok(head.version),
            Some(Err(_damage)) => Err(self.read_error(JoinError::Damaged)),
        }
    }

    /// Calls `done` with the value once the stamp that was read with it is durable: usually at once.
    pub(super) fn when_durable<T: Send + 'static>(
        self: &Arc<Self>,
        row: &[u8],
        stamp: Stamp,
        generation: u64,
        value: T,
        done: impl FnOnce(Result<T, ReadError>) + Send + 'static,
    ) {
        if !self.in_flight.contains(row, stamp) {
            return done(self.unless_taken_back(generation).map(|()| value));
        }
        let shared = Arc::clone(self);
        let waiter = Box::new(move |outcome: Result<(), Arc<str>>| {
            let outcome = outcome.map_err(|reason| ReadError::Failed { reason });
            done(outcome.and_then(|()| shared.unless_taken_back(generation)).map(|()| value));
        });
        if let Err(waiter) = self.in_flight.wait_for(row, stamp, waiter) {
            waiter(Ok(()));
        }
    }

    /// The generation to note before reading the engine.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// An error if what was read since this generation may not have become durable.
    pub(super) fn unless_taken_back(&self, generation: u64) -> Result<(), ReadError> {
        if self.generation() == generation {
            return Ok(());
        }
        let reason = self.failure.get().cloned().unwrap_or_else(|| "the store was reopened".into());
        Err(ReadError::Failed { reason })
    }

    /// Counts damage and gives an engine's error its name.
    pub(super) fn read_error(&self, error: JoinError) -> ReadError {
        match error {
            JoinError::Damaged | JoinError::Engine(engine::Error::Damaged { .. }) => {
                self.counters.damaged_reads.fetch_add(1, Ordering::Relaxed);
                ReadError::Damaged
            }
            JoinError::Engine(engine::Error::Closed) => ReadError::Closed,
            JoinError::Engine(other) => ReadError::Failed { reason: other.to_string().into() },
        }
    }

    /// Notes that a batch begins, or that there is none.
    pub(super) fn set_busy(&self, busy: bool) {
        let since = if busy { self.elapsed_micros() + 1 } else { 0 };
        self.busy_since.store(since, Ordering::Relaxed);
    }

    /// How long the batch under way has taken so far.
    pub(super) fn busy_for(&self) -> Option<Duration> {
        let since = self.busy_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_micros(self.elapsed_micros().saturating_sub(since)))
    }

    fn elapsed_micros(&self) -> u64 {
        u64::try_from(self.opened_at.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }
}
