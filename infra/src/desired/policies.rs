//! Policy documents as canonical JSON: keys sorted, no spaces, so that equal policies are equal texts.
//!
//! Each says the least that its bearer needs. Whoever compares them with what the cloud answers must bring that
//! into the same form first.

use serde_json::{Value, json};

use super::Inputs;
use crate::network::Network;

/// The language version that every policy names.
const VERSION: &str = "2012-10-17";

fn document(statements: &[Value]) -> String {
    // serde_json keeps the keys of an object sorted.
    json!({ "Version": VERSION, "Statement": statements }).to_string()
}

/// Instances may take the role on.
pub(super) fn instances_trust(network: &Network) -> String {
    let service = if network.partition() == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
    document(&[json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": service } })])
}

/// Flow logs may take the role on, but only this account's: the service acts for everybody and could be talked into
/// using it for another one.
pub(super) fn flow_logs_trust(network: &Network, inputs: &Inputs) -> String {
    let source = arn(network, inputs, "ec2", "vpc-flow-log/*");
    document(&[json!({
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": { "Service": "vpc-flow-logs.amazonaws.com" },
        "Condition": {
            "StringEquals": { "aws:SourceAccount": inputs.account },
            "ArnLike": { "aws:SourceArn": source },
        },
    })])
}

/// Flow logs may write into their group. The service lists groups and streams before it writes.
pub(super) fn flow_logs(network: &Network, inputs: &Inputs, group: &str) -> String {
    let group = arn(network, inputs, "logs", &format!("log-group:{group}"));
    let write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"];
    let every_group = arn(network, inputs, "logs", "log-group:*");
    document(&[
        json!({ "Effect": "Allow", "Action": write, "Resource": [group.clone(), format!("{group}:*")] }),
        json!({ "Effect": "Allow", "Action": ["logs:DescribeLogGroups"], "Resource": [every_group] }),
    ])
}

/// Nodes may read the artifacts. All of them: a machine that was started with an earlier one may fetch it again.
pub(super) fn artifacts(network: &Network, inputs: &Inputs) -> String {
    let objects = format!("arn:{}:s3:::{}/kvnode/*", network.partition(), network.bucket(&inputs.account));
    document(&[json!({ "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [objects] })])
}

/// Nodes may read the cluster's secrets that nodes need, and nothing else in the account.
pub(super) fn secrets(network: &Network, inputs: &Inputs) -> String {
    let parameter = |path: &str| arn(network, inputs, "ssm", &format!("parameter{}", network.parameter(path)));
    let readable = ["ca.pem", "gossip-keyring", "nodes/*", "tokens"].map(parameter);
    let actions = ["ssm:GetParameter", "ssm:GetParameters"];
    document(&[json!({ "Effect": "Allow", "Action": actions, "Resource": readable })])
}

/// What the cloud's agent needs to take commands. The cloud's own policy for it would let every node read every
/// parameter of the account, so its actions are written out.
pub(super) fn agent() -> String {
    let actions = [
        "ec2messages:AcknowledgeMessage",
        "ec2messages:DeleteMessage",
        "ec2messages:FailMessage",
        "ec2messages:GetEndpoint",
        "ec2messages:GetMessages",
        "ec2messages:SendReply",
        "ssm:DescribeAssociation",
        "ssm:DescribeDocument",
        "ssm:GetDocument",
        "ssm:ListAssociations",
        "ssm:ListInstanceAssociations",
        "ssm:UpdateAssociationStatus",
        "ssm:UpdateInstanceAssociationStatus",
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ];
    document(&[json!({ "Effect": "Allow", "Action": actions, "Resource": ["*"] })])
}

fn arn(network: &Network, inputs: &Inputs, service: &str, what: &str) -> String {
    format!("arn:{}:{service}:{}:{}:{what}", network.partition(), network.region(), inputs.account)
}
