//! Guards of `strict/network.py`.

use serde_json::json;

use super::{address, attached_gateway, nat, nat_state, refused, subnet, until, vpc};
use crate::client::Client;
use crate::emulator;

struct Zone {
    vpc: String,
    subnet: String,
    gateway: String,
    address: String,
    nat: String,
}

/// A zone with an available NAT gateway.
fn zone(client: Client) -> Zone {
    let vpc = vpc(client);
    let subnet = subnet(client, &vpc, "us-east-1a", "10.0.0.0/24");
    let gateway = attached_gateway(client, &vpc);
    let address = address(client);
    let nat = nat(client, &subnet, &address);
    until("it is available", || nat_state(client, &nat) == "available");
    Zone { vpc, subnet, gateway, address, nat }
}

#[test]
fn a_nat_gateway_takes_time_to_come_and_to_go() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "nat_pending": 0.5, "nat_deleting": 0.5 }));
    let vpc = vpc(client);
    let subnet = subnet(client, &vpc, "us-east-1a", "10.0.0.0/24");
    attached_gateway(client, &vpc);
    let nat = nat(client, &subnet, &address(client));
    assert_eq!(nat_state(client, &nat), "pending");
    until("it is available", || nat_state(client, &nat) == "available");
    client.ec2("DeleteNatGateway", &[("NatGatewayId", &nat)]).xml();
    assert_eq!(nat_state(client, &nat), "deleting");
    until("it is listed as deleted", || nat_state(client, &nat) == "deleted");
}

#[test]
fn a_nat_gateway_without_an_internet_gateway_fails() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let nat = nat(client, &subnet(client, &vpc, "us-east-1a", "10.0.0.0/24"), &address(client));
    until("it failed", || nat_state(client, &nat) == "failed");
    let failed = client.ec2("DescribeNatGateways", &[("NatGatewayId.1", &nat)]);
    assert_eq!(failed.value("failureCode"), "Gateway.NotAttached");
}

#[test]
fn a_nat_gateway_fails_when_told_to_and_frees_its_address() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let subnet = subnet(client, &vpc, "us-east-1a", "10.0.0.0/24");
    attached_gateway(client, &vpc);
    client.set(&json!({ "failing_nat_gateways": 1 }));
    let address = address(client);
    let first = nat(client, &subnet, &address);
    until("it failed", || nat_state(client, &first) == "failed");
    let second = nat(client, &subnet, &address);
    until("the next is available", || nat_state(client, &second) == "available");
}

#[test]
fn nat_gateways_are_filtered_by_tag_and_unknown_filters_are_refused() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let zone = zone(client);
    let by_tag = |value: &str| {
        let parameters = [("Filter.1.Name", "tag:kvstore:cluster"), ("Filter.1.Value.1", value)];
        client.ec2("DescribeNatGateways", &parameters).xml().list("natGatewaySet").len()
    };
    let tag = [("ResourceId.1", zone.nat.as_str()), ("Tag.1.Key", "kvstore:cluster"), ("Tag.1.Value", "a")];
    client.ec2("CreateTags", &tag).xml();
    assert_eq!((by_tag("a"), by_tag("b")), (1, 0));
    let unknown = [("Filter.1.Name", "nonsense"), ("Filter.1.Value.1", "x")];
    refused(&client.ec2("DescribeNatGateways", &unknown), "InvalidParameterValue");
    refused(&client.ec2("DescribeNatGateways", &[("NatGatewayId.1", "nat-0")]), "NatGatewayNotFound");
    refused(&client.ec2("DeleteNatGateway", &[("NatGatewayId", "nat-0")]), "NatGatewayNotFound");
}

