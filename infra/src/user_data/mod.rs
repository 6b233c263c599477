//! What a new machine does at its first start, as the script that cloud-init runs.
//!
//! The script is settings and a constant body: shell variables, the daemon's configuration and its
//! systemd unit, all quoted by [`shell::quote`], then `machine.sh`, which can be read and checked as a file of its
//! own. It holds no secret, since whoever may describe the machine may read it: secrets are fetched by name.
//! Everything in it follows from the network, the node and the artifact; nothing here runs anything.

mod configuration;
mod shell;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use crate::desired::{DATA_DEVICE, Inputs, artifact_path};
use crate::network::{Network, Node, Zone};

/// Most bytes of user data that EC2 takes, before base64.
pub const MAX_BYTES: usize = 16 * 1024;
/// The systemd unit of the daemon, the same on every machine.
pub const UNIT: &str = include_str!("kvnode.service");

/// Nodes of each zone that others meet the cluster at: enough that one is always up, few enough that the script of the
/// largest network fits. Gossip tells of the rest.
const MET_IN_ZONE: usize = 4;

/// What every script does, after its settings.
const BODY: &str = include_str!("machine.sh");

/// What one machine has to know, as plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    cluster: String,
    region: String,
    node: String,
    zone: String,
    address: Ipv4Addr,
    /// API, peers, gossip.
    ports: [u16; 3],
    /// Peer addresses of the nodes that it meets the cluster at.
    join: Vec<String>,
    /// Names of all nodes, if this one is to form the first ring.
    bootstrap: Vec<String>,
    replicas: u8,
    partitions: u32,
    bucket: String,
    /// The artifact's key in the bucket.
    object: String,
    sha256: String,
    /// Name of the parameters' folder, without a slash at its end.
    parameters: String,
}

/// The script for one node; at most [`MAX_BYTES`] for every network that can be parsed.
#[must_use]
pub fn render(network: &Network, node: &Node, inputs: &Inputs) -> String {
    Machine::of(network, node, inputs).script()
}

impl Machine {
    fn of(network: &Network, node: &Node, inputs: &Inputs) -> Self {
        let ports = network.ports();
        Self {
            cluster: network.cluster().to_owned(),
            region: network.region().to_owned(),
            node: node.name.to_string(),
            zone: node.zone.to_string(),
            address: node.address,
            ports: [ports.api, ports.peer, ports.gossip],
            join: met(network, node).map(|other| format!("{}:{}", other.address, ports.peer)).collect(),
            bootstrap: if proposes(network, node) { names(network) } else { Vec::new() },
            replicas: network.replicas(),
            partitions: network.partitions(),
            bucket: network.bucket(&inputs.account),
            object: artifact_path(&inputs.artifact_sha256),
            sha256: inputs.artifact_sha256.clone(),
            parameters: network.parameter("").trim_end_matches('/').to_owned(),
        }
    }

    fn script(&self) -> String {
        let settings = [
            ("CLUSTER", self.cluster.clone()),
            ("REGION", self.region.clone()),
            ("NODE", self.node.clone()),
            ("ADDRESS", self.address.to_string()),
            ("PORT", self.ports[0].to_string()),
            ("VOLUME", DATA_DEVICE.to_owned()),
            ("BUCKET", self.bucket.clone()),
            ("OBJECT", self.object.clone()),
            ("SHA256", self.sha256.clone()),
            ("PARAMETERS", self.parameters.clone()),
            ("CONFIG", configuration::render(self).trim_end().to_owned()),
            ("UNIT", UNIT.trim_end().to_owned()),
        ];
        let head =
            format!("#!/bin/bash\n# Makes this machine node {} of {}; written by kvctl.\n", self.node, self.cluster);
        let assignments = settings.map(|(name, value)| format!("{name}={}\n", shell::quote(&value)));
        [head, assignments.concat(), "\n".to_owned(), BODY.to_owned()].concat()
    }
}

/// Whether a node is one of those that form the first ring: the first of each zone.
///
/// All nodes must be alive before one can be formed, so a few that propose are as good as all of them, and do not
/// outbid each other by the hundred. Naming the nodes is harmless once a ring stands.
fn proposes(network: &Network, node: &Node) -> bool {
    network.nodes().iter().find(|other| other.zone == node.zone).is_some_and(|first| first.name == node.name)
}

/// The other nodes that a node meets the cluster at: the first few of each zone, the same for all.
fn met<'a>(network: &'a Network, node: &'a Node) -> impl Iterator<Item = &'a Node> {
    let first = |zone: &'a Zone| network.nodes().iter().filter(|other| other.zone == zone.name).take(MET_IN_ZONE);
    network.zones().iter().flat_map(first).filter(|other| other.name != node.name)
}

fn names(network: &Network) -> Vec<String> {
    network.nodes().iter().map(|node| node.name.to_string()).collect()
}
