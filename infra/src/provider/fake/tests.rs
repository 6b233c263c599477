//! The fake cloud refuses what the real one refuses, and forgets nothing it should remember.

use std::time::Duration;

use super::*;
use crate::provider::Class;
use crate::resource::Spec;
use crate::resource::{CLUSTER_TAG, ElasticIp, InternetGateway, Key, NatGateway, ROLE_TAG, Subnet, Tags, Vpc};

fn resource(role: &str, spec: Spec) -> Resource {
    let kind = spec.kind();
    let tags: Tags =
        [(CLUSTER_TAG, "c"), (ROLE_TAG, role)].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Resource { key: Key::new(kind, role), name: format!("c-{kind}-{role}"), tags, spec, needs: Vec::new() }
}

fn vpc() -> Resource {
    let cidr = "10.0.0.0/16".parse().expect("a network");
    resource("main", Spec::Vpc(Vpc { cidr, dns_support: true, dns_hostnames: true }))
}

fn subnet() -> Resource {
    let spec = Subnet {
        vpc: vpc().key.into(),
        cidr: "10.0.0.0/24".parse().expect("a network"),
        zone: "a".to_owned(),
        public_addresses: false,
    };
    resource("public-a", Spec::Subnet(spec))
}

fn address() -> Resource {
    resource("a", Spec::ElasticIp(ElasticIp {}))
}

fn internet() -> Resource {
    resource("main", Spec::InternetGateway(InternetGateway { vpc: Some(vpc().key.into()) }))
}

fn gateway() -> Resource {
    resource("a", Spec::NatGateway(NatGateway { subnet: subnet().key.into(), address: address().key.into() }))
}

/// A world with these things, made and configured in order.
fn world_of(resources: &[Resource], faults: Faults) -> (World, Ids) {
    let mut world = World::new(1, faults);
    let mut ids = Ids::new();
    for resource in resources {
        let id = world.create(resource, &ids, &resource.key.to_string()).expect("it can be made");
        ids.insert(resource.key.clone(), id.clone());
        world.configure(&id, resource, &ids).expect("it can be configured");
    }
    (world, ids)
}

fn class<T>(answer: Result<T, Failure>) -> Option<Class> {
    answer.err().map(|failure| failure.class)
}

#[test]
fn what_others_need_cannot_go_first() {
    let (mut world, ids) = world_of(&[vpc(), internet(), subnet(), address(), gateway()], Faults::none());
    for held in [vpc(), internet(), subnet(), address()] {
        assert_eq!(class(world.delete(held.key.kind, &ids[&held.key])), Some(Class::InUse), "{}", held.key);
        assert!(!world.holders(held.key.kind, &ids[&held.key]).expect("no faults").is_empty(), "{}", held.key);
    }
    for free in [gateway(), address(), subnet(), internet(), vpc()] {
        assert_eq!(class(world.delete(free.key.kind, &ids[&free.key])), None, "{}", free.key);
    }
    assert_eq!(world.things().count(), 0, "default groups go with their network");
}

#[test]
fn an_address_is_held_until_after_its_gateway_is_gone() {
    let (mut world, ids) = world_of(&[vpc(), internet(), subnet(), address(), gateway()], Faults::calm());
    world.pass_until(Duration::from_secs(200));
    let (gateway, address) = (ids[&gateway().key].clone(), ids[&address().key].clone());
    assert_eq!(class(world.delete(Kind::NatGateway, &gateway)), None);
    assert!(matches!(world.condition(Kind::NatGateway, &gateway), Ok(Condition::Deleting { .. })));
    assert_eq!(class(world.delete(Kind::ElasticIp, &address)), Some(Class::InUse));
    world.pass_until(Duration::from_secs(400));
    assert_eq!(world.condition(Kind::NatGateway, &gateway), Ok(Condition::Gone));
    assert_eq!(class(world.delete(Kind::ElasticIp, &address)), None);
}

#[test]
fn a_gateway_without_internet_fails_and_takes_its_time_to_say_so() {
    let (mut world, ids) = world_of(&[vpc(), subnet(), address(), gateway()], Faults::calm());
    let id = ids[&gateway().key].clone();
    assert!(matches!(world.condition(Kind::NatGateway, &id), Ok(Condition::Pending { .. })));
    world.pass_until(Duration::from_secs(200));
    assert!(matches!(world.condition(Kind::NatGateway, &id), Ok(Condition::Failed { .. })));
}

#[test]
fn tokens_are_remembered_with_what_was_asked_for() {
    let (mut world, ids) = world_of(&[vpc(), internet(), subnet(), address(), gateway()], Faults::none());
    let token = gateway().key.to_string();
    assert_eq!(world.create(&gateway(), &ids, &token).as_ref(), Ok(&ids[&gateway().key]));
    let mut other = gateway();
    other.tags.insert("more".to_owned(), "tags".to_owned());
    assert_eq!(class(world.create(&other, &ids, &token)), Some(Class::Invalid));
    assert_eq!(class(world.create(&gateway(), &ids, "another")), Some(Class::InUse), "the address is taken");
}

#[test]
fn a_lost_reply_leaves_the_thing_and_a_lost_request_does_not() {
    for (faults, things) in
        [(Faults { lost_replies: 1000, ..Faults::none() }, 1), (Faults { lost_requests: 1000, ..Faults::none() }, 0)]
    {
        let mut world = World::new(1, faults);
        assert_eq!(class(world.create(&address(), &Ids::new(), "token")), Some(Class::Unknown));
        assert_eq!(world.things().count(), things);
    }
}

#[test]
fn new_things_are_seen_by_some_calls_only_until_all_see_them() {
    let mut world = World::new(1, Faults { invisible: Duration::from_secs(60), ..Faults::none() });
    let id = world.create(&address(), &Ids::new(), "token").expect("no faults");
    let seen =
        |world: &mut World| (0..100).filter(|_| world.condition(Kind::ElasticIp, &id) == Ok(Condition::Ready)).count();
    assert!((1..100).contains(&seen(&mut world)));
    world.pass_until(Duration::from_secs(61));
    assert_eq!(seen(&mut world), 100);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let faults = Faults { lost_replies: 300, throttled: 300, ..Faults::none() };
    let answers = |seed| -> Vec<Option<Class>> {
        let mut world = World::new(seed, faults.clone());
        (0..50).map(|_| class(world.create(&address(), &Ids::new(), "token"))).collect()
    };
    assert_eq!(answers(1), answers(1));
    assert_ne!(answers(1), answers(2));
}

#[test]
fn what_may_not_be_looked_at_is_unseen_and_never_absent() {
    let mut world = World::new(1, Faults { denied: ["ec2:DescribeVpc".to_owned()].into(), ..Faults::none() });
    let observed = world.observe("c", &[]).expect("it goes on without");
    assert_eq!(observed.unseen.iter().flat_map(|unseen| unseen.kinds.clone()).collect::<Vec<_>>(), [Kind::Vpc]);
}
