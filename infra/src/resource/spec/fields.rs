//! Each specification as fields, and the roles of resources that are recognised by what they say.
//!
//! This is the one table that says which difference can be mended in place and which needs a new resource. Fields
//! that are part of a derived role never differ between two resources with the same key.

use std::collections::BTreeSet;

use super::{Direction, Peer, PortRange, Reference, Role, RouteTarget, SecurityGroupRule, Spec};
use crate::resource::field::{Field, Value};

type Fields = Vec<Field>;

const CONFIGURE: fn(&'static str, Value) -> Field = |name, value| Field::configure(name, value);
const REPLACE: fn(&'static str, Value) -> Field = |name, value| Field::replace(name, value);
const LEAVE: fn(&'static str, Value) -> Field = |name, value| Field::leave(name, value);

impl Spec {
    /// Its fields. Both sides of a comparison have the same ones in the same order.
    #[must_use]
    pub fn fields(&self) -> Fields {
        match self {
            Self::Vpc(_)
            | Self::InternetGateway(_)
            | Self::Subnet(_)
            | Self::ElasticIp(_)
            | Self::NatGateway(_)
            | Self::RouteTable(_)
            | Self::Route(_)
            | Self::RouteTableAssociation(_)
            | Self::GatewayEndpoint(_) => self.network_fields(),
            Self::SecurityGroup(_)
            | Self::SecurityGroupRule(_)
            | Self::NetworkAcl(_)
            | Self::NetworkAclEntry(_)
            | Self::NetworkAclAssociation(_) => self.filter_fields(),
            Self::Certificate(_)
            | Self::TargetGroup(_)
            | Self::LoadBalancer(_)
            | Self::Listener(_)
            | Self::ListenerRule(_)
            | Self::TargetRegistration(_) => self.balancer_fields(),
            Self::LogGroup(_)
            | Self::Role(_)
            | Self::InstanceProfile(_)
            | Self::FlowLog(_)
            | Self::Bucket(_)
            | Self::Object(_)
            | Self::Parameter(_) => self.service_fields(),
            Self::Volume(_) | Self::Instance(_) | Self::VolumeAttachment(_) => self.machine_fields(),
        }
    }

    fn network_fields(&self) -> Fields {
        match self {
            Self::Vpc(vpc) => vec![
                REPLACE("cidr", vpc.cidr.to_string().into()),
                CONFIGURE("dns support", vpc.dns_support.into()),
                CONFIGURE("dns hostnames", vpc.dns_hostnames.into()),
            ],
            Self::InternetGateway(gateway) => vec![CONFIGURE("attached to", gateway.vpc.as_ref().into())],
            Self::Subnet(subnet) => vec![
                REPLACE("vpc", (&subnet.vpc).into()),
                REPLACE("cidr", subnet.cidr.to_string().into()),
                REPLACE("zone", (&subnet.zone).into()),
                CONFIGURE("public addresses", subnet.public_addresses.into()),
            ],
            Self::NatGateway(gateway) => {
                vec![REPLACE("subnet", (&gateway.subnet).into()), REPLACE("address", (&gateway.address).into())]
            }
            Self::RouteTable(table) => vec![REPLACE("vpc", (&table.vpc).into())],
            Self::Route(route) => vec![
                REPLACE("table", (&route.table).into()),
                REPLACE("destination", (&route.destination).into()),
                CONFIGURE("target", target(&route.target)),
            ],
            Self::RouteTableAssociation(association) => {
                vec![REPLACE("subnet", (&association.subnet).into()), CONFIGURE("table", (&association.table).into())]
            }
            Self::GatewayEndpoint(endpoint) => vec![
                REPLACE("vpc", (&endpoint.vpc).into()),
                REPLACE("service", (&endpoint.service).into()),
                CONFIGURE("tables", (&endpoint.tables).into()),
            ],
            _ => Vec::new(),
        }
    }

    fn filter_fields(&self) -> Fields {
        match self {
            Self::SecurityGroup(group) => vec![
                REPLACE("vpc", (&group.vpc).into()),
                LEAVE("description", (&group.description).into()),
                REPLACE("default", group.default.into()),
            ],
            Self::SecurityGroupRule(rule) => vec![
                REPLACE("group", (&rule.group).into()),
                REPLACE("packets", packets(rule).into()),
                REPLACE("peer", peer(&rule.peer)),
                CONFIGURE("description", (&rule.description).into()),
            ],
            Self::NetworkAcl(acl) => vec![REPLACE("vpc", (&acl.vpc).into())],
            Self::NetworkAclEntry(entry) => vec![
                REPLACE("acl", (&entry.acl).into()),
                REPLACE("number", entry.number.into()),
                REPLACE("direction", direction(entry.direction).into()),
                CONFIGURE("action", if entry.allow { "allow" } else { "deny" }.into()),
                CONFIGURE("protocol", (&entry.protocol).into()),
                CONFIGURE("ports", entry.ports.map(ports).into()),
                CONFIGURE("cidr", (&entry.cidr).into()),
            ],
            Self::NetworkAclAssociation(association) => {
                vec![REPLACE("subnet", (&association.subnet).into()), CONFIGURE("acl", (&association.acl).into())]
            }
            _ => Vec::new(),
        }
    }

    fn balancer_fields(&self) -> Fields {
        match self {
            Self::Certificate(certificate) => vec![
                REPLACE("domain", (&certificate.domain).into()),
                CONFIGURE("ends soon", certificate.ends_soon.into()),
            ],
            Self::TargetGroup(group) => vec![
                REPLACE("vpc", (&group.vpc).into()),
                REPLACE("protocol", (&group.protocol).into()),
                REPLACE("port", group.port.into()),
                CONFIGURE("health path", (&group.health_path).into()),
                CONFIGURE("health interval", group.health_interval_seconds.into()),
                CONFIGURE("health timeout", group.health_timeout_seconds.into()),
                CONFIGURE("healthy after", group.healthy_after.into()),
                CONFIGURE("unhealthy after", group.unhealthy_after.into()),
                CONFIGURE("deregistration delay", group.deregistration_delay_seconds.into()),
            ],
            Self::LoadBalancer(balancer) => vec![
                REPLACE("internet facing", balancer.internet_facing.into()),
                CONFIGURE("subnets", (&balancer.subnets).into()),
                CONFIGURE("groups", (&balancer.groups).into()),
                CONFIGURE("drop invalid headers", balancer.drop_invalid_headers.into()),
                CONFIGURE("idle timeout", balancer.idle_timeout_seconds.into()),
            ],
            Self::Listener(listener) => vec![
                REPLACE("load balancer", (&listener.load_balancer).into()),
                REPLACE("port", listener.port.into()),
                CONFIGURE("protocol", (&listener.protocol).into()),
                CONFIGURE("tls policy", (&listener.tls_policy).into()),
                CONFIGURE("certificate", (&listener.certificate).into()),
                CONFIGURE("default status", listener.default_status.into()),
            ],
            Self::ListenerRule(rule) => vec![
                REPLACE("listener", (&rule.listener).into()),
                REPLACE("priority", rule.priority.into()),
                CONFIGURE("paths", (&rule.paths).into()),
                CONFIGURE("target group", rule.target_group.as_ref().into()),
            ],
            Self::TargetRegistration(registration) => vec![
                REPLACE("target group", (&registration.target_group).into()),
                REPLACE("instance", (&registration.instance).into()),
                REPLACE("port", registration.port.into()),
            ],
            _ => Vec::new(),
        }
    }

    fn service_fields(&self) -> Fields {
        match self {
            Self::LogGroup(group) => vec![CONFIGURE("retention days", group.retention_days.into())],
            Self::Role(role) => role_fields(role),
            Self::InstanceProfile(profile) => vec![CONFIGURE("role", profile.role.as_ref().into())],
            Self::FlowLog(log) => vec![
                REPLACE("vpc", (&log.vpc).into()),
                REPLACE("log group", (&log.log_group).into()),
                REPLACE("role", (&log.role).into()),
                REPLACE("traffic", (&log.traffic).into()),
                REPLACE("aggregation seconds", log.aggregation_seconds.into()),
            ],
            Self::Bucket(bucket) => vec![
                CONFIGURE("versioned", bucket.versioned.into()),
                CONFIGURE("encrypted", bucket.encrypted.into()),
                CONFIGURE("private", bucket.private.into()),
            ],
            Self::Object(object) => vec![
                REPLACE("bucket", (&object.bucket).into()),
                REPLACE("path", (&object.path).into()),
                CONFIGURE("sha256", (&object.sha256).into()),
            ],
            Self::Parameter(parameter) => vec![REPLACE("secure", parameter.secure.into())],
            _ => Vec::new(),
        }
    }

    fn machine_fields(&self) -> Fields {
        match self {
            Self::Volume(volume) => vec![
                // A volume that would have to be replaced holds data: the difference is told, never acted on.
                LEAVE("zone", (&volume.zone).into()),
                CONFIGURE("size in GiB", volume.gib.into()),
                CONFIGURE("type", (&volume.volume_type).into()),
                LEAVE("encrypted", volume.encrypted.into()),
            ],
            Self::Instance(instance) => vec![
                REPLACE("subnet", (&instance.subnet).into()),
                REPLACE("address", instance.address.to_string().into()),
                REPLACE("type", (&instance.instance_type).into()),
                CONFIGURE("groups", (&instance.groups).into()),
                CONFIGURE("profile", instance.profile.as_ref().into()),
                LEAVE("user data", (&instance.user_data_digest).into()),
                CONFIGURE("metadata tokens required", instance.metadata_tokens_required.into()),
                REPLACE("public address", instance.public_address.into()),
                CONFIGURE("running", instance.running.into()),
            ],
            Self::VolumeAttachment(attachment) => vec![
                REPLACE("volume", (&attachment.volume).into()),
                CONFIGURE("instance", (&attachment.instance).into()),
                LEAVE("device", (&attachment.device).into()),
            ],
            _ => Vec::new(),
        }
    }
}

fn role_fields(role: &Role) -> Fields {
    let policies: BTreeSet<String> =
        role.policies.iter().map(|(name, document)| format!("{name}: {document}")).collect();
    vec![
        CONFIGURE("trust", (&role.trust).into()),
        CONFIGURE("policies", (&policies).into()),
        CONFIGURE("managed policies", (&role.managed_policies).into()),
    ]
}

fn target(target: &RouteTarget) -> Value {
    match target {
        RouteTarget::InternetGateway(reference) | RouteTarget::NatGateway(reference) => reference.into(),
        RouteTarget::Other(id) => id.into(),
    }
}

fn peer(peer: &Peer) -> Value {
    match peer {
        Peer::Cidr(cidr) => cidr.into(),
        Peer::Group(group) => group.into(),
        Peer::PrefixList(id) => id.into(),
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

fn ports(range: PortRange) -> String {
    if range.from == range.to { range.from.to_string() } else { format!("{}-{}", range.from, range.to) }
}

/// For example `in/tcp/7946`, `out/all`.
fn packets(rule: &SecurityGroupRule) -> String {
    let protocol = if rule.protocol == "-1" { "all" } else { &rule.protocol };
    let range = rule.ports.map(|range| format!("/{}", ports(range))).unwrap_or_default();
    format!("{}/{protocol}{range}", direction(rule.direction))
}

/// See [`Spec::derived_role`].
pub(super) fn derived_role(spec: &Spec) -> Option<String> {
    let role = |reference: &Reference| reference.key().map(|key| key.role.clone());
    match spec {
        Spec::Route(route) => Some(format!("{}/{}", role(&route.table)?, route.destination)),
        Spec::RouteTableAssociation(association) => role(&association.subnet),
        Spec::SecurityGroupRule(rule) => {
            let other = match &rule.peer {
                Peer::Cidr(cidr) => cidr.clone(),
                // A group that is not ours is named by its id: such a rule is never wanted, but it has a key.
                Peer::Group(group) => role(group).unwrap_or_else(|| group.to_string()),
                Peer::PrefixList(id) => id.clone(),
            };
            Some(format!("{}/{}/{other}", role(&rule.group)?, packets(rule)))
        }
        Spec::NetworkAclEntry(entry) => {
            Some(format!("{}/{}/{}", role(&entry.acl)?, direction(entry.direction), entry.number))
        }
        Spec::NetworkAclAssociation(association) => role(&association.subnet),
        Spec::Listener(listener) => Some(format!("{}/{}", role(&listener.load_balancer)?, listener.port)),
        Spec::ListenerRule(rule) => Some(format!("{}/{}", role(&rule.listener)?, rule.priority)),
        Spec::Object(object) => Some(format!("{}/{}", role(&object.bucket)?, object.path)),
        Spec::VolumeAttachment(attachment) => role(&attachment.volume),
        Spec::TargetRegistration(registration) => {
            // A machine that is not ours is named by its id, as above.
            let instance = role(&registration.instance).unwrap_or_else(|| registration.instance.to_string());
            Some(format!("{}/{instance}/{}", role(&registration.target_group)?, registration.port))
        }
        _ => None,
    }
}
