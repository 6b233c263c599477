//! Edits of the network itself, its gateways, routes and subnets.

use super::Call::{Ec2, Elb, Wait};
use super::{Edit, check_all};

#[test]
fn edits_of_the_network_are_planned_back() {
    check_all(&SETTINGS);
}

#[test]
fn edits_of_the_ways_out_are_planned_back() {
    check_all(&WAYS);
}

const SETTINGS: [Edit; 12] = [
    Edit {
        name: "DNS names off",
        calls: &[Ec2("ModifyVpcAttribute", &[("VpcId", "@vpc"), ("EnableDnsHostnames.Value", "false")])],
        steps: &["change vpc/main: dns hostnames"],
        anew: &[],
    },
    Edit {
        name: "DNS off",
        calls: &[
            Ec2("ModifyVpcAttribute", &[("VpcId", "@vpc"), ("EnableDnsHostnames.Value", "false")]),
            Ec2("ModifyVpcAttribute", &[("VpcId", "@vpc"), ("EnableDnsSupport.Value", "false")]),
        ],
        steps: &["change vpc/main: dns support, dns hostnames"],
        anew: &[],
    },
    Edit {
        name: "a private subnet gives out public addresses",
        calls: &[Ec2(
            "ModifySubnetAttribute",
            &[("SubnetId", "@subnet-private-us-east-1a"), ("MapPublicIpOnLaunch.Value", "true")],
        )],
        steps: &["change subnet/private-us-east-1a: public addresses"],
        anew: &[],
    },
    Edit {
        name: "a tag changed",
        calls: &[Ec2(
            "CreateTags",
            &[("ResourceId.1", "@subnet-public-us-east-1b"), ("Tag.1.Key", "Environment"), ("Tag.1.Value", "prod")],
        )],
        steps: &["change subnet/public-us-east-1b: tag Environment"],
        anew: &[],
    },
    Edit {
        name: "a tag removed",
        calls: &[Ec2("DeleteTags", &[("ResourceId.1", "@nat-us-east-1a"), ("Tag.1.Key", "Project")])],
        steps: &["change nat-gateway/us-east-1a: tag Project"],
        anew: &[],
    },
    Edit {
        name: "a name changed",
        calls: &[Ec2("CreateTags", &[("ResourceId.1", "@vpc"), ("Tag.1.Key", "Name"), ("Tag.1.Value", "mine")])],
        steps: &["change vpc/main: tag Name"],
        anew: &[],
    },
    Edit {
        name: "a role changed",
        calls: &[Ec2(
            "CreateTags",
            &[("ResourceId.1", "@rtb-public"), ("Tag.1.Key", "kvstore:role"), ("Tag.1.Value", "mine")],
        )],
        steps: &["change route-table/public: tag kvstore:role"],
        anew: &[],
    },
    Edit {
        name: "another subnet with our tags",
        calls: &[Ec2(
            "CreateSubnet",
            &[
                ("VpcId", "@vpc"),
                ("CidrBlock", "10.0.255.0/24"),
                ("AvailabilityZone", "us-east-1a"),
                ("TagSpecification.1.ResourceType", "subnet"),
                ("TagSpecification.1.Tag.1.Key", "kvstore:cluster"),
                ("TagSpecification.1.Tag.1.Value", "kvstore-dev"),
                ("TagSpecification.1.Tag.2.Key", "kvstore:role"),
                ("TagSpecification.1.Tag.2.Value", "private-us-east-1a"),
            ],
        )],
        steps: &["delete subnet/*"],
        anew: &[],
    },
    Edit {
        name: "another network with our tags",
        calls: &[Ec2(
            "CreateVpc",
            &[
                ("CidrBlock", "10.0.0.0/16"),
                ("TagSpecification.1.ResourceType", "vpc"),
                ("TagSpecification.1.Tag.1.Key", "kvstore:cluster"),
                ("TagSpecification.1.Tag.1.Value", "kvstore-dev"),
                ("TagSpecification.1.Tag.2.Key", "kvstore:role"),
                ("TagSpecification.1.Tag.2.Value", "main"),
            ],
        )],
        steps: &["delete vpc/*"],
        anew: &[],
    },
    Edit {
        name: "the flow log deleted",
        calls: &[Ec2("DeleteFlowLogs", &[("FlowLogId.1", "@fl-vpc")])],
        steps: &["create flow-log/flow-logs"],
        anew: &["kvstore-dev-fl-vpc"],
    },
    Edit {
        name: "the endpoint deleted",
        calls: &[Ec2("DeleteVpcEndpoints", &[("VpcEndpointId.1", "@vpce-s3")])],
        steps: &["create gateway-endpoint/s3"],
        anew: &["kvstore-dev-vpce-s3"],
    },
    Edit {
        name: "the endpoint taken out of a table",
        calls: &[Ec2(
            "ModifyVpcEndpoint",
            &[("VpcEndpointId", "@vpce-s3"), ("RemoveRouteTableId.1", "@rtb-private-us-east-1b")],
        )],
        steps: &["change gateway-endpoint/s3: tables"],
        anew: &[],
    },
];

