"""What holds for every EC2 request: permission, dry runs, client tokens, things not seen yet, pages, tags.

A dry run never does anything: AWS answers 412 if it would have been allowed and 403 if not.
"""

import json
import re

from moto.core.responses import ActionResult

from .core import STATE, guard, result_of

# The actions whose `ClientToken` AWS remembers.
WITH_TOKEN = {
    "CreateFlowLogs",
    "CreateNatGateway",
    "CreateNetworkAcl",
    "CreateNetworkInterface",
    "CreateRouteTable",
    "CreateVolume",
    "CreateVpcEndpoint",
    "RunInstances",
}
NOT_FOUND = {
    "acl": "InvalidNetworkAclID.NotFound",
    "eipalloc": "InvalidAllocationID.NotFound",
    "eni": "InvalidNetworkInterfaceID.NotFound",
    "fl": "InvalidFlowLogId.NotFound",
    "i": "InvalidInstanceID.NotFound",
    "igw": "InvalidInternetGatewayID.NotFound",
    "nat": "NatGatewayNotFound",
    "rtb": "InvalidRouteTableID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "sgr": "InvalidSecurityGroupRuleId.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "vol": "InvalidVolume.NotFound",
    "vpc": "InvalidVpcID.NotFound",
    "vpce": "InvalidVpcEndpointId.NotFound",
}
# What each creating action may tag in its own request.
TAGGABLE = {
    "AllocateAddress": {"elastic-ip"},
    "AuthorizeSecurityGroupEgress": {"security-group-rule"},
    "AuthorizeSecurityGroupIngress": {"security-group-rule"},
    "CreateFlowLogs": {"vpc-flow-log"},
    "CreateInternetGateway": {"internet-gateway"},
    "CreateNatGateway": {"natgateway"},
    "CreateNetworkAcl": {"network-acl"},
    "CreateRouteTable": {"route-table"},
    "CreateSecurityGroup": {"security-group"},
    "CreateSubnet": {"subnet"},
    "CreateVolume": {"volume"},
    "CreateVpc": {"vpc"},
    "CreateVpcEndpoint": {"vpc-endpoint"},
    "RunInstances": {"instance", "volume", "network-interface", "spot-instances-request"},
}
TAG_KEY_LENGTH = 128


def install() -> None:
    """Everything here is called by `core` or registered below."""


