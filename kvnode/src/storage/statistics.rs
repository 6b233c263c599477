//! Figures about the store, kept in atomics by whoever does the work and read as one plain struct.
//!
//! Counters start at zero with the process, but for the numbers of records, which are saved with a batch about
//! once a second and at close: after a crash they may be off by the writes of the last second. They promise nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records stored, tombstones included. An estimate after a crash.
    pub records: u64,
    /// Tombstones among them. An estimate after a crash.
    pub tombstones: u64,
    /// Bytes of the engine's files.
    pub store_bytes: u64,
    /// Writes submitted and not yet answered.
    pub queued_writes: u64,
    /// Bytes of those.
    pub queued_bytes: u64,
    /// Duration of the last sync.
    pub last_sync: Duration,
    /// Duration of all syncs.
    pub total_sync: Duration,
    /// Syncs done.
    pub syncs: u64,
    /// Operations (writes, hints, documents) in all batches; divided by `syncs` the mean batch.
    pub committed_operations: u64,
    /// Bytes handed to the engine.
    pub committed_bytes: u64,
    /// Operations in the last batch.
    pub last_batch: u64,
    /// Writes refused because the queue was full.
    pub refused_overloaded: u64,
    /// Writes refused because the disk was.
    pub refused_disk_full: u64,
    /// Reads that met a checksum that failed.
    pub damaged_reads: u64,
}

/// The counters behind [`Statistics`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) tombstones: AtomicU64,
    pub(super) last_sync_nanos: AtomicU64,
    pub(super) total_sync_nanos: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) committed_operations: AtomicU64,
    pub(super) committed_bytes: AtomicU64,
    pub(super) last_batch: AtomicU64,
    pub(super) refused_overloaded: AtomicU64,
    pub(super) refused_disk_full: AtomicU64,
    pub(super) damaged_reads: AtomicU64,
}

impl Counters {
    /// How long the last sync took.
    pub(super) fn last_sync(&self) -> Duration {
        Duration::from_nanos(self.last_sync_nanos.load(Ordering::Relaxed))
    }

    /// Counts one commit.
    pub(super) fn committed(&self, operations: usize, bytes: usize, sync: Duration) {
        let nanos = u64::try_from(sync.as_nanos()).unwrap_or(u64::MAX);
        self.last_sync_nanos.store(nanos, Ordering::Relaxed);
        self.total_sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.committed_operations.fetch_add(operations as u64, Ordering::Relaxed);
        self.committed_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_batch.store(operations as u64, Ordering::Relaxed);
    }

    /// All but what other parts of the store know.
    pub(super) fn read(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            records: read(&self.records),
            tombstones: read(&self.tombstones),
            last_sync: Duration::from_nanos(read(&self.last_sync_nanos)),
            total_sync: Duration::from_nanos(read(&self.total_sync_nanos)),
            syncs: read(&self.syncs),
            committed_operations: read(&self.committed_operations),
            committed_bytes: read(&self.committed_bytes),
            last_batch: read(&self.last_batch),
            refused_overloaded: read(&self.refused_overloaded),
            refused_disk_full: read(&self.refused_disk_full),
            damaged_reads: read(&self.damaged_reads),
            ..Statistics::default()
        }
    }
}
