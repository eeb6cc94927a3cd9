"""AWS's Signature Version 4 as a server sees it: is this request signed with one of our keys?

What is signed is computed by botocore's ``SigV4Auth``, as in the clients. Taken are the
Authorization header and presigned URLs, both with or without a session's token. The rules are
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

from .keys import Key, KeyRing, is_over

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_SECONDS = 300
_LONGEST_PRESIGNED = 604_800
_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_S3 = ("s3", "s3express", "s3-object-lambda")
_EMPTY = hashlib.sha256(b"").hexdigest()
_ONCE = {"authorization", "host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
_ONCE |= {"date", "x-amz-target"}
_TIMESTAMP = "%Y%m%dT%H%M%SZ"


class Fault(Enum):
    """Why a request is not taken: the codes of JSON services, and of query services."""

    MISSING = ("MissingAuthenticationTokenException", "MissingAuthenticationToken")
    INCOMPLETE = ("IncompleteSignatureException", "IncompleteSignature")
    UNKNOWN_KEY = ("UnrecognizedClientException", "InvalidClientTokenId")
    MISMATCH = ("InvalidSignatureException", "SignatureDoesNotMatch")
    EXPIRED = ("ExpiredTokenException", "ExpiredToken")


class NotSigned(Exception):
    """The request is not signed as it must be; the text is AWS's where that is known."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: the target unchanged, names of headers in lower case, in order."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its own signature; nothing of it is verified yet."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: frozenset[str]
    signature: str
    timestamp: str
    token: str | None
    expires: int | None = None
    """Seconds for which a presigned URL holds; None: the request has an Authorization header."""

    @property
    def as_header(self) -> str:
        """The Authorization header that says the same."""
        scope = f"{self.access_key}/{self.date}/{self.region}/{self.service}/aws4_request"
        names = ";".join(sorted(self.signed_headers))
        return f"{ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={self.signature}"


def read_claim(request: Request) -> Claim:
    """The claim of a request; raises NotSigned where it has none or none that is whole."""
    names = [name for name, _ in request.headers]
    for name in _ONCE:
        if names.count(name) > 1:
            raise NotSigned(Fault.INCOMPLETE, f"The request has more than one header {name}.")
    header = request.header("authorization")
    query = dict(_query(request.target))
    if header is None and "X-Amz-Signature" not in query:
        raise NotSigned(Fault.MISSING, "Missing Authentication Token")
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
    return Claim(
        access_key, date, region, service, signed, fields["Signature"], timestamp, token, expires
    )


def said_claim(request: Request) -> Claim | None:
    """The claim of a request that need not be signed; None where it has none that is whole."""
    try:
        return read_claim(request)
    except NotSigned:
        return None


def find_key(claim: Claim, keys: KeyRing) -> Key:
    """The key that a claim names; raises NotSigned where that is not one of ours."""
    key = keys.find(claim.access_key)
    if key is None:
        raise _unknown()
    return key


def verify(
    request: Request,
    body: bytes,
    claim: Claim,
    keys: KeyRing,
    *,
    service: str | None = None,
    now: float | None = None,
) -> Key:
    """The key that signed the request; raises NotSigned. ``service``: the only one to be taken."""
    now = time.time() if now is None else now
    key = find_key(claim, keys)
    if not hmac.compare_digest((claim.token or "").encode(), (key.token or "").encode()):
        raise _unknown()
    if is_over(key, now):
        raise NotSigned(Fault.EXPIRED, "The security token included in the request is expired")
    if service is not None and claim.service != service:
        raise NotSigned(
            Fault.MISMATCH, f"Credential should be scoped to correct service: '{service}'."
        )
    _check_time(claim, now)
    verify_headers(request, claim, key, _payload(request, claim, body))
    return key


