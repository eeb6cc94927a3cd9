"""ARNs, request ids and S3 locations."""

import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

from .aws_errors import validation_exception


def arn(region: str, account: str, kind: str, name: str) -> str:
    """The ARN of a resource, with its name in lower case, as SageMaker writes it.

    Seen: gh:aws/amazon-sagemaker-examples#293.
    """
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def request_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class S3Prefix:
    """A bucket and a key prefix; ``prefix`` ends with a slash unless it is empty."""

    bucket: str
    prefix: str

    def key(self, target_model: str) -> str:
        """The key of a TargetModel: prefix and relative path (DG/invoke-multi-model-endpoint)."""
        return self.prefix + relative(target_model)


def relative(target_model: str) -> str:
    """A TargetModel as a path below the prefix; a leading slash is ignored."""
    return target_model.removeprefix("/")


_S3_URI = re.compile(r"s3://(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL)
_HOST = r"s3[.-](?:dualstack\.)?(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
_PATH_STYLE = re.compile(
    rf"https://(?:{_HOST}|s3\.amazonaws\.com)/(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL
)
_HOST_STYLE = re.compile(
    rf"https://(?P<bucket>[^/]+?)\.(?:{_HOST}|s3\.amazonaws\.com)(?:/(?P<key>.*))?", re.DOTALL
)


def parse_model_data_url(url: str, *, is_prefix: bool = True) -> S3Prefix:
    """Bucket and prefix of a ``ModelDataUrl``.

    Taken are ``s3://bucket/prefix/``, ``https://s3-REGION.amazonaws.com/bucket/prefix/``,
    the same with ``s3.REGION``, and ``https://bucket.s3.REGION.amazonaws.com/prefix/``.
    With ``is_prefix`` a missing last slash is added. Raises ValidationException otherwise.
    """
    s3_uri = _S3_URI.fullmatch(url)
    match = s3_uri or _PATH_STYLE.fullmatch(url) or _HOST_STYLE.fullmatch(url)
    if match is None:
        raise validation_exception(
            f"Could not parse ModelDataUrl '{url}': give s3://bucket/prefix/ or "
            "https://s3-REGION.amazonaws.com/bucket/prefix/."
        )
    key = match["key"] or ""
    if s3_uri is None:
        key = unquote(key)
    if is_prefix and key and not key.endswith("/"):
        key += "/"
    return S3Prefix(match["bucket"], key)


def parse_s3_uri(uri: str) -> S3Prefix:
    """Bucket and prefix of ``s3://bucket/prefix``; raises ValidationException."""
    match = _S3_URI.fullmatch(uri)
    if match is None:
        raise validation_exception(f"Could not parse '{uri}': give s3://bucket/prefix.")
    key = match["key"] or ""
    return S3Prefix(match["bucket"], f"{key}/" if key and not key.endswith("/") else key)
