//! Node to node over TCP 7946: mutual TLS, length-prefixed binary frames, many requests in flight per connection.
//!
//! This file holds the vocabulary (what can be asked and answered); `wire` gives it bytes, `codec` frames them,
//! `tls` proves who speaks, `client` and `server` move them. It decides nothing about quorums, rings or members:
//! bodies that other modules own (epochs, gossip state, bootstrap) pass through as opaque bytes.

pub mod client;
pub mod codec;
mod connection;
pub mod greeting;
pub mod latency;
pub mod server;
mod socket;
pub mod tls;
pub mod wire;

#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;

use crate::protocol::id::{EpochNumber, NodeId, NodeName, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;
use crate::protocol::record::Record;
use crate::protocol::register;
use crate::protocol::stamp::Stamp;

/// Urgency of a frame: under load, later classes wait and are refused first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A client waits for it.
    Client,
    /// Read repair.
    Repair,
    /// Delivery of hints.
    Hints,
    /// Whole partitions, listings, documents.
    Sync,
}

/// What one node asks of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerRequest {
    /// To a replica; `epoch` is the coordinator's for the whole client request.
    Register {
        /// Epoch under which the replica set was chosen.
        epoch: EpochNumber,
        /// The question.
        request: register::Request,
    },
    /// A client operation, handed once to a replica that coordinates it. Never forwarded again.
    Forward {
        /// Epoch under which the target was chosen.
        epoch: EpochNumber,
        /// The operation.
        operation: Operation,
    },
    /// Hints and partition pushes: several records at once, answered when all are durable.
    WriteMany {
        /// Epoch under which the target was chosen.
        epoch: EpochNumber,
        /// At most [`MAX_WRITE_MANY`] records.
        records: Vec<(PartitionId, Key, Record)>,
    },
    /// One page of the keys a node holds, in key order over the named partitions.
    Scan(ScanRequest),
    /// Full membership state for push/pull; bytes of `gossip::packet`.
    GossipExchange(Bytes),
    /// The current ring epoch; answered with its canonical bytes, empty if there is none.
    FetchEpoch,
    /// A step of the first epoch's formation; bytes of `protocol::ring::commit`.
    RingCommit(Bytes),
}

/// Most records in one [`PeerRequest::WriteMany`]: with 1 KiB values about 128 KiB, well under a frame.
pub const MAX_WRITE_MANY: usize = 128;

/// A forwarded client operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Read a key.
    Get {
        /// The key.
        key: Key,
        /// Replicas to ask.
        consistency: Consistency,
    },
    /// Write or delete a key.
    Write {
        /// The key.
        key: Key,
        /// Replicas to wait for.
        consistency: Consistency,
        /// The value with expiry as an absolute hybrid time; none deletes.
        value: Option<crate::protocol::record::Value>,
    },
}

/// A range of the keys a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRequest {
    /// Epoch of the caller.
    pub epoch: EpochNumber,
    /// Partitions to read; the answer merges them in key order.
    pub partitions: Vec<PartitionId>,
    /// First key wanted (inclusive), empty for the start.
    pub start: Bytes,
    /// First key not wanted, empty for no end.
    pub end: Bytes,
    /// Most items to return.
    pub limit: u32,
    /// Whether values come along or only versions.
    pub with_values: bool,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerReply {
    /// To `Register`.
    Register(register::Reply),
    /// To `Forward`.
    Forward(ForwardReply),
    /// To `WriteMany`: all durable.
    WrittenMany,
    /// To `Scan`: records in key order (tombstones included; values empty unless asked for), and whether more follow.
    Scanned {
        /// The records.
        items: Vec<(Key, Record)>,
        /// True if the range holds more after the last item.
        more: bool,
    },
    /// To `GossipExchange`.
    GossipExchange(Bytes),
    /// To `FetchEpoch`.
    Epoch(Bytes),
    /// To `RingCommit`.
    RingCommit(Bytes),
    /// To any request but `Register` and `Forward` that the node did not carry out.
    Refused(register::Refusal),
}

/// The outcome of a forwarded operation, as the coordinator saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardReply {
    /// To `Get`: the record (also a tombstone or an expired one), none if never written.
    Got(Option<Record>),
    /// To `Write`.
    Wrote {
        /// The stamp given.
        stamp: Stamp,
        /// Whether the key held a live value before.
        replaced: bool,
        /// Replicas that had it durable when the answer was made.
        acked: Vec<NodeName>,
    },
    /// It failed; whether it may have been applied is in the failure.
    Failed(OperationFailure),
}

/// Why an operation failed, as it travels between nodes and to the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFailure {
    /// The reason.
    pub kind: FailureKind,
    /// True if some replica may hold, or come to hold, the write.
    pub may_be_applied: bool,
    /// Replicas needed.
    pub required: u8,
    /// Replicas that answered.
    pub received: u8,
}

/// Reasons an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Too few replicas can be reached.
    QuorumUnavailable,
    /// The deadline passed.
    Deadline,
    /// Queues are full; retry later.
    Overloaded,
    /// The disks of too many replicas are full.
    DiskFull,
    /// Stores of too many replicas failed.
    StoreFailed,
    /// This node has no ring yet.
    NoRing,
    /// The node that got the forwarded operation is no replica under its epoch.
    NotReplica,
}

/// Who is at the other end: proven by its certificate (name) and told in its hello (id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Name, as in the certificate.
    pub name: NodeName,
    /// Id of its data folder.
    pub id: NodeId,
}

/// Why a call brought no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection and the request was never sent: nothing happened there.
    #[error("not connected")]
    NotConnected,
    /// The connection's queue for this class is full; never sent.
    #[error("the queue to this peer is full")]
    QueueFull,
    /// The request does not fit a frame (about 4 MiB); never sent, and never will be.
    #[error("the request is too large for one frame")]
    TooLarge,
    /// Sent, or perhaps sent, and the connection broke: it may have been carried out.
    #[error("the connection broke")]
    Broken,
    /// Sent, and no reply came before the deadline: it may still be carried out.
    #[error("no reply before the deadline")]
    TimedOut,
}

/// Takes the reply of one call, on whichever thread it arrives; must not block.
pub type ReplySink = Box<dyn FnOnce(Result<PeerReply, CallError>) + Send>;

/// Sends the answer to one request; dropped unanswered, the caller waits until its deadline.
pub type Responder = Box<dyn FnOnce(PeerReply) + Send>;

/// The receiving side: called by `server` for every well-formed request whose deadline has not passed.
pub trait PeerService: Send + Sync + 'static {
    /// Must not block; long work is handed on, and `respond` called when it is done.
    fn handle(&self, from: &PeerIdentity, request: PeerRequest, deadline: Instant, respond: Responder);
}
