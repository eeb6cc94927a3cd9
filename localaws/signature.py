"""Verification of AWS's Signature Version 4.

The string to sign is computed by botocore's ``SigV4Auth``, as in clients. The signature is in the
Authorization header or in a presigned URL, with or without a session's token. The rules are
those of AWS ("Signature Version 4", "Create a signed AWS API request"); times may be off by five
minutes.
"""

import calendar
import functools
import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, cast
from urllib.parse import quote, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth

from .keys import Key, KeyRing, is_expired

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_SECONDS = 300
_MAX_PRESIGNED = 604_800
_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
S3_SERVICES = ("s3", "s3express", "s3-object-lambda")
_EMPTY = hashlib.sha256(b"").hexdigest()
_ONCE = {"authorization", "host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
_ONCE |= {"date", "x-amz-target"}
_TIMESTAMP = "%Y%m%dT%H%M%SZ"


class SignatureFault(Enum):
    """Why a signature is refused: the codes of JSON services, and of query services."""

    MISSING = ("MissingAuthenticationTokenException", "MissingAuthenticationToken")
    INCOMPLETE = ("IncompleteSignatureException", "IncompleteSignature")
    UNKNOWN_KEY = ("UnrecognizedClientException", "InvalidClientTokenId")
    MISMATCH = ("InvalidSignatureException", "SignatureDoesNotMatch")
    EXPIRED = ("ExpiredTokenException", "ExpiredToken")


class SignatureError(Exception):
    """The signature is missing or wrong; the message is AWS's where that is known."""

    def __init__(self, fault: SignatureFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received: target unchanged, headers in order, their names in lower case."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class SignatureClaim:
    """The signature's parameters in a request; nothing is verified yet."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: frozenset[str]
    signature: str
    timestamp: str
    token: str | None
    expires: int | None = None
    """Seconds for which a presigned URL is valid; None for an Authorization header."""

    @property
    def as_header(self) -> str:
        """The same as an Authorization header."""
        scope = f"{self.access_key}/{self.date}/{self.region}/{self.service}/aws4_request"
        names = ";".join(sorted(self.signed_headers))
        return f"{ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={self.signature}"


def read_claim(request: Request) -> SignatureClaim:
    """The claim of a request; raises SignatureError where it is missing or incomplete."""
    names = [name for name, _ in request.headers]
    for name in _ONCE:
        if names.count(name) > 1:
            raise SignatureError(
                SignatureFault.INCOMPLETE, f"The request has more than one header {name}."
            )
    header = request.header("authorization")
    query = dict(_query(request.target))
    if header is None and "X-Amz-Signature" not in query:
        raise SignatureError(SignatureFault.MISSING, "Missing Authentication Token")
    if header is not None and "X-Amz-Signature" in query:
        raise _incomplete("it is signed twice, in a header and in its URL")
    if header is not None:
        algorithm, _, rest = header.partition(" ")
        if algorithm != ALGORITHM:
            raise _incomplete(f"the algorithm is not {ALGORITHM}")
        pairs = (part.strip().partition("=") for part in rest.split(","))
        fields = {name: value for name, _, value in pairs}
        timestamp = request.header("x-amz-date") or _of_date(request.header("date"))
        token = request.header("x-amz-security-token")
        expires = None
    else:
        if query.get("X-Amz-Algorithm") != ALGORITHM:
            raise _incomplete(f"the algorithm is not {ALGORITHM}")
        fields = {name: query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders")}
        fields["Signature"] = query["X-Amz-Signature"]
        timestamp = query.get("X-Amz-Date", "")
        token = query.get("X-Amz-Security-Token")
        expires = _seconds(query.get("X-Amz-Expires", ""))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise _incomplete(f"it has no {name}")
    scope = fields["Credential"].rsplit("/", 4)
    if len(scope) != 5 or scope[4] != "aws4_request" or not all(scope):
        raise _incomplete("its Credential is not ID/DATE/REGION/SERVICE/aws4_request")
    if not re.fullmatch(r"\d{8}T\d{6}Z", timestamp, re.ASCII):
        raise _incomplete("it has no X-Amz-Date of the form YYYYMMDDTHHMMSSZ")
    signed = frozenset(fields["SignedHeaders"].split(";"))
    access_key, date, region, service, _ = scope
    return SignatureClaim(
        access_key, date, region, service, signed, fields["Signature"], timestamp, token, expires
    )


def unverified_claim(request: Request) -> SignatureClaim | None:
    """The claim of a request; None where it is missing or incomplete."""
    try:
        return read_claim(request)
    except SignatureError:
        return None


def find_key(claim: SignatureClaim, keys: KeyRing) -> Key:
    """The key that a claim names; raises SignatureError where it is unknown."""
    key = keys.find(claim.access_key)
    if key is None:
        raise _unknown()
    return key


def verify(
    request: Request,
    body: bytes,
    claim: SignatureClaim,
    keys: KeyRing,
    *,
    service: str | None = None,
    now: float | None = None,
) -> Key:
    """The key that signed the request; raises SignatureError. ``service``: the required one."""
    now = time.time() if now is None else now
    key = find_key(claim, keys)
    if not hmac.compare_digest((claim.token or "").encode(), (key.token or "").encode()):
        raise _unknown()
    if is_expired(key, now):
        raise SignatureError(
            SignatureFault.EXPIRED, "The security token included in the request is expired"
        )
    if service is not None and claim.service != service:
        raise SignatureError(
            SignatureFault.MISMATCH, f"Credential should be scoped to correct service: '{service}'."
        )
    _check_time(claim, now)
    verify_headers(request, claim, key, _payload(request, claim, body))
    return key


def verify_headers(request: Request, claim: SignatureClaim, key: Key, payload: str) -> None:
    """Hold everything but time and body against the signature; raises SignatureError.

    ``payload`` is what was signed of the body: its digest, or one of S3's words instead of it.
    """
    _check_signed_headers(request, claim)
    for wire in _possible_encodings(request, payload):
        auth = (_S3Auth if claim.service in S3_SERVICES else _Auth)(claim)
        text = auth.string_to_sign(wire, auth.canonical_request(wire))
        if hmac.compare_digest(sign(text, claim, key).encode(), claim.signature.encode()):
            return
    raise SignatureError(
        SignatureFault.MISMATCH,
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.",
    )


def sign(text: str, claim: SignatureClaim, key: Key) -> str:
    """The signature of a string to sign, with the day's key of the claim's scope."""
    signing = _signing_key(key.secret, claim.date, claim.region, claim.service)
    return hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()


class _SignedHeaders(dict[str, list[str]]):
    """The part of botocore's class for headers that SigV4Auth uses."""

    def get_all(self, name: str) -> list[str]:
        return self[name]


@dataclass(slots=True)
class _Wire:
    """The request as SigV4Auth reads it."""

    method: str
    url: str
    headers: dict[str, str]
    signable: list[tuple[str, str]]
    context: dict[str, Any] = field(default_factory=dict)
    params: None = None


class _Auth(SigV4Auth):
    """SigV4Auth with the headers that the client chose, not those that botocore would choose."""

    def __init__(self, claim: SignatureClaim) -> None:
        super().__init__(cast(Any, None), claim.service, claim.region)
        self._claim = claim

    def headers_to_sign(self, request: Any) -> Any:
        request.context["timestamp"] = self._claim.timestamp
        found = _SignedHeaders()
        for name, value in request.signable:
            if name in self._claim.signed_headers:
                found.setdefault(name, []).append(value)
        return found


class _S3Auth(_Auth, S3SigV4Auth):
    """S3's paths are signed without normalization."""


def _possible_encodings(request: Request, payload: str) -> list[Any]:
    """The request with its headers decoded as Latin-1, and as UTF-8 where that differs.

    HTTP does not define the encoding, and clients differ.
    """
    path = request.target.partition("?")[0]
    query = "&".join(
        f"{_encoded(name)}={_encoded(value)}"
        for name, value in _query(request.target)
        if name != "X-Amz-Signature"
    )
    url = f"http://localhost{path}" + (f"?{query}" if query else "")
    sha = {"X-Amz-Content-SHA256": payload}
    readings = [_Wire(request.method, url, sha, list(request.headers))]
    if not all(value.isascii() for _, value in request.headers):
        again = [(name, _as_utf8(value)) for name, value in request.headers]
        readings.append(_Wire(request.method, url, sha, again))
    return readings


def _as_utf8(value: str) -> str:
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


@functools.lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The signing key of a day; cached, as it is the same for all its requests."""
    made = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return made


def _payload(request: Request, claim: SignatureClaim, body: bytes) -> str:
    """The signed digest of the body; raises SignatureError where the body differs."""
    declared = request.header("x-amz-content-sha256")
    if claim.service in S3_SERVICES:
        if declared in _UNSIGNED:
            return declared
        if claim.expires is not None and declared is None:
            return _UNSIGNED[0]
    actual = hashlib.sha256(body).hexdigest() if body else _EMPTY
    if declared is not None and declared != actual:
        raise SignatureError(
            SignatureFault.MISMATCH,
            "The provided x-amz-content-sha256 header does not match what was computed.",
        )
    return actual


def _check_time(claim: SignatureClaim, now: float) -> None:
    if claim.date != claim.timestamp[:8]:
        raise SignatureError(
            SignatureFault.MISMATCH,
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{claim.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'.",
        )
    try:
        signed = calendar.timegm(time.strptime(claim.timestamp, _TIMESTAMP))
    except ValueError:
        raise _incomplete("its X-Amz-Date is no time") from None
    lasts = SKEW_SECONDS if claim.expires is None else claim.expires
    if signed - now > SKEW_SECONDS:
        raise SignatureError(
            SignatureFault.MISMATCH,
            f"Signature not yet current: {claim.timestamp} is still later than "
            f"{_moment(now + SKEW_SECONDS)} ({_moment(now)} + 5 min.)",
        )
    if now - signed > lasts:
        allowed = " - 5 min." if claim.expires is None else f" - {claim.expires} s"
        raise SignatureError(
            SignatureFault.MISMATCH,
            f"Signature expired: {claim.timestamp} is now earlier than {_moment(now - lasts)} "
            f"({_moment(now)}{allowed})",
        )


def _check_signed_headers(request: Request, claim: SignatureClaim) -> None:
    """Host and X-Amz-* must be signed ("Create a signed AWS API request", step 1).

    Except X-Amz-Content-SHA256, which is part of the string to sign, and the token, which some
    clients add afterwards and which is compared separately.
    """
    names = {name for name, _ in request.headers}
    must = {"host"} | {name for name in names if name.startswith("x-amz-")}
    must -= {"x-amz-content-sha256", "x-amz-security-token"}
    for name in sorted((must - claim.signed_headers) | (claim.signed_headers - names)):
        raise SignatureError(
            SignatureFault.MISMATCH,
            f"'{name}' must be a header of the request and a 'SignedHeader'.",
        )


def _query(target: str) -> list[tuple[str, str]]:
    query = target.partition("?")[2]
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _of_date(date: str | None) -> str:
    """An HTTP date as a timestamp; empty where it is none."""
    try:
        return _moment(parsedate_to_datetime(date or "").timestamp())
    except ValueError:
        return ""


def _seconds(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= _MAX_PRESIGNED:
        raise _incomplete(f"X-Amz-Expires is not from 1 to {_MAX_PRESIGNED}")
    return int(text)


def _moment(seconds: float) -> str:
    return time.strftime(_TIMESTAMP, time.gmtime(seconds))


def _unknown() -> SignatureError:
    return SignatureError(
        SignatureFault.UNKNOWN_KEY, "The security token included in the request is invalid."
    )


def _incomplete(what: str) -> SignatureError:
    return SignatureError(
        SignatureFault.INCOMPLETE, f"The request's signature is not complete: {what}."
    )
