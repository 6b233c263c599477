//! Timing and limits of membership, with the ranges in which they make sense.
//!
//! The defaults aim at one data centre: a killed node is dead everywhere in about 3 s, 8.5 s at worst (nobody could
//! confirm), and a node that is starved of CPU for a second is not. It sets no addresses and no keys.

use std::time::Duration;

/// Settings of [`super::machine::Membership`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Time from one probe to the next, 100 ms to 10 s. Longer means slower detection, shorter more packets.
    pub probe_interval: Duration,
    /// Time until an unanswered probe asks others for help, 20 ms to half the interval. Above the round trip's p99.
    pub probe_timeout: Duration,
    /// Members asked to probe for us, 0 to 8.
    pub indirect_probes: usize,
    /// Time from suspicion to death if confirmed, 2 to 60 probe intervals. Shorter kills nodes that only stall.
    pub suspicion_min: Duration,
    /// Time from suspicion to death if nobody confirms, from `suspicion_min` to 10 times that.
    pub suspicion_max: Duration,
    /// Independent confirmations that bring the time down to the minimum, 1 to 8.
    pub confirmations: usize,
    /// Highest local health score, 0 to 16: a node in doubt about itself probes up to this much plus one slower.
    pub health_max: u32,
    /// Time between datagrams that carry only news, 20 ms to 2 s.
    pub gossip_interval: Duration,
    /// Members that get each of them, 1 to 16.
    pub gossip_fanout: usize,
    /// Each update is sent this often times log10 of the members, 1 to 10.
    pub retransmit_factor: u32,
    /// Time between exchanges of full state with a random member, 1 s to 10 min.
    pub push_pull_interval: Duration,
    /// Time between tries to reach anybody while alone, 100 ms to 1 min.
    pub reconnect_interval: Duration,
    /// Time between tries of a seed that is no live member, while not alone, 1 s to 10 min.
    pub seed_interval: Duration,
    /// A reply this recent keeps a suspected node from being declared dead, 1 to 4 probe intervals.
    pub evidence_window: Duration,
    /// A timer this late means that this process was not running, 100 ms to 10 s.
    pub stall_limit: Duration,
    /// Time until a dead or departed member is forgotten, 1 min to 30 days.
    pub forget_after: Duration,
    /// Members held, 2 to 4096; memory is about 500 bytes each.
    pub max_members: usize,
    /// All on; only this module's tests can switch parts off.
    pub mechanisms: Mechanisms,
}

/// Parts of the protocol that a test may switch off to show what they are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms {
    pub(super) refutation: bool,
    pub(super) confirmations: bool,
    pub(super) local_health: bool,
    pub(super) evidence: bool,
    pub(super) accuse_the_accused: bool,
}

/// A setting outside its range. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gossip setting {name} is outside its range: {range}")]
pub struct OutOfRange {
    /// The field.
    pub name: &'static str,
    /// The range in words.
    pub range: &'static str,
}

impl Default for Mechanisms {
    fn default() -> Self {
        Self { refutation: true, confirmations: true, local_health: true, evidence: true, accuse_the_accused: true }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_millis(500),
            probe_timeout: Duration::from_millis(250),
            indirect_probes: 3,
            suspicion_min: Duration::from_secs(2),
            suspicion_max: Duration::from_secs(6),
            confirmations: 2,
            health_max: 4,
            gossip_interval: Duration::from_millis(200),
            gossip_fanout: 3,
            retransmit_factor: 4,
            push_pull_interval: Duration::from_secs(30),
            reconnect_interval: Duration::from_secs(1),
            seed_interval: Duration::from_secs(15),
            evidence_window: Duration::from_secs(1),
            stall_limit: Duration::from_millis(500),
            forget_after: Duration::from_secs(72 * 3600),
            max_members: 1024,
            mechanisms: Mechanisms::default(),
        }
    }
}

impl Config {
    /// The same settings if every one is in its range.
    ///
    /// # Errors
    /// The first setting that is not.
    pub fn checked(self) -> Result<Self, OutOfRange> {
        let ms = Duration::from_millis;
        let (interval, min) = (self.probe_interval, self.suspicion_min);
        let checks = [
            (within(interval, ms(100), ms(10_000)), "probe_interval", "100 ms to 10 s"),
            (within(self.probe_timeout, ms(20), interval / 2), "probe_timeout", "20 ms to half of probe_interval"),
            (self.indirect_probes <= 8, "indirect_probes", "0 to 8"),
            (within(min, interval * 2, interval * 60), "suspicion_min", "2 to 60 probe intervals"),
            (within(self.suspicion_max, min, min * 10), "suspicion_max", "1 to 10 times suspicion_min"),
            ((1..=8).contains(&self.confirmations), "confirmations", "1 to 8"),
            (self.health_max <= 16, "health_max", "0 to 16"),
            (within(self.gossip_interval, ms(20), ms(2_000)), "gossip_interval", "20 ms to 2 s"),
            ((1..=16).contains(&self.gossip_fanout), "gossip_fanout", "1 to 16"),
            ((1..=10).contains(&self.retransmit_factor), "retransmit_factor", "1 to 10"),
            (within(self.push_pull_interval, ms(1_000), ms(600_000)), "push_pull_interval", "1 s to 10 min"),
            (within(self.reconnect_interval, ms(100), ms(60_000)), "reconnect_interval", "100 ms to 1 min"),
            (within(self.seed_interval, ms(1_000), ms(600_000)), "seed_interval", "1 s to 10 min"),
            (within(self.evidence_window, interval, interval * 4), "evidence_window", "1 to 4 probe intervals"),
            (within(self.stall_limit, ms(100), ms(10_000)), "stall_limit", "100 ms to 10 s"),
            (within(self.forget_after, ms(60_000), ms(2_592_000_000)), "forget_after", "1 min to 30 days"),
            ((2..=4096).contains(&self.max_members), "max_members", "2 to 4096"),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, name, range)) => Err(OutOfRange { name, range }),
            None => Ok(self),
        }
    }
}

fn within(value: Duration, least: Duration, most: Duration) -> bool {
    (least..=most).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), expected: Option<&'static str>) {
        let mut config = Config::default();
        change(&mut config);
        assert_eq!(config.checked().err().map(|error| error.name), expected);
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        check(|_| {}, None);
        check(|c| c.probe_interval = Duration::ZERO, Some("probe_interval"));
        check(|c| c.probe_timeout = c.probe_interval, Some("probe_timeout"));
        check(|c| c.suspicion_max = c.suspicion_min / 2, Some("suspicion_max"));
        check(|c| c.confirmations = 0, Some("confirmations"));
        check(|c| c.max_members = 1, Some("max_members"));
    }
}
