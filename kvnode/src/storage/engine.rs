//! What is asked of a storage engine: ordered rows of bytes, atomic batches, one sync that makes all durable.
//!
//! An engine knows nothing of keys, stamps or checksums. One thread writes (the committer); any thread reads.
//! No method may panic, whatever the disk holds: damage is [`Error::Damaged`].

use std::sync::Arc;

use bytes::Bytes;

/// Rows in order, from [`Store::scan`]; each step may fail.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), Error>> + 'a>;

/// An engine.
pub trait Store: Send + Sync + 'static {
    /// The value of a row; also one that was applied but not yet synced.
    fn get(&self, row: &[u8]) -> Result<Option<Bytes>, Error>;

    /// Applies all changes; if they [belong together](Batch::join), a crash leaves all or none. On an error call [`Store::reopen`] before reading on:
    /// some may be visible and yet lost after a crash.
    fn apply(&self, batch: Batch) -> Result<(), Error>;

    /// Makes everything applied so far survive a power cut. After an error nothing may be assumed, and it must not
    /// be retried: the kernel may have dropped the pages and answer the next sync with success.
    fn sync(&self) -> Result<(), Error>;

    /// Rows from `start` (inclusive) to `end` (exclusive) in byte order.
    fn scan<'a>(&'a self, start: &[u8], end: &[u8]) -> Rows<'a>;

    /// Bytes its files take on disk.
    fn size_on_disk(&self) -> u64;

    /// Forgets all memory state and starts again from what is on disk. On an error all calls fail until it succeeds.
    fn reopen(&self) -> Result<(), Error>;

    /// Releases the files; all later calls fail with [`Error::Closed`].
    fn close(&self);
}

/// Why an engine did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No space left on the device.
    #[error("no space left on the device")]
    Full,
    /// The files do not make sense, or the engine panicked over them.
    #[error("damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: Arc<str>,
    },
    /// Somebody still reads what was open before, so it cannot be opened again yet.
    #[error("its files are still in use")]
    Busy,
    /// Any other failure.
    #[error("{reason}")]
    Failed {
        /// In words.
        reason: Arc<str>,
    },
    /// It was closed.
    #[error("closed")]
    Closed,
}

/// Changes to make in one go. Of two changes to one row the later counts.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<(Bytes, Option<Bytes>)>,
    bytes: usize,
    joined: bool,
}

impl Batch {
    /// Sets a row.
    pub fn put(&mut self, row: Bytes, value: Bytes) {
        self.bytes += row.len() + value.len();
        self.changes.push((row, Some(value)));
    }

    /// Removes a row; absent rows may be removed.
    pub fn remove(&mut self, row: Bytes) {
        self.bytes += row.len();
        self.changes.push((row, None));
    }

    /// Says that some of its changes make no sense without the others. Until then an engine may let a crash keep
    /// any of them, which is all that unrelated rows need, and cheaper.
    pub fn join(&mut self) {
        self.joined = true;
    }

    /// Whether a crash must leave all of its changes or none.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// True if it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of its rows and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The changes in the order they were made.
    #[must_use]
    pub fn into_changes(self) -> Vec<(Bytes, Option<Bytes>)> {
        self.changes
    }
}
