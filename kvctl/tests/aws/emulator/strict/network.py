"""Networks, subnets, gateways, addresses, routes and endpoints: what AWS refuses, and the time NAT gateways take."""

import ipaddress

from .core import STATE, after, guard, result_of

BUSY_NAT = ("pending", "available", "deleting")
# Largest prefix length of a subnet.
SMALLEST_SUBNET = 28


def install() -> None:
    """Makes routes tell when their target is gone."""
    from moto.ec2.models.route_tables import Route

    Route.state = property(_route_state)


def _route_state(route):
    nat, gateway = route.nat_gateway, route.gateway
    if nat is not None and nat.state in ("deleting", "deleted", "failed"):
        return "blackhole"
    if gateway is not None and gateway.id.startswith("igw-"):
        attached = gateway.vpc is not None and gateway.vpc.id == route.route_table.vpc_id
        return "active" if attached and gateway.id in route.route_table.ec2_backend.internet_gateways else "blackhole"
    return "active"


def interfaces_in(ec2, vpc=None, subnet=None):
    """The network interfaces of a network or a subnet."""
    return [
        interface
        for interface in ec2.enis.values()
        if (vpc is None or interface.subnet.vpc_id == vpc) and (subnet is None or interface.subnet.id == subnet)
    ]


def attached_gateways(ec2, vpc):
    """The internet gateways that are attached to a network."""
    return [gateway for gateway in ec2.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc]


@guard("ec2", "CreateVpc")
def vpc_quota(call):
    if len(call.ec2.vpcs) >= STATE.settings.quota_vpcs:
        call.refuse("VpcLimitExceeded", "The maximum number of VPCs has been reached.")


@after("ec2", "CreateVpc")
def canonical_vpc(call, result):
    vpc = result_of(result)["Vpc"]
    network = str(ipaddress.ip_network(vpc.cidr_block, strict=False))
    if network != vpc.cidr_block:
        call.ec2.vpcs.pop(vpc.id)
        call.refuse("InvalidParameterValue", f"Value ({vpc.cidr_block}) for parameter cidrBlock is invalid.")


@guard("ec2", "ModifyVpcAttribute")
def one_attribute(call):
    fields = ("EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics")
    if sum(call.get(field) is not None for field in fields) > 1:
        call.refuse("InvalidParameterCombination", "Fields for multiple attribute types specified")


@guard("ec2", "CreateSubnet")
def subnet_size(call):
    try:
        length = ipaddress.ip_network(call.get("CidrBlock", ""), strict=False).prefixlen
    except ValueError:
        return
    if not 16 <= length <= SMALLEST_SUBNET:
        call.refuse("InvalidSubnet.Range", f"The CIDR '{call.get('CidrBlock')}' is invalid.")


@guard("ec2", "DeleteSubnet")
def subnet_in_use(call):
    subnet = call.get("SubnetId")
    if interfaces_in(call.ec2, subnet=subnet):
        call.refuse("DependencyViolation", f"The subnet '{subnet}' has dependencies and cannot be deleted.")


@after("ec2", "DeleteSubnet")
def forget_associations(call, _result):
    subnet = call.get("SubnetId")
    for table in call.ec2.route_tables.values():
        for association in [key for key, target in table._associations.items() if target == subnet]:
            del table._associations[association]
    for acl in call.ec2.network_acls.values():
        for association in [key for key, value in acl._associations.items() if value.subnet_id == subnet]:
            del acl._associations[association]


@guard("ec2", "DeleteVpc")
def vpc_in_use(call):
    ec2, vpc = call.ec2, call.get("VpcId")
    ec2.get_vpc(vpc)
    holders = [
        interfaces_in(ec2, vpc=vpc),
        attached_gateways(ec2, vpc),
        [group for group in ec2.groups[vpc].values() if group.name != "default"],
        [acl for acl in ec2.network_acls.values() if acl.vpc_id == vpc and not acl.default],
        [endpoint for endpoint in ec2.vpc_end_points.values() if endpoint.vpc_id == vpc],
        [nat for nat in ec2.nat_gateways.values() if nat.vpc_id == vpc and nat.state in BUSY_NAT],
        ec2.describe_subnets(filters={"vpc-id": [vpc]}),
        [table for table in ec2.route_tables.values() if table.vpc_id == vpc and not table.main_association_id],
    ]
    if any(holders):
        call.refuse("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted.")


