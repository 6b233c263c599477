//! Guards of `strict/machines.py`.

use serde_json::json;

use super::{image, instance, instance_state, refused, role, subnet, until, vpc};
use crate::client::Client;
use crate::emulator;

fn one_subnet(client: Client) -> String {
    subnet(client, &vpc(client), "us-east-1a", "10.0.0.0/24")
}

fn launch(client: Client, subnet: &str, image: &str, more: &[(&str, &str)]) -> crate::client::Reply {
    let parameters =
        [("ImageId", image), ("InstanceType", "t3.micro"), ("SubnetId", subnet), ("MinCount", "1"), ("MaxCount", "1")];
    client.ec2("RunInstances", &[&parameters, more].concat())
}

#[test]
fn an_instance_takes_time_to_come_and_to_go_and_holds_its_subnet() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "instance_pending": 0.5, "instance_shutting_down": 0.5 }));
    let subnet = one_subnet(client);
    let instance = launch(client, &subnet, &image(client), &[]).value("instanceId");
    assert_eq!(instance_state(client, &instance), "pending");
    until("it runs", || instance_state(client, &instance) == "running");
    client.ec2("TerminateInstances", &[("InstanceId.1", &instance)]).xml();
    assert_eq!(instance_state(client, &instance), "shutting-down");
    let delete = || client.ec2("DeleteSubnet", &[("SubnetId", &subnet)]);
    refused(&delete(), "DependencyViolation");
    until("it is terminated", || instance_state(client, &instance) == "terminated");
    delete().xml();
}

#[test]
fn an_instances_client_token_is_remembered() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let (subnet, image) = (one_subnet(client), image(client));
    let run = |token: &str| launch(client, &subnet, &image, &[("ClientToken", token)]).value("instanceId");
    let first = run("one");
    assert_eq!(run("one"), first);
    assert_ne!(run("two"), first);
}

#[test]
fn a_new_profile_is_not_known_for_a_while_and_an_unknown_one_never() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "profile_propagation": 0.5 }));
    let (subnet, image) = (one_subnet(client), image(client));
    let run = |profile: &str| launch(client, &subnet, &image, &[("IamInstanceProfile.Name", profile)]);
    client.iam("CreateInstanceProfile", &[("InstanceProfileName", "p")]).xml();
    role(client, "r");
    client.iam("AddRoleToInstanceProfile", &[("InstanceProfileName", "p"), ("RoleName", "r")]).xml();
    let reply = run("p");
    refused(&reply, "InvalidParameterValue");
    assert!(reply.body.contains("Invalid IAM Instance Profile name"), "{}", reply.body);
    until("it is known", || run("p").status == 200);
    refused(&run("q"), "InvalidParameterValue");
}

#[test]
fn a_full_zone_has_no_room() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "full_zones": ["us-east-1a"] }));
    let reply = launch(client, &one_subnet(client), &image(client), &[]);
    assert_eq!((reply.status, reply.code().as_str()), (500, "InsufficientInstanceCapacity"), "{}", reply.body);
}

#[test]
fn an_address_is_used_once() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let (subnet, image) = (one_subnet(client), image(client));
    let fixed = [("PrivateIpAddress", "10.0.0.11")];
    let first = launch(client, &subnet, &image, &fixed).value("instanceId");
    refused(&launch(client, &subnet, &image, &fixed), "InvalidIPAddress.InUse");
    client.ec2("TerminateInstances", &[("InstanceId.1", &first)]).xml();
    until("it is free again", || launch(client, &subnet, &image, &fixed).status == 200);
}

#[test]
fn volumes_attach_in_their_zone_to_running_instances_and_stay_while_attached() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let volume = |zone: &str| {
        let parameters = [("AvailabilityZone", zone), ("Size", "8"), ("VolumeType", "gp3")];
        client.ec2("CreateVolume", &parameters).value("volumeId")
    };
    let attach = |volume: &str, instance: &str| {
        let parameters = [("VolumeId", volume), ("InstanceId", instance), ("Device", "/dev/sdf")];
        client.ec2("AttachVolume", &parameters)
    };
    let (subnet, image) = (one_subnet(client), image(client));
    client.set(&json!({ "instance_pending": 0.3 }));
    let pending = launch(client, &subnet, &image, &[]).value("instanceId");
    let mine = volume("us-east-1a");
    refused(&attach(&mine, &pending), "IncorrectState");
    until("it runs", || instance_state(client, &pending) == "running");
    refused(&attach(&volume("us-east-1b"), &pending), "InvalidVolume.ZoneMismatch");
    attach(&mine, &pending).xml();
    refused(&attach(&mine, &pending), "VolumeInUse");
    refused(&attach(&volume("us-east-1a"), &pending), "InvalidParameterValue");
    let delete = || client.ec2("DeleteVolume", &[("VolumeId", &mine)]);
    refused(&delete(), "VolumeInUse");
    refused(&client.ec2("ModifyVolume", &[("VolumeId", &mine), ("Size", "4")]), "InvalidParameterValue");
    client.ec2("TerminateInstances", &[("InstanceId.1", &pending)]).xml();
    until("it can go", || delete().status == 200);
}

#[test]
fn a_terminated_instance_is_not_a_target() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let instance = instance(client, &one_subnet(client), &image(client));
    client.ec2("TerminateInstances", &[("InstanceId.1", &instance)]).xml();
    until("it is terminated", || instance_state(client, &instance) == "terminated");
    assert_eq!(client.ec2("DescribeNetworkInterfaces", &[]).xml().list("networkInterfaceSet").len(), 0);
}

#[test]
fn a_flow_log_whose_role_is_new_fails() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "role_propagation": 0.5 }));
    let vpc = vpc(client);
    let made = client.json("logs", "Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "flow" }));
    assert_eq!(made.status, 200, "{}", made.body);
    role(client, "flow");
    let arn = format!("arn:aws:iam::{}:role/flow", crate::client::ACCOUNT);
    let status = || {
        let parameters = [
            ("ResourceType", "VPC"),
            ("ResourceId.1", vpc.as_str()),
            ("TrafficType", "ALL"),
            ("LogGroupName", "flow"),
            ("DeliverLogsPermissionArn", arn.as_str()),
        ];
        client.ec2("CreateFlowLogs", &parameters).xml();
        let logs = client.ec2("DescribeFlowLogs", &[]);
        client.ec2("DeleteFlowLogs", &[("FlowLogId.1", &logs.value("flowLogId"))]).xml();
        logs.value("deliverLogsStatus")
    };
    assert_eq!(status(), "FAILED");
    until("it delivers", || status() == "SUCCESS");
}
