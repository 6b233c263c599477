//! How plans read.

use super::mutate::add_ours;
use super::world::World;
use super::{small, wanted, without_ids};
use crate::observed::{Condition, Unseen};
use crate::plan::Plan;
use crate::resource::{Kind, Spec, Volume};

fn text(plan: &Plan) -> String {
    without_ids(&format!("{}\n{}", plan.verdict(), plan.listing()))
}

#[test]
fn an_empty_plan_is_one_line() {
    let wanted = wanted(small());
    let world = World::of(&wanted);
    insta::assert_snapshot!(text(&Plan::between(&wanted, &world.observed)), @"NO CHANGES  kvstore-dev: 93 resources are as wanted");
}

#[test]
fn a_first_plan_lists_what_is_made() {
    let mut wanted = wanted(small());
    let shown =
        |kind| matches!(kind, Kind::Vpc | Kind::InternetGateway | Kind::Subnet | Kind::ElasticIp | Kind::NatGateway);
    wanted.retain(|resource| shown(resource.key.kind));
    insta::assert_snapshot!(text(&Plan::between(&wanted, &World::empty().observed)), @r"
    CHANGES  kvstore-dev: 10 to create, 0 to change, 0 to delete
      create  vpc               kvstore-dev-vpc                        10.0.0.0/16
      create  internet gateway  kvstore-dev-igw
      create  subnet            kvstore-dev-subnet-private-us-east-1a  10.0.0.0/18 in us-east-1a
      create  subnet            kvstore-dev-subnet-private-us-east-1b  10.0.64.0/18 in us-east-1b
      create  subnet            kvstore-dev-subnet-public-us-east-1a   10.0.128.0/18 in us-east-1a
      create  subnet            kvstore-dev-subnet-public-us-east-1b   10.0.192.0/18 in us-east-1b
      create  elastic ip        kvstore-dev-eip-us-east-1a
      create  elastic ip        kvstore-dev-eip-us-east-1b
      create  nat gateway       kvstore-dev-nat-us-east-1a             in subnet/public-us-east-1a, with elastic-ip/us-east-1a
      create  nat gateway       kvstore-dev-nat-us-east-1b             in subnet/public-us-east-1b, with elastic-ip/us-east-1b
    ");
}

#[test]
fn changes_risks_and_notes_are_told() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    let volume = Volume { zone: "us-east-1a".to_owned(), gib: 1, volume_type: "gp3".to_owned(), encrypted: true };
    let _id = add_ours(&mut world, Spec::Volume(volume), "z9");
    for found in &mut world.observed.found {
        match &mut found.spec {
            Spec::Vpc(_) => drop(found.tags.insert("Environment".to_owned(), "prod".to_owned())),
            Spec::NatGateway(_) => found.condition = Condition::Failed { reason: "Gateway.NotAttached".to_owned() },
            Spec::Role(role) => role.trust = "x".repeat(100),
            Spec::LoadBalancer(_) => found.condition = Condition::Pending { state: "provisioning".to_owned() },
            Spec::NetworkAclEntry(entry) if entry.number == 400 => entry.number = 401,
            _ => {}
        }
    }
    insta::assert_snapshot!(text(&Plan::between(&wanted, &world.observed)), @r#"
    CHANGES  kvstore-dev: 4 to create, 5 to change, 4 to delete, 2 to make anew, 1 to wait for
      change  vpc                kvstore-dev-vpc                                 vpc-N
                tag Environment: prod -> dev
      create  network acl entry  kvstore-dev-acle-private-in-400                 allow tcp 32768-N 0.0.0.0/0
      create  network acl entry  kvstore-dev-acle-private-out-400                allow tcp 1024-N 10.0.0.0/16
      create  network acl entry  kvstore-dev-acle-public-in-400                  allow tcp 1024-N 0.0.0.0/0
      create  network acl entry  kvstore-dev-acle-public-out-400                 allow tcp 1024-N 0.0.0.0/0
      change  role               kvstore-dev-role-flow-logs-us-east-1
                trust: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… -> {"Statement":[{"Action":"sts:AssumeRole","Condition":{"ArnL…
      change  role               kvstore-dev-role-nodes-us-east-1
                trust: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… -> {"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","…
      await   load balancer      kvstore-dev-alb                                 it is not ready yet (provisioning)
      delete  network acl entry  kvstore-dev-acle-private-in-400                 network-acl-entry-N; not part of the cluster  (DISRUPTIVE)
      delete  network acl entry  kvstore-dev-acle-private-out-400                network-acl-entry-N; not part of the cluster  (DISRUPTIVE)
      delete  network acl entry  kvstore-dev-acle-public-in-400                  network-acl-entry-N; not part of the cluster  (DISRUPTIVE)
      delete  network acl entry  kvstore-dev-acle-public-out-400                 network-acl-entry-N; not part of the cluster  (DISRUPTIVE)
      delete  nat gateway        kvstore-dev-nat-us-east-1a                      nat-gateway-N; it failed: Gateway.NotAttached
      create  nat gateway        kvstore-dev-nat-us-east-1a                      in subnet/public-us-east-1a, with elastic-ip/us-east-1a; made anew
      change  route              kvstore-dev-route-private-us-east-1a-0.0.0.0-0  route-N  (DISRUPTIVE)
                target: nat-gateway-N -> nat-gateway/us-east-1a
      delete  nat gateway        kvstore-dev-nat-us-east-1b                      nat-gateway-N; it failed: Gateway.NotAttached
      create  nat gateway        kvstore-dev-nat-us-east-1b                      in subnet/public-us-east-1b, with elastic-ip/us-east-1b; made anew
      change  route              kvstore-dev-route-private-us-east-1b-0.0.0.0-0  route-N  (DISRUPTIVE)
                target: nat-gateway-N -> nat-gateway/us-east-1b
    note     volume volume-N: not part of the cluster; it is kept, because it may hold data
    "#);
}

#[test]
fn a_blocked_plan_says_so_first() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    world.observed.unseen.push(Unseen {
        kinds: vec![Kind::FlowLog, Kind::Vpc],
        action: "ec2:DescribeFlowLogs".to_owned(),
        reason: "you are not authorised".to_owned(),
        permission: true,
    });
    insta::assert_snapshot!(text(&Plan::between(&wanted, &world.observed)), @r"
    BLOCKED  kvstore-dev: nothing may be done, for 1 reason
    blocked  flow logs, vpcs could not be looked at (ec2:DescribeFlowLogs): you are not authorised
    ");
}

#[test]
fn a_removal_keeps_the_data_and_says_so() {
    let mut world = World::of(&wanted(small()));
    let few = |kind| matches!(kind, Kind::Vpc | Kind::Subnet | Kind::ElasticIp | Kind::NatGateway | Kind::Volume);
    world.observed.found.retain(|one| few(one.kind()));
    insta::assert_snapshot!(text(&Plan::removal(&world.observed, true)), @r"
    CHANGES  kvstore-dev: 0 to create, 0 to change, 9 to delete
      delete  nat gateway  kvstore-dev-nat-us-east-1a             nat-gateway-N; the cluster is removed  (DESTRUCTIVE)
      delete  nat gateway  kvstore-dev-nat-us-east-1b             nat-gateway-N; the cluster is removed  (DESTRUCTIVE)
      delete  elastic ip   kvstore-dev-eip-us-east-1a             elastic-ip-N; the cluster is removed  (DESTRUCTIVE)
      delete  elastic ip   kvstore-dev-eip-us-east-1b             elastic-ip-N; the cluster is removed  (DESTRUCTIVE)
      delete  subnet       kvstore-dev-subnet-private-us-east-1a  subnet-N; the cluster is removed  (DESTRUCTIVE)
      delete  subnet       kvstore-dev-subnet-private-us-east-1b  subnet-N; the cluster is removed  (DESTRUCTIVE)
      delete  subnet       kvstore-dev-subnet-public-us-east-1a   subnet-N; the cluster is removed  (DESTRUCTIVE)
      delete  subnet       kvstore-dev-subnet-public-us-east-1b   subnet-N; the cluster is removed  (DESTRUCTIVE)
      delete  vpc          kvstore-dev-vpc                        vpc-N; the cluster is removed  (DESTRUCTIVE)
    note     volume kvstore-dev-vol-a1: it is kept, because it holds data
    note     volume kvstore-dev-vol-b1: it is kept, because it holds data
    ");
}
