//! Single cases: one edit of the small reference network, and the very steps that mend it.
//!
//! `check` also carries the plan out and asserts that a second one is empty.

use std::collections::BTreeSet;

use super::mutate::add_ours;
use super::world::{World, everything};
use super::{lines, settle, small, wanted};
use crate::network::{Draft, ZoneDraft};
use crate::observed::{Condition, Found, Unseen};
use crate::plan::{Action, Blocker, Plan, Step};
use crate::resource::{
    CLUSTER_TAG, Direction, ElasticIp, InternetGateway, Key, Kind, LoadBalancer, MANAGED_BY, Peer, ROLE_TAG, Reference,
    RouteTarget, Spec, Volume,
};

/// The id of what plays a role (or, for what is inside others, of the first that names the id `role`).
fn id(world: &World, kind: Kind, role: &str) -> String {
    let ids = world.ids(|one| one.kind() == kind && (one.role() == Some(role) || one.name.ends_with(role)));
    ids.first().unwrap_or_else(|| panic!("no {kind} {role}")).1.clone()
}

fn found<'w>(world: &'w mut World, kind: Kind, role: &str) -> &'w mut Found {
    let id = id(world, kind, role);
    world.get_mut(kind, &id)
}

fn check(edit: impl Fn(&mut World), expected: &[&str]) {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    edit(&mut world);
    assert_eq!(lines(&settle(&wanted, &mut world)), expected);
}

#[test]
fn nothing_is_done_to_what_is_as_wanted() {
    check(|_| {}, &[]);
    // Tags that others added are theirs.
    check(|world| drop(found(world, Kind::Vpc, "main").tags.insert("CostCentre".to_owned(), "7".to_owned())), &[]);
}

#[test]
fn tags_and_settings_are_set_back() {
    check(
        |world| drop(found(world, Kind::Vpc, "main").tags.insert("Environment".to_owned(), "prod".to_owned())),
        &["update vpc/main: tag Environment is prod, wanted dev"],
    );
    // Its role was renamed by hand: its name says who it is, and nothing is made twice.
    check(
        |world| drop(found(world, Kind::Vpc, "main").tags.insert(ROLE_TAG.to_owned(), "old".to_owned())),
        &["update vpc/main: tag kvstore:role is old, wanted main"],
    );
    check(
        |world| {
            if let Spec::LogGroup(group) = &mut found(world, Kind::LogGroup, "flow-logs").spec {
                group.retention_days = None;
            }
        },
        &["update log-group/flow-logs !!: retention days is none, wanted 30"],
    );
    check(
        |world| {
            if let Spec::LoadBalancer(LoadBalancer { idle_timeout_seconds, .. }) =
                &mut found(world, Kind::LoadBalancer, "main").spec
            {
                *idle_timeout_seconds = 7;
            }
        },
        &["update load-balancer/main: idle timeout is 7, wanted 60"],
    );
}

#[test]
fn what_was_added_by_hand_is_taken_away() {
    check(
        |world| {
            let group = id(world, Kind::SecurityGroup, "nodes");
            world.push_untagged(everything(Direction::In, &group, Peer::Cidr("0.0.0.0/0".to_owned())));
        },
        &["delete security-group-rule/ID !: not part of the cluster"],
    );
    check(
        |world| {
            let group = id(world, Kind::SecurityGroup, "default");
            world.push_untagged(everything(Direction::Out, &group, Peer::Cidr("0.0.0.0/0".to_owned())));
        },
        &["delete security-group-rule/ID !: not part of the cluster"],
    );
    check(
        |world| drop(add_ours(world, Spec::ElasticIp(ElasticIp {}), "us-east-1e")),
        &["delete elastic-ip/ID !!: not part of the cluster"],
    );
}

