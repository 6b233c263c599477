//! Which writes have been submitted and are not yet durable, and who waits for them.
//!
//! The committer applies a batch before it syncs it, so an engine shows records that a power cut may still take
//! back. A reader looks here after it read the engine: if the stamp it saw is in flight, it is called back after
//! the sync that covers it; a stamp that is not in flight is durable. It stores no values.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::protocol::record::Version;
use crate::protocol::stamp::Stamp;

/// Enough that threads on every core of a large machine rarely meet on one lock.
const SHARDS: usize = 32;

/// Called once: with success when the stamp is durable, else with why it never became so.
pub(super) type Waiter = Box<dyn FnOnce(Result<(), Arc<str>>) + Send>;

/// The table. Its size is bounded by the committer's queue.
pub(super) struct InFlight {
    shards: [Mutex<HashMap<Bytes, Entry>>; SHARDS],
}

#[derive(Default)]
struct Entry {
    /// One per submission; a stamp may occur twice. Nearly always just one.
    versions: Vec<Version>,
    waiters: Vec<(Stamp, Waiter)>,
}

impl InFlight {
    /// Nothing in flight.
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(HashMap::new())) }
    }

    fn shard(&self, row: &[u8]) -> &Mutex<HashMap<Bytes, Entry>> {
        &self.shards[crc32fast::hash(row) as usize % SHARDS]
    }

    /// Notes a submission.
    pub(super) fn submit(&self, row: Bytes, version: Version) {
        self.shard(&row).lock().entry(row).or_default().versions.push(version);
    }

    /// The highest version in flight for a row; [`Version::NONE`] if there is none.
    pub(super) fn highest(&self, row: &[u8]) -> Version {
        let shard = self.shard(row).lock();
        let versions = shard.get(row).map(|entry| entry.versions.iter().copied());
        versions.and_then(|versions| versions.max_by_key(|version| version.stamp)).unwrap_or(Version::NONE)
    }

    /// Hands the waiter over if this stamp is in flight; gives it back if not.
    pub(super) fn wait_for(&self, row: &[u8], stamp: Stamp, waiter: Waiter) -> Result<(), Waiter> {
        match self.shard(row).lock().get_mut(row) {
            Some(entry) if entry.versions.iter().any(|version| version.stamp == stamp) => {
                entry.waiters.push((stamp, waiter));
                Ok(())
            }
            _ => Err(waiter),
        }
    }

    /// Whether this stamp is in flight.
    pub(super) fn contains(&self, row: &[u8], stamp: Stamp) -> bool {
        let shard = self.shard(row).lock();
        shard.get(row).is_some_and(|entry| entry.versions.iter().any(|version| version.stamp == stamp))
    }

    /// Takes one submission out whose batch has ended, and moves those who wait for its stamp to `woken`.
    pub(super) fn finish(&self, row: &[u8], stamp: Stamp, woken: &mut Vec<Waiter>) {
        self.take_out(row, stamp, true, woken);
    }

    /// Takes one submission out that never reached a batch. Those who saw its stamp saw an earlier submission of
    /// it: they go on waiting for that, and are woken only if there is none left.
    pub(super) fn withdraw(&self, row: &[u8], stamp: Stamp, woken: &mut Vec<Waiter>) {
        self.take_out(row, stamp, false, woken);
    }

    fn take_out(&self, row: &[u8], stamp: Stamp, ended: bool, woken: &mut Vec<Waiter>) {
        let mut shard = self.shard(row).lock();
        let Some(entry) = shard.get_mut(row) else { return };
        if let Some(at) = entry.versions.iter().position(|version| version.stamp == stamp) {
            entry.versions.swap_remove(at);
        }
        if !ended && entry.versions.iter().any(|version| version.stamp == stamp) {
            return;
        }
        woken.extend(entry.waiters.extract_if(.., |(waits_for, _)| *waits_for == stamp).map(|(_, waiter)| waiter));
        if entry.versions.is_empty() {
            shard.remove(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn version(time: u64) -> Version {
        Version { stamp: Stamp { time, writer: 1, rmw: 0 }, is_value: true, expires_at: None }
    }

    #[test]
    fn only_the_stamp_waited_for_wakes_its_waiter() {
        let table = InFlight::new();
        let row = Bytes::from_static(b"row");
        table.submit(row.clone(), version(1));
        table.submit(row.clone(), version(2));
        assert_eq!(table.highest(&row), version(2));
        let called = Arc::new(AtomicU32::new(0));
        let waiter = |called: &Arc<AtomicU32>| {
            let called = Arc::clone(called);
            Box::new(move |_| {
                called.fetch_add(1, Ordering::Relaxed);
            })
        };
        assert!(table.wait_for(&row, version(2).stamp, waiter(&called)).is_ok());
        assert!(table.wait_for(&row, version(3).stamp, waiter(&called)).is_err());
        let mut woken = Vec::new();
        table.finish(&row, version(1).stamp, &mut woken);
        table.submit(row.clone(), version(2));
        table.withdraw(&row, version(2).stamp, &mut woken);
        assert!(woken.is_empty() && !table.contains(&row, version(1).stamp));
        table.finish(&row, version(2).stamp, &mut woken);
        assert_eq!(woken.len(), 1);
        woken.into_iter().for_each(|waiter| waiter(Ok(())));
        assert_eq!(called.load(Ordering::Relaxed), 1);
        assert_eq!(table.highest(&row), Version::NONE);
        assert!(table.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
