//! What each kind of resource can say of itself.
//!
//! Only what this project sets or must know; a cloud's other attributes keep the cloud's defaults. The comparison
//! rules stand in `fields.rs` next to it, so that this file reads as a vocabulary.

mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{Kind, Reference};

/// A virtual network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// Whether the resolver at the second address answers.
    pub dns_support: bool,
    /// Whether instances get DNS names.
    pub dns_hostnames: bool,
}

/// The way to and from the internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetGateway {
    /// The network it is attached to; none while detached.
    pub vpc: Option<Reference>,
}

/// Addresses of one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its network.
    pub vpc: Reference,
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// The availability zone by name, for example `us-east-1a`.
    pub zone: String,
    /// Whether instances get a public address by themselves; never wanted here, public subnets hold gateways only.
    pub public_addresses: bool,
}

/// A fixed public address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElasticIp {}

/// Outgoing internet for one zone's private subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGateway {
    /// The public subnet it stands in.
    pub subnet: Reference,
    /// Its address (allocation).
    pub address: Reference,
}

/// A table of routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Its network.
    pub vpc: Reference,
}

/// Where packets go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    /// To an internet gateway.
    InternetGateway(Reference),
    /// To a NAT gateway.
    NatGateway(Reference),
    /// To something this project never sets, by its id; or to nothing, if the target is gone (`blackhole`).
    Other(String),
}

/// One route of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its table.
    pub table: Reference,
    /// The destination as the cloud writes it: a CIDR of either family. Routes of prefix lists (gateway endpoints)
    /// and `local` ones are never reported as resources.
    pub destination: String,
    /// Where such packets go.
    pub target: RouteTarget,
}

/// Which table a subnet uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    /// The table.
    pub table: Reference,
    /// The subnet.
    pub subnet: Reference,
}

/// A stateful filter around network interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its network.
    pub vpc: Reference,
    /// What it is for; the cloud cannot change it later.
    pub description: String,
    /// Whether this is the one that the network came with: it is emptied, and goes with the network.
    pub default: bool,
}

/// Direction of a packet, seen from what is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards it.
    In,
    /// From it.
    Out,
}

/// Ports, both ends included. For ICMP: type and code, -1 for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortRange {
    /// First.
    pub from: i32,
    /// Last.
    pub to: i32,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// An IPv4 or IPv6 CIDR as the cloud writes it.
    Cidr(String),
    /// The members of a group.
    Group(Reference),
    /// A prefix list by id.
    PrefixList(String),
}

/// One rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Its group.
    pub group: Reference,
    /// Which packets.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub protocol: String,
    /// Ports; none for protocols without, and for all protocols.
    pub ports: Option<PortRange>,
    /// The other side.
    pub peer: Peer,
    /// Why it is there.
    pub description: String,
}

/// A stateless filter around subnets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// Its network.
    pub vpc: Reference,
}

/// One entry of a network ACL. The cloud's own last entry (32767, deny) is never reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAclEntry {
    /// Its list.
    pub acl: Reference,
    /// Which packets.
    pub direction: Direction,
    /// Place in the order, 1 to 32766; the lowest that matches decides.
    pub number: u16,
    /// Whether they pass.
    pub allow: bool,
    /// IANA protocol number as text (`6`, `17`, `1`), or `-1` for all.
    pub protocol: String,
    /// Ports; none for protocols without, and for all protocols.
    pub ports: Option<PortRange>,
    /// The other side, a CIDR of either family.
    pub cidr: String,
}

/// Which ACL a subnet uses. Every subnet always has exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAclAssociation {
    /// The list.
    pub acl: Reference,
    /// The subnet.
    pub subnet: Reference,
}

/// A way to a service of the cloud that needs no NAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEndpoint {
    /// Its network.
    pub vpc: Reference,
    /// The service, for example `com.amazonaws.us-east-1.s3`.
    pub service: String,
    /// The tables that get its route.
    pub tables: BTreeSet<Reference>,
}

/// Where flow logs are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Days after which entries go; none: never.
    pub retention_days: Option<u32>,
}

/// An identity that a service takes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Who may take it on: the policy document as canonical JSON (keys sorted, no spaces).
    pub trust: String,
    /// What it may do: inline policies by name, canonical JSON.
    pub policies: BTreeMap<String, String>,
    /// ARNs of the cloud's own policies attached to it.
    pub managed_policies: BTreeSet<String>,
}

/// A role as instances carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    /// The role; none while it has none.
    pub role: Option<Reference>,
}

/// Records of who spoke to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLog {
    /// The network.
    pub vpc: Reference,
    /// Where to (log group).
    pub log_group: Reference,
    /// By whom (role).
    pub role: Reference,
    /// Which traffic: `ALL`.
    pub traffic: String,
    /// Longest time that is summed up, in seconds: 60 or 600.
    pub aggregation_seconds: u32,
}

