//! EC2's part of the census, in an order in which names are known before they are used.

use super::{Census, ec2_tags};
use crate::client::Client;
use crate::xml::Element;

/// States of what has ended and is still listed.
const ENDED: [&str; 5] = ["deleted", "deleting", "terminated", "shutting-down", "failed"];

pub(super) fn look(client: Client, census: &mut Census) {
    let defaults = vpcs(client, census);
    let ours = |element: &Element| !defaults.contains(&element.text_at("vpcId").to_owned());
    gateways(client, census);
    for subnet in list(client, "DescribeSubnets", "subnetSet").iter().filter(|subnet| ours(subnet)) {
        let rest = [
            census.name(subnet.text_at("vpcId")),
            subnet.text_at("cidrBlock").to_owned(),
            subnet.text_at("availabilityZone").to_owned(),
            format!("public-addresses={}", subnet.text_at("mapPublicIpOnLaunch")),
        ];
        census.add("subnet", subnet.text_at("subnetId"), ec2_tags(subnet), &rest.join(" "));
    }
    nat_gateways(client, census);
    groups(client, census, &ours);
    acls(client, census, &ours);
    tables(client, census, &ours);
    endpoints(client, census);
    flow_logs(client, census);
    machines(client, census);
    loose_interfaces(client, census, &ours);
}

/// Network interfaces that belong to no instance and no service: nothing here should leave any.
fn loose_interfaces(client: Client, census: &mut Census, ours: &impl Fn(&Element) -> bool) {
    for interface in list(client, "DescribeNetworkInterfaces", "networkInterfaceSet").iter().filter(|one| ours(one)) {
        if interface.text_at("requesterManaged") != "true" && interface.child("attachment").is_none() {
            let rest = census.name(interface.text_at("subnetId"));
            census.add("eni", interface.text_at("networkInterfaceId"), ec2_tags(interface), &rest);
        }
    }
}

fn list(client: Client, action: &str, path: &str) -> Vec<Element> {
    client.ec2(action, &[]).xml().list(path).to_vec()
}

/// The networks; returns the ids of those that AWS gives every account.
fn vpcs(client: Client, census: &mut Census) -> Vec<String> {
    let mut defaults = Vec::new();
    for vpc in list(client, "DescribeVpcs", "vpcSet") {
        let id = vpc.text_at("vpcId");
        if vpc.text_at("isDefault") == "true" {
            defaults.push(id.to_owned());
            census.call(id, "default");
            continue;
        }
        let attribute = |name: &str, path: &str| {
            let root = client.ec2("DescribeVpcAttribute", &[("VpcId", id), ("Attribute", name)]).xml();
            root.text_at(path).to_owned()
        };
        let support = attribute("enableDnsSupport", "enableDnsSupport/value");
        let hostnames = attribute("enableDnsHostnames", "enableDnsHostnames/value");
        let rest = format!("{} dns-support={support} dns-hostnames={hostnames}", vpc.text_at("cidrBlock"));
        census.add("vpc", id, ec2_tags(&vpc), &rest);
    }
    defaults
}

fn gateways(client: Client, census: &mut Census) {
    for gateway in list(client, "DescribeInternetGateways", "internetGatewaySet") {
        let attached: Vec<String> =
            gateway.list("attachmentSet").iter().map(|one| census.name(one.text_at("vpcId"))).collect();
        if attached != ["default"] {
            let rest = format!("attached to [{}]", attached.join(" "));
            census.add("igw", gateway.text_at("internetGatewayId"), ec2_tags(&gateway), &rest);
        }
    }
    for address in list(client, "DescribeAddresses", "addressesSet") {
        census.add("eip", address.text_at("allocationId"), ec2_tags(&address), "");
    }
}

fn nat_gateways(client: Client, census: &mut Census) {
    for nat in list(client, "DescribeNatGateways", "natGatewaySet") {
        let state = nat.text_at("state");
        if ENDED.contains(&state) {
            continue;
        }
        let address = nat.list("natGatewayAddressSet").first().map(|one| one.text_at("allocationId").to_owned());
        let (subnet, address) = (census.name(nat.text_at("subnetId")), census.name(&address.unwrap_or_default()));
        let rest = format!("in {subnet} with {address} {state}");
        census.add("nat", nat.text_at("natGatewayId"), ec2_tags(&nat), &rest);
    }
}

