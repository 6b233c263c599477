"""Security groups and network ACLs: names, rules and entries that AWS refuses, and deletes that it holds back."""

import re

from .core import guard, after, result_of

DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
LAST_ENTRY = 32767


def install() -> None:
    """Makes rules that name a group keep their description, and be the same with another one."""
    from moto.ec2.models.security_groups import SecurityGroupRule

    same = SecurityGroupRule.__eq__
    SecurityGroupRule.description = property(
        lambda rule: rule.ip_range.get("Description") or rule.source_group.get("Description")
    )

    def equal(one, other):
        if one.source_group and other.source_group:
            keys = ("GroupId", "UserId")
            if any(one.source_group.get(key) != other.source_group.get(key) for key in keys):
                return False
            ports = (one.ip_protocol, one.from_port, one.to_port, one.is_egress)
            return ports == (other.ip_protocol, other.from_port, other.to_port, other.is_egress)
        return same(one, other)

    SecurityGroupRule.__eq__ = equal
    SecurityGroupRule.__hash__ = None


@guard("ec2", "CreateSecurityGroup")
def group_name(call):
    name, description = call.get("GroupName", ""), call.get("Description", call.get("GroupDescription", ""))
    if name.startswith("sg-") or name == "default":
        call.refuse("InvalidParameterValue", f"invalid value for parameter groupName: {name}")
    for value, what in ((name, "groupName"), (description, "GroupDescription")):
        if not DESCRIPTION.fullmatch(value):
            call.refuse(
                "InvalidParameterValue",
                f"Value ({value}) for parameter {what} is invalid. Character sets beyond ASCII are not supported.",
            )


@guard("ec2", "DeleteSecurityGroup")
def group_in_use(call):
    ec2 = call.ec2
    group = ec2.get_security_group_from_id(call.get("GroupId", ""))
    if group is None:
        return
    if group.name == "default":
        call.refuse("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    used = any(group.id in [one.id for one in interface.group_set] for interface in ec2.enis.values())
    if used or _referenced(ec2, group.id):
        call.refuse("DependencyViolation", f"resource {group.id} has a dependent object")


def _referenced(ec2, identifier):
    return any(
        rule.source_group.get("GroupId") == identifier
        for groups in ec2.groups.values()
        for group in groups.values()
        if group.id != identifier
        for rule in [*group.ingress_rules, *group.egress_rules]
    )


@guard("ec2", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def rule_shape(call):
    for permission in call.get("IpPermissions", []):
        _check_ports(call, permission)
        peers = [*permission.get("IpRanges", []), *permission.get("UserIdGroupPairs", [])]
        for peer in peers:
            if not DESCRIPTION.fullmatch(peer.get("Description") or ""):
                call.refuse(
                    "InvalidParameterValue",
                    "Invalid rule description. Valid descriptions are strings less than 256 characters from the "
                    "following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
                )


def _check_ports(call, permission):
    if str(permission.get("IpProtocol")) not in ("tcp", "udp", "6", "17"):
        return
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if first is None or last is None:
        call.refuse("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    if not 0 <= int(first) <= int(last) <= 65535:
        call.refuse("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}:{last})")


@after("ec2", "CreateNetworkAcl")
def last_entries(call, result):
    acl = result_of(result)["NetworkAcl"]
    for egress in (True, False):
        call.ec2.create_network_acl_entry(
            network_acl_id=acl.id,
            rule_number=LAST_ENTRY,
            protocol="-1",
            rule_action="deny",
            egress=egress,
            cidr_block="0.0.0.0/0",
            icmp_code=None,
            icmp_type=None,
            port_range_from=None,
            port_range_to=None,
            ipv6_cidr_block=None,
        )


@guard("ec2", "CreateNetworkAclEntry", "ReplaceNetworkAclEntry", "DeleteNetworkAclEntry")
def entry_number(call):
    number = int(call.get("RuleNumber", 0))
    if not 1 <= number < LAST_ENTRY:
        call.refuse("InvalidParameterValue", f"Value ({number}) for parameter ruleNumber is invalid. Must be 1 to 32766.")


@guard("ec2", "CreateNetworkAclEntry", "ReplaceNetworkAclEntry")
def entry_ports(call):
    protocol = str(call.get("Protocol", ""))
    first, last = call.get("PortRange.From"), call.get("PortRange.To")
    if not re.fullmatch(r"-1|\d{1,3}|tcp|udp|icmp", protocol):
        call.refuse("InvalidParameterValue", f"Invalid value '{protocol}' for IP protocol. Unknown protocol.")
    if protocol in ("6", "17", "tcp", "udp"):
        if first is None or last is None:
            call.refuse(
                "InvalidParameterValue",
                "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.",
            )
        if not 0 <= int(first) <= int(last) <= 65535:
            call.refuse("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}:{last})")


@guard("ec2", "ReplaceNetworkAclEntry", "DeleteNetworkAclEntry")
def entry_known(call):
    acl = call.ec2.get_network_acl(call.get("NetworkAclId"))
    number, egress = call.get("RuleNumber"), call.get("Egress")
    if not any(entry.rule_number == number and entry.egress == egress for entry in acl.network_acl_entries):
        direction = "egress" if egress else "ingress"
        call.refuse(
            "InvalidNetworkAclEntry.NotFound",
            f"The {direction} entry with rule number '{number}' does not exist in network ACL '{acl.id}'",
        )


@guard("ec2", "ReplaceNetworkAclAssociation")
def association_known(call):
    call.ec2.get_network_acl(call.get("NetworkAclId"))
    association = call.get("AssociationId")
    if not any(association in acl._associations for acl in call.ec2.network_acls.values()):
        call.refuse("InvalidAssociationID.NotFound", f"The association ID '{association}' does not exist")


@guard("ec2", "DeleteNetworkAcl")
def default_acl(call):
    acl = call.ec2.get_network_acl(call.get("NetworkAclId"))
    if acl.default:
        call.refuse("InvalidParameterValue", f"The default network ACL {acl.id} cannot be deleted")
