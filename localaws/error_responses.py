"""Error responses in the protocol of the caller.

The protocol is detected from the request: JSON by ``X-Amz-Target``, CBOR by ``Smithy-Protocol``,
query services by their forms; S3, EC2, Route 53 and CloudFront have XML formats of their own; all
others are REST with JSON. The statuses are AWS's: 400 from JSON services, 403 from the rest.
"""

import json
from collections.abc import Sequence
from xml.sax.saxutils import escape

from .aws_errors import AwsError
from .signature import S3_SERVICES, Request, SignatureError, SignatureFault

HttpResponse = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, body."""

_S3_CODES = {
    SignatureFault.MISSING: "AccessDenied",
    SignatureFault.UNKNOWN_KEY: "InvalidAccessKeyId",
    SignatureFault.EXPIRED: "ExpiredToken",
}
_REST_XML = ("route53", "cloudfront")
_NAMESPACES = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "monitoring": "http://monitoring.amazonaws.com/doc/2010-08-01/",
}


def not_signed(
    error: SignatureError, request: Request, service: str, request_id: str
) -> HttpResponse:
    """The response to a request whose signature is missing or wrong."""
    json_code, query_code = error.fault.value
    protocol = protocol_of(request, service)
    code = json_code
    if protocol in ("query", "ec2"):
        code = query_code
    elif protocol == "s3":
        code = _S3_CODES.get(error.fault, query_code)
    status = (
        400 if protocol in ("json", "cbor") or error.fault is SignatureFault.INCOMPLETE else 403
    )
    return _answer(protocol, status, code, error.message, service, request_id)


def too_large(limit: int, request: Request, service: str, request_id: str) -> HttpResponse:
    """The body has more than ``limit`` bytes."""
    protocol = protocol_of(request, service)
    code = "RequestEntityTooLarge"
    if protocol in ("json", "cbor", "rest-json"):
        code += "Exception"
    message = f"The body of the request is longer than {limit} bytes."
    return _answer(protocol, 413, code, message, service, request_id)


def not_offered(message: str, request: Request, service: str, request_id: str) -> HttpResponse:
    """localaws has no such operation: AWS's code for an unknown operation."""
    protocol = protocol_of(request, service)
    status, code = 400, "UnknownOperationException"
    if protocol in ("query", "ec2", "rest-xml"):
        code = "InvalidAction"
    elif protocol == "s3":
        status, code = 501, "NotImplemented"
    elif protocol == "rest-json":
        status = 404
    return _answer(protocol, status, code, message, service, request_id, request)


def failed(message: str, request: Request, service: str, request_id: str) -> HttpResponse:
    """An internal error of localaws or moto."""
    protocol = protocol_of(request, service)
    code = "InternalError" if protocol == "s3" else "InternalFailure"
    return _answer(protocol, 500, code, message, service, request_id, request)


def runtime_refusal(error: AwsError, request_id: str) -> HttpResponse:
    """An error as SageMaker's runtime sends it."""
    headers = [("x-amzn-RequestId", request_id), ("Content-Type", "application/json")]
    if not error.code.isdigit():
        headers.append(("x-amzn-ErrorType", error.code))
    return error.status, headers, json.dumps({"Message": error.message} | error.fields).encode()


def plain(status: int, message: str) -> HttpResponse:
    """An error response that AWS does not have."""
    return status, [("Content-Type", "application/json")], json.dumps({"message": message}).encode()


def protocol_of(request: Request, service: str) -> str:
    if request.header("smithy-protocol") == "rpc-v2-cbor":
        return "cbor"
    if request.header("x-amz-target"):
        return "json"
    if service in S3_SERVICES:
        return "s3"
    if service in ("ec2", *_REST_XML):
        return "ec2" if service == "ec2" else "rest-xml"
    form = (request.header("content-type") or "").startswith("application/x-www-form-urlencoded")
    path, _, query = request.target.partition("?")
    return "query" if "Action=" in query or (form and path == "/") else "rest-json"


def _answer(
    protocol: str,
    status: int,
    code: str,
    message: str,
    service: str,
    request_id: str,
    request: Request | None = None,
) -> HttpResponse:
    identified = [("x-amzn-RequestId", request_id)]
    if protocol in ("query", "ec2", "s3", "rest-xml"):
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        if protocol == "s3":
            text = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
        elif protocol == "ec2":
            text = (
                f"<Response><Errors><Error>{error}</Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            )
        else:
            space = _NAMESPACES.get(service, f"https://{escape(service)}.amazonaws.com/doc/")
            text = (
                f'<ErrorResponse xmlns="{space}"><Error><Type>Sender</Type>{error}</Error>'
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
        return status, [*identified, ("Content-Type", "text/xml")], body
    if protocol == "cbor":
        headers = [("Content-Type", "application/cbor"), ("Smithy-Protocol", "rpc-v2-cbor")]
        return status, identified + headers, _cbor(("__type", code), ("message", message))
    if protocol == "json":
        body = json.dumps({"__type": code, "message": message}).encode()
        asked = (request.header("content-type") if request else None) or ""
        version = "1.0" if asked.startswith("application/x-amz-json-1.0") else "1.1"
        headers = [*identified, ("Content-Type", f"application/x-amz-json-{version}")]
        if request and request.header("x-amzn-query-mode"):  # SQS, which was a query service before
            headers.append(("x-amzn-query-error", f"{code};Sender"))
        return status, headers, body
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
    return status, identified + headers, json.dumps({"message": message}).encode()


def _cbor(*members: tuple[str, str]) -> bytes:
    """A CBOR map of strings (RFC 8949, major types 5 and 3)."""
    return bytes([0xA0 | len(members)]) + b"".join(map(_text, _flat(members)))


def _flat(members: Sequence[tuple[str, str]]) -> list[str]:
    return [word for member in members for word in member]


def _text(text: str) -> bytes:
    data = text.encode()
    return b"\x79" + len(data).to_bytes(2, "big") + data
