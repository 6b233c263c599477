//! The sled 0.34 engine, made durable by us.
//!
//! On Linux sled's own `flush` writes and calls `sync_file_range`, which orders nothing and commits no metadata, so
//! every sync here is: flush, then `fdatasync` of sled's `db` file through our own descriptor (a descriptor
//! reports a write-back error that happened after it was opened, whoever else saw it first), and an fsync of the
//! folder when it changed. Segments are as large as sled allows: a batch that spans several segments is what its
//! recovery fails on after a power cut, and what goes to never-synced blob files is what exceeds a quarter of one.
//! sled panics on damage; no panic crosses this file. It decides nothing about what is stored.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ::sled::{Db, IVec, Mode};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::engine::{Batch, Error, Rows, Store};
use crate::runtime::clock;

/// sled's largest: see above. Its pages are touched only as they are written, so an idle node does not pay for it.
const SEGMENT_BYTES: usize = 16 << 20;

/// How often, and for how long between, an open looks whether sled's own threads have let go of the files: a tenth of
/// a second in all, for which reads wait while a store that ran full opens again.
const UNUSED_LOOKS: u32 = 20;
const UNUSED_LOOK_EVERY: Duration = Duration::from_millis(5);

/// sled in one folder.
pub(super) struct SledStore {
    folder: PathBuf,
    cache_bytes: u64,
    opened: RwLock<State>,
}

enum State {
    Open(Opened),
    Down(Error),
}

struct Opened {
    db: Db,
    file: File,
    folder: File,
    folder_synced_at: Mutex<Option<SystemTime>>,
}

impl SledStore {
    /// Opens or creates; everything found is durable when this returns.
    pub(super) fn open(folder: PathBuf, cache_bytes: u64) -> Result<Self, Error> {
        let opened = Opened::open(&folder, cache_bytes)?;
        Ok(Self { folder, cache_bytes, opened: RwLock::new(State::Open(opened)) })
    }

    fn with<T>(&self, act: impl FnOnce(&Opened) -> Result<T, Error>) -> Result<T, Error> {
        match &*self.opened.read() {
            State::Open(opened) => guarded(|| act(opened)),
            State::Down(error) => Err(error.clone()),
        }
    }
}

impl Opened {
    fn open(folder: &Path, cache_bytes: u64) -> Result<Self, Error> {
        wait_until_unused(folder)?;
        let config = ::sled::Config::new()
            .path(folder)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .mode(Mode::HighThroughput)
            .flush_every_ms(None);
        let db = guarded(|| config.open().map_err(|error| from_sled(&error)))?;
        let opened = Self {
            db,
            file: File::open(folder.join("db")).map_err(|error| from_io(&error))?,
            folder: File::open(folder).map_err(|error| from_io(&error))?,
            folder_synced_at: Mutex::new(None),
        };
        // What a killed process left in the page cache is visible now, so it must be durable before it is served.
        guarded(|| opened.sync_everything(folder))?;
        Ok(opened)
    }

    fn sync_everything(&self, folder: &Path) -> Result<(), Error> {
        self.db.flush().map_err(|error| from_sled(&error))?;
        for entry in folder.read_dir().map_err(|error| from_io(&error))? {
            let path = entry.map_err(|error| from_io(&error))?.path();
            let file = File::open(path).map_err(|error| from_io(&error))?;
            file.sync_all().map_err(|error| failed_sync(&error))?;
        }
        self.sync_folder().map_err(|error| failed_sync(&error))
    }

    fn apply_together(&self, changes: &[(Bytes, Option<Bytes>)]) -> Result<(), Error> {
        let mut batch = ::sled::Batch::default();
        for (row, value) in changes {
            match value {
                Some(value) => batch.insert(&row[..], &value[..]),
                None => batch.remove(&row[..]),
            }
        }
        self.db.apply_batch(batch).map_err(|error| from_sled(&error))
    }

