//! A specification with its references replaced, and the two things that every reference is asked for.
//!
//! One table says which kind each reference of each kind of resource names; because ids of different kinds may be
//! equal (a role and an instance profile of one name), nothing looks a reference up without it. What a resource goes
//! away with ([`carrier`]) stands here too, because it is a property of the same references.

use std::collections::BTreeSet;

use crate::resource::{
    FlowLog, GatewayEndpoint, Instance, InstanceProfile, InternetGateway, Kind, Listener, ListenerRule, LoadBalancer,
    NatGateway, NetworkAcl, NetworkAclAssociation, NetworkAclEntry, Object, Peer, Reference, Route, RouteTable,
    RouteTableAssociation, RouteTarget, SecurityGroup, SecurityGroupRule, Spec, Subnet, TargetGroup,
    TargetRegistration, VolumeAttachment,
};

type Change<'f> = &'f mut dyn FnMut(Kind, &Reference) -> Reference;

/// The same specification with each reference changed; the function is told which kind it names.
pub(crate) fn translate(spec: &Spec, change: Change<'_>) -> Spec {
    match spec {
        Spec::InternetGateway(_)
        | Spec::Subnet(_)
        | Spec::NatGateway(_)
        | Spec::RouteTable(_)
        | Spec::Route(_)
        | Spec::RouteTableAssociation(_)
        | Spec::GatewayEndpoint(_)
        | Spec::FlowLog(_) => network(spec, change),
        Spec::SecurityGroup(_)
        | Spec::SecurityGroupRule(_)
        | Spec::NetworkAcl(_)
        | Spec::NetworkAclEntry(_)
        | Spec::NetworkAclAssociation(_) => filter(spec, change),
        Spec::TargetGroup(_)
        | Spec::LoadBalancer(_)
        | Spec::Listener(_)
        | Spec::ListenerRule(_)
        | Spec::TargetRegistration(_) => balancer(spec, change),
        Spec::InstanceProfile(_) | Spec::Object(_) | Spec::Instance(_) | Spec::VolumeAttachment(_) => {
            machine(spec, change)
        }
        Spec::Vpc(_)
        | Spec::ElasticIp(_)
        | Spec::LogGroup(_)
        | Spec::Role(_)
        | Spec::Certificate(_)
        | Spec::Bucket(_)
        | Spec::Parameter(_)
        | Spec::Volume(_) => spec.clone(),
    }
}

fn network(spec: &Spec, change: Change<'_>) -> Spec {
    match spec {
        Spec::InternetGateway(gateway) => {
            Spec::InternetGateway(InternetGateway { vpc: gateway.vpc.as_ref().map(|vpc| change(Kind::Vpc, vpc)) })
        }
        Spec::Subnet(subnet) => Spec::Subnet(Subnet { vpc: change(Kind::Vpc, &subnet.vpc), ..subnet.clone() }),
        Spec::NatGateway(gateway) => Spec::NatGateway(NatGateway {
            subnet: change(Kind::Subnet, &gateway.subnet),
            address: change(Kind::ElasticIp, &gateway.address),
        }),
        Spec::RouteTable(table) => Spec::RouteTable(RouteTable { vpc: change(Kind::Vpc, &table.vpc) }),
        Spec::Route(route) => Spec::Route(Route {
            table: change(Kind::RouteTable, &route.table),
            destination: route.destination.clone(),
            target: match &route.target {
                RouteTarget::InternetGateway(id) => RouteTarget::InternetGateway(change(Kind::InternetGateway, id)),
                RouteTarget::NatGateway(id) => RouteTarget::NatGateway(change(Kind::NatGateway, id)),
                RouteTarget::Other(id) => RouteTarget::Other(id.clone()),
            },
        }),
        Spec::RouteTableAssociation(association) => Spec::RouteTableAssociation(RouteTableAssociation {
            table: change(Kind::RouteTable, &association.table),
            subnet: change(Kind::Subnet, &association.subnet),
        }),
        Spec::GatewayEndpoint(endpoint) => Spec::GatewayEndpoint(GatewayEndpoint {
            vpc: change(Kind::Vpc, &endpoint.vpc),
            service: endpoint.service.clone(),
            tables: each(&endpoint.tables, Kind::RouteTable, change),
        }),
        Spec::FlowLog(log) => Spec::FlowLog(FlowLog {
            vpc: change(Kind::Vpc, &log.vpc),
            log_group: change(Kind::LogGroup, &log.log_group),
            role: change(Kind::Role, &log.role),
            ..log.clone()
        }),
        other => other.clone(),
    }
}

fn filter(spec: &Spec, change: Change<'_>) -> Spec {
    match spec {
        Spec::SecurityGroup(group) => {
            Spec::SecurityGroup(SecurityGroup { vpc: change(Kind::Vpc, &group.vpc), ..group.clone() })
        }
        Spec::SecurityGroupRule(rule) => Spec::SecurityGroupRule(SecurityGroupRule {
            group: change(Kind::SecurityGroup, &rule.group),
            peer: match &rule.peer {
                Peer::Group(id) => Peer::Group(change(Kind::SecurityGroup, id)),
                other => other.clone(),
            },
            ..rule.clone()
        }),
        Spec::NetworkAcl(acl) => Spec::NetworkAcl(NetworkAcl { vpc: change(Kind::Vpc, &acl.vpc) }),
        Spec::NetworkAclEntry(entry) => {
            Spec::NetworkAclEntry(NetworkAclEntry { acl: change(Kind::NetworkAcl, &entry.acl), ..entry.clone() })
        }
        Spec::NetworkAclAssociation(association) => Spec::NetworkAclAssociation(NetworkAclAssociation {
            acl: change(Kind::NetworkAcl, &association.acl),
            subnet: change(Kind::Subnet, &association.subnet),
        }),
        other => other.clone(),
    }
}

