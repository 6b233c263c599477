//! The memory engine: for tests, and the model of what an engine may do at its worst.
//!
//! It knows which batches are not yet synced, and a power cut drops them from any point on. It can hold syncs,
//! fail them, be full and not open again, and damage a row, so that every promise of the layers above can be tested in
//! microseconds. It keeps nothing beyond the life of its last handle.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::engine::{Batch, Error, Rows, Store};

/// What an unsynced batch replaced, or one change of a batch that need not hang together: row and earlier value.
type Undo = Vec<(Bytes, Option<Bytes>)>;

/// A handle to rows in memory; clones share them.
#[derive(Clone, Default)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Bytes, Bytes>,
    unsynced: Vec<Undo>,
    syncs: u64,
    hold_syncs: bool,
    fail_syncs: bool,
    full: bool,
    refuse_reopens: Option<Error>,
}

impl MemoryStore {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses all that was not synced, but for the first `survivors` batches, or changes of unjoined batches.
    pub fn cut_power(&self, survivors: usize) {
        let mut state = self.inner.state.lock();
        while state.unsynced.len() > survivors {
            for (row, before) in state.unsynced.pop().unwrap_or_default().into_iter().rev() {
                match before {
                    Some(value) => state.rows.insert(row, value),
                    None => state.rows.remove(&row),
                };
            }
        }
        state.unsynced.clear();
    }

    /// While on, a sync waits.
    pub fn hold_syncs(&self, hold: bool) {
        self.inner.state.lock().hold_syncs = hold;
        self.inner.released.notify_all();
    }

    /// While on, a sync fails and makes nothing durable.
    pub fn fail_syncs(&self, fail: bool) {
        self.inner.state.lock().fail_syncs = fail;
    }

    /// While on, batches are refused for lack of space.
    pub fn fill(&self, full: bool) {
        self.inner.state.lock().full = full;
    }

    /// While given, it does not open again, for this reason.
    pub fn refuse_reopens(&self, reason: Option<Error>) {
        self.inner.state.lock().refuse_reopens = reason;
    }

    /// Number of syncs that succeeded.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.inner.state.lock().syncs
    }

    /// Number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.inner.state.lock().rows.len()
    }

    /// Flips one bit of the values of all rows for which `choose` says yes; answers how many.
    pub fn damage(&self, bit: usize, choose: impl Fn(&[u8]) -> bool) -> usize {
        let mut state = self.inner.state.lock();
        let mut damaged = 0;
        for (row, value) in &mut state.rows {
            if !value.is_empty() && choose(row) {
                let mut bytes = value.to_vec();
                let at = (bit / 8) % bytes.len();
                bytes[at] ^= 1 << (bit % 8);
                *value = bytes.into();
                damaged += 1;
            }
        }
        damaged
    }
}

impl Store for MemoryStore {
    fn get(&self, row: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.inner.state.lock().rows.get(row).cloned())
    }

    fn apply(&self, batch: Batch) -> Result<(), Error> {
        let mut state = self.inner.state.lock();
        if state.full {
            return Err(Error::Full);
        }
        // Unrelated changes may be lost one by one.
        let joined = batch.is_joined();
        let mut undo = Undo::new();
        for (row, value) in batch.into_changes() {
            if !joined && !undo.is_empty() {
                let single = std::mem::take(&mut undo);
                state.unsynced.push(single);
            }
            let before = match value {
                Some(value) => state.rows.insert(row.clone(), value),
                None => state.rows.remove(&row),
            };
            undo.push((row, before));
        }
        state.unsynced.push(undo);
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        let mut state = self.inner.state.lock();
        // Only what was applied before the call is covered, as with a real device.
        let covered = state.unsynced.len();
        self.inner.released.wait_while(&mut state, |state| state.hold_syncs);
        if state.fail_syncs {
            return Err(Error::Failed { reason: "input/output error (injected)".into() });
        }
        let covered = covered.min(state.unsynced.len());
        state.unsynced.drain(..covered);
        state.syncs += 1;
        Ok(())
    }

    fn scan<'a>(&'a self, start: &[u8], end: &[u8]) -> Rows<'a> {
        let end = end.to_vec();
        let mut from = Bound::Included(Bytes::copy_from_slice(start));
        Box::new(std::iter::from_fn(move || {
            let state = self.inner.state.lock();
            let (row, value) = state.rows.range((from.clone(), Bound::Unbounded)).next()?;
            if row[..] >= end[..] {
                return None;
            }
            from = Bound::Excluded(row.clone());
            Some(Ok((row.clone(), value.clone())))
        }))
    }

    fn size_on_disk(&self) -> u64 {
        let state = self.inner.state.lock();
        state.rows.iter().map(|(row, value)| (row.len() + value.len()) as u64).sum()
    }

    fn reopen(&self) -> Result<(), Error> {
        self.inner.state.lock().refuse_reopens.clone().map_or(Ok(()), Err)
    }

    fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &MemoryStore, row: &'static str, value: &'static str) {
        let mut batch = Batch::default();
        batch.put(Bytes::from_static(row.as_bytes()), Bytes::from_static(value.as_bytes()));
        store.apply(batch).expect("not full");
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        for survivors in 0..=3 {
            let store = MemoryStore::new();
            put(&store, "a", "synced");
            store.sync().expect("sync");
            for value in ["one", "two", "three"] {
                put(&store, "a", value);
            }
            store.cut_power(survivors);
            let expected = ["synced", "one", "two", "three"][survivors];
            assert_eq!(store.get(b"a"), Ok(Some(Bytes::from_static(expected.as_bytes()))));
        }
    }

    #[test]
    fn scans_are_ordered_and_bounded() {
        let store = MemoryStore::new();
        for row in ["c", "a", "b", "d"] {
            put(&store, row, "v");
        }
        let rows: Vec<Bytes> = store.scan(b"b", b"d").map(|row| row.expect("memory").0).collect();
        assert_eq!(rows, ["b", "c"]);
    }
}
