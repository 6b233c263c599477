//! When to ask a second replica because the first is slow, and how often at most.
//!
//! After the peer's 95th percentile (Dean and Barroso, The Tail at Scale, 2013), never sooner than a floor, and
//! only while a budget lasts: hedges beyond a twentieth of all operations would add load just when there is too
//! much of it. A token bucket in one atomic; no clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Never hedge sooner: below it scheduling noise looks like a slow peer.
pub(super) const FLOOR: Duration = Duration::from_millis(2);
/// Never later: a paused peer must not cost an operation more than this on top.
pub(super) const CEILING: Duration = Duration::from_millis(40);
/// One hedge is earned by this many operations.
const OPERATIONS_PER_HEDGE: i64 = 20;
/// Hedges that may be saved up, in operations: enough for every client of a node to hedge once when a peer stops.
const SAVED_AT_MOST: i64 = 256 * OPERATIONS_PER_HEDGE;

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

    /// Takes a hedge from the budget; false if there is none left.
    #[must_use]
    pub(super) fn spend(&self) -> bool {
        if self.saved.fetch_sub(OPERATIONS_PER_HEDGE, Ordering::Relaxed) >= OPERATIONS_PER_HEDGE {
            return true;
        }
        self.saved.fetch_add(OPERATIONS_PER_HEDGE, Ordering::Relaxed);
        false
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

    #[test]
    fn budget_is_a_twentieth_once_the_savings_are_gone() {
        let budget = Budget::default();
        while budget.spend() {}
        let mut hedges = 0;
        for _ in 0..2000 {
            budget.earn();
            hedges += i32::from(budget.spend());
        }
        assert!((99..=101).contains(&hedges), "{hedges}");
    }

    #[test]
    fn delay_stays_between_floor_and_ceiling() {
        assert_eq!(delay(Some(Duration::from_micros(10))), FLOOR);
        assert_eq!(delay(Some(Duration::from_secs(9))), CEILING);
        assert_eq!(delay(Some(Duration::from_millis(7))), Duration::from_millis(7));
        assert_eq!(delay(None), Duration::from_millis(20));
    }
}