@after("ec2", "DeleteVpc")
def forget_default_acl(call, _result):
    for acl in [acl for acl in call.ec2.network_acls.values() if acl.vpc_id == call.get("VpcId")]:
        call.ec2.network_acls.pop(acl.id)


@guard("ec2", "AttachInternetGateway")
def one_gateway(call):
    vpc = call.get("VpcId")
    others = [gateway.id for gateway in attached_gateways(call.ec2, vpc) if gateway.id != call.get("InternetGatewayId")]
    if others:
        call.refuse("InvalidParameterValue", f"Network {vpc} already has an internet gateway attached")


@guard("ec2", "DetachInternetGateway")
def mapped_addresses(call):
    vpc = call.get("VpcId")
    if any(interface.public_ip for interface in interfaces_in(call.ec2, vpc=vpc)):
        call.refuse(
            "DependencyViolation",
            f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway.",
        )


@guard("ec2", "AllocateAddress")
def address_quota(call):
    if len(call.ec2.addresses) >= STATE.settings.quota_addresses:
        call.refuse("AddressLimitExceeded", "The maximum number of addresses has been reached.")


@guard("ec2", "ReleaseAddress")
def address_in_use(call):
    allocation = call.get("AllocationId")
    holding = [nat for nat in call.ec2.nat_gateways.values() if nat.held_address == allocation]
    if holding:
        # AWS speaks of permission here; it means the NAT gateway.
        call.refuse("AuthFailure", "You do not have permission to access the specified resource.")
    for address in call.ec2.addresses:
        if address.allocation_id == allocation and address.association_id:
            call.refuse("InvalidIPAddress.InUse", f"The address {address.public_ip} is in use.")


@guard("ec2", "CreateNatGateway")
def nat_quota(call):
    subnet = call.ec2.get_subnet(call.get("SubnetId"))
    zone = subnet.availability_zone
    same = [
        nat
        for nat in call.ec2.nat_gateways.values()
        if nat.state in BUSY_NAT and nat.strict_zone == zone
    ]
    if len(same) >= STATE.settings.quota_nat_gateways_per_zone:
        call.refuse("NatGatewayLimitExceeded", "The maximum number of NAT Gateways has been reached.")


@after("ec2", "CreateNatGateway")
def nat_takes_time(call, result):
    nat = result_of(result)["NatGateway"]
    nat.connectivity_type = nat.connectivity_type or "public"
    nat.strict_zone = call.ec2.get_subnet(nat.subnet_id).availability_zone
    nat.held_address = call.get("AllocationId")
    nat.state = "pending"
    nat._eni.description = f"Interface for NAT Gateway {nat.id}"
    nat._eni.interface_type, nat._eni.status, nat._eni.requester_managed = "nat_gateway", "in-use", True
    STATE.later(STATE.settings.nat_pending, lambda: _nat_ready(call.ec2, nat))


def _nat_ready(ec2, nat):
    if nat.state != "pending":
        return
    failure = None
    if not attached_gateways(ec2, nat.vpc_id):
        failure = ("Gateway.NotAttached", f"Network {nat.vpc_id} has no Internet gateway attached")
    elif STATE.settings.failing_nat_gateways > 0:
        STATE.settings.update({"failing_nat_gateways": STATE.settings.failing_nat_gateways - 1})
        failure = (STATE.settings.nat_failure, "Network interface could not be created; please try again.")
    if failure is None:
        nat.state = "available"
        return
    nat.state = "failed"
    nat.failure_code, nat.failure_message = failure
    _free_nat(ec2, nat)
    nat.held_address = None


def _free_nat(ec2, nat):
    for address in ec2.addresses:
        if address.eni is not None and address.eni.id == nat._eni.id:
            ec2.disassociate_address(association_id=address.association_id)
    if nat._eni.id in ec2.enis:
        ec2.delete_network_interface(nat._eni.id)


@guard("ec2", "DeleteNatGateway")
def nat_known(call):
    if call.get("NatGatewayId") not in call.ec2.nat_gateways:
        call.refuse("NatGatewayNotFound", f"NatGateway {call.get('NatGatewayId')} was not found")
    nat = call.ec2.nat_gateways[call.get("NatGatewayId")]
    # moto is about to say that it is gone at once.
    nat.strict_before = nat.state


