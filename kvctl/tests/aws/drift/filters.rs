//! Edits of security groups and network ACLs.

use super::Call::Ec2;
use super::{Edit, check_all};

#[test]
fn edits_of_rules_and_entries_are_planned_back() {
    check_all(&EDITS);
}

const EDITS: [Edit; 14] = [
    Edit {
        name: "ssh from everywhere",
        calls: &[Ec2(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", "@sg-nodes"),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "22"),
                ("IpPermissions.1.ToPort", "22"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ],
        )],
        steps: &["delete security-group-rule/*"],
        anew: &[],
    },
    Edit {
        name: "everything from everywhere, of the other family",
        calls: &[Ec2(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", "@sg-monitoring"),
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "::/0"),
            ],
        )],
        steps: &["delete security-group-rule/*"],
        anew: &[],
    },
    Edit {
        name: "a rule for another of our groups",
        calls: &[Ec2(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", "@sg-nodes"),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "8080"),
                ("IpPermissions.1.ToPort", "8080"),
                ("IpPermissions.1.Groups.1.GroupId", "@sg-lb"),
            ],
        )],
        steps: &["delete security-group-rule/*"],
        anew: &[],
    },
    Edit {
        name: "the network's own group opened",
        calls: &[Ec2(
            "AuthorizeSecurityGroupEgress",
            &[
                ("GroupId", "@sg-default"),
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ],
        )],
        steps: &["delete security-group-rule/*"],
        anew: &[],
    },
    Edit {
        name: "a rule revoked",
        calls: &[Ec2(
            "RevokeSecurityGroupIngress",
            &[
                ("GroupId", "@sg-nodes"),
                ("SecurityGroupRuleId.1", "@@kvstore-dev-sg-nodes/in/7946-7946/kvstore-dev-sg-nodes"),
            ],
        )],
        steps: &["create security-group-rule/nodes/in/tcp/7946/nodes"],
        anew: &["kvstore-dev-sg-nodes/in/7946-7946/kvstore-dev-sg-nodes"],
    },
    Edit {
        name: "a rule described otherwise",
        calls: &[Ec2(
            "ModifySecurityGroupRules",
            &[
                ("GroupId", "@sg-nodes"),
                ("SecurityGroupRule.1.SecurityGroupRuleId", "@@kvstore-dev-sg-nodes/in/8080-8080/10.0.0.0/16"),
                ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
                ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "8080"),
                ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "8080"),
                ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.0.0.0/16"),
                ("SecurityGroupRule.1.SecurityGroupRule.Description", "mine"),
            ],
        )],
        steps: &["change security-group-rule/nodes/in/tcp/8080/10.0.0.0/16: description"],
        anew: &[],
    },
    Edit {
        name: "a rule widened",
        calls: &[Ec2(
            "ModifySecurityGroupRules",
            &[
                ("GroupId", "@sg-nodes"),
                ("SecurityGroupRule.1.SecurityGroupRuleId", "@@kvstore-dev-sg-nodes/in/8080-8080/10.0.0.0/16"),
                ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
                ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "8080"),
                ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "8080"),
                ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "0.0.0.0/0"),
                ("SecurityGroupRule.1.SecurityGroupRule.Description", "REST from the network"),
            ],
        )],
        steps: &[
            "create security-group-rule/nodes/in/tcp/8080/10.0.0.0/16",
            "delete security-group-rule/kvstore-dev-sg-nodes/in/8080-8080/10.0.0.0/16",
        ],
        anew: &["kvstore-dev-sg-nodes/in/8080-8080/10.0.0.0/16"],
    },
    Edit {
        name: "a rule's tag changed",
        calls: &[Ec2(
            "CreateTags",
            &[
                ("ResourceId.1", "@@kvstore-dev-sg-lb/in/8080-8080/0.0.0.0/0"),
                ("Tag.1.Key", "Environment"),
                ("Tag.1.Value", "prod"),
            ],
        )],
        steps: &["change security-group-rule/lb/in/tcp/8080/0.0.0.0/0: tag Environment"],
        anew: &[],
    },
    Edit {
        name: "a group's name and project changed",
        calls: &[Ec2(
            "CreateTags",
            &[
                ("ResourceId.1", "@sg-lb"),
                ("Tag.1.Key", "Name"),
                ("Tag.1.Value", "mine"),
                ("Tag.2.Key", "Project"),
                ("Tag.2.Value", "mine"),
            ],
        )],
        steps: &["change security-group/lb: tag Name, tag Project"],
        anew: &[],
    },
    Edit {
        name: "an entry deleted",
        calls: &[Ec2(
            "DeleteNetworkAclEntry",
            &[("NetworkAclId", "@acl-private"), ("RuleNumber", "200"), ("Egress", "false")],
        )],
        steps: &["create network-acl-entry/private/in/200"],
        anew: &[],
    },
    Edit {
        name: "an entry turned into its contrary",
        calls: &[Ec2(
            "ReplaceNetworkAclEntry",
            &[
                ("NetworkAclId", "@acl-private"),
                ("RuleNumber", "210"),
                ("Egress", "false"),
                ("Protocol", "6"),
                ("RuleAction", "deny"),
                ("CidrBlock", "10.0.0.0/16"),
                ("PortRange.From", "7946"),
                ("PortRange.To", "7946"),
            ],
        )],
        steps: &["change network-acl-entry/private/in/210: action"],
        anew: &[],
    },
    Edit {
        name: "an entry widened",
        calls: &[Ec2(
            "ReplaceNetworkAclEntry",
            &[
                ("NetworkAclId", "@acl-public"),
                ("RuleNumber", "300"),
                ("Egress", "false"),
                ("Protocol", "6"),
                ("RuleAction", "allow"),
                ("CidrBlock", "0.0.0.0/0"),
                ("PortRange.From", "0"),
                ("PortRange.To", "65535"),
            ],
        )],
        steps: &["change network-acl-entry/public/in/300: ports, cidr"],
        anew: &[],
    },
    Edit {
        name: "an entry added before all others",
        calls: &[Ec2(
            "CreateNetworkAclEntry",
            &[
                ("NetworkAclId", "@acl-public"),
                ("RuleNumber", "5"),
                ("Egress", "false"),
                ("Protocol", "-1"),
                ("RuleAction", "allow"),
                ("CidrBlock", "0.0.0.0/0"),
            ],
        )],
        steps: &["delete network-acl-entry/kvstore-dev-acl-public/in/5"],
        anew: &[],
    },
    Edit {
        name: "a subnet back in the network's own list",
        calls: &[Ec2(
            "ReplaceNetworkAclAssociation",
            &[
                ("AssociationId", "@@kvstore-dev-subnet-private-us-east-1a/acl"),
                ("NetworkAclId", "@@(the network's own acl)"),
            ],
        )],
        steps: &["change network-acl-association/private-us-east-1a: acl"],
        anew: &["kvstore-dev-subnet-private-us-east-1a/acl"],
    },
];
