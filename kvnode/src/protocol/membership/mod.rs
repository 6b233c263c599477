//! Gossip membership: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey 2017), sans-IO.
//!
//! [`machine::Membership`] turns one [`Input`] at one moment into [`Output`]s; the shell in `node::gossip` and the
//! simulator in `tests` both drive it. Besides the papers it has: confirmations that count only from different
//! zones, data-plane replies as acks, accusations told to the accused (so that it can refute), push/pull over the
//! peer protocol, and stall detection (a node that was paused blames itself first).
//!
//! It deliberately does not decide who owns data: a member that is dead keeps its partitions, the ring says so.
//! It knows no bytes (`gossip::packet` does), no sockets and no clock.
//!
//! Reading order: `member`, `message`, `machine` (routes), `merge` (who wins), `probe`, `suspicion`, `contact`.

mod contact;
mod dissemination;
mod health;
mod merge;
mod suspicion;

pub mod config;
pub mod machine;
pub mod member;
pub mod message;
mod probe;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use self::member::{Facts, Incarnation, Known, Member, State};
use self::message::{Exchange, Packet};
use super::id::{ClusterId, NodeId, NodeName, ZoneName};

/// A moment: time since the process started, never going back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonotonicTime(Duration);

impl MonotonicTime {
    /// The moment this long after the start.
    #[must_use]
    pub const fn from_start(since: Duration) -> Self {
        Self(since)
    }
    /// Time since the start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }
    /// Time from `earlier` to this moment; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for MonotonicTime {
    type Output = Self;
    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(more))
    }
}

/// Where a stream exchange may be tried: `host:port` of a peer listener, resolved by the shell at each try.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact(Arc<str>);

impl Contact {
    /// Longest accepted text in bytes: a DNS name of 253, a colon, five digits, and brackets.
    pub const MAX_BYTES: usize = 261;

    /// Takes `host:port`; none if it is empty, too long or has no colon. It is not resolved.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plausible = !text.is_empty() && text.len() <= Self::MAX_BYTES && text.contains(':');
        plausible.then(|| Self(Arc::from(text)))
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SocketAddr> for Contact {
    fn from(address: SocketAddr) -> Self {
        Self(Arc::from(address.to_string()))
    }
}

/// What happens to the machine.
#[derive(Debug, Clone)]
pub enum Input {
    /// A packet that opened under the keyring.
    Packet {
        /// Where it came from.
        from: SocketAddr,
        /// What it says.
        packet: Packet,
    },
    /// Time has passed: to be given at [`machine::Membership::next_deadline`], harmless at any time.
    Wake,
    /// The answer to [`Output::Exchange`].
    ExchangeReply {
        /// Its ticket.
        ticket: u64,
        /// The other node's state.
        exchange: Exchange,
    },
    /// [`Output::Exchange`] brought no answer.
    ExchangeFailed {
        /// Its ticket.
        ticket: u64,
    },
    /// A reply of the data plane came from this node: as good as an ack.
    Heard {
        /// Who answered.
        node: NodeId,
        /// When.
        at: MonotonicTime,
    },
    /// The data-plane connection to this node closed: it is probed at once.
    ConnectionLost {
        /// Who.
        node: NodeId,
    },
    /// What this node says of itself has changed; told to all under a new incarnation.
    SetFacts(Facts),
    /// How busy this node is, 0 to 255; goes along with packets, not worth an incarnation.
    SetLoad(u8),
    /// More seeds to try.
    Join(Vec<Contact>),
    /// Say goodbye: others shall hold this node as left, not as dead.
    Leave,
}

/// What the shell is to do, in this order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send one datagram.
    Send {
        /// To this gossip address.
        to: SocketAddr,
        /// Its content.
        packet: Packet,
    },
    /// Push/pull over a stream; answer with `ExchangeReply` or `ExchangeFailed`.
    Exchange {
        /// To be given back.
        ticket: u64,
        /// Whom to ask.
        with: Contact,
        /// What to say.
        request: Exchange,
    },
    /// Keep this across restarts, replacing what was kept before.
    Remember(Remembered),
    /// Tell whoever listens.
    Event(Event),
}

/// What a node keeps of gossip across restarts. Losing it is safe: seeds and refutation make up for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// Highest incarnation used.
    pub incarnation: Incarnation,
    /// Peers met, at most [`Remembered::MAX_PEERS`].
    pub peers: Vec<KnownPeer>,
}

impl Remembered {
    /// Most peers kept: enough to find any cluster of ours again, and a small record.
    pub const MAX_PEERS: usize = 64;
}

/// Addresses of a peer met before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KnownPeer {
    /// Its peer protocol address.
    pub peer: SocketAddr,
    /// Its gossip address.
    pub gossip: SocketAddr,
}

/// What a listener may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member is new or changed its state, incarnation or facts.
    Changed {
        /// What is believed now.
        known: Known,
        /// What it was before; none if new.
        previous: Option<State>,
    },
    /// A member is no longer remembered (long dead, or of another cluster).
    Forgotten {
        /// Its id.
        id: NodeId,
    },
    /// Two processes claim one id at different addresses: a copied data folder, or a node that moved. The first
    /// stays; the second is taken once the first is dead. Nobody is killed.
    IdConflict {
        /// The one known.
        held: Arc<Member>,
        /// The one refused.
        claimed: Arc<Member>,
    },
    /// Two live nodes claim one name. Both stay members; the ring knows them by id.
    NameConflict {
        /// The name.
        name: NodeName,
        /// The one known.
        held: NodeId,
        /// The other.
        claimed: NodeId,
    },
    /// A packet or exchange came from a member of another cluster, and was dropped.
    ForeignCluster {
        /// The other cluster.
        cluster: ClusterId,
        /// Who said it.
        from: Arc<Member>,
    },
    /// This node has no cluster, and a member of one was heard: fetch its epoch to see whether we belong to it.
    ClusterHeard {
        /// The cluster.
        cluster: ClusterId,
        /// Who said it.
        from: Arc<Member>,
    },
    /// All who accused a node stood in one zone and the node refuted: the link between these zones is bad.
    ZoneLinkDegraded {
        /// Zone of the accusers.
        from: ZoneName,
        /// Zone of the accused.
        to: ZoneName,
    },
    /// A node answers over streams but not over datagrams: a firewall, most likely.
    DatagramsBlocked {
        /// The node.
        id: NodeId,
    },
    /// Others suspected this node or held it dead; it has told them otherwise.
    Refuted {
        /// The new incarnation.
        incarnation: Incarnation,
    },
    /// This process did not run for a while; it does not blame others for that.
    Stalled {
        /// For how long.
        lateness: Duration,
    },
    /// The roster is full of live members; a new one was ignored.
    RosterFull,
}