/// The load balancer's certificate, imported from the cluster's own authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The host name it is for.
    pub domain: String,
    /// Whether it is to be imported again because it ends soon. Wanted: never; observed: when less than 30 days are left.
    pub ends_soon: bool,
}

/// Who gets requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// Its network.
    pub vpc: Reference,
    /// `HTTPS`.
    pub protocol: String,
    /// The targets' port.
    pub port: u16,
    /// Path whose 200 means healthy.
    pub health_path: String,
    /// Seconds between checks.
    pub health_interval_seconds: u32,
    /// Seconds after which a check failed; less than the interval.
    pub health_timeout_seconds: u32,
    /// Successes in a row that make a target healthy.
    pub healthy_after: u32,
    /// Failures in a row that make it unhealthy.
    pub unhealthy_after: u32,
    /// Seconds that a leaving target may finish its requests.
    pub deregistration_delay_seconds: u32,
}

/// The clients' way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Whether the internet reaches it.
    pub internet_facing: bool,
    /// One subnet for each zone.
    pub subnets: BTreeSet<Reference>,
    /// Its security groups.
    pub groups: BTreeSet<Reference>,
    /// Whether requests with malformed headers are dropped.
    pub drop_invalid_headers: bool,
    /// Seconds after which a silent connection is closed.
    pub idle_timeout_seconds: u32,
}

/// A port of the load balancer. What no rule takes answers 404.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Whose.
    pub load_balancer: Reference,
    /// The port.
    pub port: u16,
    /// `HTTPS`.
    pub protocol: String,
    /// The cloud's name of the TLS versions and ciphers.
    pub tls_policy: String,
    /// The certificate (ours or by ARN).
    pub certificate: Reference,
    /// Status answered to what no rule takes; `none` when the default action is anything else.
    pub default_status: Option<u16>,
}

/// Requests that a listener hands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRule {
    /// Its listener.
    pub listener: Reference,
    /// Place in the order, from 1.
    pub priority: u32,
    /// Path patterns.
    pub paths: BTreeSet<String>,
    /// Who gets them; none if the action is not a plain forward.
    pub target_group: Option<Reference>,
}

/// Where artifacts are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Whether old versions stay.
    pub versioned: bool,
    /// Whether it is encrypted at rest.
    pub encrypted: bool,
    /// Whether all public access is blocked.
    pub private: bool,
}

/// A file in a bucket. Its role is its key in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its bucket.
    pub bucket: Reference,
    /// Its key in the bucket.
    pub path: String,
    /// SHA-256 of its bytes in lower-case hexadecimal, as kept in its metadata `sha256`.
    pub sha256: String,
}

/// A secret of the cluster. The value is never read for comparison and never changed once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Whether it is encrypted (`SecureString`).
    pub secure: bool,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The zone it is in.
    pub zone: String,
    /// Size in GiB; it can grow only.
    pub gib: u32,
    /// The cloud's name of its kind, `gp3`.
    pub volume_type: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its subnet.
    pub subnet: Reference,
    /// Its fixed address.
    pub address: Ipv4Addr,
    /// The cloud's name of its size.
    pub instance_type: String,
    /// An image id (`ami-…`), or the public parameter that names one (`/aws/service/…`). Matters at creation only.
    pub image: String,
    /// Its security groups.
    pub groups: BTreeSet<Reference>,
    /// Its identity (instance profile).
    pub profile: Option<Reference>,
    /// What it does at its first start. Matters at creation only; empty where it was observed.
    pub user_data: String,
    /// First 16 hexadecimal digits of the SHA-256 of `user_data`, kept in the tag `kvstore:user-data`.
    pub user_data_digest: String,
    /// Whether the metadata service wants session tokens.
    pub metadata_tokens_required: bool,
    /// Whether it has a public address; never wanted.
    pub public_address: bool,
    /// Whether it shall run; observed: whether it does.
    pub running: bool,
}

/// A disk in a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeAttachment {
    /// The disk.
    pub volume: Reference,
    /// The machine.
    pub instance: Reference,
    /// The device name asked for, for example `/dev/sdf`.
    pub device: String,
}

/// A machine in a target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRegistration {
    /// The group.
    pub target_group: Reference,
    /// The machine.
    pub instance: Reference,
    /// Its port.
    pub port: u16,
}