@after("ec2", "DeleteNatGateway")
def nat_goes(call, _result):
    nat = call.ec2.nat_gateways[call.get("NatGatewayId")]
    if nat.strict_before in ("deleting", "deleted"):
        nat.state = nat.strict_before
        return
    nat.state = "deleting"

    def gone():
        nat.state = "deleted"
        _free_nat(call.ec2, nat)
        STATE.later(STATE.settings.address_held, lambda: setattr(nat, "held_address", None))

    STATE.later(STATE.settings.nat_deleting, gone)


@guard("ec2", "DescribeNatGateways")
def nat_filters(call):
    known = {"nat-gateway-id", "state", "subnet-id", "vpc-id", "tag-key"}
    for given in call.response._filters_from_querystring():
        if given not in known and not given.startswith("tag:"):
            call.refuse("InvalidParameterValue", f"The filter '{given}' is invalid")
    for identifier in call.get("NatGatewayIds", []):
        if identifier not in call.ec2.nat_gateways:
            call.refuse("NatGatewayNotFound", f"NatGateway {identifier} was not found")


@after("ec2", "DescribeNatGateways")
def nat_tag_filters(call, result):
    from moto.core.responses import ActionResult
    from moto.ec2.utils import generic_filter

    filters = call.response._filters_from_querystring()
    tags = {name: values for name, values in filters.items() if name.startswith("tag")}
    return ActionResult({"NatGateways": generic_filter(tags, result_of(result)["NatGateways"])})


@guard("ec2", "CreateRoute", "ReplaceRoute")
def route_target(call):
    ec2, nat, gateway = call.ec2, call.get("NatGatewayId"), call.get("GatewayId")
    table = ec2.get_route_table(call.get("RouteTableId"))
    if nat and (nat not in ec2.nat_gateways or ec2.nat_gateways[nat].state not in ("pending", "available")):
        call.refuse("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat}' does not exist")
    if gateway and gateway.startswith("igw-") and gateway in ec2.internet_gateways:
        attached = ec2.internet_gateways[gateway].vpc
        if attached is None or attached.id != table.vpc_id:
            call.refuse(
                "InvalidParameterValue",
                f"route table {table.id} and network gateway {gateway} belong to different networks",
            )


@guard("ec2", "DeleteRouteTable")
def main_table(call):
    table = call.ec2.get_route_table(call.get("RouteTableId"))
    if table.main_association_id is not None:
        call.refuse("DependencyViolation", f"The routeTable '{table.id}' has dependencies and cannot be deleted.")


@after("ec2", "DeleteRouteTable")
def forget_endpoint_routes(call, _result):
    for endpoint in call.ec2.vpc_end_points.values():
        endpoint.route_table_ids = [table for table in endpoint.route_table_ids if table != call.get("RouteTableId")]


@guard("ec2", "AssociateRouteTable")
def one_table(call):
    subnet, wanted = call.get("SubnetId"), call.get("RouteTableId")
    for table in call.ec2.route_tables.values():
        if table.id != wanted and subnet and subnet in table._associations.values():
            call.refuse(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {wanted} conflicts with an existing association",
            )


@guard("ec2", "CreateVpcEndpoint")
def endpoint_routes(call):
    wanted = call.get("RouteTableIds", [])
    for table in wanted:
        call.ec2.get_route_table(table)
    for endpoint in call.ec2.vpc_end_points.values():
        both = set(endpoint.route_table_ids or []) & set(wanted)
        if endpoint.service_name == call.get("ServiceName") and both:
            call.refuse(
                "RouteAlreadyExists",
                f"route table {sorted(both)[0]} already has a route with destination-prefix-list-id pl-strict",
            )


@after("ec2", "CreateVpcEndpoint")
def endpoint_type(_call, result):
    endpoint = result_of(result)["VpcEndpoint"]
    endpoint.vpc_endpoint_type = endpoint.vpc_endpoint_type or "Gateway"


@after("ec2", "DeleteVpcEndpoints")
def forget_endpoints(call, _result):
    for endpoint in call.get("VpcEndpointIds", []):
        call.ec2.vpc_end_points.pop(endpoint, None)
