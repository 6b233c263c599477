//! What the reference network is made of, and what every network's list keeps to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::network::{Draft, RuleDraft};
use crate::resource::{CLUSTER_TAG, Direction, Identity, Key, Kind, NetworkAclEntry, ROLE_TAG, Reference, Spec};

fn inputs() -> Inputs {
    Inputs { account: "123456789012".to_owned(), artifact_sha256: "ab".repeat(32) }
}

fn network(change: impl FnOnce(&mut Draft)) -> Network {
    let mut draft = Draft::default();
    change(&mut draft);
    Network::parse(draft).expect("can be built")
}

fn list(change: impl FnOnce(&mut Draft)) -> Vec<Resource> {
    resources(&network(change), &inputs())
}

/// Key, name and fields of everything of these kinds; the cluster's name and long texts are cut.
fn summary(kinds: &[Kind]) -> String {
    let cut =
        |text: String| if text.len() > 70 { format!("{}…", &text[..text.floor_char_boundary(67)]) } else { text };
    let line = |resource: &Resource| {
        let fields = resource.spec.fields();
        let fields: Vec<String> = fields.iter().map(|field| cut(format!("{}={}", field.name, field.value))).collect();
        format!("{} | {} | {}", resource.key, resource.name.replace("kvstore-dev", "~"), fields.join("; "))
    };
    let wanted = list(|_| {});
    wanted.iter().filter(|resource| kinds.contains(&resource.key.kind)).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_network_has_these_subnets_and_ways() {
    use Kind::*;
    let kinds = [
        Vpc,
        InternetGateway,
        Subnet,
        ElasticIp,
        NatGateway,
        RouteTable,
        Route,
        RouteTableAssociation,
        GatewayEndpoint,
    ];
    insta::assert_snapshot!(summary(&kinds), @r"
    vpc/main | ~-vpc | cidr=10.0.0.0/16; dns support=yes; dns hostnames=yes
    internet-gateway/main | ~-igw | attached to=vpc/main
    subnet/private-us-east-1a | ~-subnet-private-us-east-1a | vpc=vpc/main; cidr=10.0.0.0/19; zone=us-east-1a; public addresses=no
    subnet/private-us-east-1b | ~-subnet-private-us-east-1b | vpc=vpc/main; cidr=10.0.32.0/19; zone=us-east-1b; public addresses=no
    subnet/private-us-east-1c | ~-subnet-private-us-east-1c | vpc=vpc/main; cidr=10.0.64.0/19; zone=us-east-1c; public addresses=no
    subnet/public-us-east-1a | ~-subnet-public-us-east-1a | vpc=vpc/main; cidr=10.0.96.0/19; zone=us-east-1a; public addresses=no
    subnet/public-us-east-1b | ~-subnet-public-us-east-1b | vpc=vpc/main; cidr=10.0.128.0/19; zone=us-east-1b; public addresses=no
    subnet/public-us-east-1c | ~-subnet-public-us-east-1c | vpc=vpc/main; cidr=10.0.160.0/19; zone=us-east-1c; public addresses=no
    route-table/public | ~-rtb-public | vpc=vpc/main
    route/public/0.0.0.0/0 | ~-route-public-0.0.0.0-0 | table=route-table/public; destination=0.0.0.0/0; target=internet-gateway/main
    route-table-association/public-us-east-1a | ~-rtbassoc-public-us-east-1a | subnet=subnet/public-us-east-1a; table=route-table/public
    route-table-association/public-us-east-1b | ~-rtbassoc-public-us-east-1b | subnet=subnet/public-us-east-1b; table=route-table/public
    route-table-association/public-us-east-1c | ~-rtbassoc-public-us-east-1c | subnet=subnet/public-us-east-1c; table=route-table/public
    elastic-ip/us-east-1a | ~-eip-us-east-1a | 
    nat-gateway/us-east-1a | ~-nat-us-east-1a | subnet=subnet/public-us-east-1a; address=elastic-ip/us-east-1a
    route-table/private-us-east-1a | ~-rtb-private-us-east-1a | vpc=vpc/main
    route/private-us-east-1a/0.0.0.0/0 | ~-route-private-us-east-1a-0.0.0.0-0 | table=route-table/private-us-east-1a; destination=0.0.0.0/0; target=nat-gateway/us-east-1a
    route-table-association/private-us-east-1a | ~-rtbassoc-private-us-east-1a | subnet=subnet/private-us-east-1a; table=route-table/private-us-east-1a
    elastic-ip/us-east-1b | ~-eip-us-east-1b | 
    nat-gateway/us-east-1b | ~-nat-us-east-1b | subnet=subnet/public-us-east-1b; address=elastic-ip/us-east-1b
    route-table/private-us-east-1b | ~-rtb-private-us-east-1b | vpc=vpc/main
    route/private-us-east-1b/0.0.0.0/0 | ~-route-private-us-east-1b-0.0.0.0-0 | table=route-table/private-us-east-1b; destination=0.0.0.0/0; target=nat-gateway/us-east-1b
    route-table-association/private-us-east-1b | ~-rtbassoc-private-us-east-1b | subnet=subnet/private-us-east-1b; table=route-table/private-us-east-1b
    elastic-ip/us-east-1c | ~-eip-us-east-1c | 
    nat-gateway/us-east-1c | ~-nat-us-east-1c | subnet=subnet/public-us-east-1c; address=elastic-ip/us-east-1c
    route-table/private-us-east-1c | ~-rtb-private-us-east-1c | vpc=vpc/main
    route/private-us-east-1c/0.0.0.0/0 | ~-route-private-us-east-1c-0.0.0.0-0 | table=route-table/private-us-east-1c; destination=0.0.0.0/0; target=nat-gateway/us-east-1c
    route-table-association/private-us-east-1c | ~-rtbassoc-private-us-east-1c | subnet=subnet/private-us-east-1c; table=route-table/private-us-east-1c
    gateway-endpoint/s3 | ~-vpce-s3 | vpc=vpc/main; service=com.amazonaws.us-east-1.s3; tables=route-table/private-us-east-1a, route-table/private-us-east-…
    ");
}

#[test]
fn the_reference_network_lets_these_packets_pass() {
    use Kind::*;
    insta::assert_snapshot!(summary(&[SecurityGroup, SecurityGroupRule]), @r"
    security-group/nodes | ~-sg-nodes | vpc=vpc/main; description=kvstore-dev: the machines that hold the data; default=no
    security-group/lb | ~-sg-lb | vpc=vpc/main; description=kvstore-dev: the load balancer; default=no
    security-group/monitoring | ~-sg-monitoring | vpc=vpc/main; description=kvstore-dev: Prometheus and node exporters; default=no
    security-group/default | ~-sg-default | vpc=vpc/main; description=default VPC security group; default=yes
    security-group-rule/nodes/in/tcp/8080/10.0.0.0/16 | ~-sgr-nodes-in-tcp-8080-10.0.0.0-16 | group=security-group/nodes; packets=in/tcp/8080; peer=10.0.0.0/16; description=REST from the network
    security-group-rule/nodes/in/tcp/7946/nodes | ~-sgr-nodes-in-tcp-7946-nodes | group=security-group/nodes; packets=in/tcp/7946; peer=security-group/nodes; description=replication between nodes
    security-group-rule/nodes/in/udp/7947/nodes | ~-sgr-nodes-in-udp-7947-nodes | group=security-group/nodes; packets=in/udp/7947; peer=security-group/nodes; description=membership between nodes
    security-group-rule/monitoring/in/tcp/9090/10.0.0.0/16 | ~-sgr-monitoring-in-tcp-9090-10.0.0.0-16 | group=security-group/monitoring; packets=in/tcp/9090; peer=10.0.0.0/16; description=Prometheus from the network
    security-group-rule/monitoring/in/tcp/9100/10.0.0.0/16 | ~-sgr-monitoring-in-tcp-9100-10.0.0.0-16 | group=security-group/monitoring; packets=in/tcp/9100; peer=10.0.0.0/16; description=node exporter from the network
    security-group-rule/lb/in/tcp/8080/0.0.0.0/0 | ~-sgr-lb-in-tcp-8080-0.0.0.0-0 | group=security-group/lb; packets=in/tcp/8080; peer=0.0.0.0/0; description=REST from clients
    security-group-rule/nodes/out/all/0.0.0.0/0 | ~-sgr-nodes-out-all-0.0.0.0-0 | group=security-group/nodes; packets=out/all; peer=0.0.0.0/0; description=everything out
    security-group-rule/lb/out/all/0.0.0.0/0 | ~-sgr-lb-out-all-0.0.0.0-0 | group=security-group/lb; packets=out/all; peer=0.0.0.0/0; description=everything out
    security-group-rule/monitoring/out/all/0.0.0.0/0 | ~-sgr-monitoring-out-all-0.0.0.0-0 | group=security-group/monitoring; packets=out/all; peer=0.0.0.0/0; description=everything out
    ");
    insta::assert_snapshot!(summary(&[NetworkAcl, NetworkAclEntry, NetworkAclAssociation]), @r"
    network-acl/private | ~-acl-private | vpc=vpc/main
    network-acl-entry/private/in/200 | ~-acle-private-in-200 | acl=network-acl/private; number=200; direction=in; action=allow; protocol=6; ports=8080; cidr=10.0.0.0/16
    network-acl-entry/private/in/210 | ~-acle-private-in-210 | acl=network-acl/private; number=210; direction=in; action=allow; protocol=6; ports=7946; cidr=10.0.0.0/16
    network-acl-entry/private/in/220 | ~-acle-private-in-220 | acl=network-acl/private; number=220; direction=in; action=allow; protocol=17; ports=7947; cidr=10.0.0.0/16
    network-acl-entry/private/in/230 | ~-acle-private-in-230 | acl=network-acl/private; number=230; direction=in; action=allow; protocol=6; ports=9090; cidr=10.0.0.0/16
    network-acl-entry/private/in/240 | ~-acle-private-in-240 | acl=network-acl/private; number=240; direction=in; action=allow; protocol=6; ports=9100; cidr=10.0.0.0/16
    network-acl-entry/private/in/400 | ~-acle-private-in-400 | acl=network-acl/private; number=400; direction=in; action=allow; protocol=6; ports=32768-60999; cidr=0.0.0.0/0
    network-acl-entry/private/in/410 | ~-acle-private-in-410 | acl=network-acl/private; number=410; direction=in; action=allow; protocol=17; ports=32768-60999; cidr=0.0.0.0/0
    network-acl-entry/private/out/220 | ~-acle-private-out-220 | acl=network-acl/private; number=220; direction=out; action=allow; protocol=17; ports=7947; cidr=10.0.0.0/16
    network-acl-entry/private/out/400 | ~-acle-private-out-400 | acl=network-acl/private; number=400; direction=out; action=allow; protocol=6; ports=1024-65535; cidr=10.0.0.0/16
    network-acl-entry/private/out/300 | ~-acle-private-out-300 | acl=network-acl/private; number=300; direction=out; action=allow; protocol=6; ports=443; cidr=0.0.0.0/0
    network-acl-entry/private/out/310 | ~-acle-private-out-310 | acl=network-acl/private; number=310; direction=out; action=allow; protocol=17; ports=123; cidr=0.0.0.0/0
    network-acl-entry/private/out/320 | ~-acle-private-out-320 | acl=network-acl/private; number=320; direction=out; action=allow; protocol=17; ports=53; cidr=0.0.0.0/0
    network-acl-entry/private/out/330 | ~-acle-private-out-330 | acl=network-acl/private; number=330; direction=out; action=allow; protocol=6; ports=53; cidr=0.0.0.0/0
    network-acl-association/private-us-east-1a | ~-aclassoc-private-us-east-1a | subnet=subnet/private-us-east-1a; acl=network-acl/private
    network-acl-association/private-us-east-1b | ~-aclassoc-private-us-east-1b | subnet=subnet/private-us-east-1b; acl=network-acl/private
    network-acl-association/private-us-east-1c | ~-aclassoc-private-us-east-1c | subnet=subnet/private-us-east-1c; acl=network-acl/private
    network-acl/public | ~-acl-public | vpc=vpc/main
    network-acl-entry/public/in/100 | ~-acle-public-in-100 | acl=network-acl/public; number=100; direction=in; action=allow; protocol=6; ports=8080; cidr=0.0.0.0/0
    network-acl-entry/public/in/400 | ~-acle-public-in-400 | acl=network-acl/public; number=400; direction=in; action=allow; protocol=6; ports=1024-65535; cidr=0.0.0.0/0
    network-acl-entry/public/in/410 | ~-acle-public-in-410 | acl=network-acl/public; number=410; direction=in; action=allow; protocol=17; ports=1024-65535; cidr=0.0.0.0/0
    network-acl-entry/public/out/400 | ~-acle-public-out-400 | acl=network-acl/public; number=400; direction=out; action=allow; protocol=6; ports=1024-65535; cidr=0.0.0.0/0
    network-acl-entry/public/out/410 | ~-acle-public-out-410 | acl=network-acl/public; number=410; direction=out; action=allow; protocol=17; ports=1024-65535; cidr=10.0.0.0/16
    network-acl-entry/public/in/300 | ~-acle-public-in-300 | acl=network-acl/public; number=300; direction=in; action=allow; protocol=6; ports=443; cidr=10.0.0.0/16
    network-acl-entry/public/in/310 | ~-acle-public-in-310 | acl=network-acl/public; number=310; direction=in; action=allow; protocol=17; ports=123; cidr=10.0.0.0/16
    network-acl-entry/public/in/320 | ~-acle-public-in-320 | acl=network-acl/public; number=320; direction=in; action=allow; protocol=17; ports=53; cidr=10.0.0.0/16
    network-acl-entry/public/in/330 | ~-acle-public-in-330 | acl=network-acl/public; number=330; direction=in; action=allow; protocol=6; ports=53; cidr=10.0.0.0/16
    network-acl-entry/public/out/300 | ~-acle-public-out-300 | acl=network-acl/public; number=300; direction=out; action=allow; protocol=6; ports=443; cidr=0.0.0.0/0
    network-acl-entry/public/out/310 | ~-acle-public-out-310 | acl=network-acl/public; number=310; direction=out; action=allow; protocol=17; ports=123; cidr=0.0.0.0/0
    network-acl-entry/public/out/320 | ~-acle-public-out-320 | acl=network-acl/public; number=320; direction=out; action=allow; protocol=17; ports=53; cidr=0.0.0.0/0
    network-acl-entry/public/out/330 | ~-acle-public-out-330 | acl=network-acl/public; number=330; direction=out; action=allow; protocol=6; ports=53; cidr=0.0.0.0/0
    network-acl-association/public-us-east-1a | ~-aclassoc-public-us-east-1a | subnet=subnet/public-us-east-1a; acl=network-acl/public
    network-acl-association/public-us-east-1b | ~-aclassoc-public-us-east-1b | subnet=subnet/public-us-east-1b; acl=network-acl/public
    network-acl-association/public-us-east-1c | ~-aclassoc-public-us-east-1c | subnet=subnet/public-us-east-1c; acl=network-acl/public
    ");
}

#[test]
fn the_reference_network_has_these_services_and_machines() {
    use Kind::*;
    insta::assert_snapshot!(summary(&[LogGroup, FlowLog, InstanceProfile, Bucket, Object, Parameter]), @r"
    log-group/flow-logs | ~-lg-flow-logs | retention days=30
    flow-log/flow-logs | ~-fl-vpc | vpc=vpc/main; log group=log-group/flow-logs; role=role/flow-logs; traffic=ALL; aggregation seconds=60
    instance-profile/nodes | ~-profile-nodes-us-east-1 | role=role/nodes
    bucket/artifacts | ~-artifacts-123456789012-us-east-1 | versioned=yes; encrypted=yes; private=yes
    object/artifacts/kvnode/abababababababababababababababababababababababababababababababab/kvnode | kvnode/abababababababababababababababababababababababababababababababab/kvnode | bucket=bucket/artifacts; path=kvnode/abababababababababababababababababababababababababababa…; sha256=abababababababababababababababababababababababababababababab…
    parameter/ca.pem | /~/ca.pem | secure=no
    parameter/gossip-keyring | /~/gossip-keyring | secure=yes
    parameter/tokens | /~/tokens | secure=yes
    parameter/nodes/a1/certificate.pem | /~/nodes/a1/certificate.pem | secure=no
    parameter/nodes/a1/key.pem | /~/nodes/a1/key.pem | secure=yes
    parameter/nodes/b1/certificate.pem | /~/nodes/b1/certificate.pem | secure=no
    parameter/nodes/b1/key.pem | /~/nodes/b1/key.pem | secure=yes
    parameter/nodes/c1/certificate.pem | /~/nodes/c1/certificate.pem | secure=no
    parameter/nodes/c1/key.pem | /~/nodes/c1/key.pem | secure=yes
    ");
    insta::assert_snapshot!(summary(&[Certificate, TargetGroup, LoadBalancer, Listener, ListenerRule]), @r"
    target-group/nodes | ~-tg-nodes | vpc=vpc/main; protocol=HTTPS; port=8080; health path=/readyz; health interval=10; health timeout=5; healthy after=2; unhealthy after=2; deregistration delay=35
    certificate/lb | ~-cert-lb | domain=*.us-east-1.elb.amazonaws.com; ends soon=no
    load-balancer/main | ~-alb | internet facing=yes; subnets=subnet/public-us-east-1a, subnet/public-us-east-1b, subnet/…; groups=security-group/lb; drop invalid headers=yes; idle timeout=60
    listener/main/8080 | ~-listener-main-8080 | load balancer=load-balancer/main; port=8080; protocol=HTTPS; tls policy=ELBSecurityPolicy-TLS13-1-2-2021-06; certificate=certificate/lb; default status=404
    listener-rule/main/8080/1 | ~-rule-main-8080-1 | listener=listener/main/8080; priority=1; paths=/v1/batch, /v1/kv, /v1/kv/*; target group=target-group/nodes
    ");
    insta::assert_snapshot!(summary(&[Volume, VolumeAttachment, TargetRegistration]), @r"
    volume/a1 | ~-vol-a1 | zone=us-east-1a; size in GiB=100; type=gp3; encrypted=yes
    volume-attachment/a1 | ~-attachment-a1 | volume=volume/a1; instance=instance/a1; device=/dev/sdf
    target-registration/nodes/a1/8080 | ~-target-nodes-a1-8080 | target group=target-group/nodes; instance=instance/a1; port=8080
    volume/b1 | ~-vol-b1 | zone=us-east-1b; size in GiB=100; type=gp3; encrypted=yes
    volume-attachment/b1 | ~-attachment-b1 | volume=volume/b1; instance=instance/b1; device=/dev/sdf
    target-registration/nodes/b1/8080 | ~-target-nodes-b1-8080 | target group=target-group/nodes; instance=instance/b1; port=8080
    volume/c1 | ~-vol-c1 | zone=us-east-1c; size in GiB=100; type=gp3; encrypted=yes
    volume-attachment/c1 | ~-attachment-c1 | volume=volume/c1; instance=instance/c1; device=/dev/sdf
    target-registration/nodes/c1/8080 | ~-target-nodes-c1-8080 | target group=target-group/nodes; instance=instance/c1; port=8080
    ");
}

#[test]
fn an_instance_is_private_and_has_its_script() {
    let wanted = list(|_| {});
    let instance = wanted.iter().find(|one| one.key == Key::new(Kind::Instance, "a1")).expect("there");
    let Spec::Instance(spec) = &instance.spec else { panic!("an instance") };
    assert_eq!((spec.address.to_string().as_str(), spec.public_address), ("10.0.0.11", false));
    assert!(spec.metadata_tokens_required && spec.running);
    let node = network(|_| {}).nodes()[0].clone();
    assert_eq!(spec.user_data, crate::user_data::render(&network(|_| {}), &node, &inputs()));
    assert_eq!(spec.user_data_digest.len(), 16);
    let needs: Vec<String> = instance.dependencies().map(|key| key.to_string()).collect();
    insta::assert_snapshot!(needs.join("\n"), @r"
    subnet/private-us-east-1a
    security-group/monitoring
    security-group/nodes
    instance-profile/nodes
    object/artifacts/kvnode/abababababababababababababababababababababababababababababababab/kvnode
    gateway-endpoint/s3
    security-group-rule/nodes/in/tcp/8080/10.0.0.0/16
    security-group-rule/nodes/in/tcp/7946/nodes
    security-group-rule/nodes/in/udp/7947/nodes
    security-group-rule/nodes/out/all/0.0.0.0/0
    security-group-rule/monitoring/in/tcp/9090/10.0.0.0/16
    security-group-rule/monitoring/in/tcp/9100/10.0.0.0/16
    security-group-rule/monitoring/out/all/0.0.0.0/0
    route/private-us-east-1a/0.0.0.0/0
    route-table-association/private-us-east-1a
    route/public/0.0.0.0/0
    route-table-association/public-us-east-1a
    network-acl-association/private-us-east-1a
    network-acl-association/public-us-east-1a
    parameter/ca.pem
    parameter/gossip-keyring
    parameter/tokens
    parameter/nodes/a1/certificate.pem
    parameter/nodes/a1/key.pem
    ");
}

#[test]
fn policies_allow_the_least() {
    let wanted = list(|_| {});
    let mut lines = Vec::new();
    for resource in &wanted {
        let Spec::Role(role) = &resource.spec else { continue };
        assert!(role.managed_policies.is_empty(), "the cloud's own policies allow more than is needed");
        lines.push(format!("{} trust {}", resource.name, role.trust));
        lines.extend(role.policies.iter().map(|(name, policy)| format!("{} {name} {policy}", resource.name)));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    kvstore-dev-role-flow-logs-us-east-1 trust {"Statement":[{"Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ec2:us-east-1:123456789012:vpc-flow-log/*"},"StringEquals":{"aws:SourceAccount":"123456789012"}},"Effect":"Allow","Principal":{"Service":"vpc-flow-logs.amazonaws.com"}}],"Version":"2012-10-17"}
    kvstore-dev-role-flow-logs-us-east-1 write-flow-logs {"Statement":[{"Action":["logs:CreateLogStream","logs:DescribeLogStreams","logs:PutLogEvents"],"Effect":"Allow","Resource":["arn:aws:logs:us-east-1:123456789012:log-group:kvstore-dev-lg-flow-logs","arn:aws:logs:us-east-1:123456789012:log-group:kvstore-dev-lg-flow-logs:*"]},{"Action":["logs:DescribeLogGroups"],"Effect":"Allow","Resource":["arn:aws:logs:us-east-1:123456789012:log-group:*"]}],"Version":"2012-10-17"}
    kvstore-dev-role-nodes-us-east-1 trust {"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}],"Version":"2012-10-17"}
    kvstore-dev-role-nodes-us-east-1 read-artifacts {"Statement":[{"Action":["s3:GetObject"],"Effect":"Allow","Resource":["arn:aws:s3:::kvstore-dev-artifacts-123456789012-us-east-1/kvnode/*"]}],"Version":"2012-10-17"}
    kvstore-dev-role-nodes-us-east-1 read-secrets {"Statement":[{"Action":["ssm:GetParameter","ssm:GetParameters"],"Effect":"Allow","Resource":["arn:aws:ssm:us-east-1:123456789012:parameter/kvstore-dev/ca.pem","arn:aws:ssm:us-east-1:123456789012:parameter/kvstore-dev/gossip-keyring","arn:aws:ssm:us-east-1:123456789012:parameter/kvstore-dev/nodes/*","arn:aws:ssm:us-east-1:123456789012:parameter/kvstore-dev/tokens"]}],"Version":"2012-10-17"}
    kvstore-dev-role-nodes-us-east-1 take-commands {"Statement":[{"Action":["ec2messages:AcknowledgeMessage","ec2messages:DeleteMessage","ec2messages:FailMessage","ec2messages:GetEndpoint","ec2messages:GetMessages","ec2messages:SendReply","ssm:DescribeAssociation","ssm:DescribeDocument","ssm:GetDocument","ssm:ListAssociations","ssm:ListInstanceAssociations","ssm:UpdateAssociationStatus","ssm:UpdateInstanceAssociationStatus","ssm:UpdateInstanceInformation","ssmmessages:CreateControlChannel","ssmmessages:CreateDataChannel","ssmmessages:OpenControlChannel","ssmmessages:OpenDataChannel"],"Effect":"Allow","Resource":["*"]}],"Version":"2012-10-17"}
    "#);
}

#[test]
fn a_given_certificate_is_used_and_none_is_made() {
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate/x";
    let wanted = list(|draft| draft.certificate = Some(arn.to_owned()));
    assert!(wanted.iter().all(|resource| resource.key.kind != Kind::Certificate));
    let used = wanted.iter().find_map(|resource| match &resource.spec {
        Spec::Listener(listener) => Some(&listener.certificate),
        _ => None,
    });
    assert_eq!(used, Some(&Reference::Id(arn.to_owned())));
}

#[test]
fn a_cluster_of_one_zone_has_no_load_balancer() {
    let wanted = list(|draft| {
        draft.zones.truncate(1);
        draft.zones[0].nodes = 3;
        draft.accept_zone_outage = true;
    });
    let kinds: BTreeSet<Kind> = wanted.iter().map(|resource| resource.key.kind).collect();
    let missing: Vec<String> =
        Kind::ALL.into_iter().filter(|kind| !kinds.contains(kind)).map(|kind| kind.to_string()).collect();
    let balancer = ["certificate", "target-group", "load-balancer", "listener", "listener-rule", "target-registration"];
    assert_eq!(missing, balancer);
}

#[test]
fn other_parts_of_the_world_have_other_names() {
    let wanted = list(|draft| *draft = Draft::for_region("cn-north-1"));
    let text = format!("{wanted:?}");
    for expected in ["cn.com.amazonaws.cn-north-1.s3", "arn:aws-cn:s3:::", "*.cn-north-1.elb.amazonaws.com.cn"] {
        assert!(text.contains(expected), "{expected}");
    }
    assert!(!text.contains("arn:aws:"));
}

/// Whether the entries of a list let a packet pass, as the cloud decides it: the lowest number that matches.
fn passes(wanted: &[Resource], acl: &str, direction: Direction, protocol: &str, port: i32, other: &str) -> bool {
    let other: std::net::Ipv4Addr = other.parse().expect("an address");
    let mut entries: Vec<&NetworkAclEntry> = wanted
        .iter()
        .filter_map(|resource| match &resource.spec {
            Spec::NetworkAclEntry(entry) => Some(entry),
            _ => None,
        })
        .filter(|entry| entry.acl == Key::new(Kind::NetworkAcl, acl).into() && entry.direction == direction)
        .collect();
    entries.sort_by_key(|entry| entry.number);
    let matches = |entry: &&&NetworkAclEntry| {
        let cidr: ipnet::Ipv4Net = entry.cidr.parse().expect("a block");
        let ports = entry.ports.expect("TCP and UDP entries have ports");
        entry.protocol == protocol && ports.from <= port && port <= ports.to && cidr.contains(&other)
    };
    entries.iter().find(matches).is_some_and(|entry| entry.allow)
}

#[test]
fn lists_pass_what_is_meant_and_its_replies() {
    use Direction::{In, Out};
    let wanted = list(|draft| {
        draft.client_cidrs = vec!["203.0.113.0/24".to_owned()];
        draft.rules = vec![RuleDraft {
            group: "nodes".to_owned(),
            direction: "in".to_owned(),
            protocol: "tcp".to_owned(),
            ports: "22".to_owned(),
            peer: "192.168.0.0/24".to_owned(),
            description: "from the office".to_owned(),
        }];
    });
    let (world, client, node, lb, office) = ("198.51.100.7", "203.0.113.7", "10.0.32.11", "10.0.96.20", "192.168.0.7");
    for (acl, direction, protocol, port, other, expected) in [
        // A client's request, to the load balancer, on to a node, and all the way back.
        ("public", In, "6", 8080, client, true),
        ("public", Out, "6", 8080, node, true),
        ("private", In, "6", 8080, lb, true),
        ("private", Out, "6", 1025, lb, true),
        ("public", In, "6", 1025, node, true),
        ("public", Out, "6", 50000, client, true),
        // Nodes with each other, in other zones.
        ("private", In, "6", 7946, node, true),
        ("private", Out, "6", 7946, node, true),
        ("private", In, "17", 7947, node, true),
        ("private", Out, "17", 7947, node, true),
        ("private", In, "6", 50000, node, true),
        // The cloud's services, through the NAT gateway and back.
        ("private", Out, "6", 443, world, true),
        ("public", In, "6", 443, node, true),
        ("public", Out, "6", 443, world, true),
        ("public", In, "6", 1025, world, true),
        ("public", Out, "6", 40000, node, true),
        ("private", In, "6", 40000, world, true),
        // The time and names, the same way.
        ("private", Out, "17", 123, world, true),
        ("public", In, "17", 53, node, true),
        ("public", Out, "17", 123, world, true),
        ("public", In, "17", 1025, world, true),
        ("public", Out, "17", 40000, node, true),
        ("private", In, "17", 40000, world, true),
        // An extra rule and its replies.
        ("private", In, "6", 22, office, true),
        ("private", Out, "6", 50000, office, true),
        // Nothing of the nodes is open to the world, whatever the groups say.
        ("private", In, "6", 8080, world, false),
        ("private", In, "6", 7946, world, false),
        ("private", In, "17", 7947, world, false),
        ("private", In, "6", 9100, world, false),
        ("private", In, "6", 22, world, false),
        ("private", Out, "6", 25, world, false),
        ("public", In, "6", 22, world, false),
        ("public", In, "6", 443, world, false),
        ("public", Out, "17", 40000, world, false),
    ] {
        let passed = passes(&wanted, acl, direction, protocol, port, other);
        assert_eq!(passed, expected, "{acl} {direction:?} {protocol}/{port} {other}");
    }
}

#[test]
fn lists_never_have_more_entries_than_the_cloud_takes() {
    let wanted = list(|draft| {
        draft.client_cidrs = (0..6).map(|index| format!("203.0.{index}.0/24")).collect();
        let rule = |index: u16| RuleDraft {
            group: "lb".to_owned(),
            direction: "in".to_owned(),
            protocol: "udp".to_owned(),
            ports: (500 + index).to_string(),
            peer: "10.0.0.0/8".to_owned(),
            description: "more".to_owned(),
        };
        draft.rules = (0..8).map(rule).collect();
    });
    let mut counts: BTreeMap<(Reference, Direction), usize> = BTreeMap::new();
    for resource in &wanted {
        if let Spec::NetworkAclEntry(entry) = &resource.spec {
            *counts.entry((entry.acl.clone(), entry.direction)).or_default() += 1;
        }
    }
    // The default quota, of which the cloud's own last entry takes none.
    assert_eq!(counts.values().max(), Some(&20));
}

fn check_list(wanted: &[Resource]) -> Result<(), TestCaseError> {
    let keys: BTreeSet<&Key> = wanted.iter().map(|resource| &resource.key).collect();
    prop_assert_eq!(keys.len(), wanted.len(), "keys are unique");
    let names: BTreeSet<(Kind, &str)> = wanted.iter().map(|one| (one.key.kind, one.name.as_str())).collect();
    prop_assert_eq!(names.len(), wanted.len(), "names are unique");
    for resource in wanted {
        check_one(resource)?;
        for needed in resource.dependencies() {
            prop_assert!(keys.contains(&needed), "{} needs {}", resource.key, needed);
        }
    }
    // In an order in which everything that is needed comes first, there is no cycle.
    let mut done: BTreeSet<&Key> = BTreeSet::new();
    while done.len() < wanted.len() {
        let ready = |one: &&Resource| !done.contains(&one.key) && one.dependencies().all(|key| done.contains(&key));
        let ready: Vec<&Key> = wanted.iter().filter(ready).map(|one| &one.key).collect();
        prop_assert!(!ready.is_empty(), "a cycle among what is left");
        done.extend(ready);
    }
    Ok(())
}

fn check_one(resource: &Resource) -> Result<(), TestCaseError> {
    let Resource { key, name, tags, spec, .. } = resource;
    prop_assert_eq!(key.kind, spec.kind());
    match key.kind.identity() {
        Identity::Content => prop_assert_eq!(spec.derived_role(), Some(key.role.clone())),
        Identity::Tag | Identity::Name => prop_assert_eq!(spec.derived_role(), None),
    }
    if key.kind.takes_tags() {
        let expected = ["Environment", "ManagedBy", "Name", "Project", "Region", CLUSTER_TAG, ROLE_TAG];
        prop_assert_eq!(tags.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        prop_assert_eq!((&tags["Name"], &tags[ROLE_TAG], tags["ManagedBy"].as_str()), (name, &key.role, "kvctl"));
        let legal = |one: char| one.is_ascii_alphanumeric() || " +-=._:/@".contains(one);
        prop_assert!(tags.values().all(|value| value.len() <= 256 && value.chars().all(legal)), "{:?}", tags);
    } else {
        prop_assert!(tags.is_empty());
    }
    let (longest, start) = match key.kind {
        Kind::LoadBalancer | Kind::TargetGroup => (32, "kvstore-dev-"),
        Kind::Bucket => (63, "kvstore-dev-"),
        Kind::Role => (64, "kvstore-dev-"),
        Kind::Parameter => (1011, "/kvstore-dev/"),
        Kind::Object => (1024, "kvnode/"),
        _ => (255, "kvstore-dev-"),
    };
    prop_assert!(name.len() <= longest && name.starts_with(start), "{}", name);
    Ok(())
}

#[test]
fn the_reference_list_holds_together() {
    check_list(&list(|_| {})).expect("holds");
}

#[test]
fn a_large_cluster_is_listed_and_holds_together() {
    let wanted = list(|draft| draft.zones.iter_mut().for_each(|zone| zone.nodes = 100));
    assert_eq!(wanted.iter().filter(|one| one.key.kind == Kind::Instance).count(), 300);
    check_list(&wanted).expect("holds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_list_holds_together(draft in crate::network::tests::drafts()) {
        check_list(&resources(&Network::parse(draft).expect("valid by construction"), &inputs()))?;
    }
}
