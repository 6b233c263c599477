//! Dry runs of the calls that make things, one for each action that a resource's creation needs.
//!
//! They say what the real calls in the files of the kinds say, as far as permissions can depend on it.

use aws_sdk_ec2::types::{
    DomainType, FlowLogsResourceType, IpPermission, ResourceType, RuleAction, TrafficType, VpcEndpointType,
};

use super::super::super::clients::Clients;
use super::super::super::identity::{ec2_tags, tag_specification};
use super::{Probe, id, probe, stand_in};
use crate::provider::Ids;
use crate::resource::{Direction, Reference, Resource, Spec, Tags};

/// What making a resource needs of EC2; nothing if another service makes it.
pub(super) fn probes<'a>(clients: &'a Clients, resource: &'a Resource, ids: &Ids) -> Vec<Probe<'a>> {
    match &resource.spec {
        Spec::SecurityGroup(_)
        | Spec::SecurityGroupRule(_)
        | Spec::NetworkAcl(_)
        | Spec::NetworkAclEntry(_)
        | Spec::NetworkAclAssociation(_) => filters(clients, resource, ids),
        Spec::Volume(_) | Spec::VolumeAttachment(_) | Spec::Instance(_) => machines(clients, resource, ids),
        Spec::Route(_) | Spec::RouteTable(_) | Spec::RouteTableAssociation(_) => routing(clients, resource, ids),
        _ => network(clients, resource, ids),
    }
}

/// Setting tags, in a call of its own.
pub(super) fn tags<'a>(clients: &'a Clients, id: &str, tags: &Tags) -> Option<Probe<'a>> {
    let call = clients.ec2.create_tags().resources(id).set_tags(Some(ec2_tags(tags)));
    // Ids of EC2 look like `vpc-…`; ARNs and names are another service's, whose tags are set by other calls.
    let of_ec2 = id.contains('-') && !id.contains([':', '/', '.']);
    of_ec2.then(|| probe!(clients, "ec2:CreateTags", call))
}

fn network<'a>(clients: &'a Clients, resource: &'a Resource, ids: &Ids) -> Vec<Probe<'a>> {
    let (ec2, tagged) = (&clients.ec2, |kind| tag_specification(kind, resource));
    let vpc = |reference: &Reference| id(reference, "vpc", ids);
    match &resource.spec {
        Spec::Vpc(spec) => {
            let call = ec2.create_vpc().cidr_block(spec.cidr.to_string()).tag_specifications(tagged(ResourceType::Vpc));
            vec![probe!(clients, "ec2:CreateVpc", call)]
        }
        Spec::InternetGateway(spec) => {
            let make = ec2.create_internet_gateway().tag_specifications(tagged(ResourceType::InternetGateway));
            let attach = ec2
                .attach_internet_gateway()
                .internet_gateway_id(stand_in("igw"))
                .vpc_id(spec.vpc.as_ref().map_or_else(|| stand_in("vpc"), vpc));
            vec![
                probe!(clients, "ec2:CreateInternetGateway", make),
                probe!(clients, "ec2:AttachInternetGateway", attach),
            ]
        }
        Spec::Subnet(spec) => {
            let call = ec2
                .create_subnet()
                .vpc_id(vpc(&spec.vpc))
                .cidr_block(spec.cidr.to_string())
                .availability_zone(&spec.zone)
                .tag_specifications(tagged(ResourceType::Subnet));
            vec![probe!(clients, "ec2:CreateSubnet", call)]
        }
        Spec::ElasticIp(_) => {
            let tags = tagged(ResourceType::ElasticIp);
            let call = ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tags);
            vec![probe!(clients, "ec2:AllocateAddress", call)]
        }
        Spec::NatGateway(spec) => {
            let call = ec2
                .create_nat_gateway()
                .subnet_id(id(&spec.subnet, "subnet", ids))
                .allocation_id(id(&spec.address, "eipalloc", ids))
                .tag_specifications(tagged(ResourceType::Natgateway));
            vec![probe!(clients, "ec2:CreateNatGateway", call)]
        }
        Spec::GatewayEndpoint(spec) => {
            let call = ec2
                .create_vpc_endpoint()
                .vpc_endpoint_type(VpcEndpointType::Gateway)
                .vpc_id(vpc(&spec.vpc))
                .service_name(&spec.service)
                .tag_specifications(tagged(ResourceType::VpcEndpoint));
            vec![probe!(clients, "ec2:CreateVpcEndpoint", call)]
        }
        Spec::FlowLog(spec) => {
            let call = ec2
                .create_flow_logs()
                .resource_type(FlowLogsResourceType::Vpc)
                .resource_ids(vpc(&spec.vpc))
                .traffic_type(TrafficType::from(spec.traffic.as_str()))
                .log_group_name(id(&spec.log_group, "log-group", ids))
                .deliver_logs_permission_arn("arn:aws:iam::000000000000:role/not-made-yet")
                .tag_specifications(tagged(ResourceType::VpcFlowLog));
            vec![probe!(clients, "ec2:CreateFlowLogs", call)]
        }
        _ => Vec::new(),
    }
}

