"""How a guard gets between a request and moto: the state of the strict emulator, its clock and its errors.

A guard is registered for one action of one service and runs before it, or after it with its result. Everything runs
under one lock, so that a guard and the action it guards are one step. Changes that take time are queued and happen
at the first request after they are due.
"""

import heapq
import itertools
import json
import os
import threading
import time
from xml.sax.saxutils import escape

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from werkzeug.exceptions import HTTPException

# Seconds, counts and names; each can be set by an environment variable STRICT_<NAME> and at /strict/settings.
DEFAULTS = {
    # Times that states last.
    "nat_pending": 0.3,
    "nat_deleting": 0.3,
    "balancer_provisioning": 0.3,
    "instance_pending": 0.2,
    "instance_shutting_down": 0.2,
    "volume_moving": 0.05,
    "target_initial": 0.2,
    "target_draining": 0.2,
    # Times that things go on after they should have ended.
    "address_held": 0.1,
    "balancer_interfaces": 0.3,
    # Times until things are known where they are needed.
    "profile_propagation": 0.2,
    "role_propagation": 0.2,
    "lag": 0.0,
    # Longest list in one answer; 0: as asked. With `empty_pages` each list begins with an empty page.
    "page": 0,
    "empty_pages": False,
    # Limits of the account.
    "quota_vpcs": 5,
    "quota_addresses": 5,
    "quota_nat_gateways_per_zone": 5,
    # What goes wrong: "service:Action" that are not allowed; zones without room; NAT gateways still to fail, and why.
    "denied": [],
    "full_zones": [],
    "failing_nat_gateways": 0,
    "nat_failure": "InternalError",
    # What the targets' health is after `target_initial`.
    "target_health": "healthy",
}


class Settings:
    """Numbers and names that tests set; unknown ones are refused."""

    def __init__(self):
        self._values = dict(DEFAULTS)
        for name in DEFAULTS:
            text = os.environ.get("STRICT_" + name.upper())
            if text is not None:
                self.update({name: json.loads(text)})

    def update(self, values):
        for name, value in values.items():
            if name not in DEFAULTS:
                raise KeyError(f"no setting {name}")
            self._values[name] = value

    def all(self):
        return self._values

    def __getattr__(self, name):
        return self._values[name]


class State:
    """Everything that the strict emulator remembers besides moto's own resources."""

    def __init__(self):
        self.lock = threading.RLock()
        self._forget()

    def _forget(self):
        self.settings = Settings()
        self.born = {}
        self.tokens = {}
        self._queue = []
        self._order = itertools.count()

    def reset(self):
        from moto.moto_api._internal.models import moto_api_backend

        self._forget()
        moto_api_backend.reset()

    def later(self, seconds, change):
        """Makes a change when some time has passed."""
        heapq.heappush(self._queue, (time.monotonic() + seconds, next(self._order), change))

    def run_due(self):
        while self._queue and self._queue[0][0] <= time.monotonic():
            heapq.heappop(self._queue)[2]()

    def age(self, identifier):
        """Seconds since it was made; a long time for what was there before."""
        return time.monotonic() - self.born.get(identifier, float("-inf"))


STATE = State()
GUARDS = {}
AFTER = {}


def guard(service, *actions):
    """Registers a function that runs before an action and may refuse it."""
    return _register(GUARDS, service, actions)


def after(service, *actions):
    """Registers a function that sees an action's result; what it returns, if anything, is the result from then on."""
    return _register(AFTER, service, actions)


def _register(table, service, actions):
    def register(function):
        for action in actions:
            table.setdefault((service, action), []).append(function)
        return function

    return register


class Refusal(HTTPException):
    """An error in the form of the service that answers it."""

    def __init__(self, call, code, message, status=400):
        super().__init__()
        self.code = status
        code, message = escape(code), escape(message)
        if call.service == "ec2":
            body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            body += "<RequestID>strict</RequestID></Response>"
        elif call.service in ("acm", "ssm", "logs", "servicequotas"):
            body = json.dumps({"__type": code, "message": message})
        else:
            body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            body += "<RequestId>strict</RequestId></ErrorResponse>"
        self.kind = "application/x-amz-json-1.1" if body.startswith("{") else "text/xml"
        self.description = body

    def get_headers(self, *_arguments, **_names):
        return [("Content-Type", self.kind)]


class Call:
    """One request: its parameters, the backends it concerns, and how to refuse it."""

    def __init__(self, service, action, response):
        self.service, self.action, self.response = service, action, response
        self.page = (None, None)

    def get(self, name, default=None):
        value = self.response._get_param(name, default)
        return default if value is None else value

    def parameters(self):
        """All parameters, flat, as they came: names as in the form or the document."""
        flat = {name: values[0] for name, values in self.response.querystring.items() if values}
        if self.service in ("acm", "ssm", "logs", "servicequotas"):
            flat = json.loads(self.response.body or "{}")
        return {name: value for name, value in flat.items() if name not in ("Action", "Version")}

    def refuse(self, code, message, status=400):
        raise Refusal(self, code, message, status)

    @property
    def ec2(self):
        from moto.ec2.models import ec2_backends

        return ec2_backends[self.response.current_account][self.response.region]

    @property
    def elb(self):
        from moto.elbv2.models import elbv2_backends

        return elbv2_backends[self.response.current_account][self.response.region]


def install_service(service, response_class):
    """Wraps every action of a service."""
    from moto.core.utils import get_service_model

    names = {"elasticloadbalancing": "elbv2", "servicequotas": "service-quotas"}
    for action in get_service_model(names.get(service, service)).operation_names:
        method = camelcase_to_underscores(action)
        original = getattr(response_class, method, None)
        if original is not None:
            setattr(response_class, method, _wrapped(service, action, original))


def _wrapped(service, action, original):
    from .requests import answered_before, remember, take_page, trim

    def method(response):
        call = Call(service, action, response)
        with STATE.lock:
            STATE.run_due()
            take_page(call)
            known = answered_before(call)
            if known is not None:
                return known
            for check in GUARDS.get((service, action), ()):
                check(call)
            result = _run(call, original)
            for look in AFTER.get((service, action), ()):
                result = look(call, result) or result
            remember(call, result)
            return trim(call, result)

    return method


def _run(call, original):
    try:
        return original(call.response)
    except (ServiceException, HTTPException):
        raise
    except NotImplementedError as error:
        call.refuse("InvalidParameterValue", f"The filter is invalid or unknown to the emulator: {error}")


def result_of(result):
    """The value inside a result, if it is one of moto's."""
    return result.result if isinstance(result, ActionResult) else None
