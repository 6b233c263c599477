//! Guards of `strict/balancers.py`, and of certificates in use.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvnode::certificates::{Authority, NodeRequest};
use serde_json::{Value, json};

use super::{attached_gateway, group, image, instance, refused, subnet, until, vpc};
use crate::client::{Client, Reply};
use crate::emulator;

struct Place {
    vpc: String,
    subnets: [String; 3],
    gateway: String,
    group: String,
}

/// Two zones, with two subnets in the first.
fn place(client: Client) -> Place {
    let vpc = vpc(client);
    let subnets = [("us-east-1a", "10.0.0.0/24"), ("us-east-1b", "10.0.1.0/24"), ("us-east-1a", "10.0.2.0/24")]
        .map(|(zone, cidr)| subnet(client, &vpc, zone, cidr));
    let gateway = attached_gateway(client, &vpc);
    let group = group(client, &vpc, "lb");
    Place { vpc, subnets, gateway, group }
}

impl Place {
    fn balancer(&self, client: Client, changed: &[(&str, &str)]) -> Reply {
        let mut parameters = vec![
            ("Name", "lb"),
            ("Subnets.member.1", self.subnets[0].as_str()),
            ("Subnets.member.2", self.subnets[1].as_str()),
            ("SecurityGroups.member.1", self.group.as_str()),
        ];
        for change in changed {
            parameters.retain(|(name, _)| *name != change.0);
            parameters.push(*change);
        }
        parameters.retain(|(_, value)| !value.is_empty());
        client.elb("CreateLoadBalancer", &parameters)
    }
}

fn state(client: Client) -> String {
    let root = client.elb("DescribeLoadBalancers", &[]).xml();
    root.find("State").map(|state| state.text_at("Code").to_owned()).unwrap_or_default()
}

#[test]
fn a_load_balancer_takes_time_and_its_interfaces_linger() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "balancer_provisioning": 0.4, "balancer_interfaces": 0.4 }));
    let place = place(client);
    let arn = place.balancer(client, &[]).value("LoadBalancerArn");
    assert_eq!(state(client), "provisioning");
    until("it is active", || state(client) == "active");
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", place.group.as_str())];
    let interfaces = client.ec2("DescribeNetworkInterfaces", &filter);
    assert_eq!(interfaces.xml().list("networkInterfaceSet").len(), 2);
    assert!(interfaces.value("description").starts_with("ELB app/lb/"), "{}", interfaces.body);
    assert_eq!(interfaces.value("requesterId"), "amazon-elb");
    let detach = [("InternetGatewayId", place.gateway.as_str()), ("VpcId", place.vpc.as_str())];
    refused(&client.ec2("DetachInternetGateway", &detach), "DependencyViolation");
    client.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &arn)]).xml();
    refused(&client.ec2("DeleteSecurityGroup", &[("GroupId", &place.group)]), "DependencyViolation");
    refused(&client.ec2("DeleteSubnet", &[("SubnetId", &place.subnets[0])]), "DependencyViolation");
    until("its group is free", || client.ec2("DeleteSecurityGroup", &[("GroupId", &place.group)]).status == 200);
    client.ec2("DetachInternetGateway", &detach).xml();
}

#[test]
fn load_balancers_have_rules() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let place = place(client);
    let long = "l".repeat(33);
    let third = place.subnets[2].as_str();
    for (changed, code) in [
        ([("Name", long.as_str())], "ValidationError"),
        ([("Name", "internal-lb")], "ValidationError"),
        ([("Subnets.member.2", "")], "ValidationError"),
        ([("Subnets.member.2", third)], "InvalidConfigurationRequest"),
        ([("Subnets.member.2", "subnet-0")], "SubnetNotFound"),
        ([("SecurityGroups.member.1", "sg-0")], "InvalidSecurityGroup"),
    ] {
        refused(&place.balancer(client, &changed), code);
    }
    let detach = [("InternetGatewayId", place.gateway.as_str()), ("VpcId", place.vpc.as_str())];
    client.ec2("DetachInternetGateway", &detach).xml();
    refused(&place.balancer(client, &[]), "InvalidSubnet");
}

#[test]
fn a_load_balancer_is_made_once() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let place = place(client);
    let arn = place.balancer(client, &[]).value("LoadBalancerArn");
    assert_eq!(place.balancer(client, &[]).value("LoadBalancerArn"), arn);
    refused(&place.balancer(client, &[("Scheme", "internal")]), "DuplicateLoadBalancerName");
}

#[test]
fn a_protected_load_balancer_stays() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let arn = place(client).balancer(client, &[]).value("LoadBalancerArn");
    let protection = |value: &str| {
        let parameters = [
            ("LoadBalancerArn", arn.as_str()),
            ("Attributes.member.1.Key", "deletion_protection.enabled"),
            ("Attributes.member.1.Value", value),
        ];
        client.elb("ModifyLoadBalancerAttributes", &parameters).xml();
    };
    protection("true");
    refused(&client.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &arn)]), "OperationNotPermitted");
    protection("false");
    client.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &arn)]).xml();
}

