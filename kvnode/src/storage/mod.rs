//! What a node remembers: records, hints and a few named documents, durable before they are acknowledged.
//!
//! [`Store`](engine::Store) is an engine (sled by default, memory for tests): ordered keys, atomic batches, one
//! sync. [`Storage`] is what the rest of the node uses: the group committer over an engine, with records, hints
//! and documents in their stored forms. Three rules, each tested:
//! an acknowledgement follows the sync that covers it; a read never shows a record that is not yet durable
//! (else a value that was read could vanish in a crash); bytes whose checksum fails are never served.
//! It decides nothing about quorums, rings or clocks.

mod chunk;
mod commit;
mod counter;
mod directory;
mod disk_guard;
mod draft;
pub mod engine;
mod handle;
mod hint;
mod in_flight;
mod keyspace;
pub mod memory;
mod queue;
mod record;
mod scan;
mod shared;
mod sled;
mod statistics;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use directory::DirectoryError;
pub use handle::Storage;
pub use hint::HintCount;
pub use scan::ScanPage;
pub use statistics::Statistics;

/// Longest value stored, in bytes: one batch must stay far below an engine segment (16 MiB) to be recoverable.
pub const MAX_VALUE_BYTES: usize = 4 << 20;

/// Longest document stored, in bytes: all documents are kept in memory.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Longest name of a document, in bytes.
pub const MAX_DOCUMENT_NAME_BYTES: usize = 64;

/// Which engine keeps the rows.
#[derive(Clone)]
pub enum Engine {
    /// sled 0.34 in the data folder.
    Sled,
    /// Process memory: tests, and nodes that may forget. The handle outlives the [`Storage`] opened over it.
    Memory(memory::MemoryStore),
}

/// Called once with the reason when the store has failed for good and the process must end.
pub type FailureHook = Arc<dyn Fn(&str) + Send + Sync>;

/// How to open a store.
#[derive(Clone)]
pub struct Config {
    /// Folder for all files, made with mode 0700 if absent; not used by the memory engine.
    pub directory: PathBuf,
    /// The engine.
    pub engine: Engine,
    /// Bytes of memory that the engine's page cache may grow to; it starts at nothing.
    pub cache_bytes: u64,
    /// Writes that may wait or be under way; more are refused as overloaded.
    pub queue_writes: usize,
    /// Bytes of those writes; more are refused as overloaded.
    pub queue_bytes: usize,
    /// Client values are refused while less than this share of the disk is free, in percent.
    pub free_floor_percent: u8,
    /// Bytes of hints kept per target; past it the partition is marked dirty instead.
    pub hint_bytes_per_target: u64,
    /// How long hints are collected for one target that does not return.
    pub hint_age: Duration,
    /// Called when the store has failed for good.
    pub on_failure: FailureHook,
    /// Deliberate fault for a test of the tests: acknowledges before the sync.
    #[cfg(test)]
    pub(crate) acknowledge_before_sync: bool,
}

impl Config {
    /// The defaults, over sled in this folder.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            engine: Engine::Sled,
            cache_bytes: 256 << 20,
            queue_writes: 16_384,
            queue_bytes: 64 << 20,
            free_floor_percent: 5,
            hint_bytes_per_target: 1 << 30,
            hint_age: Duration::from_secs(3 * 3600),
            on_failure: Arc::new(|_| {}),
            #[cfg(test)]
            acknowledge_before_sync: false,
        }
    }

    /// The defaults over a memory engine.
    #[must_use]
    pub fn in_memory(memory: memory::MemoryStore) -> Self {
        Self { engine: Engine::Memory(memory), ..Self::new(PathBuf::new()) }
    }
}

/// On whose behalf a write comes: decides whether the disk guard may refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client's put or delete; values are refused while the disk is nearly full.
    Client,
    /// Read repair, hints, partition pushes: always let through, else replicas could not heal.
    Repair,
}

/// Why a store did not open. Nothing of what it held was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The files are damaged: this node may have forgotten what it acknowledged. Do not retry; rebuild from peers.
    #[error("the store in {folder} is damaged: {reason}")]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What the engine or our checksums found.
        reason: Arc<str>,
    },
    /// The engine refused for another reason, for example an I/O error; may be tried again.
    #[error("the store in {folder} does not open: {reason}")]
    Failed {
        /// The folder.
        folder: PathBuf,
        /// In words.
        reason: Arc<str>,
    },
}

/// Why a write was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full. Nothing was changed; retry later.
    #[error("the write queue is full")]
    Overloaded,
    /// The disk is below its free-space floor. Nothing was changed; retry when there is space.
    #[error("the disk is below its free-space floor")]
    BelowFloor,
    /// The disk filled up under the write: some of its batch may be there. Retry when there is space.
    #[error("the disk is full")]
    DiskFull,
    /// The value or document is too large. Nothing was changed; do not retry.
    #[error("{bytes} bytes are too many, the limit is {max}")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
        /// Limit.
        max: usize,
    },
    /// What is stored under the key fails its checksum, so the two cannot be compared. Nothing was changed.
    #[error("the stored record is damaged")]
    Damaged,
    /// The store has failed; the write may or may not be there after a restart.
    #[error("the store failed: {reason}")]
    Failed {
        /// In words.
        reason: Arc<str>,
    },
    /// The store is closed. Nothing was changed.
    #[error("the store is closed")]
    Closed,
}

/// Why a read brought nothing. It changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What is stored fails its checksum. Retrying does not help; other replicas have the record.
    #[error("the stored record is damaged")]
    Damaged,
    /// The store has failed or is being reopened; may be tried again.
    #[error("the store failed: {reason}")]
    Failed {
        /// In words.
        reason: Arc<str>,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
