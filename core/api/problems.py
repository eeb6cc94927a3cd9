"""The refusals and failures of the API: RFC 9457, ``application/problem+json``.

``type`` leads to a page of the portal, ``/problems/CODE``; CODE is stable, sentences are not. The
sentences are in the language of Accept-Language.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    ValidationError,
)
from django.http import Http404, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from ninja.errors import HttpError
from ninja.errors import ValidationError as InputError

from core import errors, request_id
from core.api.sentences import of_input_error
from core.shortage import shortage

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem: its status, its title, and what a client should do."""

    status: int
    title: Promise
    todo: Promise


CODES: dict[str, ProblemKind] = {
    "bad-request": ProblemKind(
        400, _("Malformed request"), _("Fix the request; a retry alone does not help.")
    ),
    "malformed-json": ProblemKind(
        400, _("The body is no JSON"), _("Send a JSON document, or none where none is taken.")
    ),
    "not-authenticated": ProblemKind(
        401, _("Log in first"), _("Send a token: `Authorization: Bearer mme_…`.")
    ),
    "not-allowed": ProblemKind(
        403,
        _("Not allowed"),
        _("Your role does not allow this. Ask an admin for another role."),
    ),
    "scope-missing": ProblemKind(
        403,
        _("The token lacks a scope"),
        _("Make a token with the scope that the sentence names."),
    ),
    "csrf": ProblemKind(
        403,
        _("The CSRF token is missing or old"),
        _("Programs send a token and no cookie; pages send the header X-CSRFToken."),
    ),
    "not-found": ProblemKind(404, _("Not found"), _("Look at the address, and the list above it.")),
    "method-not-allowed": ProblemKind(
        405, _("Method not allowed"), _("The header Allow names the methods of this address.")
    ),
    "not-acceptable": ProblemKind(
        406, _("Not offered in this form"), _("Accept application/json, or send no Accept.")
    ),
    "conflict": ProblemKind(
        409,
        _("Not possible in this state"),
        _("Read the thing again; try when its state allows it."),
    ),
    "changed-meanwhile": ProblemKind(
        412,
        _("Changed meanwhile"),
        _("Read it again, decide again, and send the new ETag in If-Match."),
    ),
    "too-large": ProblemKind(413, _("Too large"), _("Send less; the sentence names the most.")),
    "unsupported-media-type": ProblemKind(
        415, _("Content type not taken"), _("Send the content type that the sentence names.")
    ),
    "invalid": ProblemKind(
        422,
        _("Some values are not valid"),
        _(
            "Nothing was changed. `errors` names each field or parameter, and what is wrong with "
            "it."
        ),
    ),
    "internal": ProblemKind(
        500,
        _("The portal failed"),
        _("It is a fault of the portal. The log has the request's id. Try again later."),
    ),
    "aws-denied": ProblemKind(
        502,
        _("AWS denied the call"),
        _("The sentence says what the portal's role lacks; an admin can grant it."),
    ),
    "aws-failed": ProblemKind(
        502, _("AWS refused the call"), _("AWS's own words are in the sentence; an admin decides.")
    ),
    "unavailable": ProblemKind(
        503, _("Not just now"), _("Try again after the seconds that Retry-After names.")
    ),
    "no-space": ProblemKind(
        507, _("No room left"), _("Ask an admin to make room. Then try again.")
    ),
    "over-quota": ProblemKind(
        507,
        _("A quota would be passed"),
        _("Nothing was kept. Delete what nobody needs, or ask an admin for a larger quota."),
    ),
    "bad-token": ProblemKind(
        401,
        _("There is no such token"),
        _("Look for a typing error or a missing end, or make a new token on the page Tokens."),
    ),
    "token-expired": ProblemKind(
        401, _("The token has expired"), _("Make a new token on the page Tokens.")
    ),
    "token-revoked": ProblemKind(
        401,
        _("The token was revoked"),
        _("Its owner or an admin did it, or the owner got a new password. Make a new token."),
    ),
    "token-in-address": ProblemKind(
        400,
        _("There is a token in the address"),
        _(
            "Addresses are kept in logs and histories: revoke this token, make a new one, and send "
            "it in the header Authorization."
        ),
    ),
    "too-many-wrong-tokens": ProblemKind(
        429,
        _("Too many wrong tokens from your address"),
        _("Wait for the seconds that Retry-After names. Tokens that are right still count."),
    ),
    "bad-key": ProblemKind(
        400,
        _("The Idempotency-Key is not valid"),
        _("Send 1 to 255 visible ASCII characters, such as a UUID, or leave the header out."),
    ),
    "digest-mismatch": ProblemKind(
        422,
        _("The body has another digest"),
        _("Nothing was kept. Send the body again; the sentence names both digests."),
    ),
    "key-reused": ProblemKind(
        422,
        _("The Idempotency-Key was used for another request"),
        _("Nothing was changed. Send a new key with a new request."),
    ),
    "repeat-in-progress": ProblemKind(
        409,
        _("The same request is under way"),
        _("Send it again, with the same key, after the seconds that Retry-After names."),
    ),
    "secret-shown-once": ProblemKind(
        409,
        _("The secret was shown once"),
        _("Nothing was made now. If you lost it, revoke what was made, and use a new key."),
    ),
    "too-many-requests": ProblemKind(
        429,
        _("Too many requests"),
        _("Nothing was changed. Wait for the seconds that Retry-After names."),
    ),
    "address-too-long": ProblemKind(
        414, _("The address is too long"), _("Send a request line of at most 8 KB.")
    ),
    "headers-too-large": ProblemKind(
        431, _("The headers are too large"), _("Send headers of at most 32 KB in all.")
    ),
    "endpoint-not-in-service": ProblemKind(
        409, _("The endpoint is not in service"), _("Wait until it is, or choose another one.")
    ),
    "model-not-ready": ProblemKind(
        409, _("The version is not ready"), _("Wait for its validation, or choose another one.")
    ),
    "model-not-served": ProblemKind(
        409,
        _("The endpoint has another store"),
        _("Call it on an endpoint that serves this store."),
    ),
    "model-refused": ProblemKind(
        422,
        _("The model cannot take this payload"),
        _("Send what the model was made for; the container's words are in the sentence."),
    ),
    "model-failed": ProblemKind(
        502,
        _("The model failed"),
        _("The container's words are in the sentence; the endpoint's log says more."),
    ),
    "model-loading": ProblemKind(
        504, _("The model is still loading"), _("Send the same call again in a minute.")
    ),
    "too-many-calls": ProblemKind(
        503, _("Too many calls are waiting"), _("Try again in a moment.")
    ),
    "tus-version": ProblemKind(
        412,
        _("Another version of tus"),
        _("Send Tus-Resumable: 1.0.0. The header Tus-Version names what is spoken here."),
    ),
    "wrong-offset": ProblemKind(
        409,
        _("The upload goes on elsewhere"),
        _("Ask with HEAD for its Upload-Offset, and send from there on."),
    ),
    "upload-locked": ProblemKind(
        423,
        _("Another request works on the upload"),
        _("Wait for some seconds, ask with HEAD for its Upload-Offset, and send from there on."),
    ),
    "upload-expired": ProblemKind(
        410,
        _("The upload has expired"),
        _("An upload is kept for a day. Nothing of it is kept now; begin a new one."),
    ),
    "checksum-mismatch": ProblemKind(
        460,
        _("The bytes have another checksum"),
        _("None of these bytes was kept. Send them again."),
    ),
}

