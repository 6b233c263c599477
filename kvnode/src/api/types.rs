//! The JSON bodies of the REST API: with the headers in `kv`, its stability boundary.
//!
//! Servers and clients share these types. A field is never renamed or given another meaning; new fields may
//! appear in answers (clients ignore what they do not know) and requests refuse unknown fields, so that a typing
//! error is never silently dropped. Keys are percent-encoded text exactly as in a path (see `key_text`), values
//! are standard base64 with padding: both are binary safe. This file holds no logic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one node believes of the cluster: `GET /v1/cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterDocument {
    /// Cluster id, 32 hexadecimal digits; absent before bootstrap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Ring epoch; 0 before bootstrap.
    pub epoch: u64,
    /// Hex SHA-256 of the epoch's canonical bytes; empty before bootstrap.
    pub epoch_hash: String,
    /// Copies of each key.
    pub replicas: usize,
    /// Number of partitions; 0 before bootstrap.
    pub partitions: usize,
    /// How many partitions are in which status, as far as this node knows.
    pub partition_status: PartitionCounts,
    /// The node that answers.
    pub this_node: ThisNode,
    /// Members by name.
    pub nodes: Vec<NodeDocument>,
}

/// How many partitions are in which status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PartitionCounts {
    /// Every replica is alive.
    pub ok: usize,
    /// Some replica is away, more than a quorum is alive.
    pub degraded: usize,
    /// Exactly a quorum is alive: one more failure stops it.
    pub quorum: usize,
    /// Less than a quorum is alive: quorum operations are refused.
    pub unavailable: usize,
}

/// A node's figures about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThisNode {
    /// Node id, 32 hexadecimal digits.
    pub id: String,
    /// Name; absent if the node does not list itself yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Zone; absent if the node does not list itself yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Process id.
    pub pid: u32,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Whether it is draining.
    pub draining: bool,
    /// Bytes of its store on disk.
    pub store_bytes: u64,
    /// Records in its store, tombstones included.
    pub records: u64,
    /// Hints it holds, by the name (or id) of the node they are for.
    pub hints: BTreeMap<String, u64>,
    /// Bytes of all hints.
    pub hint_bytes: u64,
    /// Partitions whose hints were capped and that await a full push, by the name (or id) of the target.
    pub dirty: BTreeMap<String, Vec<u16>>,
    /// Lifeguard health score; 0 is healthy.
    pub health_score: u32,
}

/// A member as the answering node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeDocument {
    /// Node id, 32 hexadecimal digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Zone.
    pub zone: String,
    /// Liveness.
    pub state: NodeState,
    /// When `state` last changed here, RFC 3339 in UTC.
    pub since: String,
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
    pub epoch: u64,
    /// Whether the current epoch names it.
    pub in_ring: bool,
    /// Hints the answering node holds for it.
    pub hints: u64,
    /// Whether the answering node has an open peer connection to it.
    pub connected: bool,
}

/// Liveness of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Answers.
    Alive,
    /// Missed probes; may refute.
    Suspect,
    /// Given up until it refutes.
    Dead,
    /// Said goodbye.
    Left,
    /// Alive, but asks for no new work.
    Draining,
}

/// All members: `GET /v1/nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodesDocument {
    /// Members by name.
    pub nodes: Vec<NodeDocument>,
}

/// The ring in short: `GET /v1/ring`. Who holds which partition is in `GET /v1/partitions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RingDocument {
    /// Cluster id, 32 hexadecimal digits; absent before bootstrap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Ring epoch; 0 before bootstrap.
    pub epoch: u64,
    /// Hex SHA-256 of the epoch's canonical bytes; empty before bootstrap.
    pub epoch_hash: String,
    /// Copies of each key.
    pub replicas: usize,
    /// Number of partitions; 0 before bootstrap.
    pub partitions: usize,
    /// Nodes that the epoch names, by name.
    pub nodes: Vec<RingNode>,
}

/// A node of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RingNode {
    /// Node id, 32 hexadecimal digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Zone.
    pub zone: String,
    /// Liveness.
    pub state: NodeState,
    /// Partitions of which it holds a copy.
    pub partitions: usize,
}

/// Every partition and its replicas: `GET /v1/partitions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionsDocument {
    /// Ring epoch; 0 before bootstrap.
    pub epoch: u64,
    /// Copies of each key.
    pub replicas: usize,
    /// Replicas that a quorum operation needs.
    pub quorum: usize,
    /// How many are in which status.
    pub counts: PartitionCounts,
    /// By partition number, without gaps.
    pub partitions: Vec<PartitionDocument>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionDocument {
    /// Its number, from 0.
    pub partition: usize,
    /// Names of its replicas (ids of nodes whose name is unknown here).
    pub replicas: Vec<String>,
    /// Replicas that are alive or draining.
    pub alive: usize,
    /// What that means.
    pub status: PartitionStatus,
}

