//! Local health awareness (Lifeguard, section IV-A): how far this node should distrust its own probes.
//!
//! The score rises with missed nacks, with accusations it had to refute and with stalls, and falls with each answered
//! probe. It stretches the probe interval and timeout, so that a sick node accuses fewer healthy ones
//! (hashicorp/serf#269, hashicorp/consul#5567). It does not touch suspicion timeouts.

use std::time::Duration;

/// The score, from 0 (healthy) to its highest.
#[derive(Debug, Clone)]
pub(super) struct Health {
    score: u32,
    max: u32,
}

impl Health {
    pub(super) fn new(max: u32) -> Self {
        Self { score: 0, max }
    }
    pub(super) fn score(&self) -> u32 {
        self.score
    }
    pub(super) fn worsen(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(self.max);
    }
    pub(super) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }
    pub(super) fn stretch(&self, duration: Duration) -> Duration {
        duration * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_in_its_range_and_stretches_time() {
        let mut health = Health::new(2);
        health.improve();
        assert_eq!(health.stretch(Duration::from_millis(250)), Duration::from_millis(250));
        health.worsen(5);
        assert_eq!((health.score(), health.stretch(Duration::from_millis(250))), (2, Duration::from_millis(750)));
        health.improve();
        assert_eq!(health.score(), 1);
    }
}
