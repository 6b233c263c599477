//! One test for each guard of the strict emulator: a moto that behaves otherwise after an upgrade is noticed here.
//!
//! The tests speak to the emulator directly; kvctl has no part in them.

mod balancers;
mod groups;
mod machines;
mod network;
mod requests;

use std::time::Duration;

use kvnode::runtime::clock;

use crate::client::{Client, Reply};

/// Longest time that any state of the emulator may last in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asserts that a request was refused with a code, as a mistake of the caller.
fn refused(reply: &Reply, code: &str) {
    assert_eq!((reply.code().as_str(), reply.status), (code, 400), "{}", reply.body);
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = clock::monotonic_now() + PATIENCE;
    while !holds() {
        assert!(clock::monotonic_now() < deadline, "never: {what}");
        clock::pause_thread(Duration::from_millis(10));
    }
}

fn vpc(client: Client) -> String {
    client.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).value("vpcId")
}

fn subnet(client: Client, vpc: &str, zone: &str, cidr: &str) -> String {
    let parameters = [("VpcId", vpc), ("AvailabilityZone", zone), ("CidrBlock", cidr)];
    client.ec2("CreateSubnet", &parameters).value("subnetId")
}

fn attached_gateway(client: Client, vpc: &str) -> String {
    let gateway = client.ec2("CreateInternetGateway", &[]).value("internetGatewayId");
    client.ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", vpc)]).xml();
    gateway
}

fn address(client: Client) -> String {
    client.ec2("AllocateAddress", &[("Domain", "vpc")]).value("allocationId")
}

fn nat(client: Client, subnet: &str, address: &str) -> String {
    client.ec2("CreateNatGateway", &[("SubnetId", subnet), ("AllocationId", address)]).value("natGatewayId")
}

fn nat_state(client: Client, nat: &str) -> String {
    client.ec2("DescribeNatGateways", &[("NatGatewayId.1", nat)]).value("state")
}

fn group(client: Client, vpc: &str, name: &str) -> String {
    let parameters = [("VpcId", vpc), ("GroupName", name), ("GroupDescription", "for a test")];
    client.ec2("CreateSecurityGroup", &parameters).value("groupId")
}

fn role(client: Client, name: &str) {
    let trust = r#"{"Version":"2012-10-17","Statement":[]}"#;
    client.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust)]).xml();
}

/// An image that the emulator knows.
fn image(client: Client) -> String {
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    let document = serde_json::json!({ "Name": name });
    let answer = client.json("ssm", "AmazonSSM.GetParameter", &document).json();
    answer["Parameter"]["Value"].as_str().expect("an image").to_owned()
}

/// A running instance in a subnet.
fn instance(client: Client, subnet: &str, image: &str) -> String {
    let parameters =
        [("ImageId", image), ("InstanceType", "t3.micro"), ("SubnetId", subnet), ("MinCount", "1"), ("MaxCount", "1")];
    let instance = client.ec2("RunInstances", &parameters).value("instanceId");
    until("it runs", || instance_state(client, &instance) == "running");
    instance
}

fn instance_state(client: Client, instance: &str) -> String {
    let root = client.ec2("DescribeInstances", &[("InstanceId.1", instance)]).xml();
    root.find("instanceState").map(|state| state.text_at("name").to_owned()).unwrap_or_default()
}
