//! The vocabulary between the API and the node: options, outcomes, failures.
//!
//! Plain data without logic; what the words mean over HTTP is the API's business, how they come about the node's.

use std::time::{Duration, Instant};

pub use crate::peer::{FailureKind, OperationFailure};
use crate::protocol::id::{EpochNumber, NodeName, PartitionId, ZoneName};
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;
use crate::protocol::record::{Record, Value};
use crate::protocol::stamp::Stamp;

/// How long and how strictly an operation is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Replicas to wait for.
    pub consistency: Consistency,
    /// When to give up.
    pub deadline: Instant,
}

/// What to store; expiry relative to the moment of the write.
#[derive(Debug, Clone)]
pub struct PutValue {
    /// The bytes.
    pub bytes: bytes::Bytes,
    /// Content-Type to serve it with.
    pub content_type: Option<std::sync::Arc<str>>,
    /// Time to live; none means for ever.
    pub ttl: Option<Duration>,
}

/// A successful read.
#[derive(Debug, Clone)]
pub struct Got {
    /// Stamp and value; none if the key is absent, deleted or expired.
    pub value: Option<(Stamp, Value)>,
    /// Epoch the read ran under.
    pub epoch: EpochNumber,
}

/// A successful write: the durability receipt.
#[derive(Debug, Clone)]
pub struct Wrote {
    /// The stamp of the write.
    pub stamp: Stamp,
    /// Whether the key held a live value before.
    pub replaced: bool,
    /// Replicas that had it durable when the answer was made.
    pub acked: Vec<NodeName>,
    /// Replicas the key has.
    pub replicas_total: usize,
    /// Distinct zones among those that acknowledged.
    pub zones_acked: usize,
    /// Epoch the write ran under.
    pub epoch: EpochNumber,
}

/// A failed operation with the context an error body shows.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Why, and whether it may be applied.
    pub failure: OperationFailure,
    /// Epoch it ran under; 0 without a ring.
    pub epoch: EpochNumber,
    /// The partition, once known.
    pub partition: Option<PartitionId>,
    /// Replicas of the partition.
    pub replicas_total: usize,
}

/// A range of keys to list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// First key (inclusive); empty for the start.
    pub start: bytes::Bytes,
    /// End (exclusive); empty for no end.
    pub end: bytes::Bytes,
    /// 1 to 1000.
    pub limit: usize,
    /// Whether values come along.
    pub with_values: bool,
    /// When to give up.
    pub deadline: Instant,
}

/// One page of a listing: live keys in order, each as new as a quorum of its replicas knew; no snapshot.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Live records in key order.
    pub items: Vec<(Key, Record)>,
    /// The key to start the next page from; none at the end.
    pub next: Option<bytes::Bytes>,
    /// Epoch it ran under.
    pub epoch: EpochNumber,
}

/// What a member is, as this node believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
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

impl MemberState {
    /// Its name in documents and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
            Self::Draining => "draining",
        }
    }
}

/// A replica's view inside `explain`.
#[derive(Debug, Clone)]
pub struct ReplicaExplained {
    /// Node.
    pub name: NodeName,
    /// Zone.
    pub zone: ZoneName,
    /// Stamp it answered; none if it did not answer.
    pub stamp: Option<Stamp>,
    /// Whether that is a tombstone.
    pub tombstone: bool,
    /// How long its answer took.
    pub latency: Option<Duration>,
    /// Hints this node holds for it.
    pub hints: u64,
}

/// Why one key reads as it does.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Partition of the key.
    pub partition: PartitionId,
    /// Epoch.
    pub epoch: EpochNumber,
    /// Its replicas.
    pub replicas: Vec<ReplicaExplained>,
}
