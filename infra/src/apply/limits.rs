//! Every bound of a run: how long each thing may take, how often it is looked at, how much is done at once.
//!
//! The values of [`Limits::default`] come from the services' documented and measured times; tests shorten them.
//! What is decided with them stands in `decision`.

use std::time::Duration;

use crate::resource::Kind;

/// How long and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Operations under way at once. EC2 refills its bucket of changing calls at 5 to 20 a second and a call takes
    /// about half a second, so more than 16 would only be throttled.
    pub concurrent: usize,
    /// Total time of being throttled at one operation.
    pub throttled: Duration,
    /// Total time of transient failures at one operation.
    pub transient: Duration,
    /// Total time that something just made may be unknown elsewhere (an instance profile takes up to a minute).
    pub not_yet: Duration,
    /// Total time that something just made, or what it refers to, may be invisible.
    pub invisible: Duration,
    /// How long one looks for what an operation with an unknown outcome may have made before making it again.
    pub dwell: Duration,
    /// How often something is made again after an unknown outcome that left nothing visible.
    pub recreations: u32,
    /// How often something that turned out broken is deleted and made anew.
    pub replacements: u32,
    /// How long to wait before making something broken anew, times how often it broke; what broke it is usually a thing
    /// not yet known.
    pub before_replacement: Duration,
    /// Total time that a creation or change may be kept up by another use (an address whose NAT gateway is going).
    pub busy: Duration,
    /// Total time that a deletion may be blocked by others.
    pub blocked: Duration,
    /// Time between two attempts at something that is in use.
    pub in_use_interval: Duration,
    /// How long something may look unharmed after its deletion was accepted, before it is deleted again.
    pub delete_again: Duration,
    /// How often a deletion must be told that there is nothing to delete before that is believed.
    pub gone_voices: u32,
    /// A safety measure that is left out, so that a test shows that the measure matters.
    #[cfg(test)]
    pub(crate) left_out: Option<Measure>,
}

/// Something the engine does for safety's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// After an unknown outcome it looks for what was made before it makes it again.
    LookAfterUnknown,
    /// It waits until something that it deleted is gone.
    WaitForGone,
    /// It waits until something that it made is ready.
    WaitForReady,
    /// It never adopts what the plan deletes.
    SpareCondemned,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent: 16,
            throttled: minutes(5),
            transient: minutes(2),
            not_yet: minutes(2),
            invisible: minutes(1),
            dwell: Duration::from_secs(20),
            recreations: 4,
            replacements: 2,
            before_replacement: Duration::from_secs(12),
            busy: minutes(5),
            blocked: minutes(10),
            in_use_interval: Duration::from_secs(4),
            delete_again: Duration::from_secs(15),
            gone_voices: 3,
            #[cfg(test)]
            left_out: None,
        }
    }
}

impl Limits {
    /// How long one of this kind may take until it is ready.
    #[must_use]
    pub const fn ready(&self, kind: Kind) -> Duration {
        match kind {
            // A registration is ready when its machine has started, joined the others and passed its checks.
            Kind::LoadBalancer | Kind::TargetRegistration => minutes(15),
            Kind::NatGateway | Kind::Instance => minutes(10),
            _ => minutes(5),
        }
    }

    /// How long one of this kind may take until it is gone.
    #[must_use]
    pub const fn gone(&self, kind: Kind) -> Duration {
        match kind {
            Kind::NatGateway | Kind::Instance | Kind::LoadBalancer => minutes(15),
            _ => minutes(10),
        }
    }

    /// Whether a test left a measure out; never outside tests.
    #[cfg(test)]
    pub(super) fn leaves_out(&self, measure: Measure) -> bool {
        self.left_out == Some(measure)
    }

    /// Whether a test left a measure out; never outside tests.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the tests' variant of it looks at a field")]
    pub(super) const fn leaves_out(&self, _measure: Measure) -> bool {
        false
    }
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
