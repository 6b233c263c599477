"""Instances and volumes: states that take time, and what AWS refuses around them."""

from .core import STATE, after, guard, result_of


def install() -> None:
    """Makes the end of an instance take time and free what it held."""
    from moto.ec2.models.instances import Instance

    at_once = Instance.terminate

    def terminate(instance):
        import copy

        before = copy.copy(instance._state)
        if instance._state.name in ("shutting-down", "terminated"):
            return before
        instance._state.name, instance._state.code = "shutting-down", 32
        STATE.later(STATE.settings.instance_shutting_down, lambda: _terminated(instance, at_once))
        return before

    Instance.terminate = terminate


def _terminated(instance, at_once):
    ec2 = instance.ec2_backend
    at_once(instance)
    for volume in list(ec2.volumes.values()):
        if volume.attachment is not None and volume.attachment.instance is instance:
            volume.attachment = None
    for interface in [one for one in ec2.enis.values() if one.instance is instance]:
        ec2.enis.pop(interface.id, None)
        for address in interface.private_ip_addresses:
            interface.subnet.del_subnet_ip(address["PrivateIpAddress"])


@guard("ec2", "RunInstances")
def launch(call):
    _check_profile(call, call.get("IamInstanceProfile.Name"), call.get("IamInstanceProfile.Arn"))
    subnet, address = call.get("SubnetId"), call.get("PrivateIpAddress")
    for interface in call.get("NetworkInterfaces", []):
        subnet = interface.get("SubnetId", subnet)
        address = interface.get("PrivateIpAddress", address)
    if subnet is None:
        return
    subnet = call.ec2.get_subnet(subnet)
    if subnet.availability_zone in STATE.settings.full_zones:
        call.refuse(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient {call.get('InstanceType')} capacity in the Availability Zone you "
            f"requested ({subnet.availability_zone}). Our system will be working on provisioning additional capacity.",
            500,
        )
    if address and address in subnet._subnet_ips:
        call.refuse("InvalidIPAddress.InUse", f"Address {address} is in use.")


def _check_profile(call, name, arn):
    from moto.iam.models import iam_backends

    name = name or (arn or "").rsplit("/", 1)[-1]
    if not name:
        return
    profiles = iam_backends[call.response.current_account][call.response.partition].instance_profiles.values()
    known = any(profile.name == name for profile in profiles)
    if not known or STATE.age(f"profile/{name}") < STATE.settings.profile_propagation:
        call.refuse(
            "InvalidParameterValue",
            f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        )


@guard("ec2", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
def profile_known(call):
    _check_profile(call, call.get("IamInstanceProfile.Name"), call.get("IamInstanceProfile.Arn"))


@after("ec2", "RunInstances")
def starts(_call, result):
    for instance in result_of(result).instances:
        instance._state.name, instance._state.code = "pending", 0
        STATE.later(STATE.settings.instance_pending, lambda instance=instance: _running(instance))


def _running(instance):
    if instance._state.name == "pending":
        instance._state.name, instance._state.code = "running", 16


@guard("ec2", "AttachVolume")
def attachable(call):
    volume, instance = call.ec2.get_volume(call.get("VolumeId")), call.ec2.get_instance(call.get("InstanceId"))
    if volume.attachment is not None:
        call.refuse("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.availability_zone != instance.availability_zone:
        call.refuse(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    if instance._state.name not in ("running", "stopped"):
        call.refuse("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if call.get("Device") in instance.block_device_mapping:
        device = call.get("Device")
        call.refuse(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )


@after("ec2", "AttachVolume")
def attaching(call, _result):
    attachment = call.ec2.get_volume(call.get("VolumeId")).attachment
    attachment.status = "attaching"
    STATE.later(STATE.settings.volume_moving, lambda: setattr(attachment, "status", "attached"))


@guard("ec2", "ModifyVolume")
def grows_only(call):
    volume, size = call.ec2.get_volume(call.get("VolumeId")), call.get("Size")
    if size and int(size) < volume.size:
        call.refuse("InvalidParameterValue", "New size cannot be smaller than existing size")


@after("ec2", "CreateFlowLogs")
def role_not_assumable_yet(call, result):
    """A flow log whose role is not known everywhere yet stays, and never delivers."""
    name = call.get("DeliverLogsPermissionArn", "").rsplit("/", 1)[-1]
    if STATE.age(f"role/{name}") >= STATE.settings.role_propagation and _role_exists(call, name):
        return
    for identifier in result_of(result)["FlowLogIds"]:
        log = call.ec2.flow_logs[identifier]
        log.deliver_logs_status, log.deliver_logs_error_message = "FAILED", "Access error"


def _role_exists(call, name):
    from moto.iam.models import iam_backends

    roles = iam_backends[call.response.current_account][call.response.partition].roles.values()
    return any(role.name == name for role in roles)
