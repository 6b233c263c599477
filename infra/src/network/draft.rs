//! A network as asked for, not yet checked, and the default one: the reference network.
//!
//! This is what cluster.yaml says and what a context remembers. Addresses are texts here, because a text with host
//! bits set must be refused with its own words. Nothing in this file judges.

use serde::{Deserialize, Serialize};

use crate::topology::Ports;

/// The image of a new machine unless another is asked for: the newest Amazon Linux 2023, by its public parameter.
pub const DEFAULT_IMAGE: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
/// TLS 1.2 and 1.3 with forward secrecy.
pub const DEFAULT_TLS_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// A cluster in a network of its own, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// First part of every name.
    pub project: String,
    /// Second part of every name, for example `dev`.
    pub environment: String,
    /// The cloud's region.
    pub region: String,
    /// Named profile of the credentials; none: as the environment says.
    pub profile: Option<String>,
    /// The only account this cluster may be made in; none: any.
    pub account: Option<String>,
    /// Addresses of the network.
    pub vpc_cidr: String,
    /// Availability zones, in order.
    pub zones: Vec<ZoneDraft>,
    /// Copies of each key.
    pub replicas: u8,
    /// Partitions of the key space, a power of two; cannot be changed later.
    pub partitions: u32,
    /// Ports, the same on every node; the load balancer listens on `api` too.
    pub ports: Ports,
    /// Consent to a layout that the loss of one zone stops.
    pub accept_zone_outage: bool,
    /// The machines' size.
    pub instance_type: String,
    /// Their image: `ami-…`, or a public parameter that names one.
    pub image: String,
    /// Size of each data volume in GiB.
    pub volume_gib: u32,
    /// Who may reach the load balancer.
    pub client_cidrs: Vec<String>,
    /// Rules beside those of the reference network.
    pub rules: Vec<RuleDraft>,
    /// Days for which flow logs are kept.
    pub flow_log_days: u32,
    /// The load balancer's TLS policy.
    pub tls_policy: String,
    /// ARN of a certificate for the load balancer; none: one of the cluster's own authority is imported.
    pub certificate: Option<String>,
    /// Host name for the imported certificate; none: the names that the cloud gives to load balancers.
    pub domain: Option<String>,
}

/// A zone as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneDraft {
    /// Its name, for example `us-east-1a`.
    pub name: String,
    /// Nodes in it.
    pub nodes: u8,
    /// Addresses of its private subnet; none: the first free block.
    pub private_cidr: Option<String>,
    /// Addresses of its public subnet; none: the first free block.
    pub public_cidr: Option<String>,
}

impl ZoneDraft {
    /// A zone with one node and addresses of our choice.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), nodes: 1, private_cidr: None, public_cidr: None }
    }
}

/// A security group's extra rule as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDraft {
    /// `nodes`, `lb` or `monitoring`.
    pub group: String,
    /// `in` or `out`.
    pub direction: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// One port or a range, for example `9200` or `9200-9300`.
    pub ports: String,
    /// The other side: a CIDR, or one of the three groups.
    pub peer: String,
    /// Why it is there.
    pub description: String,
}

impl Draft {
    /// The default in another region: its zones a, b and c.
    #[must_use]
    pub fn for_region(region: &str) -> Self {
        let zones = ["a", "b", "c"].map(|letter| ZoneDraft::new(format!("{region}{letter}")));
        Self { region: region.to_owned(), zones: zones.to_vec(), ..Self::default() }
    }
}

impl Default for Draft {
    /// The reference network.
    fn default() -> Self {
        let zones = ["us-east-1a", "us-east-1b", "us-east-1c"].map(ZoneDraft::new);
        Self {
            project: "kvstore".to_owned(),
            environment: "dev".to_owned(),
            region: "us-east-1".to_owned(),
            profile: None,
            account: None,
            vpc_cidr: "10.0.0.0/16".to_owned(),
            zones: zones.to_vec(),
            replicas: 3,
            partitions: 256,
            ports: Ports::default(),
            accept_zone_outage: false,
            instance_type: "m6i.large".to_owned(),
            image: DEFAULT_IMAGE.to_owned(),
            volume_gib: 100,
            client_cidrs: vec!["0.0.0.0/0".to_owned()],
            rules: Vec::new(),
            flow_log_days: 30,
            tls_policy: DEFAULT_TLS_POLICY.to_owned(),
            certificate: None,
            domain: None,
        }
    }
}
