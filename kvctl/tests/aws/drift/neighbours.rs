//! What belongs to others: it is never touched, and where it has a name that we need, nothing is done and it is named.

use serde_json::json;

use crate::census::Census;
use crate::client::{Client, Reply};
use crate::foreign;
use crate::harness::{Bed, CLUSTER, DOWN, PLAN, UP};

/// Somebody else's resource with a name that the cluster wants.
struct Taken {
    name: &'static str,
    make: fn(Client),
}

fn ok(reply: &Reply) {
    assert!((200..300).contains(&reply.status), "{}", reply.body);
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}"#;

const TAKEN: [Taken; 8] = [
    Taken {
        name: "kvstore-dev-role-nodes-us-east-1",
        make: |client| {
            let role = [("RoleName", "kvstore-dev-role-nodes-us-east-1"), ("AssumeRolePolicyDocument", TRUST)];
            ok(&client.iam("CreateRole", &role));
        },
    },
    Taken {
        name: "kvstore-dev-profile-nodes-us-east-1",
        make: |client| {
            ok(&client.iam("CreateInstanceProfile", &[("InstanceProfileName", "kvstore-dev-profile-nodes-us-east-1")]));
        },
    },
    Taken {
        name: "kvstore-dev-lg-flow-logs",
        make: |client| {
            let group = json!({ "logGroupName": "kvstore-dev-lg-flow-logs", "tags": { "kvstore:cluster": "other" } });
            ok(&client.json("logs", "Logs_20140328.CreateLogGroup", &group));
        },
    },
    Taken {
        name: "/kvstore-dev/nodes/a1/key.pem",
        make: |client| {
            let parameter = json!({ "Name": "/kvstore-dev/nodes/a1/key.pem", "Value": "theirs", "Type": "String" });
            ok(&client.json("ssm", "AmazonSSM.PutParameter", &parameter));
        },
    },
    Taken {
        // One that is empty and carries no tag is one that a killed run could not finish, and is taken up.
        name: "kvstore-dev-artifacts-123456789012-us-east-1",
        make: |client| {
            ok(&client.s3("PUT", "/kvstore-dev-artifacts-123456789012-us-east-1", ""));
            ok(&client.s3("PUT", "/kvstore-dev-artifacts-123456789012-us-east-1/theirs", "theirs"));
        },
    },
    Taken { name: "kvstore-dev-tg-nodes", make: |client| target_group(client, "kvstore-dev-tg-nodes") },
    Taken { name: "kvstore-dev-alb", make: |client| load_balancer(client, "kvstore-dev-alb") },
    Taken {
        // All its own calls would succeed; what it says of its writer forbids them.
        name: "terraform",
        make: |client| {
            let vpc = client.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).value("vpcId");
            for (key, value) in [("kvstore:cluster", CLUSTER), ("kvstore:role", "main"), ("ManagedBy", "terraform")] {
                let tag = [("ResourceId.1", vpc.as_str()), ("Tag.1.Key", key), ("Tag.1.Value", value)];
                ok(&client.ec2("CreateTags", &tag));
            }
        },
    },
];

/// A network of somebody else with room for a load balancer.
fn network(client: Client) -> (String, [String; 2]) {
    let vpc = client.ec2("CreateVpc", &[("CidrBlock", "10.88.0.0/16")]).value("vpcId");
    let gateway = client.ec2("CreateInternetGateway", &[]).value("internetGatewayId");
    ok(&client.ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]));
    let subnet = |zone: &str, cidr: &str| {
        let subnet = [("VpcId", vpc.as_str()), ("CidrBlock", cidr), ("AvailabilityZone", zone)];
        client.ec2("CreateSubnet", &subnet).value("subnetId")
    };
    let subnets = [subnet("us-east-1a", "10.88.0.0/24"), subnet("us-east-1b", "10.88.1.0/24")];
    (vpc, subnets)
}

fn load_balancer(client: Client, name: &str) {
    let (_, subnets) = network(client);
    let balancer = [("Name", name), ("Subnets.member.1", &subnets[0]), ("Subnets.member.2", &subnets[1])];
    ok(&client.elb("CreateLoadBalancer", &balancer));
}

