"""Makes the emulator hold what a folder holds: objects/BUCKET/KEY as objects, parameters/NAME as secure parameters.

Parameters that the folder lacks are deleted. Secrets come from files, never from arguments. Uses boto3, which the
emulator brings along; the endpoint and the credentials come from the environment.
"""

import pathlib
import sys

import boto3


def files(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def main(folder):
    s3, ssm = boto3.client("s3"), boto3.client("ssm")
    known = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name, path in files(folder / "objects"):
        bucket, key = name.split("/", 1)
        if bucket not in known:
            s3.create_bucket(Bucket=bucket)
            known.add(bucket)
        s3.upload_file(str(path), bucket, key)
    wanted = {"/" + name: path for name, path in files(folder / "parameters")}
    for page in ssm.get_paginator("describe_parameters").paginate():
        for parameter in page["Parameters"]:
            if parameter["Name"] not in wanted:
                ssm.delete_parameter(Name=parameter["Name"])
    for name, path in wanted.items():
        ssm.put_parameter(Name=name, Value=path.read_text(), Type="SecureString", Overwrite=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
