//! Guards of `strict/groups.py`.

use super::{group, refused, vpc};
use crate::client::Client;
use crate::emulator;

#[test]
fn group_names_and_descriptions_have_rules() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    for (name, description) in [("sg-nodes", "fine"), ("default", "fine"), ("nodes", "für Knoten"), ("nodes", "a > b")]
    {
        let parameters = [("VpcId", vpc.as_str()), ("GroupName", name), ("GroupDescription", description)];
        refused(&client.ec2("CreateSecurityGroup", &parameters), "InvalidParameterValue");
    }
}

#[test]
fn a_group_stays_while_it_is_referenced_or_used() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let (one, two) = (group(client, &vpc, "one"), group(client, &vpc, "two"));
    let delete = |group: &str| client.ec2("DeleteSecurityGroup", &[("GroupId", group)]);
    authorize(client, &two, &[("IpPermissions.1.Groups.1.GroupId", &one)]).xml();
    refused(&delete(&one), "DependencyViolation");
    delete(&two).xml();
    let subnet = super::subnet(client, &vpc, "us-east-1a", "10.0.0.0/24");
    let interface = [("SubnetId", subnet.as_str()), ("SecurityGroupId.1", one.as_str())];
    let interface = client.ec2("CreateNetworkInterface", &interface).value("networkInterfaceId");
    refused(&delete(&one), "DependencyViolation");
    client.ec2("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]).xml();
    delete(&one).xml();
}

#[test]
fn the_default_group_stays() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let filters = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc.as_str()),
        ("Filter.2.Name", "group-name"),
        ("Filter.2.Value.1", "default"),
    ];
    let default = client.ec2("DescribeSecurityGroups", &filters).value("groupId");
    refused(&client.ec2("DeleteSecurityGroup", &[("GroupId", &default)]), "CannotDelete");
}

fn authorize(client: Client, group: &str, more: &[(&str, &str)]) -> crate::client::Reply {
    let mut parameters = vec![
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "8080"),
        ("IpPermissions.1.ToPort", "8080"),
    ];
    for (name, value) in more {
        parameters.retain(|(present, _)| present != name);
        parameters.push((name, value));
    }
    client.ec2("AuthorizeSecurityGroupIngress", &parameters)
}

#[test]
fn rules_have_ports_and_plain_descriptions() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let group = group(client, &vpc(client), "one");
    let cidr = ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/16");
    for wrong in [
        ("IpPermissions.1.ToPort", "70000"),
        ("IpPermissions.1.ToPort", "80"),
        ("IpPermissions.1.IpRanges.1.Description", "a \"quoted\" word"),
    ] {
        refused(&authorize(client, &group, &[cidr, wrong]), "InvalidParameterValue");
    }
    authorize(client, &group, &[cidr]).xml();
    refused(&authorize(client, &group, &[cidr]), "InvalidPermission.Duplicate");
}

#[test]
fn a_rule_that_names_a_group_keeps_its_description_and_is_one_rule() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let group = group(client, &vpc(client), "one");
    let peer = ("IpPermissions.1.Groups.1.GroupId", group.as_str());
    let made = authorize(client, &group, &[peer, ("IpPermissions.1.Groups.1.Description", "first words")]);
    assert_eq!(made.value("description"), "first words", "{}", made.body);
    let other = authorize(client, &group, &[peer, ("IpPermissions.1.Groups.1.Description", "other words")]);
    refused(&other, "InvalidPermission.Duplicate");
}

fn entry(client: Client, action: &str, acl: &str, changed: (&str, &str)) -> crate::client::Reply {
    let mut parameters = vec![
        ("NetworkAclId", acl),
        ("RuleNumber", "100"),
        ("Protocol", "6"),
        ("RuleAction", "allow"),
        ("Egress", "false"),
        ("CidrBlock", "0.0.0.0/0"),
        ("PortRange.From", "80"),
        ("PortRange.To", "80"),
    ];
    parameters.retain(|(name, _)| *name != changed.0);
    if !changed.1.is_empty() {
        parameters.push(changed);
    }
    client.ec2(action, &parameters)
}

#[test]
fn entries_have_numbers_protocols_and_ports() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let acl = client.ec2("CreateNetworkAcl", &[("VpcId", &vpc(client))]).value("networkAclId");
    for wrong in [
        ("RuleNumber", "0"),
        ("RuleNumber", "32767"),
        ("Protocol", "everything"),
        ("PortRange.To", ""),
        ("PortRange.To", "70000"),
        ("PortRange.To", "79"),
    ] {
        refused(&entry(client, "CreateNetworkAclEntry", &acl, wrong), "InvalidParameterValue");
    }
    entry(client, "CreateNetworkAclEntry", &acl, ("", "")).xml();
    refused(&entry(client, "CreateNetworkAclEntry", &acl, ("", "")), "NetworkAclEntryAlreadyExists");
}

#[test]
fn a_new_acl_denies_at_the_end_and_unknown_entries_are_named() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let created = client.ec2("CreateNetworkAcl", &[("VpcId", &vpc(client))]);
    assert_eq!(created.body.matches("<ruleNumber>32767</ruleNumber>").count(), 2, "{}", created.body);
    let acl = created.value("networkAclId");
    for action in ["ReplaceNetworkAclEntry", "DeleteNetworkAclEntry"] {
        refused(&entry(client, action, &acl, ("", "")), "InvalidNetworkAclEntry.NotFound");
    }
    let unknown = [("AssociationId", "aclassoc-0"), ("NetworkAclId", acl.as_str())];
    refused(&client.ec2("ReplaceNetworkAclAssociation", &unknown), "InvalidAssociationID.NotFound");
}

#[test]
fn the_default_acl_stays() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let default = client.ec2("DescribeNetworkAcls", &filter).value("networkAclId");
    refused(&client.ec2("DeleteNetworkAcl", &[("NetworkAclId", &default)]), "InvalidParameterValue");
}