const WAYS: [Edit; 11] = [
    Edit {
        name: "a route deleted",
        calls: &[Ec2(
            "DeleteRoute",
            &[("RouteTableId", "@rtb-private-us-east-1b"), ("DestinationCidrBlock", "0.0.0.0/0")],
        )],
        steps: &["create route/private-us-east-1b/0.0.0.0/0"],
        anew: &[],
    },
    Edit {
        name: "a route through another zone's gateway",
        calls: &[Ec2(
            "ReplaceRoute",
            &[
                ("RouteTableId", "@rtb-private-us-east-1a"),
                ("DestinationCidrBlock", "0.0.0.0/0"),
                ("NatGatewayId", "@nat-us-east-1b"),
            ],
        )],
        steps: &["change route/private-us-east-1a/0.0.0.0/0: target"],
        anew: &[],
    },
    Edit {
        name: "a private subnet's route straight to the internet",
        calls: &[Ec2(
            "ReplaceRoute",
            &[
                ("RouteTableId", "@rtb-private-us-east-1c"),
                ("DestinationCidrBlock", "0.0.0.0/0"),
                ("GatewayId", "@igw"),
            ],
        )],
        steps: &["change route/private-us-east-1c/0.0.0.0/0: target"],
        anew: &[],
    },
    Edit {
        name: "a route added",
        calls: &[Ec2(
            "CreateRoute",
            &[
                ("RouteTableId", "@rtb-private-us-east-1c"),
                ("DestinationCidrBlock", "198.51.100.0/24"),
                ("GatewayId", "@igw"),
            ],
        )],
        steps: &["delete route/kvstore-dev-rtb-private-us-east-1c/198.51.100.0/24"],
        anew: &[],
    },
    Edit {
        name: "a subnet moved to another table",
        calls: &[Ec2(
            "ReplaceRouteTableAssociation",
            &[("AssociationId", "@@kvstore-dev-subnet-private-us-east-1a/table"), ("RouteTableId", "@rtb-public")],
        )],
        steps: &["change route-table-association/private-us-east-1a: table"],
        anew: &["kvstore-dev-subnet-private-us-east-1a/table"],
    },
    Edit {
        name: "a subnet without a table",
        calls: &[Ec2("DisassociateRouteTable", &[("AssociationId", "@@kvstore-dev-subnet-public-us-east-1b/table")])],
        steps: &["create route-table-association/public-us-east-1b"],
        anew: &["kvstore-dev-subnet-public-us-east-1b/table"],
    },
    Edit {
        name: "a NAT gateway deleted",
        calls: &[Ec2("DeleteNatGateway", &[("NatGatewayId", "@nat-us-east-1c")]), Wait],
        steps: &["change route/private-us-east-1c/0.0.0.0/0: target", "create nat-gateway/us-east-1c"],
        anew: &["kvstore-dev-nat-us-east-1c"],
    },
    Edit {
        name: "a NAT gateway still going",
        calls: &[Ec2("DeleteNatGateway", &[("NatGatewayId", "@nat-us-east-1c")])],
        steps: &["change route/private-us-east-1c/0.0.0.0/0: target", "create nat-gateway/us-east-1c"],
        anew: &["kvstore-dev-nat-us-east-1c"],
    },
    Edit {
        name: "an address released",
        calls: &[
            Ec2("DeleteNatGateway", &[("NatGatewayId", "@nat-us-east-1a")]),
            Wait,
            Ec2("ReleaseAddress", &[("AllocationId", "@eip-us-east-1a")]),
        ],
        steps: &[
            "change route/private-us-east-1a/0.0.0.0/0: target",
            "create elastic-ip/us-east-1a",
            "create nat-gateway/us-east-1a",
        ],
        anew: &["kvstore-dev-eip-us-east-1a", "kvstore-dev-nat-us-east-1a"],
    },
    Edit {
        name: "another address with our tags",
        calls: &[Ec2(
            "AllocateAddress",
            &[
                ("Domain", "vpc"),
                ("TagSpecification.1.ResourceType", "elastic-ip"),
                ("TagSpecification.1.Tag.1.Key", "kvstore:cluster"),
                ("TagSpecification.1.Tag.1.Value", "kvstore-dev"),
                ("TagSpecification.1.Tag.2.Key", "kvstore:role"),
                ("TagSpecification.1.Tag.2.Value", "us-east-1a"),
            ],
        )],
        steps: &["delete elastic-ip/*"],
        anew: &[],
    },
    Edit {
        // AWS lets nobody detach a gateway while public addresses are mapped through it.
        name: "the internet gateway detached, and all that needed it gone",
        calls: &[
            Elb("DeleteLoadBalancer", &[("LoadBalancerArn", "@alb")]),
            Ec2("DeleteNatGateway", &[("NatGatewayId", "@nat-us-east-1a")]),
            Ec2("DeleteNatGateway", &[("NatGatewayId", "@nat-us-east-1b")]),
            Ec2("DeleteNatGateway", &[("NatGatewayId", "@nat-us-east-1c")]),
            Wait,
            Ec2("DetachInternetGateway", &[("InternetGatewayId", "@igw"), ("VpcId", "@vpc")]),
        ],
        steps: &[
            "change internet-gateway/main: attached to",
            "change route/private-us-east-1a/0.0.0.0/0: target",
            "change route/private-us-east-1b/0.0.0.0/0: target",
            "change route/private-us-east-1c/0.0.0.0/0: target",
            "change route/public/0.0.0.0/0: target",
            "create listener-rule/main/8080/1",
            "create listener/main/8080",
            "create load-balancer/main",
            "create nat-gateway/us-east-1a",
            "create nat-gateway/us-east-1b",
            "create nat-gateway/us-east-1c",
        ],
        anew: &[
            "kvstore-dev-alb",
            "kvstore-dev-alb:8080",
            "kvstore-dev-alb:8080/1",
            "kvstore-dev-nat-us-east-1a",
            "kvstore-dev-nat-us-east-1b",
            "kvstore-dev-nat-us-east-1c",
        ],
    },
];
