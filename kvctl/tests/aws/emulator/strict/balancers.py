"""Load balancers, listeners and targets: what AWS refuses, the time it takes, and the interfaces that linger."""

import json
import re

from moto.core.responses import ActionResult

from .core import STATE, after, guard, result_of
from .network import attached_gateways

NAME = re.compile(r"(?!internal-)(?!-)[A-Za-z0-9-]{1,32}(?<!-)")
REQUESTER = "amazon-elb"


def install() -> None:
    """Load balancers become active when their time has come, not at the first look; targets become healthy so too."""
    from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup

    FakeLoadBalancer.activate = lambda balancer: None
    FakeTargetGroup.health_for = _health_for(FakeTargetGroup.health_for)
    FakeTargetGroup.register = _registered(FakeTargetGroup.register)
    FakeTargetGroup.deregister = _deregistered(FakeTargetGroup.deregister)


def _settings_of(call):
    asked = {name: value for name, value in call.parameters().items()}
    return json.dumps(asked, sort_keys=True)


def _same_again(call, existing, code, message):
    """AWS answers a repeated create with the same settings as the first one did, and refuses other settings."""
    if getattr(existing, "strict_settings", None) != _settings_of(call):
        call.refuse(code, message)


@guard("elasticloadbalancing", "CreateLoadBalancer")
def balancer_shape(call):
    name = call.get("Name", "")
    if not NAME.fullmatch(name):
        call.refuse("ValidationError", f"The load balancer name '{name}' is not valid: at most 32 letters, digits and -")
    for balancer in call.elb.load_balancers.values():
        if balancer.name == name:
            message = f"A load balancer with the same name '{name}' exists, but with different settings"
            _same_again(call, balancer, "DuplicateLoadBalancerName", message)
            raise _answer(call, {"LoadBalancers": [balancer]})
    subnets = [_subnet(call, identifier) for identifier in call.get("Subnets", [])]
    _check_zones(call, subnets)
    _check_groups(call, call.get("SecurityGroups", []))
    if call.get("Scheme", "internet-facing") == "internet-facing" and subnets:
        if not attached_gateways(call.ec2, subnets[0].vpc_id):
            call.refuse("InvalidSubnet", f"VPC {subnets[0].vpc_id} has no internet gateway")


def _subnet(call, identifier):
    for subnets in call.ec2.subnets.values():
        if identifier in subnets:
            return subnets[identifier]
    return call.refuse("SubnetNotFound", f"The subnet ID '{identifier}' does not exist")


def _check_zones(call, subnets):
    zones = [subnet.availability_zone for subnet in subnets]
    if len(set(zones)) < len(zones):
        call.refuse(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        )
    if len(zones) < 2:
        call.refuse("ValidationError", "At least two subnets in two different Availability Zones must be specified")


def _check_groups(call, groups):
    for identifier in groups:
        if call.ec2.get_security_group_from_id(identifier) is None:
            call.refuse("InvalidSecurityGroup", f"The security group ID '{identifier}' does not exist")


@guard("elasticloadbalancing", "SetSecurityGroups")
def groups_known(call):
    _check_groups(call, call.get("SecurityGroups", []))


@guard("elasticloadbalancing", "SetSubnets")
def subnets_known(call):
    _check_zones(call, [_subnet(call, identifier) for identifier in call.get("Subnets", [])])


@after("elasticloadbalancing", "CreateLoadBalancer")
def provisioning(call, result):
    balancer = result_of(result)["LoadBalancers"][0]
    balancer.strict_settings = _settings_of(call)
    balancer.scheme = balancer.scheme or "internet-facing"
    balancer.state = "provisioning"
    STATE.later(STATE.settings.balancer_provisioning, lambda: setattr(balancer, "state", "active"))
    _make_interfaces(call.ec2, balancer)


def _make_interfaces(ec2, balancer):
    balancer.strict_interfaces = []
    for subnet in balancer.subnets:
        address = subnet.get_available_subnet_ip(balancer)
        interface = ec2.create_network_interface(
            subnet,
            address,
            group_ids=list(balancer.security_groups),
            description="ELB " + balancer.arn.split(":loadbalancer/")[1],
        )
        interface.requester_managed, interface.requester_id = True, REQUESTER
        interface.status = "in-use"
        if balancer.scheme == "internet-facing":
            interface.public_ip = "198.51.100.1"
        balancer.strict_interfaces.append(interface)


def _remove_interfaces(ec2, interfaces):
    for interface in interfaces:
        if ec2.enis.pop(interface.id, None) is not None:
            interface.subnet.del_subnet_ip(interface.private_ip_address)


@after("elasticloadbalancing", "SetSecurityGroups", "SetSubnets")
def moved(call, _result):
    balancer = call.elb.load_balancers.get(call.get("LoadBalancerArn"))
    if balancer is not None:
        _remove_interfaces(call.ec2, balancer.strict_interfaces)
        _make_interfaces(call.ec2, balancer)