def verify_headers(request: Request, claim: Claim, key: Key, payload: str) -> None:
    """Hold everything but time and body against the signature; raises NotSigned.

    ``payload`` is what was signed of the body: its digest, or one of S3's words instead of it.
    """
    _check_signed_headers(request, claim)
    for wire in _readings(request, payload):
        auth = (_S3Auth if claim.service in _S3 else _Auth)(claim)
        text = auth.string_to_sign(wire, auth.canonical_request(wire))
        if hmac.compare_digest(sign(text, claim, key).encode(), claim.signature.encode()):
            return
    raise NotSigned(
        Fault.MISMATCH,
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.",
    )


def sign(text: str, claim: Claim, key: Key) -> str:
    """The signature of a string to sign, with the day's key of the claim's scope."""
    signing = _signing_key(key.secret, claim.date, claim.region, claim.service)
    return hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()


class _SignedHeaders(dict[str, list[str]]):
    """What SigV4Auth asks of botocore's own class for headers."""

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

    def __init__(self, claim: Claim) -> None:
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
    """S3's paths are signed as they are."""


def _readings(request: Request, payload: str) -> list[Any]:
    """The request with its headers read as Latin-1, and, where that differs, as UTF-8.

    HTTP does not say which; botocore sends the one and other clients send the other.
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
    """The day's key, made of a secret: four digests that are the same for all calls of a day."""
    made = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return made


def _payload(request: Request, claim: Claim, body: bytes) -> str:
    """The digest of the body that was signed; raises NotSigned where the body is another one."""
    said = request.header("x-amz-content-sha256")
    if claim.service in _S3:
        if said in _UNSIGNED:
            return said
        if claim.expires is not None and said is None:
            return _UNSIGNED[0]
    actual = hashlib.sha256(body).hexdigest() if body else _EMPTY
    if said is not None and said != actual:
        raise NotSigned(
            Fault.MISMATCH,
            "The provided x-amz-content-sha256 header does not match what was computed.",
        )
    return actual


def _check_time(claim: Claim, now: float) -> None:
    if claim.date != claim.timestamp[:8]:
        raise NotSigned(
            Fault.MISMATCH,
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{claim.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'.",
        )
    try:
        signed = calendar.timegm(time.strptime(claim.timestamp, _TIMESTAMP))
    except ValueError:
        raise _incomplete("its X-Amz-Date is no time") from None
    lasts = SKEW_SECONDS if claim.expires is None else claim.expires
    if signed - now > SKEW_SECONDS:
        raise NotSigned(
            Fault.MISMATCH,
            f"Signature not yet current: {claim.timestamp} is still later than "
            f"{_moment(now + SKEW_SECONDS)} ({_moment(now)} + 5 min.)",
        )
    if now - signed > lasts:
        allowed = " - 5 min." if claim.expires is None else f" - {claim.expires} s"
        raise NotSigned(
            Fault.MISMATCH,
            f"Signature expired: {claim.timestamp} is now earlier than {_moment(now - lasts)} "
            f"({_moment(now)}{allowed})",
        )


def _check_signed_headers(request: Request, claim: Claim) -> None:
    """Host and X-Amz-* must be signed ("Create a signed AWS API request", step 1).

    Not X-Amz-Content-SHA256, which is a part of what is signed in any case, nor the token, which
    some clients add afterwards and which is compared by itself.
    """
    names = {name for name, _ in request.headers}
    must = {"host"} | {name for name in names if name.startswith("x-amz-")}
    must -= {"x-amz-content-sha256", "x-amz-security-token"}
    for name in sorted((must - claim.signed_headers) | (claim.signed_headers - names)):
        raise NotSigned(
            Fault.MISMATCH, f"'{name}' must be a header of the request and a 'SignedHeader'."
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
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= _LONGEST_PRESIGNED:
        raise _incomplete(f"X-Amz-Expires is not from 1 to {_LONGEST_PRESIGNED}")
    return int(text)


def _moment(seconds: float) -> str:
    return time.strftime(_TIMESTAMP, time.gmtime(seconds))


def _unknown() -> NotSigned:
    return NotSigned(Fault.UNKNOWN_KEY, "The security token included in the request is invalid.")


def _incomplete(what: str) -> NotSigned:
    return NotSigned(Fault.INCOMPLETE, f"The request's signature is not complete: {what}.")
