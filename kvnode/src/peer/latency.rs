//! How long a peer takes to answer, over its recent replies: a moving average and an estimate of the 95th percentile.
//!
//! A histogram of logarithmic buckets (8 to each doubling: 12 % wide) that is halved every [`WINDOW`] samples, so
//! that old replies fade. Recording costs an increment; the percentile is computed once for each window.
//! It keeps no time of its own and decides nothing: coordinators hedge by it.

use std::time::Duration;

/// Samples after which the percentile is computed anew and the past loses half its weight.
const WINDOW: u32 = 128;
/// Samples before the first estimate: fewer say nothing of a percentile.
const FIRST: u32 = 32;
/// Buckets to each doubling, as a power of two.
const SUB_BITS: u32 = 3;
/// Enough for 2^32 microseconds, over an hour.
const BUCKETS: usize = 32 << SUB_BITS;

/// What a peer's recent replies look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Exponentially weighted mean; each reply counts an eighth.
    pub mean: Duration,
    /// Estimate of the 95th percentile, up to 12 % too high.
    pub p95: Duration,
}

/// Recent replies of one peer.
#[derive(Debug)]
pub(super) struct Recorder {
    buckets: [u32; BUCKETS],
    total: u32,
    since_estimate: u32,
    mean_micros: u64,
    p95_micros: Option<u64>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { buckets: [0; BUCKETS], total: 0, since_estimate: 0, mean_micros: 0, p95_micros: None }
    }

    /// Counts one reply.
    pub(super) fn record(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        self.buckets[bucket(micros)] += 1;
        self.mean_micros = match self.total {
            0 => micros.into(),
            _ => (self.mean_micros * 7 + u64::from(micros)) / 8,
        };
        self.total += 1;
        self.since_estimate += 1;
        let due = if self.p95_micros.is_none() { FIRST } else { WINDOW };
        if self.since_estimate >= due {
            self.estimate();
        }
    }

    /// None before enough replies came.
    pub(super) fn latency(&self) -> Option<Latency> {
        let p95 = Duration::from_micros(self.p95_micros?);
        Some(Latency { mean: Duration::from_micros(self.mean_micros), p95 })
    }

    fn estimate(&mut self) {
        let wanted = self.total - self.total / 20;
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        self.p95_micros = reached.map(upper_bound);
        self.since_estimate = 0;
        if self.total >= 2 * WINDOW {
            self.buckets.iter_mut().for_each(|count| *count /= 2);
            self.total = self.buckets.iter().sum();
        }
    }
}

/// The bucket of a number of microseconds: its highest bits, position and the [`SUB_BITS`] below.
fn bucket(micros: u32) -> usize {
    let exponent = micros.ilog2();
    let below = if exponent >= SUB_BITS { micros >> (exponent - SUB_BITS) } else { micros << (SUB_BITS - exponent) };
    let index = (exponent << SUB_BITS) | (below & ((1 << SUB_BITS) - 1));
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX) + 1;
    let (exponent, below) = (bucket >> SUB_BITS, bucket & ((1 << SUB_BITS) - 1));
    ((1 << SUB_BITS | below) << exponent) >> SUB_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorded(micros: impl IntoIterator<Item = u64>) -> Option<Latency> {
        let mut recorder = Recorder::new();
        micros.into_iter().for_each(|micros| recorder.record(Duration::from_micros(micros)));
        recorder.latency()
    }

    #[test]
    fn estimates_need_some_replies_and_follow_the_recent_ones() {
        assert_eq!(recorded([100; 31]), None);
        let close = |found: Option<Latency>, expected: u64| {
            let p95 = u64::try_from(found.expect("enough replies").p95.as_micros()).expect("small");
            assert!((expected..=expected + expected / 7).contains(&p95), "{p95} for {expected}");
        };
        close(recorded([100; 32]), 100);
        close(recorded((0..2560).map(|n| if n % 10 == 0 { 8_000 } else { 200 })), 8_000);
        close(recorded((0..2560).map(|n| if n % 100 == 0 { 8_000 } else { 200 })), 200);
        close(recorded(std::iter::repeat_n(50_000, 1000).chain(std::iter::repeat_n(100, 4000))), 100);
    }

    proptest! {
        #[test]
        fn a_bucket_bounds_what_falls_into_it(micros in 1u32..) {
            let upper = upper_bound(bucket(micros));
            prop_assert!(upper >= micros.into(), "{upper}");
            prop_assert!(upper <= u64::from(micros) + u64::from(micros) / 8 + 1, "{upper}");
        }
    }
}
