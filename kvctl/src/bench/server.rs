//! What the nodes of a local cluster spend on a run: processor time and memory, from `/proc`.
//!
//! Ticks of 10 ms, so short runs are coarse. Nodes of other machines cannot be seen and are left out.

use std::time::Duration;

use crate::provider::local::process::{Presence, Record, Stat, TICKS_PER_SECOND, resident_bytes};

/// The processes of the nodes at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    nodes: Vec<(String, Record, Stat)>,
}

/// What one node spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Its name.
    pub node: String,
    /// Processor time.
    pub processor: Duration,
    /// Memory in RAM at the end, in bytes.
    pub resident_bytes: u64,
}

impl Snapshot {
    /// Looks at the processes now; those that do not run are left out.
    #[must_use]
    pub fn take(records: &[(String, Record)]) -> Self {
        let look = |(name, record): &(String, Record)| {
            let runs = matches!(record.presence(), Presence::Runs { .. });
            let stat = Stat::of(record.pid).filter(|_| runs)?;
            Some((name.clone(), record.clone(), stat))
        };
        Self { nodes: records.iter().filter_map(look).collect() }
    }

    /// What was spent since; a node that ended or was started in between is left out.
    #[must_use]
    pub fn spent(&self) -> Vec<Spent> {
        let spent = |(name, record, before): &(String, Record, Stat)| {
            let after = Stat::of(record.pid).filter(|after| after.start_ticks == before.start_ticks)?;
            let ticks = after.busy_ticks.saturating_sub(before.busy_ticks);
            let processor = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
            Some(Spent { node: name.clone(), processor, resident_bytes: resident_bytes(record.pid)? })
        };
        self.nodes.iter().filter_map(spent).collect()
    }
}

/// Processor time of this process so far.
#[must_use]
pub fn own_processor() -> Duration {
    let ticks = Stat::of(std::process::id()).map_or(0, |stat| stat.busy_ticks);
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}
