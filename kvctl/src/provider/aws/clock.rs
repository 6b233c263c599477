//! Time for `infra::apply`: the process's monotonic clock since the work began.
//!
//! Not the wall clock, and never turned back.

use std::time::{Duration, Instant};

use kvnode::runtime::clock;

/// A clock that began at zero.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    began: Instant,
    haste: f64,
}

impl RunClock {
    /// Begins now. `haste` is how many times faster it goes than real time; 1 but in tests.
    #[must_use]
    pub fn start(haste: f64) -> Self {
        Self { began: clock::monotonic_now(), haste }
    }
}

impl infra::apply::Clock for RunClock {
    fn now(&self) -> Duration {
        clock::monotonic_now().duration_since(self.began).mul_f64(self.haste)
    }

    async fn sleep(&self, time: Duration) {
        clock::sleep(time.div_f64(self.haste)).await;
    }
}