fn groups(client: Client, census: &mut Census, ours: &impl Fn(&Element) -> bool) {
    let groups = list(client, "DescribeSecurityGroups", "securityGroupInfo");
    let groups: Vec<&Element> = groups.iter().filter(|group| ours(group)).collect();
    for group in &groups {
        let (id, tags) = (group.text_at("groupId"), ec2_tags(group));
        let default = group.text_at("groupName") == "default";
        let name = match tags.get("Name") {
            Some(name) => name.clone(),
            None => format!("(unnamed {})", group.text_at("groupName")),
        };
        let rest = format!(
            "{} called {} \"{}\"",
            census.name(group.text_at("vpcId")),
            group.text_at("groupName"),
            group.text_at("groupDescription"),
        );
        // A network's own group says so itself; whether it was emptied shows in its rules.
        census.add_named("sg", id, &name, tags, if default { "the network's own" } else { &rest });
    }
    for rule in list(client, "DescribeSecurityGroupRules", "securityGroupRuleSet") {
        if groups.iter().any(|group| group.text_at("groupId") == rule.text_at("groupId")) {
            rule_line(census, &rule);
        }
    }
}

fn rule_line(census: &mut Census, rule: &Element) {
    let direction = if rule.text_at("isEgress") == "true" { "out" } else { "in" };
    let group = census.name(rule.text_at("groupId"));
    let peer = match (rule.text_at("cidrIpv4"), rule.text_at("cidrIpv6")) {
        ("", "") => census.name(rule.text_at("referencedGroupInfo/groupId")),
        (four, six) => format!("{four}{six}"),
    };
    let ports = format!("{}-{}", rule.text_at("fromPort"), rule.text_at("toPort"));
    let rest = format!(
        "{group} {direction} {} {ports} {peer} \"{}\"",
        rule.text_at("ipProtocol"),
        rule.text_at("description")
    );
    census.line("sg-rule", &rest);
    census.call(rule.text_at("securityGroupRuleId"), &format!("{group}/{direction}/{ports}/{peer}"));
    census.tags.push((format!("sg-rule {group} {direction} {ports} {peer}"), ec2_tags(rule)));
}

fn acls(client: Client, census: &mut Census, ours: &impl Fn(&Element) -> bool) {
    for acl in list(client, "DescribeNetworkAcls", "networkAclSet").iter().filter(|acl| ours(acl)) {
        let default = acl.text_at("default") == "true";
        let id = acl.text_at("networkAclId");
        if default {
            census.call(id, "(the network's own acl)");
        } else {
            let rest = census.name(acl.text_at("vpcId"));
            census.add("acl", id, ec2_tags(acl), &rest);
        }
        for entry in acl.list("entrySet") {
            if !default && entry.text_at("ruleNumber") != "32767" {
                let rest = format!("{} {}", census.name(id), entry_text(entry));
                census.line("acl-entry", &rest);
            }
        }
        for association in acl.list("associationSet") {
            let (subnet, acl) = (census.name(association.text_at("subnetId")), census.name(id));
            census.line("acl-association", &format!("{subnet} uses {acl}"));
            census.call(association.text_at("networkAclAssociationId"), &format!("{subnet}/acl"));
        }
    }
}

fn entry_text(entry: &Element) -> String {
    let direction = if entry.text_at("egress") == "true" { "out" } else { "in" };
    let ports = match entry.child("portRange") {
        Some(range) => format!("{}-{}", range.text_at("from"), range.text_at("to")),
        None => "any".to_owned(),
    };
    let cidr = format!("{}{}", entry.text_at("cidrBlock"), entry.text_at("ipv6CidrBlock"));
    let number: u32 = entry.text_at("ruleNumber").parse().unwrap_or(0);
    format!("{direction} {number:05} {} {} {ports} {cidr}", entry.text_at("ruleAction"), entry.text_at("protocol"))
}

