//! Watches free space, so that client values are refused before the engine meets a full disk.
//!
//! No engine we know goes on after a failed append; refusing early keeps the node able to delete and to repair.
//! Asked at every client write, it asks the system at most once a second. It deletes nothing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::runtime::clock;

/// How old an answer may be: at 200 MB/s a disk loses 200 MB in that time, far less than the floor of any real disk.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Free space of one file system against a floor.
pub(super) struct DiskGuard {
    folder: Option<PathBuf>,
    floor_percent: u8,
    started: Instant,
    /// Milliseconds after `started` at which to ask again.
    next_check: AtomicU64,
    full: AtomicBool,
}

impl DiskGuard {
    /// Watches the file system of `folder`; without one it is never full.
    pub(super) fn new(folder: Option<PathBuf>, floor_percent: u8) -> Self {
        let started = clock::monotonic_now();
        Self { folder, floor_percent, started, next_check: AtomicU64::new(0), full: AtomicBool::new(false) }
    }

    /// Whether less than the floor is free.
    pub(super) fn is_full(&self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.next_check.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(MAX_AGE.as_millis()).unwrap_or(u64::MAX));
        let mine =
            now >= due && self.next_check.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine && let Ok(space) = statvfs(folder) {
            self.full.store(is_below(space.blocks_available(), space.blocks(), self.floor_percent), Ordering::Relaxed);
        }
        self.full.load(Ordering::Relaxed)
    }
}

fn is_below(available: u64, total: u64, floor_percent: u8) -> bool {
    u128::from(available) * 100 < u128::from(total) * u128::from(floor_percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_a_share_of_the_whole_disk() {
        for (available, total, below) in
            [(5, 100, false), (4, 100, true), (0, 100, true), (u64::MAX, u64::MAX, false), (0, 0, false)]
        {
            assert_eq!(is_below(available, total, 5), below, "{available} of {total}");
        }
    }

    #[test]
    fn the_real_disk_is_asked() {
        let folder = Some(std::env::temp_dir());
        assert!(!DiskGuard::new(folder.clone(), 0).is_full(), "no disk has less than nothing free");
        assert!(DiskGuard::new(folder, 101).is_full(), "no disk has more than everything free");
        assert!(!DiskGuard::new(None, 101).is_full());
    }
}
