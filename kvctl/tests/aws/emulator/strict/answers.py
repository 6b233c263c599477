"""Answers as AWS writes them, where moto writes others.

moto 5.2.5 names the root element of four S3 answers after the operation; the Rust SDK refuses those. Nothing is
decided here.
"""

ROOTS = {
    "DeleteObjects": "DeleteResult",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "ListObjectVersions": "ListVersionsResult",
}


def install() -> None:
    from moto.core.serialize import S3Serializer

    plain = S3Serializer._serialized_result_to_response

    def named(self, resp, result, shape, serialized_result):
        root = ROOTS.get(self.operation_model.name)
        if root and shape is not None:
            shape.serialization["resultWrapper"] = root
        return plain(self, resp, result, shape, serialized_result)

    S3Serializer._serialized_result_to_response = named
