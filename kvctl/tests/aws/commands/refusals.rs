//! What forbids a change: who we are, what we may do, what the account has room for, what could not be looked at.

use serde_json::{Value, json};

use super::{PLAN_JSON, is_refusal, refuse, refused, unchanged};
use crate::harness::{Bed, DOWN, PLAN, UP};
use crate::proxy::{Effect, Rule, When};

const STATUS: &str = "cluster status kvstore-dev --provider aws";

#[test]
fn without_credentials_it_is_said_where_they_were_looked_for() {
    let Some(bed) = Bed::make() else { return };
    for line in [PLAN, UP, STATUS, DOWN] {
        bed.proxy.begin(Vec::new(), 0);
        let mut command = bed.command(line);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let run = bed.finish(command);
        is_refusal(
            &bed,
            &run,
            15,
            &["AWS_PROFILE", "environment", "aws sso login", "us-east-1", "nothing was changed"],
        );
    }
}

#[test]
fn credentials_that_aws_does_not_accept_are_told_apart_from_all_else() {
    let Some(bed) = Bed::make() else { return };
    for (status, code, message) in [
        (403, "ExpiredToken", "The security token included in the request is expired"),
        (403, "InvalidClientTokenId", "The security token included in the request is invalid"),
        (403, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
    ] {
        let run = refused(&bed, UP, vec![refuse("*", status, code, message)], 15, &[message, "aws sso login"]);
        assert!(run.stderr.contains("nothing was changed"), "{run}");
    }
}

#[test]
fn credentials_that_end_midway_leave_a_run_that_goes_on() {
    let Some(bed) = Bed::make() else { return };
    let ended =
        refuse("CreateNatGateway", 400, "ExpiredToken", "The security token included in the request is expired");
    let run = bed.kvctl_with(UP, vec![ended], 0);
    run.exits(15);
    for word in ["expired", "aws sso login", "are done and stay", "kvctl cluster up"] {
        assert!(run.stderr.contains(word), "it does not say {word:?}: {run}");
    }
    bed.kvctl_with(UP, Vec::new(), 0).exits(0);
    bed.kvctl(PLAN).exits(0);
}

#[test]
fn all_missing_permissions_are_told_at_once_and_before_the_first_change() {
    let Some(bed) = Bed::make() else { return };
    let denied = ["ec2:AllocateAddress", "ec2:CreateNatGateway", "ec2:RunInstances"];
    bed.client().set(&json!({ "denied": denied }));
    refused(&bed, UP, Vec::new(), 15, &denied);
    refused(&bed, PLAN, Vec::new(), 15, &denied);
}

#[test]
fn a_quota_that_is_too_small_is_told_before_the_first_change() {
    let Some(bed) = Bed::make() else { return };
    bed.client().set(&json!({ "quota_addresses": 2 }));
    refused(&bed, UP, Vec::new(), 13, &["needs 3 Elastic IPs (quota 2, used 0", "L-0263D0A3"]);
    bed.client().set(&json!({ "quota_addresses": 5, "quota_vpcs": 1 }));
    refused(&bed, PLAN, Vec::new(), 13, &["needs 1 VPC (quota 1, used 1"]);
}

#[test]
fn another_account_than_the_clusters_is_refused() {
    let Some(bed) = Bed::make() else { return };
    let text = "provider: aws\naccount: \"210987654321\"\n";
    std::fs::write(bed.file("cluster.yaml"), text).expect("it is written");
    for line in
        ["cluster plan -f cluster.yaml", "cluster up -f cluster.yaml --yes", "cluster down -f cluster.yaml --yes"]
    {
        refused(&bed, line, Vec::new(), 15, &["123456789012", "210987654321", "cluster.yaml"]);
    }
    // The context remembers it as well.
    bed.kvctl(UP).exits(0);
    let elsewhere = || Rule {
        actions: "GetCallerIdentity",
        when: When::Always,
        effect: Effect::Rewrite(|body| body.replace("123456789012", "210987654321")),
    };
    for line in [PLAN, UP, STATUS, DOWN] {
        refused(&bed, line, vec![elsewhere()], 15, &["123456789012", "210987654321", "context"]);
    }
}

#[test]
fn networks_that_overlap_are_warned_of() {
    let Some(bed) = Bed::make() else { return };
    let vpc = bed.client().ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/12")]);
    assert_ne!(vpc.status, 200, "too large");
    let vpc = bed.client().ec2("CreateVpc", &[("CidrBlock", "10.0.128.0/17")]).value("vpcId");
    let run = bed.kvctl(PLAN);
    run.exits(10);
    for word in ["warning", vpc.as_str(), "10.0.128.0/17"] {
        assert!(run.stdout.contains(word), "it does not say {word:?}: {run}");
    }
}

/// Reads that may be forbidden, and the kind that is then not seen.
const READS: [(&str, &str, &str); 9] = [
    ("DescribeFlowLogs", "UnauthorizedOperation", "flow_log"),
    ("DescribeNetworkAcls", "UnauthorizedOperation", "network_acl"),
    ("DescribeSecurityGroupRules", "UnauthorizedOperation", "security_group_rule"),
    ("DescribeInstances", "UnauthorizedOperation", "instance"),
    ("DescribeAddresses", "UnauthorizedOperation", "elastic_ip"),
    ("DescribeLoadBalancers", "AccessDenied", "load_balancer"),
    ("GetRole", "AccessDenied", "role"),
    ("DescribeLogGroups", "AccessDeniedException", "log_group"),
    ("ListCertificates", "AccessDeniedException", "certificate"),
];

fn cannot_be_read(action: &'static str, code: &'static str) -> Rule {
    refuse(action, 403, code, "You are not authorized to perform this operation.")
}

#[test]
fn what_may_not_be_read_is_unknown_and_never_absent() {
    let Some(bed) = Bed::make() else { return };
    for there in [false, true] {
        if there {
            bed.kvctl_with(UP, Vec::new(), 0).exits(0);
        }
        for (action, code, kind) in READS {
            let rule = || vec![cannot_be_read(action, code)];
            let run = bed.kvctl_with(PLAN_JSON, rule(), 0);
            if bed.proxy.hits() == [0] {
                // There is nothing yet that it could be inside of.
                assert!(!there && run.exit == Some(10), "{action}: exit {:?}", run.exit);
                continue;
            }
            assert_eq!(run.exit, Some(11), "{action}, there: {there}: {}", run.stderr);
            unchanged(&bed, &run);
            let document: Value = serde_json::from_str(&run.stdout).expect("a document");
            let steps = document["plan"]["steps"].as_array().expect("steps");
            let about = steps.iter().filter(|step| step["key"]["kind"] == kind).count();
            assert_eq!(about, 0, "{action}, there: {there}: {}", document["plan"]["steps"]);
            assert!(run.stdout.contains(action), "{action}: {run}");
            refused(&bed, UP, rule(), 11, &[action, "nothing was changed"]);
            refused(&bed, STATUS, rule(), 11, &[action, "UNKNOWN"]);
            refused(&bed, DOWN, rule(), 11, &[action, "nothing was changed"]);
        }
    }
}
