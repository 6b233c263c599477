//! All that the API sees of the node, as a trait, so that the API can be tested against a small fake.
//!
//! Every method is safe to call at any time, also before there is a ring. An operation that was started runs to
//! its end even if the returned future is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::operation::{Explained, Failed, Got, ListQuery, Listed, MemberState, Options, PutValue, Wrote};
use crate::protocol::id::{ClusterId, EpochNumber, NodeId, NodeName, PartitionId, ZoneName};
use crate::protocol::key::Key;

/// The node, as the API uses it.
pub trait NodeService: Clone + Send + Sync + 'static {
    /// Reads a key.
    fn get(&self, key: Key, options: Options) -> impl Future<Output = Result<Got, Failed>> + Send;
    /// Writes a key.
    fn put(&self, key: Key, value: PutValue, options: Options) -> impl Future<Output = Result<Wrote, Failed>> + Send;
    /// Deletes a key; idempotent.
    fn delete(&self, key: Key, options: Options) -> impl Future<Output = Result<Wrote, Failed>> + Send;
    /// One page of keys in order.
    fn list(&self, query: ListQuery) -> impl Future<Output = Result<Listed, Failed>> + Send;
    /// Why a key reads as it does.
    fn explain(&self, key: Key, options: Options) -> impl Future<Output = Result<Explained, Failed>> + Send;
    /// What this node believes of the cluster.
    fn view(&self) -> ClusterView;
    /// The checks behind `/livez`: the event loop turns, the committer is not stuck.
    fn liveness(&self) -> Vec<Check>;
    /// The checks behind `/readyz`: ring known, store open, not draining.
    fn readiness(&self) -> Vec<Check>;
    /// Forms the first ring; safe to repeat with the same act.
    fn bootstrap(&self, act: Bootstrap) -> impl Future<Output = Result<Bootstrapped, BootstrapError>> + Send;
    /// Turns draining on or off: `/readyz` fails and peers send no new client work while on.
    fn set_draining(&self, draining: bool);
}

/// One named check of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable name, for example `ring`.
    pub name: &'static str,
    /// Why it fails; none if it holds.
    pub failure: Option<String>,
}

/// The explicit act that forms the first ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// Names of exactly the nodes that shall form it; the act fails unless all are alive and agree.
    pub nodes: Vec<NodeName>,
    /// Copies of each key; 1 to the number of nodes.
    pub replicas: u8,
    /// Power of two.
    pub partitions: u32,
}

/// The ring that came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrapped {
    /// Cluster.
    pub cluster: ClusterId,
    /// Epoch, 1 after a first bootstrap.
    pub epoch: EpochNumber,
    /// True if the ring stood before and this act changed nothing.
    pub already: bool,
}

/// Why no ring was formed. Nothing was changed unless said otherwise; every case may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// Some named nodes are not known or not alive.
    #[error("not every named node is alive here: missing {}", join(missing))]
    Missing {
        /// Their names.
        missing: Vec<NodeName>,
    },
    /// Another ring exists.
    #[error("this node is already in cluster {cluster} with nodes {}", join(nodes))]
    OtherRing {
        /// Its id.
        cluster: ClusterId,
        /// Its nodes.
        nodes: Vec<NodeName>,
    },
    /// The request makes no ring, for example more replicas than nodes.
    #[error("{reason}")]
    Impossible {
        /// In words.
        reason: String,
    },
    /// A node did not answer or another bootstrap is in flight.
    #[error("the nodes did not agree: {reason}")]
    NotAgreed {
        /// In words.
        reason: String,
    },
}

fn join(names: &[NodeName]) -> String {
    names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

/// What one node believes of the cluster, at one moment.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// This node.
    pub this: NodeId,
    /// The cluster; none before bootstrap.
    pub cluster: Option<ClusterId>,
    /// 0 before bootstrap.
    pub epoch: EpochNumber,
    /// Hex SHA-256 of the epoch's canonical bytes; empty before bootstrap.
    pub epoch_hash: String,
    /// Copies of each key.
    pub replicas: usize,
    /// Members by name order: all of the ring and all that gossip knows.
    pub nodes: Vec<NodeView>,
    /// Replica ids of each partition, by partition number; empty before bootstrap.
    pub assignment: Arc<Vec<Vec<NodeId>>>,
    /// This node's own figures.
    pub local: LocalView,
}

/// A member as this node sees it.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Id of its data folder.
    pub id: NodeId,
    /// Name.
    pub name: NodeName,
    /// Zone.
    pub zone: ZoneName,
    /// Whether the current epoch names it.
    pub in_ring: bool,
    /// Liveness.
    pub state: MemberState,
    /// Wall microseconds at which `state` was last changed here.
    pub since_micros: u64,
    /// Gossip incarnation.
    pub incarnation: u64,
    /// Release it runs.
    pub version: String,
    /// REST address as `host:port`.
    pub api: String,
    /// Peer address as `host:port`.
    pub peer: String,
    /// Gossip address as `host:port`.
    pub gossip: String,
    /// Epoch it says it has adopted.
    pub epoch: EpochNumber,
    /// Hints this node holds for it.
    pub hints: u64,
    /// Whether this node has an open peer connection to it.
    pub connected: bool,
}

/// A node's figures about itself.
#[derive(Debug, Clone, Default)]
pub struct LocalView {
    /// Bytes of its store on disk.
    pub store_bytes: u64,
    /// Records in its store, tombstones included.
    pub records: u64,
    /// Hints by target.
    pub hints: BTreeMap<NodeId, u64>,
    /// Bytes of all hints.
    pub hint_bytes: u64,
    /// Partitions whose hints were capped and that await a full push, by target.
    pub dirty: BTreeMap<NodeId, Vec<PartitionId>>,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Whether it is draining.
    pub draining: bool,
    /// Process id.
    pub pid: u32,
    /// Lifeguard health score, 0 is healthy.
    pub health_score: u32,
}
