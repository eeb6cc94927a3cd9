"""Access checks of a request: its Host, whether a web page sent it, and its signature.

The same checks as in ``localaws.guard``, with S3's error codes and its limit of 15 minutes. One
exception for browsers: they may navigate to a presigned GET, as the portal redirects to it. The
person then sees the answer, and the page that linked to it cannot read it.
"""

import calendar
import hmac
import time
from dataclasses import dataclass

from localaws.guard import normal_host
from localaws.keys import Key, KeyRing, is_expired
from localaws.signature import (
    Request,
    SignatureClaim,
    SignatureError,
    SignatureFault,
    read_claim,
    verify_headers,
)

from .s3_errors import S3Error

_SKEW_SECONDS = 900
"""S3 API reference, "Error responses": RequestTimeTooSkewed."""
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMS = {
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}
"""Whether chunks are signed, and whether a trailer follows them."""
_CODES = {
    SignatureFault.MISSING: "AccessDenied",
    SignatureFault.INCOMPLETE: "AuthorizationHeaderMalformed",
    SignatureFault.UNKNOWN_KEY: "InvalidAccessKeyId",
    SignatureFault.MISMATCH: "SignatureDoesNotMatch",
    SignatureFault.EXPIRED: "ExpiredToken",
}


@dataclass(frozen=True, slots=True)
class AuthenticatedRequest:
    """A request whose headers are signed; ``payload`` is what was signed of its body."""

    claim: SignatureClaim
    key: Key
    payload: str


def check_name_and_page(request: Request, hosts: frozenset[str], *, presigned: bool) -> None:
    """Raises AccessDenied for a Host that is not ours, and for a request that a web page sends."""
    names = [value for name, value in request.headers if name == "host"]
    if len(names) != 1 or normal_host(names[0]) not in hosts:
        raise S3Error(
            "AccessDenied",
            "This S3 server does not answer to this name; --answer-to tells it others. Buckets are "
            "in the path, not in the host name.",
        )
    if request.header("origin") is not None:
        raise S3Error("AccessDenied", "This S3 server does not answer web pages (Origin).")
    navigates = (
        presigned
        and request.method in ("GET", "HEAD")
        and request.header("sec-fetch-mode") == "navigate"
    )
    sites = [value for name, value in request.headers if name == "sec-fetch-site"]
    if any(site != "none" for site in sites) and not navigates:
        raise S3Error("AccessDenied", "This S3 server does not answer web pages (Sec-Fetch-Site).")


def is_presigned(query: dict[str, str]) -> bool:
    return "X-Amz-Signature" in query


def authenticate(
    request: Request, query: dict[str, str], keys: KeyRing, now: float | None = None
) -> AuthenticatedRequest:
    """Verify the signature of headers and query, and its time. Raises S3Error."""
    now = time.time() if now is None else now
    authorization = request.header("authorization") or ""
    if authorization.startswith("AWS ") or "AWSAccessKeyId" in query:
        raise S3Error(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use "
            "AWS4-HMAC-SHA256.",
        )
    if authorization.startswith("AWS4-ECDSA"):
        raise S3Error("NotImplemented", "This S3 server does not offer Signature Version 4A.")
    try:
        claim = read_claim(request)
        key = keys.find(claim.access_key)
        if key is None:
            raise S3Error(
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        if not hmac.compare_digest((claim.token or "").encode(), (key.token or "").encode()):
            raise S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.")
        if is_expired(key, now):
            raise S3Error("ExpiredToken", "The provided token has expired.")
        if claim.service != "s3":
            raise S3Error(
                "AuthorizationHeaderMalformed",
                f"The authorization header is malformed; incorrect service {claim.service!r}. "
                "This endpoint belongs to 's3'.",
            )
        payload = _payload(request, claim, query)
        verify_headers(request, claim, key, payload)
        _check_time(claim, now)
    except SignatureError as error:
        raise S3Error(_CODES[error.fault], error.message) from None
    return AuthenticatedRequest(claim, key, payload)


def _payload(request: Request, claim: SignatureClaim, query: dict[str, str]) -> str:
    declared = request.header("x-amz-content-sha256")
    if declared is None and claim.expires is not None:
        declared = query.get("X-Amz-Content-Sha256", UNSIGNED)
    if declared is None:
        raise S3Error(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    if declared.startswith("STREAMING-AWS4-ECDSA"):
        raise S3Error("NotImplemented", "This S3 server does not offer Signature Version 4A.")
    if declared != UNSIGNED and declared not in STREAMS and not _is_digest(declared):
        raise S3Error(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
            "valid sha256 value.",
        )
    return declared


def _is_digest(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _check_time(claim: SignatureClaim, now: float) -> None:
    """S3's rules: at most 15 minutes off, or until a presigned URL expires."""
    if claim.date != claim.timestamp[:8]:
        raise S3Error(
            "AuthorizationHeaderMalformed", "The date in the Credential is not that of X-Amz-Date."
        )
    try:
        signed = calendar.timegm(time.strptime(claim.timestamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date header") from None
    if claim.expires is not None:
        if now - signed > claim.expires:
            raise S3Error("AccessDenied", "Request has expired")
        if signed - now > _SKEW_SECONDS:
            raise S3Error("AccessDenied", "Request is not valid yet")
    elif abs(now - signed) > _SKEW_SECONDS:
        raise S3Error(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
