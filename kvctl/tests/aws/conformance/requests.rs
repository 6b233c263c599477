//! Guards of `strict/requests.py` and `strict/identities.py`.

use serde_json::json;

use super::{refused, until, vpc};
use crate::client::Client;
use crate::emulator;

fn vpcs(client: Client) -> usize {
    client.ec2("DescribeVpcs", &[]).xml().list("vpcSet").len()
}

#[test]
fn a_dry_run_does_nothing_and_tells_what_is_allowed() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "denied": ["ec2:CreateSubnet"] }));
    let before = vpcs(client);
    let allowed = client.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16"), ("DryRun", "true")]);
    assert_eq!((allowed.status, allowed.code().as_str()), (412, "DryRunOperation"), "{}", allowed.body);
    let denied = client.ec2("CreateSubnet", &[("VpcId", "vpc-0"), ("DryRun", "true")]);
    assert_eq!((denied.status, denied.code().as_str()), (403, "UnauthorizedOperation"), "{}", denied.body);
    assert_eq!(vpcs(client), before);
}

#[test]
fn what_is_denied_is_denied_in_the_form_of_each_service() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let denied = ["ec2:DescribeVpcs", "iam:GetRole", "ssm:GetParameter", "elasticloadbalancing:DescribeLoadBalancers"];
    client.set(&json!({ "denied": denied }));
    let replies = [
        (client.ec2("DescribeVpcs", &[]), "UnauthorizedOperation"),
        (client.iam("GetRole", &[("RoleName", "x")]), "AccessDenied"),
        (client.json("ssm", "AmazonSSM.GetParameter", &json!({ "Name": "x" })), "AccessDeniedException"),
        (client.elb("DescribeLoadBalancers", &[]), "AccessDenied"),
    ];
    for (reply, code) in replies {
        assert_eq!((reply.status, reply.code().as_str()), (403, code), "{}", reply.body);
    }
}

#[test]
fn client_tokens_are_remembered() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let zone = [("AvailabilityZone", "us-east-1a"), ("VolumeType", "gp3")];
    let cases = [
        ("CreateRouteTable", "routeTableId", &zone[..0], ("VpcId", vpc.as_str())),
        ("CreateNetworkAcl", "networkAclId", &zone[..0], ("VpcId", vpc.as_str())),
        ("CreateVolume", "volumeId", &zone[..], ("Size", "8")),
    ];
    for (action, id, parameters, changed) in cases {
        let mut parameters = parameters.to_vec();
        parameters.push(("ClientToken", "one"));
        let mut again = parameters.clone();
        parameters.push(changed);
        let first = client.ec2(action, &parameters).value(id);
        assert_eq!(client.ec2(action, &parameters).value(id), first, "{action}");
        again.push((changed.0, "9"));
        refused(&client.ec2(action, &again), "IdempotentParameterMismatch");
        parameters.retain(|(name, _)| *name != "ClientToken");
        parameters.push(("ClientToken", "two"));
        assert_ne!(client.ec2(action, &parameters).value(id), first, "{action}");
    }
}

#[test]
fn new_things_are_not_seen_for_a_while() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "lag": 0.5 }));
    let before = vpcs(client);
    let vpc = vpc(client);
    assert_eq!(vpcs(client), before);
    refused(&client.ec2("DescribeVpcs", &[("VpcId.1", &vpc)]), "InvalidVpcID.NotFound");
    let subnet = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.0.0/24")];
    refused(&client.ec2("CreateSubnet", &subnet), "InvalidVpcID.NotFound");
    until("it is seen", || client.ec2("CreateSubnet", &subnet).status == 200);
    assert_eq!(vpcs(client), before + 1);
}

#[test]
fn lists_come_in_pages() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let all = client.ec2("DescribeSubnets", &[]).xml().list("subnetSet").len();
    assert_eq!(all, 6, "the default network's");
    let page = client.ec2("DescribeSubnets", &[("MaxResults", "5")]);
    assert_eq!(page.xml().list("subnetSet").len(), 5);
    let rest = client.ec2("DescribeSubnets", &[("MaxResults", "5"), ("NextToken", &page.value("nextToken"))]).xml();
    assert_eq!((rest.list("subnetSet").len(), rest.child("nextToken").is_some()), (1, false));
    refused(&client.ec2("DescribeSubnets", &[("MaxResults", "4")]), "InvalidMaxResults");
    client.set(&json!({ "page": 4, "empty_pages": true }));
    let mut sizes = Vec::new();
    let mut token = String::new();
    loop {
        let parameters = [("NextToken", token.as_str())];
        let reply = client.ec2("DescribeSubnets", if token.is_empty() { &[] } else { &parameters }).xml();
        sizes.push(reply.list("subnetSet").len());
        token = reply.text_at("nextToken").to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [0, 4, 2]);
}

#[test]
fn unknown_filters_are_refused() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    for action in ["DescribeSubnets", "DescribeVpcs", "DescribeRouteTables", "DescribeNetworkInterfaces"] {
        vpc_with_interface(client);
        let filter = [("Filter.1.Name", "nonsense"), ("Filter.1.Value.1", "x")];
        refused(&client.ec2(action, &filter), "InvalidParameterValue");
    }
}

fn vpc_with_interface(client: Client) {
    client.reset();
    let subnet = super::subnet(client, &vpc(client), "us-east-1a", "10.0.0.0/24");
    client.ec2("CreateNetworkInterface", &[("SubnetId", &subnet)]).xml();
}

#[test]
fn tags_have_rules() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let long = "k".repeat(129);
    for key in ["aws:name", &long] {
        let tag = [("ResourceId.1", vpc.as_str()), ("Tag.1.Key", key), ("Tag.1.Value", "x")];
        refused(&client.ec2("CreateTags", &tag), "InvalidParameterValue");
    }
    let wrong_type = [
        ("CidrBlock", "10.1.0.0/16"),
        ("TagSpecification.1.ResourceType", "subnet"),
        ("TagSpecification.1.Tag.1.Key", "a"),
        ("TagSpecification.1.Tag.1.Value", "b"),
    ];
    refused(&client.ec2("CreateVpc", &wrong_type), "InvalidParameterValue");
}

#[test]
fn policies_are_json() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let role = |trust: &str| client.iam("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", trust)]);
    refused(&role("{notjson"), "MalformedPolicyDocument");
    refused(&role("{}"), "MalformedPolicyDocument");
    role(r#"{"Version":"2012-10-17","Statement":[]}"#).xml();
    let policy = [("RoleName", "r"), ("PolicyName", "p"), ("PolicyDocument", "[")];
    refused(&client.iam("PutRolePolicy", &policy), "MalformedPolicyDocument");
}

#[test]
fn quotas_are_those_that_are_enforced() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "quota_addresses": 7, "quota_vpcs": 8, "quota_nat_gateways_per_zone": 9 }));
    for (service, code, value) in [("ec2", "L-0263D0A3", 7.0), ("vpc", "L-F678F1CE", 8.0), ("vpc", "L-FE5A380F", 9.0)] {
        let asked = json!({ "ServiceCode": service, "QuotaCode": code });
        let quota = client.json("servicequotas", "ServiceQuotasV20190624.GetServiceQuota", &asked).json();
        assert_eq!(quota["Quota"]["Value"], value, "{service} {code}");
    }
}

#[test]
fn a_reset_forgets_resources_and_settings() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "denied": ["ec2:CreateVpc"] }));
    client.reset();
    let before = vpcs(client);
    vpc(client);
    client.reset();
    assert_eq!(vpcs(client), before);
}