def answered_before(call):
    """Refuses what is not allowed, answers dry runs and repeated client tokens; none: go on."""
    _check_permission(call)
    if call.service != "ec2":
        return None
    if str(call.get("DryRun", "")).lower() == "true":
        call.refuse("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    _check_tag_specifications(call)
    known = _known_token(call)
    if known is None:
        _check_visible(call)
    return known


def _check_permission(call):
    if f"{call.service}:{call.action}" not in STATE.settings.denied:
        return
    if call.service == "ec2":
        message = "You are not authorized to perform this operation. Encoded authorization failure message: strict"
        call.refuse("UnauthorizedOperation", message, 403)
    code = "AccessDeniedException" if call.service in ("acm", "ssm", "logs", "servicequotas") else "AccessDenied"
    call.refuse(code, f"User is not authorized to perform: {call.service}:{call.action}", 403)


def _check_tag_specifications(call):
    allowed = TAGGABLE.get(call.action)
    for specification in call.get("TagSpecifications", []):
        kind = specification.get("ResourceType")
        if allowed is not None and kind not in allowed:
            call.refuse(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
        _check_tags(call, specification.get("Tags", []))


def _check_tags(call, tags):
    for tag in tags:
        key = tag.get("Key", "")
        if key.lower().startswith("aws:"):
            call.refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > TAG_KEY_LENGTH:
            call.refuse("InvalidParameterValue", f"Tag key exceeds the maximum length of {TAG_KEY_LENGTH} characters")


@guard("ec2", "CreateTags")
def created_tags(call):
    _check_tags(call, call.get("Tags", []))


def _token_of(call):
    token = call.get("ClientToken") if call.action in WITH_TOKEN else None
    if not token:
        return None, None
    asked = {name: value for name, value in call.parameters().items() if name != "ClientToken"}
    return (call.action, token), json.dumps(asked, sort_keys=True)


def _known_token(call):
    key, asked = _token_of(call)
    if key not in STATE.tokens:
        return None
    before, result = STATE.tokens[key]
    if before != asked:
        call.refuse(
            "IdempotentParameterMismatch",
            "The client token you have provided is associated with a resource with different parameters",
        )
    return result


def _check_visible(call):
    """Refuses ids that were made a moment ago, as AWS does until all of it knows them."""
    lag = STATE.settings.lag
    if not lag:
        return
    for name, value in call.parameters().items():
        if name.startswith(("Filter.", "ClientToken", "TagSpecification")) or not isinstance(value, str):
            continue
        if STATE.age(value) < lag:
            code = NOT_FOUND.get(value.split("-")[0], "InvalidParameterValue")
            call.refuse(code, f"The ID '{value}' does not exist")


def remember(call, result):
    """Notes when what was just made was made, and the answer to its client token."""
    import time

    for identifier in _made(call, result):
        STATE.born.setdefault(identifier, time.monotonic())
    key, asked = _token_of(call) if call.service == "ec2" else (None, None)
    if key is not None:
        STATE.tokens[key] = (asked, result)


def _made(call, result):
    if not call.action.startswith(("Create", "Allocate", "Run", "Authorize")):
        return
    value = result_of(result)
    values = list(value.values()) if isinstance(value, dict) else [value, *getattr(value, "instances", [])]
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield item
            elif isinstance(getattr(item, "id", None), str):
                yield item.id


def take_page(call):
    """Keeps moto from paging by itself, where it does: it ends otherwise than AWS."""
    if call.service == "ec2" and _pages(call.action):
        parameters = call.response.params
        call.page = (parameters.pop("MaxResults", None), parameters.pop("NextToken", None))


def _pages(action):
    """Whether AWS gives this list in pages."""
    from moto.core.utils import get_service_model

    if not action.startswith("Describe"):
        return False
    output = get_service_model("ec2").operation_model(action).output_shape
    return output is not None and "NextToken" in output.members


def _by_id(call):
    """Whether single things are asked for: those come at once."""
    return any(re.match(r"[A-Za-z]+I[dD]\.1$", name) for name in call.parameters())


def trim(call, result):
    """Leaves out what is not seen everywhere yet, and cuts the answer to pages."""
    value = result_of(result)
    if call.service != "ec2" or not call.action.startswith("Describe") or not isinstance(value, dict):
        return result
    lists = [name for name, items in value.items() if isinstance(items, list)]
    if len(lists) != 1:
        return result
    items = [item for item in value[lists[0]] if not _hidden(item)]
    page, token = _page(call, items) if _pages(call.action) and not _by_id(call) else (items, None)
    return ActionResult({**value, lists[0]: page, "NextToken": token})


def _hidden(item):
    lag = STATE.settings.lag
    identifiers = [getattr(item, "id", None), *(made.id for made in getattr(item, "instances", []))]
    return bool(lag) and any(STATE.age(identifier) < lag for identifier in identifiers if identifier)


def _page(call, items):
    asked, token = call.page
    size = int(asked) if asked else max(len(items), 1)
    if asked and not call.action.endswith("Tags") and not 5 <= size <= 1000:
        call.refuse("InvalidMaxResults", f"Value ( {size} ) for parameter maxResults is invalid. Expecting 5 to 1000.")
    size = min(size, STATE.settings.page) if STATE.settings.page else size
    if token and not token.startswith("page-"):
        call.refuse("InvalidNextToken", f"The token '{token}' is invalid")
    start = int(token.removeprefix("page-")) if token else 0
    if not token and STATE.settings.empty_pages:
        return [], "page-0"
    following = start + size
    return items[start:following], f"page-{following}" if following < len(items) else None
