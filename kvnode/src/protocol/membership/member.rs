//! A member: what it says of itself, and what this node believes of it.
//!
//! A member's own words are ordered by its incarnation, which only it may raise. It starts from
//! `max(saved + 1, unix milliseconds)`, so that a node that lost what it saved still starts above its past.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use super::MonotonicTime;
use crate::protocol::id::{ClusterId, EpochNumber, NodeId, NodeName, ZoneName};

/// Orders what is said of one member; only the member itself raises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The highest that is accepted from others (2^56): far above any clock, and far from overflow.
    pub const MAX: Self = Self(1 << 56);

    /// None above [`Incarnation::MAX`], so that a corrupt number cannot lock a node out of refuting for ever.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }
    /// The incarnation to start with: above the saved one and not below wall time in milliseconds.
    #[must_use]
    pub fn at_start(saved: Option<Self>, unix_milliseconds: u64) -> Self {
        saved.map_or(Self(0), Self::next).max(Self(unix_milliseconds)).min(Self::MAX)
    }
    /// The next one; stays at the highest.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1).min(Self::MAX)
    }
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The release a node runs, for example `0.1.0`: 1 to 32 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Release(Arc<str>);

/// The text is no release: empty, too long or with other than visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a release has 1 to {max} visible ASCII characters", max = Release::MAX_BYTES)]
pub struct ReleaseError;

impl Release {
    /// Longest text in bytes.
    pub const MAX_BYTES: usize = 32;
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Release {
    type Err = ReleaseError;
    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let plausible = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plausible { Ok(Self(Arc::from(text))) } else { Err(ReleaseError) }
    }
}

/// Where a member listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Addresses {
    /// REST.
    pub api: SocketAddr,
    /// Peer protocol; also push/pull.
    pub peer: SocketAddr,
    /// Gossip datagrams.
    pub gossip: SocketAddr,
}

/// What a member says of its part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Facts {
    /// Its cluster; none before bootstrap.
    pub cluster: Option<ClusterId>,
    /// The epoch it has adopted; 0 before bootstrap.
    pub epoch: EpochNumber,
    /// SHA-256 of that epoch's canonical bytes; zeros before bootstrap.
    pub epoch_hash: [u8; 32],
    /// It asks for no new work.
    pub draining: bool,
}

/// A member in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Id of its data folder.
    pub id: NodeId,
    /// Name.
    pub name: NodeName,
    /// Zone.
    pub zone: ZoneName,
    /// Where it listens.
    pub addresses: Addresses,
    /// Version of these words.
    pub incarnation: Incarnation,
    /// Release it runs.
    pub release: Release,
    /// Its part in the cluster.
    pub facts: Facts,
    /// How busy it is, 0 to 255; not covered by the incarnation.
    pub load: u8,
}

/// What is believed of a member. The order is that of precedence at the same incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Answers.
    Alive,
    /// Missed probes; may refute.
    Suspect,
    /// Given up until it refutes or restarts.
    Dead,
    /// Said goodbye; until it restarts.
    Left,
}

impl State {
    /// Whether it may still answer.
    #[must_use]
    pub fn is_present(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// A member and what this node believes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// In its own words.
    pub member: Arc<Member>,
    /// The belief.
    pub state: State,
    /// Incarnation at which the belief holds; at or above the member's own.
    pub incarnation: Incarnation,
    /// When the state last changed here.
    pub since: MonotonicTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_never_starts_at_or_below_its_past() {
        for (saved, wall, expected) in [(None, 7, 7), (Some(7), 7, 8), (Some(9), 7, 10), (Some(3), 7, 7), (None, 0, 0)]
        {
            let saved = saved.and_then(Incarnation::new);
            assert_eq!(Incarnation::at_start(saved, wall).get(), expected, "{saved:?} {wall}");
        }
        assert_eq!(Incarnation::new(u64::MAX), None);
        assert_eq!(Incarnation::at_start(Some(Incarnation::MAX), u64::MAX), Incarnation::MAX);
    }

    #[test]
    fn releases_are_short_and_plain() {
        for (text, good) in [("0.1.0", true), ("", false), ("a b", false), ("é", false), (&"1".repeat(33), false)] {
            assert_eq!(text.parse::<Release>().is_ok(), good, "{text}");
        }
    }
}
