"""The guards that make moto strict, and the endpoint that controls them."""

import json

from . import answers, balancers, groups, identities, lean, machines, network, requests
from .core import STATE, install_service


def install() -> None:
    """Wraps every action of the services that have guards. Once, before the first request."""
    from moto.acm.responses import AWSCertificateManagerResponse
    from moto.ec2.responses import EC2Response
    from moto.elbv2.responses import ELBV2Response
    from moto.iam.responses import IamResponse
    from moto.logs.responses import LogsResponse
    from moto.servicequotas.responses import ServiceQuotasResponse
    from moto.ssm.responses import SimpleSystemManagerResponse
    from moto.sts.responses import TokenResponse

    for module in (answers, lean, network, groups, machines, balancers, identities, requests):
        module.install()
    for service, response in (
        ("acm", AWSCertificateManagerResponse),
        ("ec2", EC2Response),
        ("elasticloadbalancing", ELBV2Response),
        ("iam", IamResponse),
        ("logs", LogsResponse),
        ("servicequotas", ServiceQuotasResponse),
        ("ssm", SimpleSystemManagerResponse),
        ("sts", TokenResponse),
    ):
        install_service(service, response)


def control(application):
    """Adds /strict/settings and /strict/reset before moto's own paths."""

    def answer(environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/strict/"):
            return application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, text = _control(environ["REQUEST_METHOD"], path, body)
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    return answer


def _control(method: str, path: str, body: bytes):
    with STATE.lock:
        try:
            if path == "/strict/reset" and method == "POST":
                STATE.reset()
            elif path == "/strict/settings" and method == "POST":
                STATE.settings.update(json.loads(body))
            elif path != "/strict/settings":
                return "404 Not Found", b"{}"
        except (ValueError, KeyError) as error:
            return "400 Bad Request", json.dumps({"error": str(error)}).encode()
        return "200 OK", json.dumps(STATE.settings.all()).encode()