#[test]
fn what_was_deleted_by_hand_is_made_again() {
    check(
        |world| {
            let nat = id(world, Kind::NatGateway, "us-east-1a");
            world.remove(Kind::NatGateway, &nat);
        },
        &[
            "create nat-gateway/us-east-1a: it does not exist",
            "update route/private-us-east-1a/0.0.0.0/0 !: target is nat-gateway-N, wanted nat-gateway/us-east-1a",
        ],
    );
    check(
        |world| {
            let instance = id(world, Kind::Instance, "a1");
            world.remove(Kind::Instance, &instance);
            let named = Reference::Id(instance);
            let target = world.ids(|one| one.spec.references().contains(&named));
            assert_eq!(target.len(), 1, "the registration stays behind");
        },
        &[
            "create instance/a1: it does not exist",
            "create volume-attachment/a1: it does not exist",
            "create target-registration/nodes/a1/8080: it does not exist",
            "delete target-registration/ID !: not part of the cluster",
        ],
    );
}

#[test]
fn what_failed_is_made_anew_with_what_cannot_do_without() {
    check(
        |world| {
            let reason = "Gateway.NotAttached".to_owned();
            found(world, Kind::NatGateway, "us-east-1a").condition = Condition::Failed { reason };
        },
        &[
            "delete nat-gateway/us-east-1a: it failed: Gateway.NotAttached",
            "create nat-gateway/us-east-1a: it failed: Gateway.NotAttached",
            "update route/private-us-east-1a/0.0.0.0/0 !: target is nat-gateway-N, wanted nat-gateway/us-east-1a",
        ],
    );
}

#[test]
fn what_is_in_the_making_is_waited_for_and_what_is_going_is_replaced() {
    check(
        |world| {
            let state = "pending".to_owned();
            found(world, Kind::NatGateway, "us-east-1a").condition = Condition::Pending { state };
        },
        &["await nat-gateway/us-east-1a: it is not ready yet (pending)"],
    );
    check(
        |world| {
            let state = "deleting".to_owned();
            found(world, Kind::NatGateway, "us-east-1a").condition = Condition::Deleting { state };
        },
        &[
            "create nat-gateway/us-east-1a: nat-gateway-N is going away (deleting)",
            "update route/private-us-east-1a/0.0.0.0/0 !: target is nat-gateway-N, wanted nat-gateway/us-east-1a",
        ],
    );
}

/// A network takes one gateway, and one that is attached cannot be let go while addresses are in use: it stays, even
/// if routes still name the other.
#[test]
fn of_two_gateways_the_attached_one_stays() {
    let second = |world: &mut World, id: &str, vpc: Option<String>| {
        let mut second = found(world, Kind::InternetGateway, "main").clone();
        second.id = id.to_owned();
        second.spec = Spec::InternetGateway(InternetGateway { vpc: vpc.map(Reference::Id) });
        world.observed.found.push(second);
    };
    check(
        |world| {
            second(world, "igw-a", None);
            // Nothing but its being attached tells which of them serves.
            let out = |one: &Found| matches!(&one.spec, Spec::Route(route) if matches!(route.target, RouteTarget::InternetGateway(_)));
            for (kind, id) in world.ids(out) {
                world.remove(kind, &id);
            }
        },
        &[
            "create route/public/0.0.0.0/0: it does not exist",
            "delete internet-gateway/ID: a second one; internet-gateway-N is kept",
        ],
    );
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    let vpc = id(&world, Kind::Vpc, "main");
    let own = id(&world, Kind::InternetGateway, "main");
    world.get_mut(Kind::InternetGateway, &own).spec = Spec::InternetGateway(InternetGateway { vpc: None });
    second(&mut world, "igw-a", Some(vpc));
    let plan = Plan::between(&wanted, &world.observed);
    let goes = |step: &Step| match &step.action {
        Action::Delete { found } if found.kind() == Kind::InternetGateway => Some(found.id.clone()),
        _ => None,
    };
    let gone: Vec<String> = plan.steps.iter().filter_map(goes).collect();
    assert_eq!(gone, [own], "{:?}", lines(&plan));
}

