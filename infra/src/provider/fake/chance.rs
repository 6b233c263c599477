//! Seeded chance, and how often a fake cloud misbehaves in which way.
//!
//! The same seed and the same calls give the same misfortunes. Nothing here knows what a resource is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::resource::Kind;

/// A seeded source of numbers (xorshift64*). Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A source; every seed gives another sequence.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The generator must not start from zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d | 1)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match bound {
            0 => 0,
            bound => (self.next() >> 11) % bound,
        }
    }

    /// True this many times of a thousand.
    pub const fn permille(&mut self, times: u32) -> bool {
        times > 0 && self.below(1000) < times as u64
    }

    /// A duration of at most `longest`.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX).saturating_add(1)))
    }
}

/// How a fake cloud misbehaves. Rates are per thousand calls.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Calls that are refused as too many.
    pub throttled: u32,
    /// Calls that fail before doing anything.
    pub transient: u32,
    /// Calls that are done, but their reply is lost.
    pub lost_replies: u32,
    /// Calls that are lost on their way.
    pub lost_requests: u32,
    /// Gateways that go `failed`.
    pub failing_gateways: u32,
    /// Instances that find no capacity.
    pub no_capacity: u32,
    /// Longest time that something new is seen by some calls only.
    pub invisible: Duration,
    /// Longest time that an observation may show what is gone, or values from before a change.
    pub stale: Duration,
    /// Longest time until a new role or profile is known to other services.
    pub propagation: Duration,
    /// Whether gateways, balancers and instances take their time, and what they leave behind lingers.
    pub slow: bool,
    /// Calls that are not allowed, for example `ec2:CreateVpc`.
    pub denied: BTreeSet<String>,
    /// Most things of a kind.
    pub quotas: BTreeMap<Kind, usize>,
}

impl Faults {
    /// No faults: everything is done at once.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes its time, as the real one does, and otherwise does what it is told.
    #[must_use]
    pub fn calm() -> Self {
        Self { slow: true, propagation: Duration::from_secs(12), ..Self::default() }
    }

    /// A mixture of everything from which one recovers without help, stronger or weaker by seed.
    #[must_use]
    pub fn mixture(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut some = |most: u64| u32::try_from(chance.below(most)).unwrap_or(0);
        Self {
            throttled: some(150),
            transient: some(80),
            lost_replies: some(120),
            lost_requests: some(80),
            failing_gateways: some(150),
            no_capacity: 0,
            invisible: Duration::from_millis(some(12_000).into()),
            stale: Duration::from_millis(some(10_000).into()),
            propagation: Duration::from_millis(some(30_000).into()),
            slow: true,
            denied: BTreeSet::new(),
            quotas: BTreeMap::new(),
        }
    }
}