#: What is said of an answer that is no problem yet, as Django itself gave it.
_BY_STATUS = {
    400: "bad-request",
    401: "not-authenticated",
    403: "not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    412: "changed-meanwhile",
    413: "too-large",
    414: "address-too-long",
    415: "unsupported-media-type",
    422: "invalid",
    429: "too-many-requests",
    431: "headers-too-large",
    500: "internal",
    503: "unavailable",
    507: "no-space",
}

Errors = Mapping[str, Sequence[str]]


@dataclass
class Problem(Exception):
    """A refusal: a code of CODES, what happened, and sentences by field."""

    code: str
    detail: str = ""
    errors: Errors | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a code that has no line in CODES."""
        if self.code not in CODES:
            raise ValueError(f"{self.code!r} is not in core.api.problems.CODES.")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code].status

    def response(self) -> HttpResponse:
        """The answer, in the language of the moment."""
        answer = HttpResponse(
            body(self.code, self.detail, request_id.current(), self.errors),
            status=self.status,
            content_type=CONTENT_TYPE,
            headers=dict(self.headers),
        )
        answer.headers["Content-Language"] = get_language() or "en"
        if self.status == HTTPStatus.UNAUTHORIZED:
            answer.headers.setdefault("WWW-Authenticate", challenge(self.code))
        return answer


def challenge(code: str) -> str:
    """What a 401 has to say of how to log in (RFC 6750, section 3)."""
    if code == "not-authenticated":
        return 'Bearer realm="MME Portal"'
    return 'Bearer realm="MME Portal", error="invalid_token"'


def body(
    code: str, detail: str, instance: str, errors: Errors | None = None, status: int = 0
) -> bytes:
    """The document of a problem; without ``detail`` it says what it is, and what to do.

    ``status``: another than the code's, where Django or the web server chose it.
    """
    kind = CODES[code]
    document: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": str(kind.title),
        "status": status or kind.status,
        "detail": detail or f"{kind.title}. {kind.todo}",
        "instance": instance,
    }
    if errors:
        document["errors"] = {name: [str(one) for one in said] for name, said in errors.items()}
    return json.dumps(document, ensure_ascii=False).encode()


def code_of(status: int) -> str:
    """The code for an answer of which only the status is known."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "bad-request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal"


