"""Fewer ready-made things, so that a reset takes milliseconds instead of seconds.

moto comes with 1300 images and 1400 policies of AWS's own and makes them anew at each reset. Only those that a
cluster may name are kept; the others do not exist here.
"""

import json

POLICIES = ("AmazonSSMManagedInstanceCore", "CloudWatchAgentServerPolicy")
IMAGES = ("al2023-ami-", "amzn2-ami-kernel-")


def install() -> None:
    """Thins out what moto reads from its package. Before the first backend is made."""
    from moto.ec2.models import amis
    from moto.iam import models as iam

    policies = json.loads(iam.aws_managed_policies_data)
    iam.aws_managed_policies_data = json.dumps({name: policies[name] for name in POLICIES})
    load, read = amis.load_resource, {}

    def load_few(path):
        if path not in read:
            images = load(path) if "latest_amis" in path else []
            read[path] = [image for image in images if str(image.get("name")).startswith(IMAGES)]
        return [dict(image) for image in read[path]]

    amis.load_resource = load_few
    amis.AMIS[:] = [image for image in amis.AMIS if str(image.get("name")).startswith(IMAGES)]
