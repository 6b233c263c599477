//! What members tell each other: packets (datagrams) and exchanges (streams), as values.
//!
//! Every packet carries its sender's own record: a receiver that holds the sender as dead, or does not know it,
//! finds out at once. Bytes are made in `gossip::packet`; only upper bounds of sizes are known here, so that the
//! machine never fills a packet beyond what a datagram carries.

use std::net::SocketAddr;
use std::sync::Arc;

use super::member::{Incarnation, Member, State};
use crate::protocol::id::NodeId;

/// Bytes that the sender's record and the updates of one packet may take together: 1400 less the seal (49) and the
/// body (at most 60), with room to spare.
pub const PACKET_BUDGET: usize = 1270;

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it, in its own words.
    pub sender: Arc<Member>,
    /// What it wants.
    pub body: Body,
    /// News.
    pub updates: Vec<Update>,
}

/// What a packet wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Only to carry updates.
    Gossip,
    /// Answer with an ack, if you are `target`.
    Ping {
        /// To be given back.
        sequence: u64,
        /// Who is meant: another process may have its address by now.
        target: NodeId,
    },
    /// `about` has answered (the sender itself, or one it probed for the receiver).
    Ack {
        /// Of the ping.
        sequence: u64,
        /// Who lives.
        about: NodeId,
    },
    /// Ping `target` for me, and tell me either way.
    PingRequest {
        /// To be given back.
        sequence: u64,
        /// Whom.
        target: NodeId,
        /// Its gossip address; the helper may not know it.
        address: SocketAddr,
    },
    /// The helper's own probe brought no answer in time; but the helper lives (Lifeguard, section IV-A).
    Nack {
        /// Of the ping request.
        sequence: u64,
    },
}

/// A piece of news about one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// It lives, in its own words.
    Alive(Arc<Member>),
    /// It missed the probes of `accuser`.
    Suspect(Accusation),
    /// Its suspicion ran out at `accuser`.
    Dead(Accusation),
    /// It said goodbye.
    Left {
        /// Who.
        subject: NodeId,
        /// In which of its incarnations.
        incarnation: Incarnation,
    },
}

/// Who accuses whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accusation {
    /// The accused.
    pub subject: NodeId,
    /// In which of its incarnations.
    pub incarnation: Incarnation,
    /// Who saw it fail itself, not who passed it on: confirmations are counted by it.
    pub accuser: NodeId,
}

impl Update {
    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> NodeId {
        match self {
            Self::Alive(member) => member.id,
            Self::Suspect(accusation) | Self::Dead(accusation) => accusation.subject,
            Self::Left { subject, .. } => *subject,
        }
    }

    /// Where it stands in the order of precedence: by incarnation, then by state.
    #[must_use]
    pub fn precedence(&self) -> (Incarnation, State) {
        match self {
            Self::Alive(member) => (member.incarnation, State::Alive),
            Self::Suspect(accusation) => (accusation.incarnation, State::Suspect),
            Self::Dead(accusation) => (accusation.incarnation, State::Dead),
            Self::Left { incarnation, .. } => (*incarnation, State::Left),
        }
    }

    /// Whether it makes `old` pointless to tell. Accusations by different accusers confirm and do not replace
    /// each other.
    #[must_use]
    pub fn replaces(&self, old: &Self) -> bool {
        if self.subject() != old.subject() || self.precedence() < old.precedence() {
            return false;
        }
        match (self, old) {
            (Self::Suspect(new), Self::Suspect(old)) => new.incarnation > old.incarnation || new.accuser == old.accuser,
            _ => true,
        }
    }

    /// Bytes it takes in a packet, at most.
    #[must_use]
    pub fn bytes_at_most(&self) -> usize {
        match self {
            Self::Alive(member) => 1 + member.bytes_at_most(),
            Self::Suspect(_) | Self::Dead(_) | Self::Left { .. } => 1 + 16 + 8 + 16,
        }
    }
}

impl Member {
    /// Bytes its record takes in a packet, at most: IPv6 addresses, a cluster, and its own texts.
    #[must_use]
    pub fn bytes_at_most(&self) -> usize {
        let texts = 3 + self.name.as_str().len() + self.zone.as_str().len() + self.release.as_str().len();
        let (ids, addresses, facts) = (16 + 8, 3 * (1 + 16 + 2), 1 + 16 + 8 + 32 + 1 + 1);
        ids + texts + addresses + facts
    }
}

/// The full state of one node, for push/pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who sends it.
    pub sender: Arc<Member>,
    /// What it believes of all others.
    pub members: Vec<(Arc<Member>, Standing)>,
}

/// What the sender of an exchange believes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Alive,
    /// It is suspected.
    Suspect {
        /// In which of its incarnations; at or above the record's.
        incarnation: Incarnation,
        /// By whom first.
        accuser: NodeId,
    },
    /// It was given up.
    Dead {
        /// In which of its incarnations.
        incarnation: Incarnation,
        /// By whom.
        accuser: NodeId,
    },
    /// It said goodbye.
    Left {
        /// In which of its incarnations.
        incarnation: Incarnation,
    },
}