fn target_group(client: Client, name: &str) {
    let (vpc, _) = network(client);
    ok(&client.elb("CreateTargetGroup", &[("Name", name), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", &vpc)]));
}

/// Everything of others, beside what `foreign` makes.
fn settle(client: Client) {
    foreign::settle(client);
    load_balancer(client, "kvstore-prod-alb");
    target_group(client, "kvstore-prod-tg-nodes");
    ok(&client.iam("CreateRole", &[("RoleName", "kvstore-prod-role-nodes"), ("AssumeRolePolicyDocument", TRUST)]));
    let profile = [("InstanceProfileName", "kvstore-prod-profile-nodes")];
    ok(&client.iam("CreateInstanceProfile", &profile));
    let member = [("InstanceProfileName", "kvstore-prod-profile-nodes"), ("RoleName", "kvstore-prod-role-nodes")];
    ok(&client.iam("AddRoleToInstanceProfile", &member));
    let group = json!({ "logGroupName": "kvstore-prod-lg-flow-logs" });
    ok(&client.json("logs", "Logs_20140328.CreateLogGroup", &group));
    // Its name begins as the paths of our parameters do.
    let parameter = json!({ "Name": "/kvstore-development/ca.pem", "Value": "theirs", "Type": "String" });
    ok(&client.json("ssm", "AmazonSSM.PutParameter", &parameter));
}

/// What is not of the cluster, with ids.
fn others(bed: &Bed, of: &Census) -> Vec<String> {
    let now = bed.census();
    let mut lines: Vec<String> = of.lines.iter().filter(|line| !now.lines.contains(line)).cloned().collect();
    lines.extend(of.tags.iter().filter(|tags| !now.tags.contains(tags)).map(|tags| format!("{tags:?}")));
    lines.extend(of.missing_in(&now));
    lines
}

#[test]
fn what_belongs_to_others_is_not_touched() {
    let Some(bed) = Bed::make() else { return };
    let client = bed.client();
    settle(client);
    let before = bed.census();
    bed.kvctl(UP).exits(0);
    assert_eq!(others(&bed, &before), [""; 0], "after the first up");
    // Repairs of everything that neighbours have too.
    let ours = bed.census();
    ok(&client.elb("DeleteLoadBalancer", &[("LoadBalancerArn", ours.id("kvstore-dev-alb"))]));
    ok(&client.ec2("DeleteNatGateway", &[("NatGatewayId", ours.id("kvstore-dev-nat-us-east-1a"))]));
    ok(&client.ec2("TerminateInstances", &[("InstanceId.1", ours.id("kvstore-dev-node-a1"))]));
    let role = [("RoleName", "kvstore-dev-role-flow-logs-us-east-1"), ("PolicyName", "write-flow-logs")];
    ok(&client.iam("DeleteRolePolicy", &role));
    ok(&client.json("ssm", "AmazonSSM.DeleteParameter", &json!({ "Name": "/kvstore-dev/ca.pem" })));
    let run = bed.kvctl(UP);
    run.exits(0);
    assert_eq!(others(&bed, &before), [""; 0], "after the repair: {run}");
    let run = bed.kvctl(DOWN);
    run.exits(0);
    let after = bed.census();
    after.is(&before.lines, &run);
    assert_eq!(others(&bed, &before), [""; 0], "after down: {run}");
}

#[test]
fn a_name_that_somebody_else_has_forbids_everything_and_is_named() {
    let Some(bed) = Bed::make() else { return };
    for taken in &TAKEN {
        bed.clear();
        (taken.make)(bed.client());
        let before = bed.census();
        for line in [PLAN, UP] {
            let run = bed.kvctl_with(line, Vec::new(), 0);
            run.exits(13);
            let told = format!("{}{}", run.stdout, run.stderr);
            assert!(told.contains(taken.name), "{line} does not name {}: {run}", taken.name);
            let changes: Vec<String> = bed.proxy.changes().into_iter().map(|call| call.action).collect();
            assert_eq!(changes, [""; 0], "{line}, {}", taken.name);
        }
        assert_eq!(bed.census(), before, "{}", taken.name);
    }
}

#[test]
fn a_neighbour_of_another_writer_is_not_taken_down() {
    let Some(bed) = Bed::make() else { return };
    (TAKEN[7].make)(bed.client());
    let before = bed.census();
    let run = bed.kvctl_with(DOWN, Vec::new(), 0);
    run.exits(13);
    assert!(run.stderr.contains("terraform"), "{run}");
    assert_eq!(bed.census(), before);
}
