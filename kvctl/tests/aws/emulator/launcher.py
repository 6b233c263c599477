"""Starts moto as a strict AWS: it refuses what AWS refuses and takes the time that AWS takes.

Usage: launcher.py PORT [PARENT_PID]. Listens on 127.0.0.1 only and ends when PARENT_PID is gone. Settings, such as
how long a NAT gateway is pending, are read and written as JSON at /strict/settings; POST /strict/reset forgets all
resources and goes back to the settings that it was started with. The guards are in the package `strict`, one module
for each family of resources, and each has a conformance test in ../conformance. It delivers no packets.
"""

import os
import sys
import threading
import time

os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "1")
os.environ.setdefault("MOTO_ENABLE_AMI_VALIDATION", "1")
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

from werkzeug.serving import run_simple  # noqa: E402

from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)

import strict  # noqa: E402


class QuietHandler(MotoRequestHandler):
    """One line for each request would drown the test's own output."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        pass


def end_with(parent: int) -> None:
    """Ends this process when the one that started it is gone, however it went."""
    while True:
        try:
            os.kill(parent, 0)
        except OSError:
            os._exit(0)
        time.sleep(0.5)


def main() -> None:
    port = int(sys.argv[1])
    if len(sys.argv) > 2:
        threading.Thread(target=end_with, args=(int(sys.argv[2]),), daemon=True).start()
    strict.install()
    application = strict.control(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=QuietHandler)


if __name__ == "__main__":
    main()
