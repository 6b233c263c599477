//! A ring epoch: the immutable document that says who is in the cluster and who holds what.
//!
//! It is made by one fallible constructor, so an epoch that exists is consistent in itself. Its canonical bytes are
//! its identity (SHA-256); they are encoded once, when it is made. Lookups run for every request and allocate nothing.
//! It doesn't know who is alive, and it never changes: a change is a new epoch.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::assignment::{self, Table, assign};
use super::encoding::DecodeError;
use crate::protocol::id::{ClusterId, EpochNumber, NodeId, NodeName, PartitionId, ZoneName};
use crate::protocol::key::{Key, Partitioner};
use crate::protocol::register;

mod check;
mod codec;
#[cfg(test)]
pub(crate) mod tests;
mod voters;

pub use check::{EpochError, Problem};

/// Most nodes in a ring: keeps an epoch under 1 MiB and every full view small enough to be looked at.
pub const MAX_NODES: usize = 1024;
/// Most copies of a key: what the register machines are made for.
pub const MAX_REPLICAS: usize = register::replicas::MAX_REPLICAS;
/// Most voters: each change of the ring waits for a majority of them.
pub const MAX_VOTERS: usize = 7;
/// Largest weight: leaves room for gigabytes or cores as the unit, and sums never overflow.
pub const MAX_WEIGHT: u32 = 1_000_000;
/// Longest encoded epoch in bytes: [`MAX_NODES`] with the longest names and addresses, 32768 partitions, 7 replicas.
pub const MAX_ENCODED_BYTES: usize = 2 * 1024 * 1024;

/// SHA-256 of an epoch's canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EpochHash(pub [u8; 32]);

impl EpochHash {
    /// The parent of a first epoch.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for EpochHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EpochHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochHash({self})")
    }
}

/// Where a node listens: `host:port`, at most [`Address::MAX_BYTES`]; resolved by whoever connects.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address is host:port with a port from 1 to 65535, at most {max} bytes, this is {text:?}", max = Address::MAX_BYTES)]
pub struct AddressError {
    /// The text, cut to the limit.
    pub text: String,
}

impl Address {
    /// Longest address in bytes: the longest DNS name is 253, and it must fit a length byte with its port.
    pub const MAX_BYTES: usize = 255;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let plain = |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic());
        let good = text.len() <= Self::MAX_BYTES
            && text
                .rsplit_once(':')
                .is_some_and(|(host, port)| plain(host) && port.parse::<u16>().is_ok_and(|p| p > 0));
        if good { Ok(Self(Arc::from(text))) } else { Err(AddressError { text: text.chars().take(64).collect() }) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Whether a node may be given partitions. Liveness is gossip's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// Holds partitions by its weight.
    Active,
    /// To be emptied.
    Draining,
}

/// A node as the ring names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingNode {
    /// Id of its data folder.
    pub id: NodeId,
    /// Name, unique in the ring.
    pub name: NodeName,
    /// Its failure domain.
    pub zone: ZoneName,
    /// Its share of the load within its zone, 1 to [`MAX_WEIGHT`].
    pub weight: u32,
    /// Where clients reach it.
    pub api: Address,
    /// Where nodes reach it over TCP.
    pub peer: Address,
    /// Where gossip reaches it over UDP.
    pub gossip: Address,
    /// Whether it may hold partitions.
    pub state: NodeState,
}

/// What an epoch is to the change it is part of. The encoding reserves Start, Switch, Finish and Abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No change under way: reads and writes use one table.
    Stable,
}

/// Everything an epoch says, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The cluster.
    pub cluster: ClusterId,
    /// 1 for the first.
    pub number: EpochNumber,
    /// Hash of the epoch it replaces; [`EpochHash::NONE`] for the first.
    pub parent: EpochHash,
    /// Its part in a change.
    pub kind: Kind,
    /// The nodes, in ascending order of id.
    pub nodes: Vec<RingNode>,
    /// Who decides the next epoch, in ascending order.
    pub voters: Vec<NodeId>,
    /// How keys map to partitions.
    pub partitioner: Partitioner,
    /// Who holds what.
    pub table: Table,
}

/// The immutable document. Cloning copies it; share it in an `Arc`.
#[derive(Clone, PartialEq, Eq)]
pub struct RingEpoch {
    draft: Draft,
    encoded: Bytes,
    hash: EpochHash,
}

