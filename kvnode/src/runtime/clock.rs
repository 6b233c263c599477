//! Time by its names: monotonic (timers) and wall (display and expiry); the third, stamps, is `protocol::stamp`'s.
//!
//! The only reader of clocks and the only sleeper of the daemon. It decides nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic now, for timers and deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn monotonic_now() -> Instant {
    Instant::now()
}

/// Wall time in microseconds since 1970; 0 if the clock is set before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Sleeps for a while.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Stops the calling thread for a while; never on a thread that runs tasks.
pub fn pause_thread(duration: Duration) {
    std::thread::sleep(duration);
}

/// Sleeps until a monotonic instant; returns at once if it has passed.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}

/// Runs a future until a deadline; none if the deadline came first (the future is dropped).
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(deadline.into(), future).await.ok()
}