#[test]
fn of_two_the_one_in_use_stays() {
    check(
        |world| {
            let mut second = found(world, Kind::Vpc, "main").clone();
            second.id = "vpc-a".to_owned();
            world.observed.found.push(second);
            // The second one came with a group of its own, which goes with it.
            let group = found(world, Kind::SecurityGroup, "default").clone();
            let mut spec = group.spec;
            if let Spec::SecurityGroup(group) = &mut spec {
                group.vpc = Reference::Id("vpc-a".to_owned());
            }
            world.push_untagged(spec);
        },
        &["delete vpc/ID: a second one; vpc-N is in use by others"],
    );
}

#[test]
fn a_certificate_is_changed_without_a_moment_without_one() {
    check(
        |world| {
            if let Spec::Certificate(certificate) = &mut found(world, Kind::Certificate, "lb").spec {
                certificate.domain = "old.example".to_owned();
            }
        },
        &[
            "create certificate/lb: domain is old.example, wanted *.us-east-1.elb.amazonaws.com, which cannot be changed in place",
            "update listener/main/8080 !: certificate is certificate-N, wanted certificate/lb",
            "delete certificate/lb !!: domain is old.example, wanted *.us-east-1.elb.amazonaws.com, which cannot be changed in place",
        ],
    );
}

#[test]
fn a_target_group_that_changes_its_port_takes_its_rule_and_targets_along() {
    check(
        |world| {
            if let Spec::TargetGroup(group) = &mut found(world, Kind::TargetGroup, "nodes").spec {
                group.port = 9999;
            }
        },
        &[
            "delete listener-rule/main/8080/1 !: target group can only be changed by making it anew",
            "delete target-group/nodes !!: port is 9999, wanted 8080, which cannot be changed in place",
            "create target-group/nodes: port is 9999, wanted 8080, which cannot be changed in place",
            "create listener-rule/main/8080/1: target group can only be changed by making it anew",
            "create target-registration/nodes/a1/8080: it goes away with target-group/nodes",
            "create target-registration/nodes/b1/8080: it goes away with target-group/nodes",
        ],
    );
}

#[test]
fn a_machine_of_another_size_is_made_anew_and_keeps_its_disk() {
    check(
        |world| {
            if let Spec::Instance(instance) = &mut found(world, Kind::Instance, "a1").spec {
                instance.instance_type = "t3.micro".to_owned();
            }
        },
        &[
            "delete target-registration/nodes/a1/8080 !: instance/a1, which it names, is made anew",
            "delete instance/a1 !!: type is t3.micro, wanted m6i.large, which cannot be changed in place",
            "create instance/a1: type is t3.micro, wanted m6i.large, which cannot be changed in place",
            "create volume-attachment/a1: it goes away with instance/a1",
            "create target-registration/nodes/a1/8080: instance/a1, which it names, is made anew",
        ],
    );
}

#[test]
fn a_rule_that_is_missing_comes_before_one_that_is_too_many_goes() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    open_gossip(&mut world);
    let plan = settle(&wanted, &mut world);
    let expected = [
        "create security-group-rule/nodes/in/udp/7947/nodes: it does not exist",
        "delete security-group-rule/ID !: not part of the cluster",
    ];
    assert_eq!(lines(&plan), expected);
    assert_eq!(plan.steps[1].after, [0].into());
}

fn open_gossip(world: &mut World) {
    let gossip = world.ids(|one| {
        matches!(&one.spec, Spec::SecurityGroupRule(rule) if rule.protocol == "udp" && matches!(rule.peer, Peer::Group(_)))
    });
    let (kind, id) = gossip.first().expect("the gossip rule").clone();
    if let Spec::SecurityGroupRule(rule) = &mut world.get_mut(kind, &id).spec {
        rule.peer = Peer::Cidr("0.0.0.0/0".to_owned());
    }
}

#[test]
fn data_that_nobody_wants_is_told_of_and_left() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    let volume = Volume { zone: "us-east-1a".to_owned(), gib: 1, volume_type: "gp3".to_owned(), encrypted: true };
    let old = add_ours(&mut world, Spec::Volume(volume.clone()), "z9");
    let second = add_ours(&mut world, Spec::Volume(volume), "a1");
    let plan = settle(&wanted, &mut world);
    assert_eq!(lines(&plan), Vec::<String>::new());
    let notes: Vec<String> = plan.notes.iter().map(|note| format!("{}: {}", note.key, note.text)).collect();
    let kept = id(&world, Kind::Volume, "a1");
    assert_eq!(
        notes,
        [
            format!("volume/{old}: not part of the cluster; it is kept, because it may hold data"),
            format!(
                "volume/{second}: a second one; {kept} is in use by 1 resource; it is kept, because it may hold data"
            ),
        ]
    );
}

