//! How fast calls may leave: one token bucket for all services, slowed down when the cloud says so.
//!
//! [`Bucket`] is pure, time is an argument. [`Pace`] is the shell around it: the only place in this crate that reads
//! the clock and sleeps. It does not decide whether to repeat anything.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls per second while nobody complains: below EC2's published refill of 20 a second for reads.
pub(super) const DEFAULT_RATE: f64 = 20.0;
/// Calls that may leave at once after a rest; EC2's own buckets hold 50 to 100.
const BURST: f64 = 50.0;
/// The slowest it gets.
const SLOWEST: f64 = 0.5;
/// How much of the full rate comes back in each second without a complaint.
const RECOVERY: f64 = 0.1;

/// A token bucket whose rate halves at each complaint and recovers linearly.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    full: f64,
    rate: f64,
    tokens: f64,
    last: Duration,
}

impl Bucket {
    /// A full bucket at time zero.
    pub(super) fn new(rate: f64) -> Self {
        let full = rate.max(SLOWEST);
        Self { full, rate: full, tokens: BURST, last: Duration::ZERO }
    }

    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.last).as_secs_f64();
        self.last = self.last.max(now);
        self.rate = self.full.min(self.rate + passed * self.full * RECOVERY);
        self.tokens = BURST.min(self.tokens + passed * self.rate);
    }

    /// Takes a place and says how long to wait for it. Places are given in the order of the calls.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        self.advance(now);
        self.tokens -= 1.0;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.rate) }
    }

    /// The cloud said: too many calls.
    pub(super) fn complain(&mut self, now: Duration) {
        self.advance(now);
        self.rate = (self.rate / 2.0).max(SLOWEST);
        self.tokens = self.tokens.min(0.0);
    }
}

/// A bucket and a clock.
#[derive(Debug)]
pub(super) struct Pace {
    bucket: Mutex<Bucket>,
    began: Instant,
}

impl Pace {
    pub(super) fn new(rate: f64) -> Self {
        Self { bucket: Mutex::new(Bucket::new(rate)), began: now() }
    }

    /// Since it was made.
    pub(super) fn elapsed(&self) -> Duration {
        now().duration_since(self.began)
    }

    /// Waits for a place.
    pub(super) async fn admit(&self) {
        let wait = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(self.elapsed());
        if !wait.is_zero() {
            pause(wait).await;
        }
    }

    pub(super) fn complain(&self) {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).complain(self.elapsed());
    }
}

#[expect(clippy::disallowed_methods, reason = "this module is this crate's clock")]
fn now() -> Instant {
    Instant::now()
}

/// Sleeps.
#[expect(clippy::disallowed_methods, reason = "this module is this crate's clock")]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// The wall clock, seconds since 1970; for certificates that end.
#[expect(clippy::disallowed_methods, reason = "this module is this crate's clock")]
pub(super) fn wall_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Bucket::new(20.0);
        for _ in 0..50 {
            assert_eq!(bucket.take(Duration::ZERO), Duration::ZERO);
        }
        assert_eq!(bucket.take(Duration::ZERO), seconds(0.05));
        assert_eq!(bucket.take(Duration::ZERO), seconds(0.1));
    }

    #[test]
    fn complaints_slow_down_and_rest_recovers() {
        let mut bucket = Bucket::new(20.0);
        bucket.complain(Duration::ZERO);
        assert_eq!(bucket.take(Duration::ZERO), seconds(0.1));
        bucket.complain(Duration::ZERO);
        let slow = bucket.take(Duration::ZERO);
        assert!(slow > seconds(0.2), "{slow:?}");
        for _ in 0..40 {
            bucket.complain(Duration::ZERO);
        }
        assert!(bucket.take(Duration::ZERO) <= seconds(60.0), "it never stops");
        let mut rested = bucket.clone();
        assert_eq!(rested.take(seconds(60.0)), Duration::ZERO);
    }
}
