//! In which order to ask the replicas of a key: a pure choice from what is known of them.
//!
//! Ownership is not liveness: the ring says who holds a key, this only says who is asked first. Itself first
//! (no network), then the living before the doubtful, then its own zone, then the fastest.

use std::time::Duration;

use crate::protocol::register::replicas::{MAX_REPLICAS, ReplicaIndex};

/// What is known of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// It is this node.
    pub(super) is_self: bool,
    /// There is a connection to it, and it is not dead, left or draining.
    pub(super) usable: bool,
    /// It stands in this node's zone.
    pub(super) same_zone: bool,
    /// Smoothed time of its recent replies; zero if nothing is known, so that new peers are tried.
    pub(super) latency: Duration,
}

impl Candidate {
    /// Nothing is known.
    pub(super) const UNKNOWN: Self = Self { is_self: false, usable: false, same_zone: false, latency: Duration::ZERO };
}

/// The replica indexes, best first, in a fixed array with its length.
#[must_use]
pub(super) fn preference(candidates: &[Candidate]) -> ([ReplicaIndex; MAX_REPLICAS], usize) {
    let count = candidates.len().min(MAX_REPLICAS);
    let mut order = [ReplicaIndex(0); MAX_REPLICAS];
    for (slot, index) in order.iter_mut().zip(0u8..).take(count) {
        *slot = ReplicaIndex(index);
    }
    order[..count].sort_by_key(|replica| {
        let candidate = &candidates[replica.index()];
        (!candidate.is_self, !candidate.usable, !candidate.same_zone, candidate.latency, replica.0)
    });
    (order, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(candidates: &[(bool, bool, bool, u64)], expected: &[u8]) {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|&(is_self, usable, same_zone, micros)| Candidate {
                is_self,
                usable,
                same_zone,
                latency: Duration::from_micros(micros),
            })
            .collect();
        let (order, count) = preference(&candidates);
        let order: Vec<u8> = order[..count].iter().map(|replica| replica.0).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn itself_then_the_living_then_the_zone_then_the_fastest() {
        check(&[(false, true, false, 5), (false, true, false, 3), (true, true, true, 0)], &[2, 1, 0]);
        check(&[(false, false, false, 1), (false, true, false, 900)], &[1, 0]);
        check(&[(false, true, false, 1), (false, true, true, 900)], &[1, 0]);
        check(&[(false, true, false, 7), (false, true, false, 7)], &[0, 1]);
        check(&[], &[]);
    }
}