#[test]
fn differences_that_cannot_be_mended_are_told_of_and_left() {
    let mut wanted = wanted(small());
    let mut world = World::of(&wanted);
    if let Spec::Volume(volume) = &mut found(&mut world, Kind::Volume, "a1").spec {
        volume.gib = 500;
    }
    let instance = found(&mut world, Kind::Instance, "a1");
    if let Spec::Instance(instance) = &mut instance.spec {
        instance.user_data_digest = "0000".to_owned();
    }
    let _old = instance.tags.insert("kvstore:user-data".to_owned(), "0000".to_owned());
    for one in wanted.iter_mut().filter(|one| one.key.kind == Kind::Instance) {
        let _none = one.tags.insert("kvstore:user-data".to_owned(), "1111".to_owned());
    }
    let plan = settle(&wanted, &mut world);
    assert_eq!(lines(&plan), Vec::<String>::new());
    let notes: Vec<&str> = plan.notes.iter().map(|note| note.text.split(", wanted").next().unwrap()).collect();
    assert_eq!(notes, ["size in GiB is 500", "user data is 0000"]);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    let unseen = Unseen {
        kinds: vec![Kind::FlowLog],
        action: "ec2:DescribeFlowLogs".to_owned(),
        reason: "not authorised".to_owned(),
        permission: true,
    };
    world.observed.found.retain(|one| one.kind() != Kind::FlowLog);
    world.observed.unseen.push(unseen.clone());
    let terraform = "terraform".to_owned();
    let _own = found(&mut world, Kind::Vpc, "main").tags.insert(MANAGED_BY.to_owned(), terraform.clone());
    let balancer = id(&world, Kind::LoadBalancer, "main");
    let _own = world.get_mut(Kind::LoadBalancer, &balancer).tags.remove(CLUSTER_TAG);
    let plan = Plan::between(&wanted, &world.observed);
    let vpc = id(&world, Kind::Vpc, "main");
    let foreign = Blocker::Foreign {
        key: Key::new(Kind::LoadBalancer, "main"),
        name: "kvstore-dev-alb".to_owned(),
        id: balancer,
        why: "it has no tag kvstore:cluster".to_owned(),
    };
    assert_eq!(plan.blockers, [Blocker::Unseen(unseen), Blocker::OtherWriter { id: vpc, writer: terraform }, foreign]);
    // Nothing is planned about what may exist already.
    let made = |kind| plan.steps.iter().any(|step| step.kind() == kind && matches!(step.action, Action::Create { .. }));
    assert!(!made(Kind::FlowLog) && !made(Kind::LoadBalancer));
    assert_eq!(Plan::removal(&world.observed, true).blockers.len(), 2);
}

#[test]
fn orphans_of_another_network_go_with_it() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    // A second network with a subnet and a group of its own: what an interrupted run left behind.
    let mut vpc = found(&mut world, Kind::Vpc, "main").clone();
    vpc.id = "vpc-b".to_owned();
    let mut subnet = found(&mut world, Kind::Subnet, "public-us-east-1a").clone();
    subnet.id = "subnet-b".to_owned();
    if let Spec::Subnet(subnet) = &mut subnet.spec {
        subnet.vpc = Reference::Id("vpc-b".to_owned());
    }
    world.observed.found.extend([vpc, subnet]);
    let plan = settle(&wanted, &mut world);
    assert_eq!(
        lines(&plan),
        [
            "delete subnet/ID: a second one; subnet-N is in use by others",
            "delete vpc/ID: a second one; vpc-N is in use by others",
        ]
    );
}