fn target_group(client: Client, vpc: &str, changed: &[(&str, &str)]) -> Reply {
    let mut parameters = vec![("Name", "tg"), ("Protocol", "HTTPS"), ("Port", "8080"), ("VpcId", vpc)];
    for change in changed {
        parameters.retain(|(name, _)| *name != change.0);
        parameters.push(*change);
    }
    parameters.push(("TargetType", "instance"));
    client.elb("CreateTargetGroup", &parameters)
}

#[test]
fn a_target_group_is_made_once() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let arn = target_group(client, &vpc, &[]).value("TargetGroupArn");
    assert_eq!(target_group(client, &vpc, &[]).value("TargetGroupArn"), arn);
    refused(&target_group(client, &vpc, &[("Port", "8081")]), "DuplicateTargetGroupName");
}

#[test]
fn targets_run_and_become_healthy_and_drain() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "target_initial": 0.4, "target_draining": 0.4 }));
    let place = place(client);
    let group = target_group(client, &place.vpc, &[]).value("TargetGroupArn");
    let of_target = |action: &str, instance: &str| {
        client.elb(action, &[("TargetGroupArn", &group), ("Targets.member.1.Id", instance)])
    };
    let health = || {
        let root = client.elb("DescribeTargetHealth", &[("TargetGroupArn", &group)]).xml();
        root.find("TargetHealth").map(|health| health.text_at("State").to_owned()).unwrap_or_default()
    };
    refused(&of_target("RegisterTargets", "i-0123456789abcdef0"), "InvalidTarget");
    let instance = instance(client, &place.subnets[0], &image(client));
    of_target("RegisterTargets", &instance).xml();
    assert_eq!(health(), "initial");
    until("it is healthy", || health() == "healthy");
    client.set(&json!({ "target_health": "unhealthy" }));
    assert_eq!(health(), "unhealthy");
    of_target("DeregisterTargets", &instance).xml();
    assert_eq!(health(), "draining");
    until("it is gone", || health().is_empty());
}

/// A certificate that is imported and one that is still to be proven.
fn certificates(client: Client) -> (String, String) {
    let arn = |answer: &Value| answer["CertificateArn"].as_str().expect("an ARN").to_owned();
    let authority = Authority::create("test", Duration::from_secs(24 * 3600)).expect("an authority");
    let made = authority.issue(&NodeRequest::new("a1".parse().expect("a name"), Vec::new())).expect("issued");
    let (certificate, key) = (STANDARD.encode(made.certificate_pem), STANDARD.encode(made.key_pem));
    let imported = json!({ "Certificate": certificate, "PrivateKey": key });
    let imported = arn(&client.json("acm", "CertificateManager.ImportCertificate", &imported).json());
    let asked = json!({ "DomainName": "kv.example.com", "ValidationMethod": "DNS" });
    (imported, arn(&client.json("acm", "CertificateManager.RequestCertificate", &asked).json()))
}

#[test]
fn listeners_have_one_port_a_proven_certificate_and_a_known_policy() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let balancer = place(client).balancer(client, &[]).value("LoadBalancerArn");
    let (imported, pending) = certificates(client);
    let listener = |changed: &[(&str, &str)]| {
        let mut parameters = vec![
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTPS"),
            ("Port", "8080"),
            ("Certificates.member.1.CertificateArn", imported.as_str()),
            ("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ("DefaultActions.member.1.Type", "fixed-response"),
            ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "404"),
        ];
        for change in changed {
            parameters.retain(|(name, _)| *name != change.0);
            parameters.push(*change);
        }
        parameters.retain(|(_, value)| !value.is_empty());
        client.elb("CreateListener", &parameters)
    };
    let certificate = "Certificates.member.1.CertificateArn";
    refused(&listener(&[(certificate, "")]), "ValidationError");
    refused(&listener(&[(certificate, &pending)]), "UnsupportedCertificate");
    refused(&listener(&[("SslPolicy", "nonsense")]), "SSLPolicyNotFound");
    let first = listener(&[]).value("ListenerArn");
    assert_eq!(listener(&[]).value("ListenerArn"), first);
    refused(&listener(&[("SslPolicy", "ELBSecurityPolicy-2016-08")]), "DuplicateListener");

    let delete = json!({ "CertificateArn": imported });
    let delete = || client.json("acm", "CertificateManager.DeleteCertificate", &delete);
    refused(&delete(), "ResourceInUseException");
    client.elb("DeleteListener", &[("ListenerArn", &first)]).xml();
    assert_eq!(delete().status, 200);
}
