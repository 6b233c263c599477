//! The replicas of one key under one epoch, in the order in which this node asks them.
//!
//! An operation holds one route, and so one epoch, from start to end.

use std::sync::Arc;

use super::routing::{self, Candidate};
use crate::protocol::id::{EpochNumber, NodeId, NodeName, PartitionId};
use crate::protocol::register::replicas::{MAX_REPLICAS, ReplicaIndex};
use crate::protocol::ring::epoch::{RingEpoch, RingNode};

/// Where an operation goes.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) epoch: Arc<RingEpoch>,
    pub(super) partition: PartitionId,
    nodes: [NodeId; MAX_REPLICAS],
    zones: [u8; MAX_REPLICAS],
    order: [ReplicaIndex; MAX_REPLICAS],
    count: usize,
    this: NodeId,
}

impl Route {
    pub(super) fn new(
        epoch: Arc<RingEpoch>,
        partition: PartitionId,
        this: NodeId,
        candidate: impl Fn(&RingNode) -> Candidate,
    ) -> Self {
        let mut nodes = [this; MAX_REPLICAS];
        let mut zones = [0; MAX_REPLICAS];
        let mut candidates = [Candidate::UNKNOWN; MAX_REPLICAS];
        let mut count = 0;
        for replica in epoch.replicas(partition).take(MAX_REPLICAS) {
            nodes[count] = replica.id;
            let same_zone = epoch.replicas(partition).position(|other| other.zone == replica.zone);
            zones[count] = same_zone.and_then(|first| u8::try_from(first).ok()).unwrap_or_default();
            candidates[count] = candidate(replica);
            count += 1;
        }
        let (order, count) = routing::preference(&candidates[..count]);
        Self { epoch, partition, nodes, zones, order, count, this }
    }

    /// Replica indexes, best first.
    pub(super) fn preference(&self) -> &[ReplicaIndex] {
        &self.order[..self.count]
    }

    /// Zone number of each replica, by replica index.
    pub(super) fn zones(&self) -> &[u8] {
        &self.zones[..self.count]
    }

    pub(super) fn node(&self, replica: ReplicaIndex) -> NodeId {
        self.nodes[replica.index()]
    }

    pub(super) fn is_self(&self, replica: ReplicaIndex) -> bool {
        self.node(replica) == self.this
    }

    /// A replica's name.
    pub(super) fn name(&self, replica: ReplicaIndex) -> Option<NodeName> {
        self.epoch.node(self.node(replica)).map(|node| node.name.clone())
    }

    /// The best replica but this node: the one an operation waits for.
    pub(super) fn first_other(&self) -> Option<NodeId> {
        self.preference().iter().map(|replica| self.node(*replica)).find(|node| *node != self.this)
    }

    /// Whether this node holds the key.
    pub(super) fn includes_self(&self) -> bool {
        self.nodes[..self.count].contains(&self.this)
    }

    pub(super) fn epoch_number(&self) -> EpochNumber {
        self.epoch.number()
    }
}