#[test]
fn a_list_that_needs_itself_is_ordered_anyhow() {
    let mut wanted = wanted(small());
    let table = Key::new(Kind::RouteTable, "public");
    let at = wanted.iter().position(|one| one.key.kind == Kind::Subnet).expect("there are subnets");
    let subnet = wanted[at].key.clone();
    wanted[at].needs.push(table.clone());
    for one in wanted.iter_mut().filter(|one| one.key == table) {
        one.needs = vec![subnet.clone(), table.clone()];
    }
    let plan = Plan::between(&wanted, &World::empty().observed);
    assert_eq!(plan.steps.len(), wanted.len());
    for (at, step) in plan.steps.iter().enumerate() {
        assert!(step.after.iter().all(|first| *first < at), "{} waits for a later step", step.key);
    }
}

#[test]
fn a_zone_that_moves_takes_the_load_balancer_along_only_where_it_must() {
    // A public subnet gets addresses that were another one's: the load balancer cannot stay while they change.
    check_kinds(
        |draft| {
            draft.zones[0].private_cidr = Some("10.0.192.0/19".to_owned());
            draft.zones[0].public_cidr = Some("10.0.0.0/19".to_owned());
        },
        &[Kind::LoadBalancer, Kind::Instance, Kind::NatGateway],
    );
    // A zone more changes it in place.
    check_kinds(|draft| draft.zones.push(ZoneDraft::new("us-east-1c")), &[]);
}

/// Which of the kinds that serve are deleted when a network is changed.
fn check_kinds(change: impl Fn(&mut Draft), expected: &[Kind]) {
    let mut draft = small();
    for (at, zone) in draft.zones.iter_mut().enumerate() {
        zone.private_cidr = Some(format!("10.0.{}.0/19", 64 * at));
        zone.public_cidr = Some(format!("10.0.{}.0/19", 64 * at + 32));
    }
    let mut world = World::of(&wanted(draft.clone()));
    change(&mut draft);
    let plan = settle(&wanted(draft), &mut world);
    let serving = |kind: &Kind| matches!(kind, Kind::LoadBalancer | Kind::Instance | Kind::NatGateway);
    let deleted = plan.steps.iter().filter(|step| matches!(step.action, Action::Delete { .. }));
    let kinds: BTreeSet<Kind> = deleted.map(|step| step.key.kind).filter(serving).collect();
    assert_eq!(kinds, expected.iter().copied().collect());
}

#[test]
fn groups_that_name_each_other_can_be_removed() {
    let mut world = World::of(&wanted(small()));
    let rules = |plan: &Plan| plan.steps.iter().filter(|step| step.kind() == Kind::SecurityGroupRule).count();
    // Otherwise rules go with their groups.
    assert_eq!(rules(&Plan::removal(&world.observed, false)), 0);
    let [one, other] = ["nodes", "lb"].map(|role| id(&world, Kind::SecurityGroup, role));
    for (group, peer) in [(&one, &other), (&other, &one)] {
        world.push_untagged(everything(Direction::In, group, Peer::Group(Reference::Id(peer.clone()))));
    }
    let mut last_first = world.clone();
    let plan = Plan::removal(&world.observed, false);
    last_first.apply_last_first(&plan);
    world.apply(&plan);
    assert_eq!((world.observed.found.len(), last_first.observed.found.len()), (0, 0));
}

#[test]
fn a_subnet_may_use_the_list_its_network_came_with() {
    let mut wanted = wanted(small());
    let unwanted = |kind| matches!(kind, Kind::NetworkAclAssociation | Kind::NetworkAclEntry | Kind::NetworkAcl);
    let mut world = World::of(&wanted);
    wanted.retain(|one| !unwanted(one.key.kind));
    for one in &mut wanted {
        one.needs.retain(|key| !unwanted(key.kind));
    }
    let plan = settle(&wanted, &mut world);
    let deleted = |kind| plan.steps.iter().filter(|step| step.kind() == kind).count();
    assert_eq!([Kind::NetworkAclAssociation, Kind::NetworkAclEntry, Kind::NetworkAcl].map(deleted), [4, 0, 2]);
}
