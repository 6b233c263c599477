//! Dry runs of the calls that remove things, with the ids of what is to go.
//!
//! Kinds that other services hold have no dry runs and are not asked for.

use super::super::super::clients::Clients;
use super::{Probe, probe, stand_in};
use crate::observed::Found;
use crate::resource::{Direction, Spec};

/// What removing a resource needs of EC2.
pub(super) fn probes<'a>(clients: &'a Clients, found: &Found) -> Vec<Probe<'a>> {
    match &found.spec {
        Spec::SecurityGroup(_)
        | Spec::SecurityGroupRule(_)
        | Spec::NetworkAcl(_)
        | Spec::NetworkAclEntry(_)
        | Spec::NetworkAclAssociation(_) => filters(clients, found),
        Spec::Volume(_) | Spec::VolumeAttachment(_) | Spec::Instance(_) => machines(clients, found),
        _ => network(clients, found),
    }
}

fn network<'a>(clients: &'a Clients, found: &Found) -> Vec<Probe<'a>> {
    let (ec2, id) = (&clients.ec2, found.id.as_str());
    match &found.spec {
        Spec::Vpc(_) => vec![probe!(clients, "ec2:DeleteVpc", ec2.delete_vpc().vpc_id(id))],
        Spec::InternetGateway(gateway) => {
            let vpc = gateway.vpc.as_ref().map_or_else(|| stand_in("vpc"), ToString::to_string);
            let detach = ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
            let delete = ec2.delete_internet_gateway().internet_gateway_id(id);
            vec![
                probe!(clients, "ec2:DetachInternetGateway", detach),
                probe!(clients, "ec2:DeleteInternetGateway", delete),
            ]
        }
        Spec::Subnet(_) => vec![probe!(clients, "ec2:DeleteSubnet", ec2.delete_subnet().subnet_id(id))],
        Spec::ElasticIp(_) => vec![probe!(clients, "ec2:ReleaseAddress", ec2.release_address().allocation_id(id))],
        Spec::NatGateway(_) => {
            vec![probe!(clients, "ec2:DeleteNatGateway", ec2.delete_nat_gateway().nat_gateway_id(id))]
        }
        Spec::RouteTable(_) => {
            vec![probe!(clients, "ec2:DeleteRouteTable", ec2.delete_route_table().route_table_id(id))]
        }
        Spec::Route(route) => {
            let call = ec2.delete_route().route_table_id(route.table.to_string());
            vec![probe!(clients, "ec2:DeleteRoute", call.destination_cidr_block(&route.destination))]
        }
        Spec::RouteTableAssociation(_) => {
            // The call is asked for, not the very association: what calls it is not its id here.
            let call = ec2.disassociate_route_table().association_id(stand_in("rtbassoc"));
            vec![probe!(clients, "ec2:DisassociateRouteTable", call)]
        }
        Spec::GatewayEndpoint(_) => {
            vec![probe!(clients, "ec2:DeleteVpcEndpoints", ec2.delete_vpc_endpoints().vpc_endpoint_ids(id))]
        }
        Spec::FlowLog(_) => vec![probe!(clients, "ec2:DeleteFlowLogs", ec2.delete_flow_logs().flow_log_ids(id))],
        _ => Vec::new(),
    }
}

fn filters<'a>(clients: &'a Clients, found: &Found) -> Vec<Probe<'a>> {
    let (ec2, id) = (&clients.ec2, found.id.as_str());
    match &found.spec {
        Spec::SecurityGroup(group) if !group.default => {
            vec![probe!(clients, "ec2:DeleteSecurityGroup", ec2.delete_security_group().group_id(id))]
        }
        Spec::SecurityGroupRule(rule) => {
            let group = rule.group.to_string();
            match rule.direction {
                Direction::In => {
                    let call = ec2.revoke_security_group_ingress().group_id(group).security_group_rule_ids(id);
                    vec![probe!(clients, "ec2:RevokeSecurityGroupIngress", call)]
                }
                Direction::Out => {
                    let call = ec2.revoke_security_group_egress().group_id(group).security_group_rule_ids(id);
                    vec![probe!(clients, "ec2:RevokeSecurityGroupEgress", call)]
                }
            }
        }
        Spec::NetworkAcl(_) => {
            vec![probe!(clients, "ec2:DeleteNetworkAcl", ec2.delete_network_acl().network_acl_id(id))]
        }
        Spec::NetworkAclEntry(entry) => {
            let call = ec2
                .delete_network_acl_entry()
                .network_acl_id(entry.acl.to_string())
                .egress(entry.direction == Direction::Out)
                .rule_number(i32::from(entry.number));
            vec![probe!(clients, "ec2:DeleteNetworkAclEntry", call)]
        }
        Spec::NetworkAclAssociation(association) => {
            let call = ec2
                .replace_network_acl_association()
                .association_id(stand_in("aclassoc"))
                .network_acl_id(association.acl.to_string());
            vec![probe!(clients, "ec2:ReplaceNetworkAclAssociation", call)]
        }
        _ => Vec::new(),
    }
}

fn machines<'a>(clients: &'a Clients, found: &Found) -> Vec<Probe<'a>> {
    let (ec2, id) = (&clients.ec2, found.id.as_str());
    match &found.spec {
        Spec::Volume(_) => vec![probe!(clients, "ec2:DeleteVolume", ec2.delete_volume().volume_id(id))],
        Spec::VolumeAttachment(attachment) => {
            let call = ec2.detach_volume().volume_id(attachment.volume.to_string());
            vec![probe!(clients, "ec2:DetachVolume", call)]
        }
        Spec::Instance(_) => {
            vec![probe!(clients, "ec2:TerminateInstances", ec2.terminate_instances().instance_ids(id))]
        }
        _ => Vec::new(),
    }
}
