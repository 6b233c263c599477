//! A suspicion: who accuses a member since when, and when it is to be declared dead.
//!
//! The time shrinks from the maximum to the minimum with the logarithm of the confirmations (Lifeguard, section
//! IV-B). Only independent confirmations count: from another zone than the earlier ones, or, when all possible
//! witnesses stand in one zone, from another node. Where nobody is left to confirm, the maximum holds: memberlist
//! takes the minimum there, which in a cluster of three lets one accuser kill.

use std::collections::BTreeSet;
use std::time::Duration;

use super::MonotonicTime;
use crate::protocol::id::{NodeId, ZoneName};

/// Most accusers remembered for one suspicion; more than any setting of `confirmations` needs.
const MAX_ACCUSERS: usize = 16;

/// Someone whose accusation counts: a present member, or this node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Witness {
    pub(super) zone: ZoneName,
    pub(super) id: NodeId,
}

#[derive(Debug, Clone)]
pub(super) struct Suspicion {
    pub(super) started: MonotonicTime,
    pub(super) deadline: MonotonicTime,
    /// The first to accuse; passed on with the suspicion.
    pub(super) first: NodeId,
    accusers: BTreeSet<Witness>,
}

impl Suspicion {
    /// Starts one; an accuser unknown here counts for nothing, but the suspicion stands.
    pub(super) fn new(started: MonotonicTime, first: NodeId, witness: Option<Witness>, longest: Duration) -> Self {
        Self { started, deadline: started + longest, first, accusers: witness.into_iter().collect() }
    }

    /// Adds an accuser; false if it is known already.
    pub(super) fn confirm(&mut self, witness: Witness) -> bool {
        self.accusers.len() < MAX_ACCUSERS && self.accusers.insert(witness)
    }

    /// The one zone in which all accusers stand, if it is one.
    pub(super) fn only_zone(&self) -> Option<&ZoneName> {
        let first = &self.accusers.first()?.zone;
        self.accusers.iter().all(|accuser| accuser.zone == *first).then_some(first)
    }

    /// Time from start to death, given all who could testify now (this node included, the accused not).
    pub(super) fn lasts(&self, witnesses: &BTreeSet<Witness>, wanted: usize, min: Duration, max: Duration) -> Duration {
        let all: BTreeSet<&Witness> = witnesses.union(&self.accusers).collect();
        let zones = all.iter().map(|witness| &witness.zone).collect::<BTreeSet<_>>().len();
        let independent = |set: &mut dyn Iterator<Item = &Witness>| match zones {
            0 | 1 => set.count(),
            _ => set.map(|witness| &witness.zone).collect::<BTreeSet<_>>().len(),
        };
        let possible = independent(&mut all.iter().copied()).saturating_sub(1).min(wanted);
        let confirmed = independent(&mut self.accusers.iter()).saturating_sub(1);
        shrink(min, max, confirmed, possible)
    }

    /// After `by` in which this process did not run: the accused gets that time back.
    pub(super) fn shift(&mut self, by: Duration) {
        self.started = self.started + by;
        self.deadline = self.deadline + by;
    }
}

/// `max - (max - min) * ln(confirmed + 1) / ln(possible + 1)`, not below `min`.
fn shrink(min: Duration, max: Duration, confirmed: usize, possible: usize) -> Duration {
    if possible == 0 || confirmed == 0 {
        return max;
    }
    if confirmed >= possible {
        return min;
    }
    #[expect(clippy::cast_precision_loss, reason = "confirmations are at most 16")]
    let part = ((confirmed + 1) as f64).ln() / ((possible + 1) as f64).ln();
    max.saturating_sub(max.saturating_sub(min).mul_f64(part)).max(min)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(2);
    const MAX: Duration = Duration::from_secs(6);

    fn witness(text: &str) -> Witness {
        let (zone, id) = text.split_at(1);
        Witness { zone: zone.parse().unwrap(), id: NodeId::from_bits(id.parse().unwrap()) }
    }

    /// Members are written zone then number, as `a1`.
    fn check(witnesses: &str, accusers: &str, wanted: usize, expected_ms: u128) {
        let witnesses: BTreeSet<Witness> = witnesses.split_whitespace().map(witness).collect();
        let mut accusers = accusers.split_whitespace().map(witness);
        let first = accusers.next().unwrap();
        let mut suspicion = Suspicion::new(MonotonicTime::default(), first.id, Some(first), MAX);
        for accuser in accusers {
            suspicion.confirm(accuser);
        }
        let lasts = suspicion.lasts(&witnesses, wanted, MIN, MAX).as_millis();
        assert_eq!(lasts, expected_ms, "{witnesses:?} {suspicion:?}");
    }

    #[test]
    fn only_independent_confirmations_shorten_the_wait() {
        check("a1 b2", "a1", 2, 6000); // three nodes, the third alive: one confirmation is asked for …
        check("a1 b2", "a1 b2", 2, 2000); // … and suffices
        check("a1", "a1", 2, 6000); // nobody could confirm: the longest
        check("a1 a2 b3", "a1 a2", 2, 6000); // both accusers in one zone
        check("a1 a2 b3", "a1 b3", 2, 2000);
        check("a1 a2 a3", "a1 a2", 2, 3476); // one zone in all: nodes count
        check("a1 a2 a3", "a1 a2 a3", 2, 2000);
        check("a1 b2 c3", "a1 b2", 2, 3476);
        check("a1 b2 c3", "a1 b2 c3", 2, 2000);
        check("a1 b2 c3", "a1 b2", 1, 2000);
    }

    #[test]
    fn an_accuser_counts_once() {
        let mut suspicion = Suspicion::new(MonotonicTime::default(), NodeId::from_bits(1), Some(witness("a1")), MAX);
        assert!(!suspicion.confirm(witness("a1")));
        assert!(suspicion.confirm(witness("b2")));
        assert!(!suspicion.confirm(witness("b2")));
    }
}