/// Why no first epoch came of a set of nodes. Nothing was changed; the same request fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FirstError {
    /// The nodes cannot carry the replicas.
    #[error(transparent)]
    Assignment(#[from] assignment::Error),
    /// The document contradicts itself, for example two nodes with one name.
    #[error(transparent)]
    Epoch(#[from] EpochError),
}

impl RingEpoch {
    /// Checks the draft; the error lists everything that is wrong with it.
    pub fn new(draft: Draft) -> Result<Self, EpochError> {
        check::check(&draft)?;
        let encoded = Bytes::from(codec::encode(&draft));
        let hash = EpochHash(Sha256::digest(&encoded).into());
        Ok(Self { draft, encoded, hash })
    }

    /// The first epoch of a cluster: assigns partitions and chooses voters. `nodes` in any order; `seed` decides
    /// which of several equal tables comes out.
    pub fn first(
        cluster: ClusterId,
        mut nodes: Vec<RingNode>,
        replicas: usize,
        partitioner: Partitioner,
        seed: u64,
    ) -> Result<Self, FirstError> {
        nodes.sort_by_key(|node| node.id);
        let table = assign(&nodes, replicas, partitioner.count(), None, seed)?;
        let voters = voters::choose(&nodes);
        let (number, parent, kind) = (EpochNumber(1), EpochHash::NONE, Kind::Stable);
        Ok(Self::new(Draft { cluster, number, parent, kind, nodes, voters, partitioner, table })?)
    }

    /// Reads canonical bytes back. Bytes that are not canonical are refused, so equal epochs have equal bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let draft = codec::decode(bytes)?;
        let invalid = |reason: String| DecodeError::Invalid { what: "ring epoch", reason };
        let epoch = Self::new(draft).map_err(|error| invalid(error.to_string()))?;
        if epoch.encoded == bytes { Ok(epoch) } else { Err(invalid("not in canonical form".to_owned())) }
    }

    /// The canonical bytes, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.encoded.clone()
    }

    /// SHA-256 of the canonical bytes.
    #[must_use]
    pub fn hash(&self) -> EpochHash {
        self.hash
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.draft.cluster
    }

    /// Its number; the first is 1.
    #[must_use]
    pub fn number(&self) -> EpochNumber {
        self.draft.number
    }

    /// Hash of the epoch it replaces.
    #[must_use]
    pub fn parent(&self) -> EpochHash {
        self.draft.parent
    }

    /// Its part in a change.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.draft.kind
    }

    /// Copies of each key.
    #[must_use]
    pub fn replica_count(&self) -> usize {
        self.draft.table.replicas()
    }

    /// How keys map to partitions.
    #[must_use]
    pub fn partitioner(&self) -> &Partitioner {
        &self.draft.partitioner
    }

    /// All nodes, in ascending order of id; table indexes count in this list.
    #[must_use]
    pub fn nodes(&self) -> &[RingNode] {
        &self.draft.nodes
    }

    /// Who decides the next epoch, in ascending order.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        &self.draft.voters
    }

    /// Who holds what.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.draft.table
    }

    /// The partition of a key.
    #[must_use]
    pub fn partition_of(&self, key: &Key) -> PartitionId {
        self.draft.partitioner.partition_of(key)
    }

    /// Replicas of a partition, preferred coordinator first; none if there is no such partition.
    pub fn replicas(&self, partition: PartitionId) -> impl ExactSizeIterator<Item = &RingNode> + Clone {
        // Indexes were checked when the epoch was made.
        self.draft.table.row(partition).iter().map(|&index| &self.draft.nodes[usize::from(index)])
    }

    /// Whether this node holds this partition.
    #[must_use]
    pub fn is_replica(&self, partition: PartitionId, node: NodeId) -> bool {
        self.replicas(partition).any(|replica| replica.id == node)
    }

    /// A node by id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&RingNode> {
        self.index_of(id).map(|index| &self.draft.nodes[index])
    }

    /// A node by name; looks at each, for what people type.
    #[must_use]
    pub fn node_named(&self, name: &NodeName) -> Option<&RingNode> {
        self.draft.nodes.iter().find(|node| node.name == *name)
    }

    /// Partitions that a node holds, ascending.
    pub fn partitions_of(&self, id: NodeId) -> impl Iterator<Item = PartitionId> {
        let index = self.index_of(id).and_then(|index| u16::try_from(index).ok());
        let rows = (0..=u16::MAX).map(PartitionId).zip(self.draft.table.rows());
        rows.filter(move |(_, row)| index.is_some_and(|index| row.contains(&index))).map(|(partition, _)| partition)
    }

    /// The distinct zones, ascending.
    #[must_use]
    pub fn zones(&self) -> Vec<&ZoneName> {
        let mut zones: Vec<&ZoneName> = self.draft.nodes.iter().map(|node| &node.zone).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    fn index_of(&self, id: NodeId) -> Option<usize> {
        self.draft.nodes.binary_search_by_key(&id, |node| node.id).ok()
    }
}

impl fmt::Debug for RingEpoch {
    /// What tells epochs apart; the whole document is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingEpoch({} of {}, {:?})", self.number(), self.cluster(), self.hash)
    }
}
