//! What all parts of a node share: its identity, store, peers, ring, clock and liveness beliefs.
//!
//! Held behind one `Arc`. It has small answers (who is usable, what time is it, where does a key live) and no loops.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Mutex, RwLock};

use super::gossip::GossipHandle;
use super::hedging::{AVOIDED_FOR, Budget};
use super::operation::Failed;
use super::route::Route;
use super::routing::Candidate;
use crate::metrics::Metrics;
use crate::peer::client::PeerPool;
use crate::peer::greeting::LocalIdentity;
use crate::peer::{FailureKind, OperationFailure};
use crate::protocol::id::{EpochNumber, NodeId, NodeName, PartitionId, ZoneName};
use crate::protocol::key::Key;
use crate::protocol::membership::member::Facts;
use crate::protocol::register::Refusal;
use crate::protocol::ring::epoch::RingEpoch;
use crate::protocol::stamp::{HybridClock, Stamp};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;
use crate::storage::Storage;

/// Who this node is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Id of its data folder.
    pub(super) id: NodeId,
    /// Name.
    pub(super) name: NodeName,
    /// Zone.
    pub(super) zone: ZoneName,
}

/// The common ground of a node's parts.
pub(super) struct Shared {
    pub(super) identity: Identity,
    pub(super) storage: Storage,
    pub(super) peers: PeerPool,
    pub(super) local: Arc<LocalIdentity>,
    pub(super) gossip: GossipHandle,
    /// Lets one request to the first ring's acceptor pass at a time.
    pub(super) acceptor: tokio::sync::Mutex<()>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) hedges: Budget,
    pub(super) ring: ArcSwapOption<RingEpoch>,
    /// Nodes that gossip calls dead or left: nothing is sent to them.
    pub(super) shunned: ArcSwap<HashSet<NodeId>>,
    /// Nodes that are draining: writes still reach them, other work goes elsewhere while it can.
    pub(super) reluctant: ArcSwap<HashSet<NodeId>>,
    /// Peers that were late lately, and until when they are asked last.
    pub(super) slow: RwLock<HashMap<NodeId, Instant>>,
    pub(super) draining: AtomicBool,
    pub(super) started_at: Instant,
    pub(super) hybrid: Mutex<HybridClock>,
}

impl Shared {
    /// Hybrid time in microseconds.
    pub(super) fn hybrid_now(&self) -> u64 {
        self.hybrid.lock().now(clock::wall_micros())
    }

    /// A new stamp above `floor`.
    pub(super) fn issue_stamp(&self, floor: Stamp) -> Stamp {
        self.hybrid.lock().issue(clock::wall_micros(), floor)
    }

    /// Moves the clock past a stamp seen.
    pub(super) fn observe(&self, stamp: Stamp) {
        self.hybrid.lock().observe(stamp);
    }

    /// Whether it makes sense to send to a node.
    pub(super) fn is_usable(&self, node: NodeId) -> bool {
        !self.shunned.load().contains(&node)
    }

    /// Whether new work should go to a node rather than to another.
    fn is_willing(&self, node: NodeId) -> bool {
        let reluctant = self.reluctant.load().contains(&node);
        self.is_usable(node) && self.peers.is_connected(node) && !reluctant && !self.is_slow(node)
    }

    fn is_slow(&self, node: NodeId) -> bool {
        let slow = self.slow.read();
        !slow.is_empty() && slow.get(&node).is_some_and(|until| clock::monotonic_now() < *until)
    }

    /// Has a peer asked last for a while, because an operation waited too long for it.
    pub(super) fn avoid(&self, node: NodeId) {
        let now = clock::monotonic_now();
        let mut slow = self.slow.write();
        slow.retain(|_, until| now < *until);
        slow.insert(node, now + AVOIDED_FOR);
    }

    /// The epoch adopted here; number 0 if none.
    pub(super) fn epoch_number(&self) -> EpochNumber {
        self.ring.load().as_ref().map_or(EpochNumber(0), |ring| ring.number())
    }

    /// The replicas of a key under the current epoch.
    pub(super) fn route(&self, key: &Key) -> Result<Route, Failed> {
        let epoch = self.ring.load_full().ok_or_else(no_ring)?;
        let partition = epoch.partition_of(key);
        Ok(self.route_partition(epoch, partition))
    }

    /// The replicas of a partition under a given epoch.
    pub(super) fn route_partition(&self, epoch: Arc<RingEpoch>, partition: PartitionId) -> Route {
        let this = self.identity.id;
        Route::new(epoch, partition, this, |replica| Candidate {
            is_self: replica.id == this,
            usable: replica.id == this || self.is_willing(replica.id),
            same_zone: replica.zone == self.identity.zone,
            latency: self.peers.latency(replica.id).map_or(Duration::ZERO, |latency| latency.mean),
        })
    }

    /// Whether this node holds a partition under an epoch number that it shares.
    pub(super) fn holds(&self, epoch: EpochNumber, partition: PartitionId) -> Result<(), Refusal> {
        let ring = self.ring.load();
        let Some(ring) = ring.as_ref().filter(|ring| ring.number() == epoch) else {
            return Err(Refusal::WrongEpoch { current: self.epoch_number() });
        };
        if ring.is_replica(partition, self.identity.id) { Ok(()) } else { Err(Refusal::NotReplica) }
    }

    /// Tells the other members what this node says of itself now.
    pub(super) fn tell_gossip(&self) {
        let ring = self.ring.load();
        self.gossip.set_local(Facts {
            cluster: ring.as_ref().map(|ring| ring.cluster()),
            epoch: self.epoch_number(),
            epoch_hash: ring.as_ref().map(|ring| ring.hash().0).unwrap_or_default(),
            draining: self.is_draining(),
        });
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The failure of every operation before there is a ring.
pub(super) fn no_ring() -> Failed {
    let failure = OperationFailure { kind: FailureKind::NoRing, may_be_applied: false, required: 0, received: 0 };
    Failed { failure, epoch: EpochNumber(0), partition: None, replicas_total: 0 }
}