fn tables(client: Client, census: &mut Census, ours: &impl Fn(&Element) -> bool) {
    for table in list(client, "DescribeRouteTables", "routeTableSet").iter().filter(|table| ours(table)) {
        let id = table.text_at("routeTableId");
        let main = table.list("associationSet").iter().any(|association| association.text_at("main") == "true");
        if main {
            census.call(id, "(the network's own table)");
        } else {
            let rest = census.name(table.text_at("vpcId"));
            census.add("rtb", id, ec2_tags(table), &rest);
        }
        for route in table.list("routeSet") {
            let (gateway, nat) = (route.text_at("gatewayId"), route.text_at("natGatewayId"));
            if gateway == "local" || gateway.starts_with("vpce-") {
                continue;
            }
            let target = if nat.is_empty() { gateway } else { nat };
            let destination = route.text_at("destinationCidrBlock");
            let rest = [&census.name(id), destination, "to", &census.name(target), route.text_at("state")].join(" ");
            census.line("route", &rest);
        }
        for association in table.list("associationSet") {
            if association.text_at("main") != "true" {
                let subnet = census.name(association.text_at("subnetId"));
                let rest = format!("{subnet} uses {}", census.name(id));
                census.line("rtb-association", &rest);
                census.call(association.text_at("routeTableAssociationId"), &format!("{subnet}/table"));
            }
        }
    }
}

fn endpoints(client: Client, census: &mut Census) {
    for endpoint in list(client, "DescribeVpcEndpoints", "vpcEndpointSet") {
        let mut tables: Vec<String> =
            endpoint.list("routeTableIdSet").iter().map(|table| census.name(&table.text)).collect();
        tables.sort();
        let rest = format!("{} for {}", endpoint.text_at("serviceName"), tables.join(" "));
        census.add("endpoint", endpoint.text_at("vpcEndpointId"), ec2_tags(&endpoint), &rest);
    }
}

fn flow_logs(client: Client, census: &mut Census) {
    for log in list(client, "DescribeFlowLogs", "flowLogSet") {
        let rest = [
            census.name(log.text_at("resourceId")),
            log.text_at("trafficType").to_owned(),
            format!("to {}", log.text_at("logGroupName")),
            format!("by {}", log.text_at("deliverLogsPermissionArn").rsplit('/').next().unwrap_or_default()),
            format!("every {}s", log.text_at("maxAggregationInterval")),
            log.text_at("deliverLogsStatus").to_owned(),
        ];
        census.add("flow-log", log.text_at("flowLogId"), ec2_tags(&log), &rest.join(" "));
    }
}

fn machines(client: Client, census: &mut Census) {
    for reservation in list(client, "DescribeInstances", "reservationSet") {
        for instance in reservation.list("instancesSet") {
            let state = instance.text_at("instanceState/name");
            if ENDED.contains(&state) {
                continue;
            }
            let interfaces = instance.list("networkInterfaceSet").iter().flat_map(|one| one.list("groupSet"));
            let mut groups: Vec<String> = interfaces
                .chain(instance.list("groupSet"))
                .map(|group| census.name(group.text_at("groupId")))
                .collect();
            groups.sort();
            groups.dedup();
            let profile = instance.text_at("iamInstanceProfile/arn");
            let rest = [
                census.name(instance.text_at("subnetId")),
                instance.text_at("privateIpAddress").to_owned(),
                instance.text_at("instanceType").to_owned(),
                groups.join(","),
                profile.rsplit('/').next().unwrap_or_default().to_owned(),
                format!("tokens={}", instance.text_at("metadataOptions/httpTokens")),
                format!("public=[{}]", instance.text_at("ipAddress")),
                state.to_owned(),
            ];
            census.add("instance", instance.text_at("instanceId"), ec2_tags(instance), &rest.join(" "));
        }
    }
    for volume in list(client, "DescribeVolumes", "volumeSet") {
        volume_lines(census, &volume);
    }
}

fn volume_lines(census: &mut Census, volume: &Element) {
    let attachments: Vec<String> = volume
        .list("attachmentSet")
        .iter()
        .map(|one| format!("{} as {}", census.name(one.text_at("instanceId")), one.text_at("device")))
        .collect();
    let tags = ec2_tags(volume);
    // The disk that an instance boots from comes and goes with it; the images' own are AWS's.
    let root = attachments.iter().any(|attachment| !attachment.ends_with("/dev/sdf"));
    if root || (attachments.is_empty() && tags.is_empty()) {
        return;
    }
    let rest = [
        volume.text_at("availabilityZone"),
        volume.text_at("size"),
        volume.text_at("volumeType"),
        &format!("encrypted={}", volume.text_at("encrypted")),
        &format!("in [{}]", attachments.join(" ")),
    ];
    census.add("volume", volume.text_at("volumeId"), tags, &rest.join(" "));
}
