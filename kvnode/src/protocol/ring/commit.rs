//! How the named nodes agree on exactly one first epoch: single-decree Paxos (Lamport, "Paxos Made Simple", 2001).
//!
//! The acceptors of a first epoch are exactly the nodes it names, and a quorum is *all* of them. So of two acts whose
//! sets of nodes share a node, at most one can ever be decided: at that node either the second act's promise refuses
//! the first act's accept, or the second act sees what was accepted and finishes it (same set) or gives up (another).
//! Starting the act again is always safe and finishes what was left. A node that has a ring answers with it.
//! The machines send nothing and store nothing; the shell persists what [`Acceptor::on_request`] says before it
//! replies, and draws no conclusions of its own.

use std::fmt;
use std::sync::Arc;

use super::epoch::RingEpoch;
use crate::protocol::id::NodeId;

mod acceptor;
mod codec;
#[cfg(test)]
mod model;
mod proposer;
#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, Decision};
pub use codec::MAX_MESSAGE_BYTES;
pub use proposer::{Failure, Proposer, Step};

/// Attempts before a proposer gives up, counting a refused ballot and a timeout alike: with a timeout of a second
/// each, an operator waits no longer than for a slow command.
pub const MAX_ATTEMPTS: u32 = 10;

/// Orders attempts. One node runs one proposer at a time and starts it above what its own acceptor has promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Rises with each attempt; 0 is below every attempt.
    pub round: u32,
    /// Who proposes.
    pub node: NodeId,
}

impl Ballot {
    /// Below every ballot in use.
    pub const ZERO: Self = Self { round: 0, node: NodeId::from_bits(0) };
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.round, self.node)
    }
}

/// A value an acceptor accepted, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The ballot it came with.
    pub ballot: Ballot,
    /// The value.
    pub epoch: Arc<RingEpoch>,
}

/// What an acceptor must never forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Ballots below this are refused.
    pub promised: Ballot,
    /// The last value accepted.
    pub accepted: Option<Accepted>,
}

impl Durable {
    /// An acceptor that was never asked.
    pub const NEW: Self = Self { promised: Ballot::ZERO, accepted: None };
}

/// What a proposer asks of an acceptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Promise to refuse lower ballots, and tell what you accepted.
    Prepare {
        /// This attempt.
        ballot: Ballot,
    },
    /// Accept this value unless you promised a higher ballot.
    Accept {
        /// This attempt.
        ballot: Ballot,
        /// The value.
        epoch: Arc<RingEpoch>,
    },
    /// It is decided: this is the ring.
    Commit {
        /// The value.
        epoch: Arc<RingEpoch>,
    },
}

/// What an acceptor answers. Each must reach only the proposer that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `Prepare`.
    Promised {
        /// The ballot promised.
        ballot: Ballot,
        /// What was accepted before.
        accepted: Option<Accepted>,
    },
    /// To `Accept`.
    Accepted {
        /// The ballot accepted.
        ballot: Ballot,
    },
    /// To `Commit`, and to anything else once the node has a ring.
    Committed {
        /// The node's ring.
        epoch: Arc<RingEpoch>,
    },
    /// The ballot is not above what was promised, or the commit is not of the value accepted.
    Refused {
        /// The ballot to exceed.
        promised: Ballot,
    },
    /// The value is no first epoch, or does not name this node under its present id.
    Unfit,
}