fn balancer(spec: &Spec, change: Change<'_>) -> Spec {
    match spec {
        Spec::TargetGroup(group) => {
            Spec::TargetGroup(TargetGroup { vpc: change(Kind::Vpc, &group.vpc), ..group.clone() })
        }
        Spec::LoadBalancer(balancer) => Spec::LoadBalancer(LoadBalancer {
            subnets: each(&balancer.subnets, Kind::Subnet, change),
            groups: each(&balancer.groups, Kind::SecurityGroup, change),
            ..balancer.clone()
        }),
        Spec::Listener(listener) => Spec::Listener(Listener {
            load_balancer: change(Kind::LoadBalancer, &listener.load_balancer),
            certificate: change(Kind::Certificate, &listener.certificate),
            ..listener.clone()
        }),
        Spec::ListenerRule(rule) => Spec::ListenerRule(ListenerRule {
            listener: change(Kind::Listener, &rule.listener),
            target_group: rule.target_group.as_ref().map(|group| change(Kind::TargetGroup, group)),
            ..rule.clone()
        }),
        Spec::TargetRegistration(registration) => Spec::TargetRegistration(TargetRegistration {
            target_group: change(Kind::TargetGroup, &registration.target_group),
            instance: change(Kind::Instance, &registration.instance),
            port: registration.port,
        }),
        other => other.clone(),
    }
}

fn machine(spec: &Spec, change: Change<'_>) -> Spec {
    match spec {
        Spec::InstanceProfile(profile) => {
            Spec::InstanceProfile(InstanceProfile { role: profile.role.as_ref().map(|role| change(Kind::Role, role)) })
        }
        Spec::Object(object) => Spec::Object(Object { bucket: change(Kind::Bucket, &object.bucket), ..object.clone() }),
        Spec::Instance(instance) => Spec::Instance(Instance {
            subnet: change(Kind::Subnet, &instance.subnet),
            groups: each(&instance.groups, Kind::SecurityGroup, change),
            profile: instance.profile.as_ref().map(|profile| change(Kind::InstanceProfile, profile)),
            ..instance.clone()
        }),
        Spec::VolumeAttachment(attachment) => Spec::VolumeAttachment(VolumeAttachment {
            volume: change(Kind::Volume, &attachment.volume),
            instance: change(Kind::Instance, &attachment.instance),
            device: attachment.device.clone(),
        }),
        other => other.clone(),
    }
}

fn each(references: &BTreeSet<Reference>, kind: Kind, change: Change<'_>) -> BTreeSet<Reference> {
    references.iter().map(|reference| change(kind, reference)).collect()
}

/// Every reference with the kind it names.
pub(super) fn references(spec: &Spec) -> Vec<(Kind, Reference)> {
    let mut all = Vec::new();
    let _same = translate(spec, &mut |kind, reference| {
        all.push((kind, reference.clone()));
        reference.clone()
    });
    all
}

/// What it goes away with, without a step of its own: a route with its table, a disk's attachment with the machine.
///
/// Not the same as [`Spec::parent`], which says whose it is: a volume outlives its attachment.
pub(super) const fn carrier(spec: &Spec) -> Option<(Kind, &Reference)> {
    match spec {
        Spec::Route(route) => Some((Kind::RouteTable, &route.table)),
        Spec::RouteTableAssociation(association) => Some((Kind::Subnet, &association.subnet)),
        Spec::SecurityGroupRule(rule) => Some((Kind::SecurityGroup, &rule.group)),
        Spec::NetworkAclEntry(entry) => Some((Kind::NetworkAcl, &entry.acl)),
        Spec::NetworkAclAssociation(association) => Some((Kind::Subnet, &association.subnet)),
        Spec::Listener(listener) => Some((Kind::LoadBalancer, &listener.load_balancer)),
        Spec::ListenerRule(rule) => Some((Kind::Listener, &rule.listener)),
        Spec::Object(object) => Some((Kind::Bucket, &object.bucket)),
        Spec::VolumeAttachment(attachment) => Some((Kind::Instance, &attachment.instance)),
        Spec::TargetRegistration(registration) => Some((Kind::TargetGroup, &registration.target_group)),
        Spec::SecurityGroup(SecurityGroup { default: true, vpc, .. }) => Some((Kind::Vpc, vpc)),
        _ => None,
    }
}

/// The kind of [`Spec::parent`], for kinds that are recognised by what they say.
pub(super) const fn parent_kind(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Route => Some(Kind::RouteTable),
        Kind::RouteTableAssociation | Kind::NetworkAclAssociation => Some(Kind::Subnet),
        Kind::SecurityGroupRule => Some(Kind::SecurityGroup),
        Kind::NetworkAclEntry => Some(Kind::NetworkAcl),
        Kind::Listener => Some(Kind::LoadBalancer),
        Kind::ListenerRule => Some(Kind::Listener),
        Kind::Object => Some(Kind::Bucket),
        Kind::VolumeAttachment => Some(Kind::Volume),
        Kind::TargetRegistration => Some(Kind::TargetGroup),
        _ => None,
    }
}
