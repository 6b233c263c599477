//! A cluster in a network of its own: addresses, zones, machines, and who may reach whom.
//!
//! A [`Draft`] is what somebody asked for; [`Network::parse`] turns it into a [`Network`], or lists everything that
//! is impossible about it. A network that exists is one that can be built. What it is built of is said by
//! [`crate::desired`]; nothing here knows resources, calls or prices.

mod addresses;
mod check;
mod draft;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

pub(crate) use check::EPHEMERAL;
pub use draft::{DEFAULT_IMAGE, DEFAULT_TLS_POLICY, Draft, RuleDraft, ZoneDraft};
pub use rules::{Group, MAX_EXTRA_RULES, NODE_EXPORTER_PORT, Other, PROMETHEUS_PORT, Packets, Rule};

use crate::topology::{ClusterName, Impossible, MAX_ZONES, NodeName, Ports, ZoneName};

/// Most nodes in a zone. Their addresses must fit, and every node knows every other.
pub const MAX_NODES_PER_ZONE: u8 = 100;
/// Most blocks of client addresses: each takes a rule and a network ACL entry, of which there are 20.
pub const MAX_CLIENT_CIDRS: usize = 6;
/// The first node of a zone has the subnet's address plus this plus one: what lies below is the cloud's and ours.
pub const FIRST_NODE_ADDRESS: u32 = 10;

/// A cluster in a network that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    draft: Draft,
    cluster: ClusterName,
    vpc: Ipv4Net,
    zones: Vec<Zone>,
    nodes: Vec<Node>,
    rules: Vec<Rule>,
    clients: Vec<Ipv4Net>,
}

/// An availability zone with its two subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name, for example `us-east-1a`.
    pub name: ZoneName,
    /// Where its nodes are.
    pub private: Ipv4Net,
    /// Where its NAT gateway and the load balancer are.
    pub public: Ipv4Net,
}

impl Zone {
    /// Role of its private subnet and of that one's route table, for example `private-us-east-1a`.
    #[must_use]
    pub fn private_role(&self) -> String {
        format!("private-{}", self.name)
    }

    /// Role of its public subnet.
    #[must_use]
    pub fn public_role(&self) -> String {
        format!("public-{}", self.name)
    }
}

/// A machine that holds data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, for example `a1`: the zone's letter and its number there.
    pub name: NodeName,
    /// The zone it is in.
    pub zone: ZoneName,
    /// Its fixed private address.
    pub address: Ipv4Addr,
}

impl Node {
    /// Role of the subnet it is in.
    #[must_use]
    pub fn subnet_role(&self) -> String {
        format!("private-{}", self.zone)
    }
}

impl Network {
    /// Checks a draft and lays its subnets and nodes out.
    ///
    /// # Errors
    /// Everything that is impossible about it; never an empty list.
    pub fn parse(draft: Draft) -> Result<Self, Vec<Impossible>> {
        check::parse(draft)
    }

    /// What it was made from; `Network::parse` of it gives this network again.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The draft with every derived block of addresses written down: zones added to it move nothing.
    #[must_use]
    pub fn settled_draft(&self) -> Draft {
        let mut draft = self.draft.clone();
        for (asked, zone) in draft.zones.iter_mut().zip(&self.zones) {
            asked.private_cidr = Some(zone.private.to_string());
            asked.public_cidr = Some(zone.public.to_string());
        }
        draft
    }

    /// `{project}-{environment}`: the cluster's name, and the start of every other.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.cluster.as_str()
    }

    /// The name of one of its resources, for example `name("subnet-private-us-east-1a")`.
    #[must_use]
    pub fn name(&self, of: &str) -> String {
        format!("{}-{of}", self.cluster)
    }

    /// The cloud's region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.draft.region
    }

    /// The part of the cloud's world that the region is in, as ARNs name it.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        check::partition(&self.draft.region)
    }

    /// The addresses of the network.
    #[must_use]
    pub const fn vpc(&self) -> Ipv4Net {
        self.vpc
    }

    /// All zones, in order.
    #[must_use]
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// All nodes, zone by zone.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes' ports.
    #[must_use]
    pub const fn ports(&self) -> Ports {
        self.draft.ports
    }

    /// Copies of each key.
    #[must_use]
    pub const fn replicas(&self) -> u8 {
        self.draft.replicas
    }

    /// Partitions of the key space.
    #[must_use]
    pub const fn partitions(&self) -> u32 {
        self.draft.partitions
    }

    /// Everything that is allowed: the reference network's rules, then the `extra_rules`.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules that were asked for beside those of the reference network.
    #[must_use]
    pub fn extra_rules(&self) -> &[Rule] {
        &self.rules[self.rules.len() - self.draft.rules.len()..]
    }

    /// Who may reach the load balancer.
    #[must_use]
    pub fn clients(&self) -> &[Ipv4Net] {
        &self.clients
    }

    /// The host name that the imported certificate is for: its subject's common name and first alternative name.
    ///
    /// Unless one was asked for it covers the names that the cloud gives to load balancers, of which ours is one:
    /// only those who trust the cluster's own authority are convinced by it.
    #[must_use]
    pub fn domain(&self) -> String {
        let suffix = if self.partition() == "aws-cn" { ".cn" } else { "" };
        let default = || format!("*.{}.elb.amazonaws.com{suffix}", self.region());
        self.draft.domain.clone().unwrap_or_else(default)
    }

    /// The bucket that holds the cluster's artifacts in an account. Buckets share one world of names.
    #[must_use]
    pub fn bucket(&self, account: &str) -> String {
        self.name_in_region(&format!("artifacts-{account}"))
    }

    /// As [`Network::name`], for what is named in all regions at once: roles, profiles, buckets. Clusters of one name
    /// in two regions of an account would otherwise share it, and delete it under each other.
    #[must_use]
    pub fn name_in_region(&self, rest: &str) -> String {
        self.name(&format!("{rest}-{}", self.region()))
    }

    /// The full name of a secret or certificate, by its path below the cluster, for example `nodes/a1/key.pem`.
    #[must_use]
    pub fn parameter(&self, path: &str) -> String {
        format!("/{}/{path}", self.cluster)
    }

    /// Whether there is a load balancer. The cloud makes none in a single zone; clients reach its nodes from inside
    /// the network then.
    #[must_use]
    pub fn has_load_balancer(&self) -> bool {
        self.zones.len() > 1
    }

    /// Whether every key keeps a quorum of its copies when any one zone is lost.
    #[must_use]
    pub fn survives_zone_loss(&self) -> bool {
        check::survives_zone_loss(&self.draft)
    }
}