fn routing<'a>(clients: &'a Clients, resource: &'a Resource, ids: &Ids) -> Vec<Probe<'a>> {
    let ec2 = &clients.ec2;
    let table = |reference: &Reference| id(reference, "rtb", ids);
    match &resource.spec {
        Spec::RouteTable(spec) => {
            let tags = tag_specification(ResourceType::RouteTable, resource);
            let call = ec2.create_route_table().vpc_id(id(&spec.vpc, "vpc", ids)).tag_specifications(tags);
            vec![probe!(clients, "ec2:CreateRouteTable", call)]
        }
        Spec::Route(spec) => {
            let call = ec2
                .create_route()
                .route_table_id(table(&spec.table))
                .destination_cidr_block(&spec.destination)
                .gateway_id(stand_in("igw"));
            vec![probe!(clients, "ec2:CreateRoute", call)]
        }
        Spec::RouteTableAssociation(spec) => {
            let subnet = id(&spec.subnet, "subnet", ids);
            let call = ec2.associate_route_table().route_table_id(table(&spec.table)).subnet_id(subnet);
            vec![probe!(clients, "ec2:AssociateRouteTable", call)]
        }
        _ => Vec::new(),
    }
}

fn filters<'a>(clients: &'a Clients, resource: &'a Resource, ids: &Ids) -> Vec<Probe<'a>> {
    let (ec2, tagged) = (&clients.ec2, |kind| tag_specification(kind, resource));
    match &resource.spec {
        Spec::SecurityGroup(spec) if !spec.default => {
            let call = ec2
                .create_security_group()
                .vpc_id(id(&spec.vpc, "vpc", ids))
                .group_name(&resource.name)
                .description(&spec.description)
                .tag_specifications(tagged(ResourceType::SecurityGroup));
            vec![probe!(clients, "ec2:CreateSecurityGroup", call)]
        }
        Spec::SecurityGroupRule(spec) => {
            let group = id(&spec.group, "sg", ids);
            let permission = IpPermission::builder().ip_protocol(&spec.protocol).build();
            let tags = tagged(ResourceType::SecurityGroupRule);
            match spec.direction {
                Direction::In => {
                    let call = ec2.authorize_security_group_ingress().group_id(group).ip_permissions(permission);
                    vec![probe!(clients, "ec2:AuthorizeSecurityGroupIngress", call.tag_specifications(tags))]
                }
                Direction::Out => {
                    let call = ec2.authorize_security_group_egress().group_id(group).ip_permissions(permission);
                    vec![probe!(clients, "ec2:AuthorizeSecurityGroupEgress", call.tag_specifications(tags))]
                }
            }
        }
        Spec::NetworkAcl(spec) => {
            let tags = tagged(ResourceType::NetworkAcl);
            let call = ec2.create_network_acl().vpc_id(id(&spec.vpc, "vpc", ids)).tag_specifications(tags);
            vec![probe!(clients, "ec2:CreateNetworkAcl", call)]
        }
        Spec::NetworkAclEntry(spec) => {
            let call = ec2
                .create_network_acl_entry()
                .network_acl_id(id(&spec.acl, "acl", ids))
                .rule_number(i32::from(spec.number))
                .egress(spec.direction == Direction::Out)
                .protocol(&spec.protocol)
                .rule_action(RuleAction::Allow)
                .cidr_block(&spec.cidr);
            vec![probe!(clients, "ec2:CreateNetworkAclEntry", call)]
        }
        Spec::NetworkAclAssociation(spec) => {
            let acl = id(&spec.acl, "acl", ids);
            let call = ec2.replace_network_acl_association().association_id(stand_in("aclassoc")).network_acl_id(acl);
            vec![probe!(clients, "ec2:ReplaceNetworkAclAssociation", call)]
        }
        _ => Vec::new(),
    }
}

fn machines<'a>(clients: &'a Clients, resource: &'a Resource, ids: &Ids) -> Vec<Probe<'a>> {
    let (ec2, tagged) = (&clients.ec2, |kind| tag_specification(kind, resource));
    match &resource.spec {
        Spec::Volume(spec) => {
            let call = ec2
                .create_volume()
                .availability_zone(&spec.zone)
                .size(i32::try_from(spec.gib).unwrap_or(i32::MAX))
                .volume_type(spec.volume_type.as_str().into())
                .encrypted(spec.encrypted)
                .tag_specifications(tagged(ResourceType::Volume));
            vec![probe!(clients, "ec2:CreateVolume", call)]
        }
        Spec::VolumeAttachment(spec) => {
            let call = ec2
                .attach_volume()
                .volume_id(id(&spec.volume, "vol", ids))
                .instance_id(id(&spec.instance, "i", ids))
                .device(&spec.device);
            vec![probe!(clients, "ec2:AttachVolume", call)]
        }
        Spec::Instance(spec) => {
            // A public parameter is an image to this call, too.
            let image = match spec.image.starts_with('/') {
                true => format!("resolve:ssm:{}", spec.image),
                false => spec.image.clone(),
            };
            let call = ec2
                .run_instances()
                .image_id(image)
                .instance_type(spec.instance_type.as_str().into())
                .min_count(1)
                .max_count(1)
                .subnet_id(id(&spec.subnet, "subnet", ids))
                .tag_specifications(tagged(ResourceType::Instance));
            vec![probe!(clients, "ec2:RunInstances", call)]
        }
        _ => Vec::new(),
    }
}