#[test]
fn an_address_is_held_until_some_time_after_its_nat_gateway() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "nat_deleting": 0.2, "address_held": 0.3 }));
    let zone = zone(client);
    let release = || client.ec2("ReleaseAddress", &[("AllocationId", &zone.address)]);
    refused(&release(), "AuthFailure");
    client.ec2("DeleteNatGateway", &[("NatGatewayId", &zone.nat)]).xml();
    refused(&release(), "AuthFailure");
    until("it is deleted", || nat_state(client, &zone.nat) == "deleted");
    refused(&release(), "AuthFailure");
    until("it is released", || release().status == 200);
}

#[test]
fn a_gateway_stays_while_addresses_are_mapped() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let zone = zone(client);
    let detach = || client.ec2("DetachInternetGateway", &[("InternetGatewayId", &zone.gateway), ("VpcId", &zone.vpc)]);
    let reply = detach();
    refused(&reply, "DependencyViolation");
    assert!(reply.body.contains("mapped public address"), "{}", reply.body);
    client.ec2("DeleteNatGateway", &[("NatGatewayId", &zone.nat)]).xml();
    until("it is detached", || detach().status == 200);
}

#[test]
fn a_network_has_one_gateway() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    attached_gateway(client, &vpc);
    let second = client.ec2("CreateInternetGateway", &[]).value("internetGatewayId");
    let attach = [("InternetGatewayId", second.as_str()), ("VpcId", vpc.as_str())];
    refused(&client.ec2("AttachInternetGateway", &attach), "InvalidParameterValue");
}

#[test]
fn a_subnet_stays_while_something_is_in_it_and_takes_its_associations_along() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let zone = zone(client);
    let delete = || client.ec2("DeleteSubnet", &[("SubnetId", &zone.subnet)]);
    refused(&delete(), "DependencyViolation");
    let acl = client.ec2("CreateNetworkAcl", &[("VpcId", &zone.vpc)]).value("networkAclId");
    let filter = [("Filter.1.Name", "association.subnet-id"), ("Filter.1.Value.1", zone.subnet.as_str())];
    let association = client.ec2("DescribeNetworkAcls", &filter).value("networkAclAssociationId");
    let replace = [("AssociationId", association.as_str()), ("NetworkAclId", acl.as_str())];
    client.ec2("ReplaceNetworkAclAssociation", &replace).xml();
    client.ec2("DeleteNatGateway", &[("NatGatewayId", &zone.nat)]).xml();
    until("it is deleted", || delete().status == 200);
    client.ec2("DeleteNetworkAcl", &[("NetworkAclId", &acl)]).xml();
}

#[test]
fn a_network_stays_while_anything_is_in_it() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let delete = || client.ec2("DeleteVpc", &[("VpcId", &vpc)]);
    let of_vpc = [("VpcId", vpc.as_str())];
    let table = client.ec2("CreateRouteTable", &of_vpc).value("routeTableId");
    let gateway = attached_gateway(client, &vpc);
    let group = super::group(client, &vpc, "one");
    let acl = client.ec2("CreateNetworkAcl", &of_vpc).value("networkAclId");
    let endpoint =
        [("VpcId", vpc.as_str()), ("ServiceName", "com.amazonaws.us-east-1.s3"), ("RouteTableId.1", table.as_str())];
    let endpoint = client.ec2("CreateVpcEndpoint", &endpoint).value("vpcEndpointId");
    let steps: [(&str, Vec<(&str, &str)>); 6] = [
        ("DeleteVpcEndpoints", vec![("VpcEndpointId.1", &endpoint)]),
        ("DetachInternetGateway", vec![("InternetGatewayId", &gateway), ("VpcId", &vpc)]),
        ("DeleteInternetGateway", vec![("InternetGatewayId", &gateway)]),
        ("DeleteSecurityGroup", vec![("GroupId", &group)]),
        ("DeleteNetworkAcl", vec![("NetworkAclId", &acl)]),
        ("DeleteRouteTable", vec![("RouteTableId", &table)]),
    ];
    for (action, parameters) in steps {
        refused(&delete(), "DependencyViolation");
        client.ec2(action, &parameters).xml();
    }
    delete().xml();
}

