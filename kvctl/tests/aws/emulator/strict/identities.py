"""Roles, profiles, certificates and quotas: documents that AWS refuses, and how long it takes to know new ones."""

import json
import time

from .core import STATE, after, guard


def install() -> None:
    """Everything here is registered below."""


@guard("iam", "CreateRole", "UpdateAssumeRolePolicy")
def trust_document(call):
    _check_document(call, call.get("AssumeRolePolicyDocument", call.get("PolicyDocument", "")))


@guard("iam", "PutRolePolicy")
def policy_document(call):
    _check_document(call, call.get("PolicyDocument", ""))


def _check_document(call, text):
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "Statement" not in document:
        call.refuse("MalformedPolicyDocument", "This policy contains invalid Json")


@after("iam", "CreateRole")
def role_born(call, _result):
    STATE.born[f"role/{call.get('RoleName')}"] = time.monotonic()


@after("iam", "CreateInstanceProfile", "AddRoleToInstanceProfile")
def profile_born(call, _result):
    STATE.born[f"profile/{call.get('InstanceProfileName')}"] = time.monotonic()


@guard("acm", "DeleteCertificate")
def certificate_in_use(call):
    arn = call.parameters().get("CertificateArn")
    for balancer in call.elb.load_balancers.values():
        for listener in balancer.listeners.values():
            if arn in (listener.certificate, *listener.certificates):
                call.refuse("ResourceInUseException", f"Certificate {arn} in account is in use.")


@guard("servicequotas", "GetServiceQuota")
def quotas(call):
    """Answers with the limits that the guards enforce."""
    from werkzeug.exceptions import HTTPException

    settings = STATE.settings
    known = {
        ("ec2", "L-0263D0A3"): ("EC2-VPC Elastic IPs", settings.quota_addresses),
        ("vpc", "L-F678F1CE"): ("VPCs per Region", settings.quota_vpcs),
        ("vpc", "L-FE5A380F"): ("NAT gateways per Availability Zone", settings.quota_nat_gateways_per_zone),
    }
    asked = call.parameters()
    service, code = asked.get("ServiceCode"), asked.get("QuotaCode")
    if (service, code) not in known:
        return
    name, value = known[(service, code)]
    quota = {"ServiceCode": service, "QuotaCode": code, "QuotaName": name, "Value": float(value), "Adjustable": True}

    class Answer(HTTPException):
        code = 200
        description = json.dumps({"Quota": quota})

        def get_headers(self, *_arguments, **_names):
            return [("Content-Type", "application/x-amz-json-1.1")]

    raise Answer()