def of_exception(error: BaseException) -> Problem | None:
    """The problem that an exception is; None for a fault of the portal."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InputError):
        return Problem("invalid", errors=_by_field(error.errors))
    if isinstance(error, ValidationError):
        return of_validation_error(error)
    if isinstance(error, Http404):
        return Problem("not-found")
    if isinstance(error, PermissionDenied):
        return Problem("not-allowed", str(error))
    if isinstance(error, RequestDataTooBig):
        return Problem("too-large")
    if isinstance(error, HttpError) and error.status_code == HTTPStatus.BAD_REQUEST:
        return Problem("malformed-json")  # ninja has no other use for it
    if isinstance(error, BadRequest):
        return Problem("bad-request", str(error))
    if isinstance(error, errors.AwsError) and error.whole:
        return _of_aws(error)
    return _of_shortage(error) or _of_aws(error)


def _of_shortage(error: BaseException) -> Problem | None:
    short = shortage(error)
    if short is None:
        return None
    code = "no-space" if short.status == CODES["no-space"].status else "unavailable"
    todo = gettext("What you sent was not taken. Try again in a moment.")
    return Problem(code, f"{short.what} {todo}", headers={"Retry-After": str(short.retry_after_s)})


def _of_aws(error: BaseException) -> Problem | None:
    if isinstance(error, errors.Throttled):
        return Problem("unavailable", str(error), headers={"Retry-After": "5"})
    if isinstance(error, errors.Denied):
        return Problem("aws-denied", str(error))
    if isinstance(error, errors.AwsError):
        return Problem("aws-failed", str(error))
    return None


def of_validation_error(error: ValidationError) -> Problem:
    """Django's ValidationError: by field, and what is of no field as ``detail``.

    It is a conflict where its codes say so (core.errors.CONFLICT).
    """
    if not hasattr(error, "error_dict"):
        conflict = all(one.code == errors.CONFLICT for one in error.error_list)
        return Problem("conflict" if conflict else "invalid", " ".join(error.messages))
    by_field = {name: list(said) for name, said in error.message_dict.items()}
    found = [one for each in error.error_dict.values() for one in each]
    if all(one.code == errors.CONFLICT for one in found):
        return Problem("conflict", " ".join(error.messages), errors=by_field)
    general = " ".join(by_field.pop(NON_FIELD_ERRORS, []))
    return Problem("invalid", general, errors=by_field or None)


def _by_field(found: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """ninja's list of errors by the name of the field, in sentences of the reader's language."""
    by_field: dict[str, list[str]] = {}
    for one in found:
        _where, *path = one["loc"]
        # ninja puts the name of the function's argument before the names of a body's fields.
        names = [str(part) for part in path]
        if one["loc"][0] == "body" and len(names) > 1:
            names = names[1:]
        by_field.setdefault(".".join(names) or "body", []).append(of_input_error(one))
    return by_field
