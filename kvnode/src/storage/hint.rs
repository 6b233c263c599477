//! Counts of the hints kept for each target, and the decision when a partition is marked dirty instead.
//!
//! A hint is a record that a replica missed. Hints are capped in bytes and age per target; past a cap only the
//! partition is remembered, and the whole of it is pushed when the target returns. The counts are stored in the
//! batch that changes them, so that opening needs no scan. Delivery is not decided here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::counter;
use super::engine::{self, Store};
use super::keyspace;
use crate::protocol::id::{NodeId, PartitionId};

/// What is kept for one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HintCount {
    /// Hints waiting.
    pub count: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// Partitions whose hints were capped and that await a full push.
    pub dirty: Vec<PartitionId>,
}

/// Hints of one target, as the committer counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Hints stored.
    pub(super) count: u64,
    /// Bytes stored.
    pub(super) bytes: u64,
    /// Wall microseconds of the first hint since there was none.
    pub(super) since_micros: u64,
    /// Partitions marked dirty.
    pub(super) dirty: BTreeSet<PartitionId>,
}

/// Counts by target.
pub(super) type Ledger = BTreeMap<NodeId, Target>;

/// The caps, per target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes.
    pub(super) bytes: u64,
    /// Microseconds for which hints are collected.
    pub(super) age_micros: u64,
}

impl Target {
    /// Whether another hint of this size is past a cap.
    pub(super) fn is_past(&self, limits: Limits, size: u64, now_micros: u64) -> bool {
        let too_old = self.count > 0 && now_micros.saturating_sub(self.since_micros) > limits.age_micros;
        too_old || self.bytes.saturating_add(size) > limits.bytes
    }

    /// Counts a hint that is stored now.
    pub(super) fn add(&mut self, size: u64, now_micros: u64) {
        if self.count == 0 {
            self.since_micros = now_micros;
        }
        self.count += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    /// Counts off a hint that is removed or replaced.
    pub(super) fn subtract(&mut self, size: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        if self.count == 0 {
            (self.bytes, self.since_micros) = (0, 0);
        }
    }

    /// Its stored form.
    pub(super) fn encode(&self, row: &[u8]) -> Bytes {
        counter::encode(row, [self.count, self.bytes, self.since_micros])
    }

    /// What callers see.
    pub(super) fn count(&self) -> HintCount {
        HintCount { count: self.count, bytes: self.bytes, dirty: self.dirty.iter().copied().collect() }
    }
}

/// Reads the counts of all targets back.
pub(super) fn load(store: &dyn Store) -> Result<Ledger, engine::Error> {
    let mut ledger = Ledger::new();
    let (start, end) = keyspace::hint_counter_range();
    for row in store.scan(&start, &end) {
        let (row, stored) = row?;
        if let (Some(target), Some([count, bytes, since_micros])) =
            (keyspace::parse_hint_counter(&row), counter::decode(&row, &stored))
        {
            ledger.insert(target, Target { count, bytes, since_micros, dirty: BTreeSet::new() });
        }
    }
    let (start, end) = keyspace::dirty_range();
    for row in store.scan(&start, &end) {
        if let Some((target, partition)) = keyspace::parse_dirty(&row?.0) {
            ledger.entry(target).or_default().dirty.insert(partition);
        }
    }
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_count_from_the_first_hint() {
        let limits = Limits { bytes: 100, age_micros: 1000 };
        let mut target = Target::default();
        assert!(!target.is_past(limits, 100, 5_000_000), "nothing is old while there is nothing");
        target.add(60, 5_000_000);
        target.add(40, 5_000_900);
        for (size, now, past) in [(0, 5_001_000, false), (0, 5_001_001, true), (1, 5_000_900, true)] {
            assert_eq!(target.is_past(limits, size, now), past, "{size} {now}");
        }
        target.subtract(60);
        target.subtract(40);
        assert_eq!(target.count(), HintCount::default());
        assert!(!target.is_past(limits, 100, 9_000_000), "the age starts again");
    }
}