@guard("elasticloadbalancing", "DeleteLoadBalancer")
def protected(call):
    balancer = call.elb.load_balancers.get(call.get("LoadBalancerArn"))
    if balancer is None:
        return
    if balancer.attrs.get("deletion_protection.enabled") == "true":
        call.refuse(
            "OperationNotPermitted",
            f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled",
        )
    ec2, interfaces = call.ec2, balancer.strict_interfaces
    STATE.later(STATE.settings.balancer_interfaces, lambda: _remove_interfaces(ec2, interfaces))


@guard("elasticloadbalancing", "CreateTargetGroup")
def group_again(call):
    for group in call.elb.target_groups.values():
        if group.name == call.get("Name"):
            message = f"A target group with the same name '{group.name}' exists, but with different settings"
            _same_again(call, group, "DuplicateTargetGroupName", message)
            raise _answer(call, {"TargetGroups": [group]})


@after("elasticloadbalancing", "CreateTargetGroup")
def group_settings(call, result):
    result_of(result)["TargetGroups"][0].strict_settings = _settings_of(call)


def _answer(call, value):
    """An answer instead of the action."""
    from werkzeug.exceptions import HTTPException

    status, _headers, body = call.response.serialized(ActionResult(value))

    class Answer(HTTPException):
        code = status
        description = body

        def get_headers(self, *_arguments, **_names):
            return [("Content-Type", "text/xml")]

    return Answer()


@guard("elasticloadbalancing", "CreateListener")
def listener_shape(call):
    balancer = call.elb.load_balancers.get(call.get("LoadBalancerArn"))
    if balancer is None:
        return
    for listener in balancer.listeners.values():
        if str(listener.port) == str(call.get("Port")):
            _same_again(call, listener, "DuplicateListener", "A listener already exists on this port")
            raise _answer(call, {"Listeners": [listener]})
    _check_tls(call)


@guard("elasticloadbalancing", "ModifyListener")
def listener_change(call):
    if call.get("SslPolicy"):
        _check_policy(call)


def _check_tls(call):
    if call.get("Protocol") != "HTTPS":
        return
    certificates = call.get("Certificates", [])
    if not certificates:
        call.refuse("ValidationError", "A certificate must be specified for HTTPS listeners")
    _check_policy(call)
    from moto.acm.models import acm_backends

    known = acm_backends[call.response.current_account][call.response.region]._certificates
    arn = certificates[0].get("CertificateArn", "")
    if arn in known and known[arn].status != "ISSUED":
        call.refuse("UnsupportedCertificate", f"The certificate '{arn}' must have a fully-qualified domain name, ...")


def _check_policy(call):
    from moto.elbv2.ssl_policies import SSL_POLICIES

    policy = call.get("SslPolicy")
    if policy and policy not in SSL_POLICIES:
        call.refuse("SSLPolicyNotFound", f"SSL policy '{policy}' not found")


@after("elasticloadbalancing", "CreateListener")
def listener_settings(call, result):
    result_of(result)["Listeners"][0].strict_settings = _settings_of(call)


@guard("elasticloadbalancing", "RegisterTargets")
def targets_known(call):
    group = call.elb.target_groups.get(call.get("TargetGroupArn"))
    for target in call.get("Targets", []):
        if group is None or group.target_type != "instance":
            continue
        instance = call.ec2.get_instance_by_id(target["Id"])
        if instance is None:
            call.refuse("InvalidTarget", f"The following targets are not valid instances: '{target['Id']}'")
        if instance._state.name != "running":
            message = "The following targets are not in a running state and cannot be registered: "
            call.refuse("InvalidTarget", f"{message}'{target['Id']}'")


def _registered(original):
    def register(group, targets):
        original(group, targets)
        for target in targets:
            entry = group.targets[target["Id"]]
            entry["strict"] = "initial"
            STATE.later(STATE.settings.target_initial, lambda entry=entry: entry.update(strict="checked"))

    return register


def _deregistered(original):
    def deregister(group, targets):
        for target in targets:
            entry = group.targets.get(target["Id"])
            if entry is None or entry.get("strict") == "draining":
                original(group, targets)
                return
            entry["strict"] = "draining"
            gone = lambda group=group, target=target: _drained(group, target, original)  # noqa: E731
            STATE.later(STATE.settings.target_draining, gone)

    return deregister


def _drained(group, target, original):
    if group.targets.get(target["Id"], {}).get("strict") == "draining":
        original(group, [target])


def _health_for(original):
    from moto.elbv2.models import FakeHealthStatus

    def health_for(group, target, ec2):
        entry = group.targets.get(target["Id"], {})
        found = {
            "initial": ("initial", "Elb.RegistrationInProgress", "Target registration is in progress"),
            "draining": ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"),
        }.get(entry.get("strict"))
        if found is None and entry and STATE.settings.target_health != "healthy":
            found = (STATE.settings.target_health, "Target.FailedHealthChecks", "Health checks failed")
        if found is None:
            return original(group, target, ec2)
        return FakeHealthStatus(entry["Id"], entry["Port"], group.health_check_port, *found)

    return health_for
