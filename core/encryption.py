"""How S3 encrypts what the portal writes: the values of the setting S3_ENCRYPTION."""

from enum import StrEnum


class Encryption(StrEnum):
    """Of the setting, and of a store's row, whose labels are in models_catalog/models.py."""

    BUCKET = ""  # as the bucket says
    SSE_S3 = "sse-s3"
    SSE_KMS = "sse-kms"
