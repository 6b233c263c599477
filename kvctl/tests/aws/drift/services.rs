//! Edits of what stands beside the network: logs, identities, the load balancer, the bucket, the secrets.

use super::Call::{Elb, Iam, Json, S3, Wait};
use super::{Edit, check_all};

#[test]
fn edits_of_logs_identities_and_stores_are_planned_back() {
    check_all(&STORES);
}

#[test]
fn edits_of_the_load_balancer_are_planned_back() {
    check_all(&BALANCER);
}

const ANYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const ANYBODY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}"#;
const SUSPENDED: &str = r#"<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Suspended</Status></VersioningConfiguration>"#;

const STORES: [Edit; 13] = [
    Edit {
        name: "logs kept for a day",
        calls: &[Json(
            "logs",
            "Logs_20140328.PutRetentionPolicy",
            r#"{"logGroupName": "kvstore-dev-lg-flow-logs", "retentionInDays": 1}"#,
        )],
        steps: &["change log-group/flow-logs: retention days"],
        anew: &[],
    },
    Edit {
        name: "logs kept for ever",
        calls: &[Json(
            "logs",
            "Logs_20140328.DeleteRetentionPolicy",
            r#"{"logGroupName": "kvstore-dev-lg-flow-logs"}"#,
        )],
        steps: &["change log-group/flow-logs: retention days"],
        anew: &[],
    },
    Edit {
        name: "the machines may do anything",
        calls: &[Iam(
            "PutRolePolicy",
            &[
                ("RoleName", "kvstore-dev-role-nodes-us-east-1"),
                ("PolicyName", "read-secrets"),
                ("PolicyDocument", ANYTHING),
            ],
        )],
        steps: &["change role/nodes: policies"],
        anew: &[],
    },
    Edit {
        name: "one more policy",
        calls: &[Iam(
            "PutRolePolicy",
            &[("RoleName", "kvstore-dev-role-nodes-us-east-1"), ("PolicyName", "more"), ("PolicyDocument", ANYTHING)],
        )],
        steps: &["change role/nodes: policies"],
        anew: &[],
    },
    Edit {
        name: "a policy deleted",
        calls: &[Iam(
            "DeleteRolePolicy",
            &[("RoleName", "kvstore-dev-role-flow-logs-us-east-1"), ("PolicyName", "write-flow-logs")],
        )],
        steps: &["change role/flow-logs: policies"],
        anew: &[],
    },
    Edit {
        name: "a policy of AWS attached",
        calls: &[Iam(
            "AttachRolePolicy",
            &[
                ("RoleName", "kvstore-dev-role-nodes-us-east-1"),
                ("PolicyArn", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
            ],
        )],
        steps: &["change role/nodes: managed policies"],
        anew: &[],
    },
    Edit {
        name: "anybody may take on the role",
        calls: &[Iam(
            "UpdateAssumeRolePolicy",
            &[("RoleName", "kvstore-dev-role-flow-logs-us-east-1"), ("PolicyDocument", ANYBODY)],
        )],
        steps: &["change role/flow-logs: trust"],
        anew: &[],
    },
    Edit {
        name: "the profile without its role",
        calls: &[Iam(
            "RemoveRoleFromInstanceProfile",
            &[
                ("InstanceProfileName", "kvstore-dev-profile-nodes-us-east-1"),
                ("RoleName", "kvstore-dev-role-nodes-us-east-1"),
            ],
        )],
        steps: &["change instance-profile/nodes: role"],
        anew: &[],
    },
    Edit {
        name: "a role's tag removed",
        calls: &[Iam(
            "UntagRole",
            &[("RoleName", "kvstore-dev-role-nodes-us-east-1"), ("TagKeys.member.1", "Project")],
        )],
        steps: &["change role/nodes: tag Project"],
        anew: &[],
    },
    Edit {
        name: "the bucket forgets old versions",
        calls: &[S3("PUT", "/kvstore-dev-artifacts-123456789012-us-east-1?versioning", SUSPENDED)],
        steps: &["change bucket/artifacts: versioned"],
        anew: &[],
    },
    Edit {
        name: "the bucket opened and not encrypted",
        calls: &[
            S3("DELETE", "/kvstore-dev-artifacts-123456789012-us-east-1?publicAccessBlock", ""),
            S3("DELETE", "/kvstore-dev-artifacts-123456789012-us-east-1?encryption", ""),
        ],
        steps: &["change bucket/artifacts: encrypted, private"],
        anew: &[],
    },
    Edit {
        name: "a secret deleted",
        calls: &[Json("ssm", "AmazonSSM.DeleteParameter", r#"{"Name": "/kvstore-dev/nodes/a1/key.pem"}"#)],
        steps: &["create parameter/nodes/a1/key.pem"],
        anew: &[],
    },
    Edit {
        name: "the certificate's tag removed",
        calls: &[Json(
            "acm",
            "CertificateManager.RemoveTagsFromCertificate",
            r#"{"CertificateArn": "@cert-lb", "Tags": [{"Key": "Project"}]}"#,
        )],
        steps: &["change certificate/lb: tag Project"],
        anew: &[],
    },
];

const BALANCER: [Edit; 13] = [
    Edit {
        name: "another health check",
        calls: &[Elb("ModifyTargetGroup", &[("TargetGroupArn", "@tg-nodes"), ("HealthCheckPath", "/")])],
        steps: &["change target-group/nodes: health path"],
        anew: &[],
    },
    Edit {
        name: "leaving nodes are waited for too long",
        calls: &[Elb(
            "ModifyTargetGroupAttributes",
            &[
                ("TargetGroupArn", "@tg-nodes"),
                ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
                ("Attributes.member.1.Value", "300"),
            ],
        )],
        steps: &["change target-group/nodes: deregistration delay"],
        anew: &[],
    },
    Edit {
        name: "a node taken out",
        calls: &[
            Elb(
                "DeregisterTargets",
                &[
                    ("TargetGroupArn", "@tg-nodes"),
                    ("Targets.member.1.Id", "@node-b1"),
                    ("Targets.member.1.Port", "8080"),
                ],
            ),
            Wait,
        ],
        steps: &["create target-registration/nodes/b1/8080"],
        anew: &[],
    },
    Edit {
        name: "the target group's tag removed",
        calls: &[Elb("RemoveTags", &[("ResourceArns.member.1", "@tg-nodes"), ("TagKeys.member.1", "Project")])],
        steps: &["change target-group/nodes: tag Project"],
        anew: &[],
    },
    Edit {
        name: "another security group",
        calls: &[Elb(
            "SetSecurityGroups",
            &[("LoadBalancerArn", "@alb"), ("SecurityGroups.member.1", "@sg-monitoring")],
        )],
        steps: &["change load-balancer/main: groups"],
        anew: &[],
    },
    Edit {
        name: "malformed headers pass, and silence is borne for long",
        calls: &[Elb(
            "ModifyLoadBalancerAttributes",
            &[
                ("LoadBalancerArn", "@alb"),
                ("Attributes.member.1.Key", "routing.http.drop_invalid_header_fields.enabled"),
                ("Attributes.member.1.Value", "false"),
                ("Attributes.member.2.Key", "idle_timeout.timeout_seconds"),
                ("Attributes.member.2.Value", "4000"),
            ],
        )],
        steps: &["change load-balancer/main: drop invalid headers, idle timeout"],
        anew: &[],
    },
    Edit {
        name: "what no rule takes is handed on",
        calls: &[Elb(
            "ModifyListener",
            &[
                ("ListenerArn", "@alb:8080"),
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", "@tg-nodes"),
            ],
        )],
        steps: &["change listener/main/8080: default status"],
        anew: &[],
    },
    Edit {
        name: "an old TLS policy",
        calls: &[Elb("ModifyListener", &[("ListenerArn", "@alb:8080"), ("SslPolicy", "ELBSecurityPolicy-2016-08")])],
        steps: &["change listener/main/8080: tls policy"],
        anew: &[],
    },
    Edit {
        name: "every path handed on",
        calls: &[Elb(
            "ModifyRule",
            &[
                ("RuleArn", "@alb:8080/1"),
                ("Conditions.member.1.Field", "path-pattern"),
                ("Conditions.member.1.PathPatternConfig.Values.member.1", "/*"),
            ],
        )],
        steps: &["change listener-rule/main/8080/1: paths"],
        anew: &[],
    },
    Edit {
        name: "the rule deleted",
        calls: &[Elb("DeleteRule", &[("RuleArn", "@alb:8080/1")])],
        steps: &["create listener-rule/main/8080/1"],
        anew: &["kvstore-dev-alb:8080/1"],
    },
    Edit {
        name: "one more rule",
        calls: &[Elb(
            "CreateRule",
            &[
                ("ListenerArn", "@alb:8080"),
                ("Priority", "5"),
                ("Conditions.member.1.Field", "path-pattern"),
                ("Conditions.member.1.PathPatternConfig.Values.member.1", "/v1/admin/*"),
                ("Actions.member.1.Type", "forward"),
                ("Actions.member.1.TargetGroupArn", "@tg-nodes"),
            ],
        )],
        steps: &["delete listener-rule/*"],
        anew: &[],
    },
    Edit {
        name: "the listener deleted",
        calls: &[Elb("DeleteListener", &[("ListenerArn", "@alb:8080")])],
        steps: &["create listener-rule/main/8080/1", "create listener/main/8080"],
        anew: &["kvstore-dev-alb:8080", "kvstore-dev-alb:8080/1"],
    },
    Edit {
        name: "the load balancer deleted",
        calls: &[Elb("DeleteLoadBalancer", &[("LoadBalancerArn", "@alb")]), Wait],
        steps: &["create listener-rule/main/8080/1", "create listener/main/8080", "create load-balancer/main"],
        anew: &["kvstore-dev-alb", "kvstore-dev-alb:8080", "kvstore-dev-alb:8080/1"],
    },
];
