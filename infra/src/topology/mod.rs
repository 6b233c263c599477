//! What a cluster shall look like: zones, nodes, addresses, copies of each key.
//!
//! A [`Draft`] is what somebody asked for; [`Topology::parse`] turns it into a [`Topology`], or lists everything
//! that is impossible about it. A topology that exists is one that can be built.
//! It knows nothing of processes or clouds and does not say how the cluster comes to be.

pub(crate) mod layout;
mod name;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

pub use name::{ClusterName, NameError, NodeName, ZoneName};

/// Most zones: the reference network has room for six private and six public subnets.
pub const MAX_ZONES: usize = 6;
/// Most nodes in a zone: addresses end in 1 to 254, and a full mesh of peers stays small.
pub const MAX_NODES_PER_ZONE: u8 = 32;
/// Most copies of a key: a quorum of 4 of 7; more costs latency and buys nothing.
pub const MAX_REPLICAS: u8 = 7;
/// Most partitions: the partition number has 16 bits and every epoch names them all.
pub const MAX_PARTITIONS: u32 = 4096;

/// A cluster as asked for, not yet checked. This is also what a state folder remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Name of the cluster: its state folder and its context.
    pub cluster: String,
    /// Failure domains, in order: the k-th gets the addresses 127.0.k.x.
    pub zones: Vec<ZoneDraft>,
    /// Copies of each key.
    pub replicas: u8,
    /// Partitions of the key space, a power of two; cannot be changed later.
    pub partitions: u32,
    /// Ports, the same on every node.
    pub ports: Ports,
    /// Consent to a layout that the loss of one zone stops.
    pub accept_zone_outage: bool,
}

/// A zone as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneDraft {
    /// Its name.
    pub name: String,
    /// Nodes in it.
    pub nodes: u8,
}

/// The three ports of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// REST over TLS (TCP).
    pub api: u16,
    /// Node to node (TCP).
    pub peer: u16,
    /// Membership (UDP).
    pub gossip: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { api: 8080, peer: 7946, gossip: 7947 }
    }
}

impl Default for Draft {
    /// Three zones of one node, three copies: any one zone may fail.
    fn default() -> Self {
        let zones = ["a", "b", "c"].map(|name| ZoneDraft { name: name.to_owned(), nodes: 1 });
        Self {
            cluster: "local".to_owned(),
            zones: zones.to_vec(),
            replicas: 3,
            partitions: 256,
            ports: Ports::default(),
            accept_zone_outage: false,
        }
    }
}

/// One reason why a draft cannot be built, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Impossible {
    /// Where in the draft, as written in cluster.yaml, for example `zones[1].nodes`.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What to do instead.
    pub fix: String,
}

/// A cluster that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    draft: Draft,
    cluster: ClusterName,
    nodes: Vec<Node>,
}

/// A node of a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name, unique in the cluster.
    pub name: NodeName,
    /// The failure domain it stands in.
    pub zone: ZoneName,
    /// REST address.
    pub api: SocketAddrV4,
    /// Peer address.
    pub peer: SocketAddrV4,
    /// Gossip address.
    pub gossip: SocketAddrV4,
}

impl Topology {
    /// Checks a draft and lays its nodes out.
    ///
    /// # Errors
    /// Everything that is impossible about it, in the order of the draft; never an empty list.
    pub fn parse(draft: Draft) -> Result<Self, Vec<Impossible>> {
        layout::check(&draft)?;
        let cluster = draft.cluster.parse().map_err(|error| vec![layout::bad_name("cluster", &error)])?;
        let mut nodes = Vec::new();
        for (index, zone) in draft.zones.iter().enumerate() {
            let name: ZoneName =
                zone.name.parse().map_err(|error| vec![layout::bad_name(&format!("zones[{index}].name"), &error)])?;
            for ordinal in 1..=zone.nodes {
                nodes.push(layout::node(&name, index, ordinal, draft.ports)?);
            }
        }
        Ok(Self { draft, cluster, nodes })
    }

    /// What it was made from; `Topology::parse` of it gives this topology again.
    #[must_use]
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Name of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// All nodes, zone by zone.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node by its name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// How many zones there are.
    #[must_use]
    pub fn zone_count(&self) -> usize {
        self.draft.zones.len()
    }

    /// Whether every key keeps a quorum of its copies when any one zone is lost.
    #[must_use]
    pub fn survives_zone_loss(&self) -> bool {
        layout::survives_zone_loss(&self.draft)
    }
}

/// The loopback address of node `ordinal` (from 1) of the zone at `index` (from 0).
#[must_use]
pub(crate) fn loopback(index: usize, ordinal: u8) -> Option<Ipv4Addr> {
    let zone = u8::try_from(index + 1).ok()?;
    Some(Ipv4Addr::new(127, 0, zone, ordinal))
}