/// What a resource is, in all detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is documented at the type it holds")]
pub enum Spec {
    Vpc(Vpc),
    InternetGateway(InternetGateway),
    Subnet(Subnet),
    ElasticIp(ElasticIp),
    NatGateway(NatGateway),
    RouteTable(RouteTable),
    Route(Route),
    RouteTableAssociation(RouteTableAssociation),
    SecurityGroup(SecurityGroup),
    SecurityGroupRule(SecurityGroupRule),
    NetworkAcl(NetworkAcl),
    NetworkAclEntry(NetworkAclEntry),
    NetworkAclAssociation(NetworkAclAssociation),
    GatewayEndpoint(GatewayEndpoint),
    LogGroup(LogGroup),
    Role(Role),
    InstanceProfile(InstanceProfile),
    FlowLog(FlowLog),
    Certificate(Certificate),
    TargetGroup(TargetGroup),
    LoadBalancer(LoadBalancer),
    Listener(Listener),
    ListenerRule(ListenerRule),
    Bucket(Bucket),
    Object(Object),
    Parameter(Parameter),
    Volume(Volume),
    Instance(Instance),
    VolumeAttachment(VolumeAttachment),
    TargetRegistration(TargetRegistration),
}

impl Spec {
    /// Which kind it describes.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Vpc(_) => Kind::Vpc,
            Self::InternetGateway(_) => Kind::InternetGateway,
            Self::Subnet(_) => Kind::Subnet,
            Self::ElasticIp(_) => Kind::ElasticIp,
            Self::NatGateway(_) => Kind::NatGateway,
            Self::RouteTable(_) => Kind::RouteTable,
            Self::Route(_) => Kind::Route,
            Self::RouteTableAssociation(_) => Kind::RouteTableAssociation,
            Self::SecurityGroup(_) => Kind::SecurityGroup,
            Self::SecurityGroupRule(_) => Kind::SecurityGroupRule,
            Self::NetworkAcl(_) => Kind::NetworkAcl,
            Self::NetworkAclEntry(_) => Kind::NetworkAclEntry,
            Self::NetworkAclAssociation(_) => Kind::NetworkAclAssociation,
            Self::GatewayEndpoint(_) => Kind::GatewayEndpoint,
            Self::LogGroup(_) => Kind::LogGroup,
            Self::Role(_) => Kind::Role,
            Self::InstanceProfile(_) => Kind::InstanceProfile,
            Self::FlowLog(_) => Kind::FlowLog,
            Self::Certificate(_) => Kind::Certificate,
            Self::TargetGroup(_) => Kind::TargetGroup,
            Self::LoadBalancer(_) => Kind::LoadBalancer,
            Self::Listener(_) => Kind::Listener,
            Self::ListenerRule(_) => Kind::ListenerRule,
            Self::Bucket(_) => Kind::Bucket,
            Self::Object(_) => Kind::Object,
            Self::Parameter(_) => Kind::Parameter,
            Self::Volume(_) => Kind::Volume,
            Self::Instance(_) => Kind::Instance,
            Self::VolumeAttachment(_) => Kind::VolumeAttachment,
            Self::TargetRegistration(_) => Kind::TargetRegistration,
        }
    }

    /// Every resource it names, once each.
    #[must_use]
    pub fn references(&self) -> BTreeSet<Reference> {
        use super::Value;
        let mut found = BTreeSet::new();
        for field in self.fields() {
            match field.value {
                Value::Reference(reference) => {
                    found.insert(reference);
                }
                Value::References(references) => found.extend(references),
                Value::Absent | Value::Text(_) | Value::Flag(_) | Value::Number(_) | Value::Texts(_) => {}
            }
        }
        found
    }

    /// The resource inside which one of kind [`Identity::Content`](super::Identity::Content) exists; it lives and
    /// dies with it, and is ours because that one is.
    #[must_use]
    pub const fn parent(&self) -> Option<&Reference> {
        match self {
            Self::Route(route) => Some(&route.table),
            Self::RouteTableAssociation(association) => Some(&association.subnet),
            Self::SecurityGroupRule(rule) => Some(&rule.group),
            Self::NetworkAclEntry(entry) => Some(&entry.acl),
            Self::NetworkAclAssociation(association) => Some(&association.subnet),
            Self::Listener(listener) => Some(&listener.load_balancer),
            Self::ListenerRule(rule) => Some(&rule.listener),
            Self::Object(object) => Some(&object.bucket),
            Self::VolumeAttachment(attachment) => Some(&attachment.volume),
            Self::TargetRegistration(registration) => Some(&registration.target_group),
            _ => None,
        }
    }

    /// The role of a resource that is recognised by its content, once its references are keys; none for other
    /// kinds, and none as long as a reference that belongs to the role is not one of ours.
    ///
    /// For example `private-us-east-1a/0.0.0.0/0` for a route, `nodes/in/tcp/7946-7946/nodes` for a rule.
    #[must_use]
    pub fn derived_role(&self) -> Option<String> {
        fields::derived_role(self)
    }
}