#[test]
fn networks_and_subnets_have_sizes() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    refused(&client.ec2("CreateVpc", &[("CidrBlock", "10.0.0.1/16")]), "InvalidParameterValue");
    let vpc = vpc(client);
    let tiny = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.0.0/29")];
    refused(&client.ec2("CreateSubnet", &tiny), "InvalidSubnet.Range");
    let both = [("VpcId", vpc.as_str()), ("EnableDnsSupport.Value", "true"), ("EnableDnsHostnames.Value", "true")];
    refused(&client.ec2("ModifyVpcAttribute", &both), "InvalidParameterCombination");
}

#[test]
fn the_main_route_table_stays_and_a_subnet_has_one_table() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let main = client.ec2("DescribeRouteTables", &filter).value("routeTableId");
    refused(&client.ec2("DeleteRouteTable", &[("RouteTableId", &main)]), "DependencyViolation");
    let subnet = subnet(client, &vpc, "us-east-1a", "10.0.0.0/24");
    let associate = || {
        let table = client.ec2("CreateRouteTable", &[("VpcId", &vpc)]).value("routeTableId");
        client.ec2("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &subnet)])
    };
    associate().xml();
    refused(&associate(), "Resource.AlreadyAssociated");
}

#[test]
fn routes_lead_to_what_is_there() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let zone = zone(client);
    let table = client.ec2("CreateRouteTable", &[("VpcId", &zone.vpc)]).value("routeTableId");
    let loose = client.ec2("CreateInternetGateway", &[]).value("internetGatewayId");
    let route = |target: &str, id: &str| {
        let parameters = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0"), (target, id)];
        client.ec2("CreateRoute", &parameters)
    };
    refused(&route("NatGatewayId", "nat-0123"), "InvalidNatGatewayID.NotFound");
    refused(&route("GatewayId", &loose), "InvalidParameterValue");
    route("NatGatewayId", &zone.nat).xml();
    client.ec2("DeleteNatGateway", &[("NatGatewayId", &zone.nat)]).xml();
    let tables = client.ec2("DescribeRouteTables", &[("RouteTableId.1", &table)]);
    assert!(tables.body.contains("blackhole"), "{}", tables.body);
}

#[test]
fn a_route_table_has_one_endpoint_of_a_service() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpc = vpc(client);
    let table = client.ec2("CreateRouteTable", &[("VpcId", &vpc)]).value("routeTableId");
    let parameters =
        [("VpcId", vpc.as_str()), ("ServiceName", "com.amazonaws.us-east-1.s3"), ("RouteTableId.1", table.as_str())];
    let endpoint = client.ec2("CreateVpcEndpoint", &parameters);
    assert_eq!(endpoint.value("vpcEndpointType"), "Gateway");
    refused(&client.ec2("CreateVpcEndpoint", &parameters), "RouteAlreadyExists");
    client.ec2("DeleteVpcEndpoints", &[("VpcEndpointId.1", &endpoint.value("vpcEndpointId"))]).xml();
    assert_eq!(client.ec2("DescribeVpcEndpoints", &[]).xml().list("vpcEndpointSet").len(), 0);
}

#[test]
fn the_account_has_limits() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    client.set(&json!({ "quota_vpcs": 2, "quota_addresses": 2, "quota_nat_gateways_per_zone": 1 }));
    let zone = zone(client);
    refused(&client.ec2("CreateVpc", &[("CidrBlock", "10.1.0.0/16")]), "VpcLimitExceeded");
    let second = address(client);
    refused(&client.ec2("AllocateAddress", &[("Domain", "vpc")]), "AddressLimitExceeded");
    let another = [("SubnetId", zone.subnet.as_str()), ("AllocationId", second.as_str())];
    refused(&client.ec2("CreateNatGateway", &another), "NatGatewayLimitExceeded");
}