/// What a partition can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartitionStatus {
    /// Every replica is alive.
    Ok,
    /// Some replica is away, more than a quorum is alive.
    Degraded,
    /// Exactly a quorum is alive: one more failure stops it.
    Quorum,
    /// Less than a quorum is alive: quorum operations are refused.
    Unavailable,
}

/// One page of keys in byte order over all partitions; not a snapshot: `GET /v1/kv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListDocument {
    /// Live keys of this page.
    pub items: Vec<ListItem>,
    /// Opaque; pass it as `cursor` for the next page. Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A listed key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListItem {
    /// Percent-encoded, as in a path.
    pub key: String,
    /// As in the `ETag` header, quotes included.
    pub etag: String,
    /// Base64; only with `values=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Stored Content-Type; only with `values=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Up to 100 operations that run side by side; explicitly not atomic: `POST /v1/batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The operations. Several on one key run in no particular order.
    pub operations: Vec<BatchOperation>,
}

/// One operation of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum BatchOperation {
    /// Reads a key.
    Get {
        /// Percent-encoded, as in a path.
        key: String,
    },
    /// Writes a key.
    Put {
        /// Percent-encoded, as in a path.
        key: String,
        /// Base64.
        value: String,
        /// Content-Type to store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        /// Time to live, as in the `ttl` parameter, for example `60s`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<String>,
    },
    /// Deletes a key.
    Delete {
        /// Percent-encoded, as in a path.
        key: String,
    },
}

/// What became of each operation, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchResponse {
    /// One per operation.
    pub results: Vec<BatchResult>,
}

/// What became of one operation of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchResult {
    /// The key as sent.
    pub key: String,
    /// The HTTP status the operation would have had on its own.
    pub status: u16,
    /// As in the `ETag` header, quotes included; on success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Base64; of a get that found a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Stored Content-Type; of a get that found a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// As in the `Kv-Acks` header; of a write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acks: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Why a key reads as it does: `GET /v1/kv/{key}?explain=true`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainDocument {
    /// Percent-encoded, as in a path.
    pub key: String,
    /// Partition of the key.
    pub partition: u16,
    /// Ring epoch.
    pub epoch: u64,
    /// Its replicas.
    pub replicas: Vec<ExplainReplica>,
}

/// What one replica said of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainReplica {
    /// Node name.
    pub node: String,
    /// Zone.
    pub zone: String,
    /// Whether it answered in time.
    pub answered: bool,
    /// Stamp it holds, as in an ETag; absent if it holds nothing or did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Whether what it holds is a tombstone.
    pub tombstone: bool,
    /// How long its answer took, in microseconds; absent if it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<u64>,
    /// Hints the answering node holds for it.
    pub hints: u64,
}

/// The act that forms the first ring: `POST /v1/admin/bootstrap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapRequest {
    /// Names of exactly the nodes that shall form it.
    pub nodes: Vec<String>,
    /// Copies of each key; 1 to the number of nodes.
    pub replicas: u8,
    /// Number of partitions: a power of two; 256 if absent.
    #[serde(default = "default_partitions")]
    pub partitions: u32,
}

fn default_partitions() -> u32 {
    crate::protocol::key::Partitioner::DEFAULT_COUNT
}

/// The ring that came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootstrapResponse {
    /// Cluster id, 32 hexadecimal digits.
    pub cluster: String,
    /// Ring epoch.
    pub epoch: u64,
    /// True if the ring stood before and nothing was changed.
    pub already: bool,
}

/// Whether the node drains now: `POST /v1/admin/drain` and `undrain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainDocument {
    /// True while `/readyz` fails and peers send no new client work.
    pub draining: bool,
}

/// What runs: `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionDocument {
    /// Program, always `kvnode`.
    pub name: String,
    /// Release.
    pub version: String,
}

/// Whether a failed operation may have been, or may yet be, carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was not and will not be: safe to repeat.
    NotApplied,
    /// It may or may not be: read before repeating what is not idempotent.
    Unknown,
}

/// An error: RFC 9457 `application/problem+json`, with what a client needs to decide on a retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable identifier of the kind, `urn:kvstore:error:<name>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    pub detail: String,
    /// Identifies the request in this node's log; absent inside a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Whether the operation may be applied.
    pub outcome: Outcome,
    /// Replicas that were needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<usize>,
    /// Replicas that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<usize>,
    /// Ring epoch it ran under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
