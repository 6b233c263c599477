//! What kinds of things are like in a fake cloud: their ids, what they start as, what comes and goes with them.
//!
//! Plain tables; which operation is refused when stands in `guards`.

use crate::resource::{Direction, InstanceProfile, Kind, Peer, Reference, SecurityGroup, SecurityGroupRule, Spec};

use super::thing::{Thing, is};

/// The service whose calls make this kind, as in names of permissions.
pub(super) const fn service(kind: Kind) -> &'static str {
    match kind {
        Kind::LogGroup => "logs",
        Kind::Role | Kind::InstanceProfile => "iam",
        Kind::Certificate => "acm",
        Kind::TargetGroup | Kind::LoadBalancer | Kind::Listener | Kind::ListenerRule | Kind::TargetRegistration => {
            "elasticloadbalancing"
        }
        Kind::Bucket | Kind::Object => "s3",
        Kind::Parameter => "ssm",
        _ => "ec2",
    }
}

/// Whether its creation takes a client token.
pub(super) const fn remembers_tokens(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::NatGateway
            | Kind::RouteTable
            | Kind::NetworkAcl
            | Kind::GatewayEndpoint
            | Kind::FlowLog
            | Kind::Volume
            | Kind::Instance
            | Kind::Certificate
    )
}

/// The id of the `count`-th thing that is made.
pub(super) fn id(name: &str, spec: &Spec, count: u64) -> String {
    match spec {
        Spec::Route(route) => format!("{}/{}", route.table, route.destination),
        Spec::NetworkAclEntry(entry) => {
            let direction = if entry.direction == Direction::In { "in" } else { "out" };
            format!("{}/{direction}/{}", entry.acl, entry.number)
        }
        Spec::Object(object) => format!("{}/{}", object.bucket, object.path),
        Spec::TargetRegistration(one) => format!("{}/{}/{}", one.target_group, one.instance, one.port),
        Spec::VolumeAttachment(one) => format!("{}/{}", one.volume, one.instance),
        Spec::LogGroup(_) | Spec::Role(_) | Spec::InstanceProfile(_) | Spec::Bucket(_) | Spec::Parameter(_) => {
            // Names are unique within a kind only, ids in the whole world: a role and its profile share a name.
            if matches!(spec, Spec::InstanceProfile(_)) { format!("profile:{name}") } else { name.to_owned() }
        }
        _ => format!("{}-{count:05}", spec.kind()),
    }
}

/// What it is right after its creation, before it is configured.
pub(super) fn at_birth(mut spec: Spec) -> Spec {
    match &mut spec {
        Spec::Vpc(vpc) => vpc.dns_hostnames = false,
        Spec::InternetGateway(gateway) => gateway.vpc = None,
        Spec::InstanceProfile(InstanceProfile { role }) => *role = None,
        Spec::Role(role) => {
            role.policies.clear();
            role.managed_policies.clear();
        }
        Spec::LogGroup(group) => group.retention_days = None,
        Spec::Bucket(bucket) => bucket.versioned = false,
        Spec::LoadBalancer(balancer) => {
            balancer.drop_invalid_headers = false;
            balancer.idle_timeout_seconds = 60;
        }
        Spec::Instance(instance) => instance.user_data.clear(),
        _ => {}
    }
    spec
}

/// What a change makes of it: what can only be said at creation stays.
pub(super) fn changed(old: &Spec, mut new: Spec) -> Spec {
    match (old, &mut new) {
        (Spec::SecurityGroup(old), Spec::SecurityGroup(new)) => new.description.clone_from(&old.description),
        (Spec::Volume(old), Spec::Volume(new)) => {
            new.zone.clone_from(&old.zone);
            new.encrypted = old.encrypted;
        }
        (Spec::Instance(old), Spec::Instance(new)) => {
            new.image.clone_from(&old.image);
            new.user_data.clear();
            new.user_data_digest.clone_from(&old.user_data_digest);
        }
        (Spec::VolumeAttachment(old), Spec::VolumeAttachment(new)) => new.device.clone_from(&old.device),
        _ => {}
    }
    new
}

/// Whether a thing ends when the one with this id does.
pub(super) fn dies_with(thing: &Thing, id: &str) -> bool {
    let inside = thing.is_inside(id);
    match &thing.spec {
        Spec::SecurityGroup(group) => group.default && is(&group.vpc, id),
        Spec::TargetRegistration(one) => inside || is(&one.instance, id),
        Spec::VolumeAttachment(one) => inside || is(&one.instance, id),
        _ => inside,
    }
}

/// What has to go before one of this kind can, if it names it.
pub(super) const fn blocks(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Vpc => &[
            Kind::Subnet,
            Kind::InternetGateway,
            Kind::RouteTable,
            Kind::SecurityGroup,
            Kind::NetworkAcl,
            Kind::GatewayEndpoint,
        ],
        Kind::Subnet => &[Kind::NatGateway, Kind::LoadBalancer, Kind::Instance],
        Kind::ElasticIp => &[Kind::NatGateway],
        Kind::RouteTable => &[Kind::RouteTableAssociation],
        Kind::SecurityGroup => &[Kind::SecurityGroupRule, Kind::LoadBalancer, Kind::Instance],
        Kind::NetworkAcl => &[Kind::NetworkAclAssociation],
        Kind::Role => &[Kind::InstanceProfile],
        Kind::Certificate => &[Kind::Listener],
        Kind::TargetGroup => &[Kind::ListenerRule],
        Kind::Volume => &[Kind::VolumeAttachment],
        _ => &[],
    }
}

pub(super) fn default_group(vpc: &str) -> Spec {
    Spec::SecurityGroup(SecurityGroup {
        vpc: Reference::Id(vpc.to_owned()),
        description: "default VPC security group".to_owned(),
        default: true,
    })
}

pub(super) fn rule_to_all(group: &str) -> Spec {
    rule(group, Direction::Out, Peer::Cidr("0.0.0.0/0".to_owned()))
}

pub(super) fn rule_from_itself(group: &str) -> Spec {
    rule(group, Direction::In, Peer::Group(Reference::Id(group.to_owned())))
}

fn rule(group: &str, direction: Direction, peer: Peer) -> Spec {
    Spec::SecurityGroupRule(SecurityGroupRule {
        group: Reference::Id(group.to_owned()),
        direction,
        protocol: "-1".to_owned(),
        ports: None,
        peer,
        description: String::new(),
    })
}