    /// sled's batch writes its log buffer out twice before it begins; single rows, atomic as they are, do not.
    fn apply_each(&self, changes: &[(Bytes, Option<Bytes>)]) -> Result<(), Error> {
        for (row, value) in changes {
            let before = match value {
                Some(value) => self.db.insert(row, &value[..]),
                None => self.db.remove(row),
            };
            before.map_err(|error| from_sled(&error))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        // Refused for lack of space, this lost no page: it counts as a failed apply.
        self.db.flush().map_err(|error| from_sled(&error))?;
        self.file.sync_data().and_then(|()| self.sync_folder()).map_err(|error| failed_sync(&error))
    }

    fn sync_folder(&self) -> io::Result<()> {
        let modified = self.folder.metadata()?.modified()?;
        let mut synced_at = self.folder_synced_at.lock();
        if *synced_at != Some(modified) {
            self.folder.sync_all()?;
            *synced_at = Some(modified);
        }
        Ok(())
    }
}

impl Store for SledStore {
    fn get(&self, row: &[u8]) -> Result<Option<Bytes>, Error> {
        self.with(|opened| Ok(opened.db.get(row).map_err(|error| from_sled(&error))?.map(Bytes::from_owner)))
    }

    fn apply(&self, batch: Batch) -> Result<(), Error> {
        let joined = batch.is_joined();
        let changes = batch.into_changes();
        self.with(|opened| if joined { opened.apply_together(&changes) } else { opened.apply_each(&changes) })
    }

    fn sync(&self) -> Result<(), Error> {
        self.with(Opened::sync)
    }

    fn scan<'a>(&'a self, start: &[u8], end: &[u8]) -> Rows<'a> {
        let range = (Bound::Included(IVec::from(start)), Bound::Excluded(IVec::from(end)));
        let mut rows = match self.with(|opened| Ok(opened.db.range(range))) {
            Ok(rows) => rows,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let mut ended = false;
        Box::new(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let step = guarded(|| match rows.next() {
                None => Ok(None),
                Some(Ok((row, value))) => Ok(Some((Bytes::from_owner(row), Bytes::from_owner(value)))),
                Some(Err(error)) => Err(from_sled(&error)),
            });
            ended = !matches!(step, Ok(Some(_)));
            step.transpose()
        }))
    }

    fn size_on_disk(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        const STAT_BLOCK_BYTES: u64 = 512;
        let size = self.with(|opened| opened.file.metadata().map_err(|error| from_io(&error)));
        size.map_or(0, |metadata| metadata.blocks() * STAT_BLOCK_BYTES)
    }

    fn reopen(&self) -> Result<(), Error> {
        let mut opened = self.opened.write();
        if matches!(&*opened, State::Down(Error::Closed)) {
            return Err(Error::Closed);
        }
        // sled must let go of its file before it can be opened again.
        *opened = State::Down(Error::Failed { reason: "the store is being reopened".into() });
        match Opened::open(&self.folder, self.cache_bytes) {
            Ok(open) => *opened = State::Open(open),
            Err(error) => {
                *opened = State::Down(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    fn close(&self) {
        let before = std::mem::replace(&mut *self.opened.write(), State::Down(Error::Closed));
        // sled flushes when it is dropped, and may panic over it; all that was promised is synced already.
        let _dropped = catch_unwind(AssertUnwindSafe(|| drop(before)));
    }
}

/// Waits a little until nobody holds what was open here before. sled gives its lock back with the last scan and the
/// last of its own threads that still writes, which is some time after it was dropped.
fn wait_until_unused(folder: &Path) -> Result<(), Error> {
    for _ in 0..UNUSED_LOOKS {
        let tried = File::open(folder.join("db")).map(|file| file.try_lock());
        match tried {
            Ok(Err(TryLockError::WouldBlock)) => clock::pause_thread(UNUSED_LOOK_EVERY),
            Ok(Err(TryLockError::Error(error))) => return Err(from_io(&error)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(from_io(&error)),
            Ok(Ok(())) | Err(_) => return Ok(()),
        }
    }
    Err(Error::Busy)
}

/// Turns a panic of sled into damage. Nothing that is shared is left half changed by us: all state is sled's own.
fn guarded<T>(act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::Damaged { reason: format!("sled panicked: {}", text.unwrap_or("no message")).into() })
    })
}

fn from_sled(error: &::sled::Error) -> Error {
    match error {
        ::sled::Error::Io(error) => from_io(error),
        ::sled::Error::Corruption { .. } => Error::Damaged { reason: error.to_string().into() },
        other => Error::Failed { reason: other.to_string().into() },
    }
}

fn from_io(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::Failed { reason: error.to_string().into() },
    }
}

/// A sync that failed may have lost pages, whatever its reason: never to be taken for a full disk alone.
fn failed_sync(error: &io::Error) -> Error {
    Error::Failed { reason: format!("sync failed: {error}").into() }
}
