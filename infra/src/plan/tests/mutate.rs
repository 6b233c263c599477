//! What happens to a cluster behind its back: random edits of a world, each drawn as a few numbers.
//!
//! Every edit leaves a world that a cloud could be in: nothing names what does not exist, except routes to a gateway
//! that is gone.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::world::{CLUSTER, World};
use crate::observed::{Condition, Found};
use crate::plan::translate::{references, translate};
use crate::resource::{
    CLUSTER_TAG, Direction, ElasticIp, Identity, Kind, NatGateway, NetworkAclEntry, Peer, PortRange, ROLE_TAG,
    Reference, Route, RouteTarget, SecurityGroupRule, Spec, Subnet,
};

/// One edit: which one, of what, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edit {
    what: u8,
    which: usize,
    how: u8,
}

pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (0..9_u8, any::<usize>(), any::<u8>()).prop_map(|(what, which, how)| Edit { what, which, how });
    proptest::collection::vec(edit, 0..6)
}

pub(super) fn apply(world: &mut World, edit: Edit) {
    let ours = |one: &Found| one.cluster() == Some(CLUSTER);
    match edit.what {
        0 => with(world, edit, |_| true, |world, kind, id| delete_with_users(world, kind, &id)),
        1 => with(world, edit, duplicable, |world, kind, id| duplicate(world, kind, &id, edit.how)),
        2 => with(world, edit, ours, |world, kind, id| retag(world.get_mut(kind, &id), edit.how)),
        3 => with(world, edit, ours, |world, kind, id| change_condition(world, kind, &id, edit.how)),
        4 => with(world, edit, |_| true, |world, kind, id| change_field(&mut world.get_mut(kind, &id).spec, edit.how)),
        5 => with(world, edit, |one| one.kind() == Kind::SecurityGroup, |world, _, id| add_rule(world, &id, edit.how)),
        6 => with(world, edit, |one| one.kind() == Kind::Vpc, |world, _, id| add_subnet(world, &id, edit.how)),
        7 => with(world, edit, |one| one.kind() == Kind::RouteTable, |world, _, id| add_route(world, &id, edit.how)),
        _ => with(world, edit, |one| one.kind() == Kind::NetworkAcl, |world, _, id| add_entry(world, &id, edit.how)),
    }
}

fn with(world: &mut World, edit: Edit, which: impl Fn(&Found) -> bool, change: impl Fn(&mut World, Kind, String)) {
    let candidates = world.ids(which);
    if !candidates.is_empty() {
        let (kind, id) = candidates[edit.which % candidates.len()].clone();
        change(world, kind, id);
    }
}

fn delete_with_users(world: &mut World, kind: Kind, id: &str) {
    // The cloud lets nobody delete these two alone.
    let spec = world.get_mut(kind, id).spec.clone();
    let stays =
        matches!(&spec, Spec::NetworkAclAssociation(_)) || matches!(&spec, Spec::SecurityGroup(group) if group.default);
    if stays {
        return;
    }
    let named = (kind, Reference::Id(id.to_owned()));
    let users = world
        .ids(|one| references(&one.spec).contains(&named) && !(one.kind() == Kind::Route && kind == Kind::NatGateway));
    world.remove(kind, id);
    for (kind, id) in users {
        if world.ids(|one| one.kind() == kind && one.id == id).is_empty() {
            continue;
        }
        // A list that is gone leaves its subnets to the network's own.
        if let Spec::NetworkAclAssociation(association) = &mut world.get_mut(kind, &id).spec {
            association.acl = Reference::Id("acl-of-the-vpc".to_owned());
            continue;
        }
        if let Spec::SecurityGroup(group) = &world.get_mut(kind, &id).spec.clone()
            && group.default
        {
            world.remove(kind, &id);
            continue;
        }
        delete_with_users(world, kind, &id);
    }
}

fn duplicable(one: &Found) -> bool {
    one.kind().identity() == Identity::Tag
        && !matches!(one.kind(), Kind::Subnet | Kind::NatGateway | Kind::Instance | Kind::FlowLog)
        && !matches!(one.kind(), Kind::SecurityGroup | Kind::GatewayEndpoint | Kind::Volume)
        && one.cluster() == Some(CLUSTER)
}

/// As after a lost reply; some of those who named the first may name the second.
fn duplicate(world: &mut World, kind: Kind, id: &str, how: u8) {
    let mut second = world.get_mut(kind, id).clone();
    second.id = format!("{}{id}", if how & 1 == 0 { "a-" } else { "z-" });
    if !world.ids(|one| one.kind() == kind && one.id == second.id).is_empty() {
        return;
    }
    if let Spec::InternetGateway(gateway) = &mut second.spec {
        gateway.vpc = None;
    }
    let new = Reference::Id(second.id.clone());
    if kind == Kind::RouteTable && how & 2 != 0 {
        let old = Reference::Id(id.to_owned());
        for one in world.observed.found.iter_mut().filter(|one| one.kind() == Kind::RouteTableAssociation) {
            one.spec = translate(&one.spec, &mut |_, named| if *named == old { new.clone() } else { named.clone() });
        }
    }
    world.observed.found.push(second);
}

fn retag(found: &mut Found, how: u8) {
    let tag = ["Environment", "Owner", ROLE_TAG, "Name"][usize::from(how % 4)];
    match how & 4 {
        0 => drop(found.tags.insert(tag.to_owned(), "somebody's".to_owned())),
        _ => drop(found.tags.remove(tag)),
    }
}

