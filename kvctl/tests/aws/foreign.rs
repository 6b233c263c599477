//! Neighbours: resources of others in the same account, some of which look almost like ours. Nobody may touch them.

use crate::client::Client;

/// Makes them.
pub(crate) fn settle(client: Client) {
    let vpc = client.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).value("vpcId");
    let subnet = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.0.0/19"), ("AvailabilityZone", "us-east-1a")];
    let subnet = client.ec2("CreateSubnet", &subnet).value("subnetId");
    let gateway = client.ec2("CreateInternetGateway", &[]).value("internetGatewayId");
    client.ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]).xml();
    let group = [("VpcId", vpc.as_str()), ("GroupName", "kvstore-dev-sg-nodes"), ("GroupDescription", "another")];
    let group = client.ec2("CreateSecurityGroup", &group).value("groupId");
    let rule = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    client.ec2("AuthorizeSecurityGroupIngress", &rule).xml();
    let table = client.ec2("CreateRouteTable", &[("VpcId", &vpc)]).value("routeTableId");
    client.ec2("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &subnet)]).xml();
    let address = client.ec2("AllocateAddress", &[("Domain", "vpc")]).value("allocationId");
    let volume = [("AvailabilityZone", "us-east-1a"), ("Size", "8"), ("VolumeType", "gp3")];
    let volume = client.ec2("CreateVolume", &volume).value("volumeId");
    // The same name, the same project, another cluster; and our cluster's name without a role.
    for (id, key, value) in [
        (&vpc, "Name", "kvstore-dev-vpc"),
        (&vpc, "kvstore:cluster", "kvstore-prod"),
        (&subnet, "Name", "kvstore-prod-subnet"),
        (&gateway, "Name", "kvstore-prod-igw"),
        (&group, "Name", "kvstore-prod-sg"),
        (&table, "Name", "kvstore-prod-rtb"),
        (&address, "Name", "kvstore-dev-eip-us-east-1a"),
        (&volume, "Name", "kvstore-prod-vol"),
        (&volume, "Project", "kvstore"),
    ] {
        client.ec2("CreateTags", &[("ResourceId.1", id), ("Tag.1.Key", key), ("Tag.1.Value", value)]).xml();
    }
    let document = serde_json::json!({ "Name": "/kvstore-prod/ca.pem", "Value": "x", "Type": "String" });
    assert_eq!(client.json("ssm", "AmazonSSM.PutParameter", &document).status, 200);
    assert_eq!(client.s3("PUT", "/kvstore-prod-artifacts", "").status, 200);
}
