//! When to ask a second replica because the first is slow, and how often at most.
//!
//! After the peer's 95th percentile (Dean and Barroso, The Tail at Scale, 2013), never sooner than a floor, and only
//! while a budget lasts: a twentieth of all operations, since more would add load just when there is too much of it.
//! By definition a twentieth *is* later than that percentile, so half of what is saved is kept for a peer that is
//! not late but stalled: past the ceiling. A token bucket in one atomic; no clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Never hedge sooner: below it scheduling noise looks like a slow peer.
pub(super) const FLOOR: Duration = Duration::from_millis(2);
/// Never later: a paused peer must not cost an operation more than this on top.
pub(super) const CEILING: Duration = Duration::from_millis(40);
/// How long a peer that had to be hedged against is asked last: long enough that a paused peer costs a handful of
/// operations the delay and not all of them, short enough that a hiccup is soon forgotten.
pub(super) const AVOIDED_FOR: Duration = Duration::from_millis(500);
/// One hedge is earned by this many operations.
const OPERATIONS_PER_HEDGE: i64 = 20;
/// Hedges that may be saved up, in operations: enough for every client of a node to hedge once when a peer stops.
const SAVED_AT_MOST: i64 = 256 * OPERATIONS_PER_HEDGE;

/// How long a peer is waited for before it is hedged against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Past its 95th percentile.
    Late,
    /// Past [`CEILING`].
    Stalled,
}

/// The budget of one node.
#[derive(Debug)]
pub(super) struct Budget {
    saved: AtomicI64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { saved: AtomicI64::new(SAVED_AT_MOST) }
    }
}

impl Budget {
    /// Counts an operation that may need a hedge.
    pub(super) fn earn(&self) {
        if self.saved.load(Ordering::Relaxed) < SAVED_AT_MOST {
            self.saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a hedge from the budget; false if what is left is not for this.
    #[must_use]
    pub(super) fn spend(&self, why: Why) -> bool {
        let kept = match why {
            Why::Late => SAVED_AT_MOST / 2,
            Why::Stalled => 0,
        };
        let enough = |saved: i64| (saved >= kept + OPERATIONS_PER_HEDGE).then(|| saved - OPERATIONS_PER_HEDGE);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }
}

/// How long to wait for a peer whose 95th percentile is known (or not) before hedging.
#[must_use]
pub(super) fn delay(p95: Option<Duration>) -> Duration {
    p95.map_or(CEILING / 2, |p95| p95.clamp(FLOOR, CEILING))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hedges(budget: &Budget, operations: u32, why: Why) -> u32 {
        (0..operations)
            .map(|_| {
                budget.earn();
                u32::from(budget.spend(why))
            })
            .sum()
    }

    #[test]
    fn late_peers_get_a_twentieth_and_leave_half_to_stalled_ones() {
        let budget = Budget::default();
        while budget.spend(Why::Late) {}
        let late = hedges(&budget, 2000, Why::Late);
        assert!((99..=101).contains(&late), "{late}");
        let mut stalled = 0;
        while budget.spend(Why::Stalled) {
            stalled += 1;
        }
        assert!((127..=129).contains(&stalled), "{stalled}");
        let stalled = hedges(&budget, 2000, Why::Stalled);
        assert!((99..=101).contains(&stalled), "{stalled}");
    }

    #[test]
    fn delay_stays_between_floor_and_ceiling() {
        assert_eq!(delay(Some(Duration::from_micros(10))), FLOOR);
        assert_eq!(delay(Some(Duration::from_secs(9))), CEILING);
        assert_eq!(delay(Some(Duration::from_millis(7))), Duration::from_millis(7));
        assert_eq!(delay(None), Duration::from_millis(20));
    }
}