fn change_condition(world: &mut World, kind: Kind, id: &str, how: u8) {
    let going = matches!(kind, Kind::NatGateway | Kind::Instance | Kind::FlowLog | Kind::GatewayEndpoint);
    let fails = going || matches!(kind, Kind::Volume | Kind::LoadBalancer | Kind::Certificate | Kind::InstanceProfile);
    world.get_mut(kind, id).condition = match how % 3 {
        0 => Condition::Pending { state: "pending".to_owned() },
        1 if fails => Condition::Failed { reason: "internal error".to_owned() },
        _ if going => Condition::Deleting { state: "deleting".to_owned() },
        _ => Condition::Ready,
    };
}

fn change_field(spec: &mut Spec, how: u8) {
    let number = u32::from(how);
    match spec {
        Spec::Vpc(vpc) if how < 8 => vpc.cidr = "10.99.0.0/16".parse().unwrap(),
        Spec::Vpc(vpc) => vpc.dns_hostnames = false,
        Spec::Subnet(subnet) if how.is_multiple_of(2) => subnet.zone = "us-east-1f".to_owned(),
        Spec::Subnet(subnet) => subnet.public_addresses = true,
        Spec::Route(route) => route.target = RouteTarget::Other("eni-1".to_owned()),
        Spec::SecurityGroupRule(rule) => rule.description = format!("by hand {how}"),
        Spec::NetworkAclEntry(entry) => entry.allow = false,
        Spec::NetworkAclAssociation(association) => association.acl = Reference::Id("acl-of-the-vpc".to_owned()),
        Spec::LogGroup(group) => group.retention_days = None,
        Spec::InstanceProfile(profile) => profile.role = None,
        Spec::FlowLog(log) => log.traffic = "REJECT".to_owned(),
        Spec::Certificate(certificate) => certificate.domain = "old.example".to_owned(),
        Spec::TargetGroup(group) if how.is_multiple_of(2) => group.port = 8081,
        Spec::TargetGroup(group) => group.healthy_after = number,
        Spec::LoadBalancer(balancer) => balancer.idle_timeout_seconds = number,
        Spec::Listener(listener) => listener.default_status = None,
        Spec::ListenerRule(rule) => rule.target_group = None,
        Spec::Bucket(bucket) => bucket.private = false,
        Spec::Volume(volume) => volume.gib = number,
        Spec::Instance(instance) if how.is_multiple_of(2) => instance.instance_type = "t3.micro".to_owned(),
        Spec::Instance(instance) => instance.running = false,
        _ => {}
    }
}

fn add_rule(world: &mut World, group: &str, how: u8) {
    let groups = world.ids(|one| one.kind() == Kind::SecurityGroup);
    let peer = match how % 3 {
        0 => Peer::Cidr("203.0.113.9/32".to_owned()),
        1 => Peer::Group(Reference::Id(groups[usize::from(how) % groups.len()].1.clone())),
        _ => Peer::Group(Reference::Id("sg-foreign".to_owned())),
    };
    let port = i32::from(how);
    let rule = SecurityGroupRule {
        group: Reference::Id(group.to_owned()),
        direction: Direction::In,
        protocol: "tcp".to_owned(),
        ports: Some(PortRange { from: port, to: port }),
        peer,
        description: "by hand".to_owned(),
    };
    add_once(world, Spec::SecurityGroupRule(rule));
}

/// A subnet of a zone that is no longer wanted, with its NAT gateway.
fn add_subnet(world: &mut World, vpc: &str, how: u8) {
    let cidr: ipnet::Ipv4Net = format!("10.0.{}.0/24", 224 + how % 32).parse().unwrap();
    let vpc = Reference::Id(vpc.to_owned());
    let zone = "us-east-1e".to_owned();
    let taken = world.ids(|one| matches!(&one.spec, Spec::Subnet(subnet) if subnet.cidr.contains(&cidr)));
    if !taken.is_empty() {
        return;
    }
    let subnet =
        add_ours(world, Spec::Subnet(Subnet { vpc, cidr, zone, public_addresses: false }), "public-us-east-1e");
    let address = add_ours(world, Spec::ElasticIp(ElasticIp {}), "us-east-1e");
    let gateway = NatGateway { subnet: Reference::Id(subnet), address: Reference::Id(address) };
    let _id = add_ours(world, Spec::NatGateway(gateway), "us-east-1e");
}

fn add_route(world: &mut World, table: &str, how: u8) {
    let destination = format!("192.0.{how}.0/24");
    let target = RouteTarget::Other("pcx-1".to_owned());
    add_once(world, Spec::Route(Route { table: Reference::Id(table.to_owned()), destination, target }));
}

fn add_entry(world: &mut World, acl: &str, how: u8) {
    let entry = NetworkAclEntry {
        acl: Reference::Id(acl.to_owned()),
        direction: Direction::Out,
        number: 20_000 + u16::from(how),
        allow: false,
        protocol: "-1".to_owned(),
        ports: None,
        cidr: "198.51.100.0/24".to_owned(),
    };
    add_once(world, Spec::NetworkAclEntry(entry));
}

fn add_once(world: &mut World, spec: Spec) {
    if world.observed.found.iter().all(|one| one.spec != spec) {
        let _id = world.push_untagged(spec);
    }
}

pub(super) fn add_ours(world: &mut World, spec: Spec, role: &str) -> String {
    let kind = spec.kind();
    let id = world.push_untagged(spec);
    let tags = [(CLUSTER_TAG, CLUSTER), (ROLE_TAG, role)].map(|(tag, value)| (tag.to_owned(), value.to_owned()));
    world.get_mut(kind, &id).tags.extend(tags);
    id
}

/// Everything that is not the cluster's.
pub(super) fn foreign(world: &World) -> BTreeSet<(Kind, String)> {
    world.ids(|one| one.cluster().is_some_and(|cluster| cluster != CLUSTER)).into_iter().collect()
}
