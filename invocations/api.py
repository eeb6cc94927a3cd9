"""The operations of calls: call a model, and look at what was called."""

import io
import json
import logging
import re
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from django.contrib.auth.models import User
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router
from ninja.responses import NinjaJSONEncoder
from pydantic import AwareDatetime, Field

from core.api import etags
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import ListParameters, OneOf, Parameters, Schema
from core.aws import CUSTOM_ATTRIBUTES
from core.body_limits import BodyLimit
from core.remembered import Remembered
from core.storable import storable
from endpoints.models import Endpoint
from invocations import (
    answers,
    decoding,
    forgetting,
    narrowing,
    pictures_kept,
    recording,
    services,
)
from invocations.models import Invocation
from invocations.panels import DOING, MAY_INVOKE
from invocations.payload import Payload, prepared
from invocations.pictures import (
    MAX_FILE_BYTES,
    NotAPicture,
    as_it_is,
    file_name,
    prepare,
    too_large,
)
from invocations.runtime import MAX_PAYLOAD_BYTES, Answer
from models_catalog import references
from models_catalog.models import Version

router = Router(tags=["invocations"])
logger = logging.getLogger(__name__)

# The values of Invocation.State; a class called State is another room's, too.
CallState = Annotated[str, OneOf(Invocation.State)]
# BC: sagemaker-runtime, Header: up to 1024 characters. A header's value has no control characters.
_HEADER = re.compile(r"[\x20-\x7e]{1,1024}")
_DEFAULT_TYPE = "application/octet-stream"
_THROTTLED_S = "5"
# Of calls of a release before, and of payloads that are no pictures.
_UNTOLD = dict.fromkeys(("content_type", "width", "height", "turned"))
# What is called, by what names it for good; as the tokens, it is looked up once a second.
_ENDPOINTS: Remembered[str, Endpoint] = Remembered()
_VERSIONS: Remembered[tuple[object, ...], Version] = Remembered()


class PredictionOut(Schema):
    """A label, and how probable the model holds it."""

    label: str
    probability: float


class TimingsOut(Schema):
    """Where the time of a call went, in ms; null where the container does not say."""

    portal_ms: float | None = Field(description="From the call's begin to its end, less SageMaker.")
    sagemaker_ms: float | None = Field(description="The call of SageMaker, the container included.")
    load_ms: float | None = Field(description="Loading the model, as the container last did it.")
    ready_ms: float | None = Field(
        description="Of a cold call: from the container's order to load it until it could be "
        "called; `load_ms` is a part of it."
    )
    fetch_ms: float | None = Field(
        description="Of a cold call: about how long its archive was fetched and unpacked: what it "
        "took longer than the load and the usual network of warm calls of the endpoint. null: "
        "not cold, or none of these is known."
    )
    decode_ms: float | None
    infer_ms: float | None


class SentPictureOut(Schema):
    """What was sent."""

    name: str
    sha256: str
    size: int = Field(description="Bytes, as they were sent to the model.")
    content_type: str | None = Field(description="As what it was sent; null: it is not known.")
    width: int | None = Field(description="Pixels, as it was sent.")
    height: int | None
    turned: bool | None = Field(
        description="It is rotated upright, as its EXIF says: by the portal where that re-encoded "
        "it, else by the container."
    )


class InvocationOut(Schema):
    """A call of a model."""

    id: str
    endpoint: str
    model: str
    number: int
    asked: str = Field(description="What was named, `digits@live`; empty: the target model.")
    target_model: str
    variant: str = Field(description="Which of the endpoint's answered; empty: none has.")
    asked_variant: str = Field(description="Which was named; empty: SageMaker was to choose.")
    state: CallState
    cold: bool | None = Field(description="null: the container does not say, or has not answered.")
    put_out: list[str] = Field(
        description="Target models that were unloaded so that this one had room; a name that "
        "SageMaker gave where nobody had called it. Of a cold call, as far as the container says."
    )
    put_out_count: int = Field(description="How many were; their names may be too long to be told.")
    warming: bool = Field(description="Made to load the model, not for its answer: no traffic.")
    predictions: list[PredictionOut] = Field(description="Best first, five at most.")
    request_id: str = Field(description="SageMaker's own; empty where it did not answer.")
    created_at: datetime
    created_by: str | None
    latency_ms: float | None = Field(description="From the first call to the answer.")
    timings: TimingsOut
    picture: SentPictureOut | None
    error: str | None = Field(description="What went wrong, in the reader's language.")
    error_code: str | None = Field(
        description="The code of the problem that it was, or `interrupted`; null: of calls that a "
        "release before has made."
    )


class ForgottenOut(Schema):
    """What was forgotten."""

    calls: int = Field(description="So many calls name the picture no more.")
    others: bool = Field(description="Somebody else has sent the same picture: theirs stays.")
    in_test_set: bool = Field(description="A copy in a test set stays.")


class CallParameters(Parameters):
    """What to call: a version, or the key of its archive."""

    model: str = Field(
        "", max_length=200, description="`digits:2`, `digits@production`, or `digits`."
    )
    target: str = Field("", max_length=1024, description="A target model, in place of `model`.")
    name: str = Field("", max_length=200, description="A name for the picture, for the lists.")
    variant: str = Field(
        "", max_length=63,
        description="Which of the endpoint's is to answer; empty: SageMaker chooses by weight.",
    )  # fmt: skip


class InvocationParameters(ListParameters):
    """Which calls."""

    endpoint: str = Field("", max_length=63)
    model: str = Field(
        "",
        max_length=200,
        description="`digits`, `digits:2`, or `digits@live`: calls for which this was named.",
    )
    state: CallState | None = None
    cold: bool | None = None
    label: str = Field("", max_length=200, description="A text in the first label.")
    slower_than_ms: float | None = Field(None, ge=0, description="Took at least so long.")
    by: str = Field("", max_length=150, description="Who called; `me`: who asks.")
    since: AwareDatetime | None = Field(None, description="Made then or later.")
    until: AwareDatetime | None = Field(None, description="Made before then.")


_TAKES = BodyLimit(
    megabytes=lambda: MAX_FILE_BYTES >> 20,
    too_large=lambda: too_large(_("The picture")),
    at_once=16,
    permission=MAY_INVOKE,
    doing=DOING,
)
# untranslated: OpenAPI is in English
_BODY = "A picture, or whatever the model takes; its content type is handed on."


@operation(
    router, "POST", "/endpoints/{name}/invocations", id="invocations_create", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={200: InvocationOut},
    problems=(409, 502, 504, 507), takes=_TAKES, counts_as_change=False,
    extra={
        "requestBody": {
            "required": True,
            "description": _BODY,
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)  # fmt: skip
def call(request: HttpRequest, name: str, query: Query[CallParameters]) -> Any:
    """Call a model with the body, and wait for its answer.

    With `Accept: application/json`, or none, the answer is this document. With any other Accept
    it is the container's own bytes: `*/*` asks the container for JSON, all else is handed on to
    it. A picture of more than 6 MB, which SageMaker does not take, or in a format that containers
    may not read is scaled down or re-encoded first, as on the page. A model that is not loaded is
    waited for. `Server-Timing` says where the time went. The header
    `X-Amzn-SageMaker-Custom-Attributes` is handed on to the container, and with its own bytes that
    of its answer.

    An answer of more than 64 KB is not kept for a repetition with the same Idempotency-Key: that
    calls the model again.
    """
    endpoint = _endpoint(name)
    version, asked = _version(endpoint, query)
    accept = request.headers.get("Accept", answers.JSON).strip() or answers.JSON
    own = accept != answers.JSON
    payload = _payload(request, query.name)
    accepted = answers.JSON if accept == "*/*" else _header_value("Accept", accept)
    attributes = request.headers.get(CUSTOM_ATTRIBUTES, "")
    row, answered = _called(
        request,
        endpoint,
        version,
        payload,
        asked=asked,
        accept=accepted,
        own_bytes=own,
        variant=query.variant,
        custom_attributes=_header_value(CUSTOM_ATTRIBUTES, attributes) if attributes else "",
    )
    if not own:
        return _as_json(_shown(row, _network_ms(row)))
    # The header against sniffing is on every answer of the portal.
    answer = HttpResponse(answered.body, content_type=answered.content_type or _DEFAULT_TYPE)
    # A container may answer a page. In a browser it must not run as one of the portal.
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if answered.custom_attributes:
        answer.headers[CUSTOM_ATTRIBUTES] = answered.custom_attributes
    return answer


@operation(
    router, "GET", "/invocations", id="invocations_list", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING,
    response={200: Page[InvocationOut]},
)  # fmt: skip
def list_invocations(request: HttpRequest, query: Query[InvocationParameters]) -> Any:
    """The calls of all people, the latest first; of a caller who may not see these, one's own."""
    recording.recorder().settle()
    rows = Invocation.objects.listed().exclude(uid=None)
    if query.endpoint:
        rows = rows.filter(endpoint__name=query.endpoint)
    if query.model:
        model, _colon, number = query.model.partition(":")
        if "@" in model:
            rows = rows.filter(asked=query.model)
        else:
            rows = rows.filter(version__model__name=model)
        if number:
            rows = rows.filter(version__number=_number(number))
    if query.state is not None:
        rows = rows.filter(state=query.state)
    if query.cold is not None:
        rows = rows.filter(cold=query.cold)
    if query.label:
        rows = narrowing.of_label(rows, query.label)
    if query.slower_than_ms is not None:
        rows = narrowing.slower_than(rows, query.slower_than_ms)
    if query.by == "me":
        rows = rows.filter(created_by=_user(request))
    elif query.by:
        rows = rows.filter(created_by__username=query.by)
    if query.since is not None:
        rows = rows.filter(created_at__gte=query.since)
    if query.until is not None:
        rows = rows.filter(created_at__lt=query.until)
    found = page(request, rows, query, order=("-pk",))
    networks = Invocation.everybodys.usual_networks(found["items"])
    return {**found, "items": [_shown(row, networks.get(row.uid)) for row in found["items"]]}


@operation(
    router, "GET", "/invocations/{id}", id="invocations_get", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING,
    response={200: InvocationOut}, etag=True,
)  # fmt: skip
def get(request: HttpRequest, id: str) -> Any:
    """One call: its answer, or how far it is."""
    row = _row(id)
    shown = _shown(row, _network_ms(row))
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "GET", "/invocations/{id}/picture", id="invocations_picture", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: bytes},
    extra={
        "responses": {
            200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
        }
    },
)  # fmt: skip
def picture(request: HttpRequest, id: str) -> Any:
    """What was sent, as a JPEG: 480 pixels while the picture is kept; then 192, for a week.

    Nothing is left then of what nobody has looked at. PICTURES_KEPT_HOURS (24) and
    THUMBNAILS_KEPT_DAYS (7) of the portal say how long.
    """
    row = _row(id)
    data = pictures_kept.preview_of(row.picture_sha256) or pictures_kept.thumbnail_of(row)
    if not data:
        raise Problem("not-found", _("This call has no picture."))
    return HttpResponse(data, content_type="image/jpeg")


@operation(
    router, "DELETE", "/invocations/{id}/picture", id="invocations_forget_picture",
    scope=Scope.INVOKE, permission=MAY_INVOKE, doing=DOING, response={200: ForgottenOut},
    problems=(403, 409),
)  # fmt: skip
def forget_picture(request: HttpRequest, id: str) -> Any:
    """Delete what was sent now: the picture, its thumbnail and its name. The answer stays.

    All calls of the caller with the same picture forget it; for a caller who may redact,
    everybody's. It may be asked for again.
    """
    row = _row(id)
    try:
        return forgetting.forget(call=row, actor=_user(request))
    except forgetting.NotForgotten as refused:
        code = "not-allowed" if row.settled else "conflict"
        raise Problem(code, str(refused)) from None


@operation(
    router, "POST", "/invocations/{id}/repeat", id="invocations_repeat", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={200: InvocationOut},
    problems=(409, 502, 504, 507), counts_as_change=False,
)  # fmt: skip
def repeat(request: HttpRequest, id: str) -> Any:
    """Call once more what was called, with the same picture, and wait for the answer.

    A variant that was named is named again. An alias is looked up anew: it may mean another
    version now. The picture is there for PICTURES_KEPT_HOURS after it was last sent.
    """
    row = _row(id)
    picture = pictures_kept.find(row.picture_sha256) if row.picture_sha256 else None
    if picture is None:
        said = _("The picture of this call is no longer kept. Nothing was called. Send it again.")
        raise Problem("not-found", said)
    query = CallParameters(
        model=row.named, target="", name=row.picture_name[:200], variant=row.asked_variant
    )
    version, asked = _version(row.endpoint, query)
    payload = replace(pictures_kept.payload_of(picture), name=row.picture_name)
    made, _answered = _called(
        request, row.endpoint, version, payload, asked=asked, variant=row.asked_variant
    )
    return _as_json(_shown(made, _network_ms(made)))


def _called(
    request: HttpRequest,
    endpoint: Endpoint,
    version: Version,
    payload: Payload,
    *,
    asked: str,
    accept: str = answers.JSON,
    own_bytes: bool = False,
    variant: str = "",
    custom_attributes: str = "",
) -> tuple[Invocation, Answer]:
    """Call, with what the headers of the answer say of it. Raises Problem."""
    try:
        row, outcome = services.call(
            endpoint=endpoint,
            version=version,
            payload=payload,
            actor=_user(request),
            accept=accept,
            own_bytes=own_bytes,
            asked=asked,
            variant=variant,
            custom_attributes=custom_attributes,
        )
    except services.CallRefused as refused:
        retry = {"Retry-After": _THROTTLED_S} if refused.code == "too-many-calls" else {}
        raise Problem(refused.code, str(refused), headers=retry) from None
    if outcome.error is not None or outcome.answer is None:
        raise _problem(row, outcome.error)
    set_header(request, "Server-Timing", _server_timing(row.times(None)))
    set_header(request, "MME-Invocation", str(row.uid))
    return row, outcome.answer


def _user(request: HttpRequest) -> User:
    user: User = request.caller.user  # type: ignore[attr-defined]
    return user


def _endpoint(name: str) -> Endpoint:
    """The endpoint of this name that is not gone, as it was a second ago at most."""
    found = _ENDPOINTS.get(name, lambda: Endpoint.objects.filter(gone_at=None, name=name).first())
    if found is None:
        said = _("There is no endpoint %(name)s. Nothing was called.") % {"name": name}
        raise Problem("not-found", said)
    return found


def _version(endpoint: Endpoint, query: CallParameters) -> tuple[Version, str]:
    """The version that is meant, and the reference that named it.

    One that is named for good is as it was a second ago at most. What may mean another one in a
    moment (``digits@live``, ``digits`` alone) is looked up at each call.
    """
    if bool(query.model) == bool(query.target):
        raise Problem("invalid", errors={"model": [_("Name one of the two: model or target.")]})
    asked = ""
    if query.target:
        rows = Version.objects.select_related("model").defer("report", "model__description")
        rows = rows.filter(bucket=endpoint.bucket, prefix=endpoint.prefix)
        key = f"{endpoint.prefix}/{query.target}" if endpoint.prefix else query.target
        named = rows.filter(key=key).order_by("-pk")
        found = _VERSIONS.get((endpoint.bucket, endpoint.prefix, query.target), named.first)
    else:
        try:
            reference = references.parse(query.model)
        except references.Malformed as problem:
            raise Problem("invalid", errors={"model": [str(problem)]}) from None
        asked = str(reference)
        if reference.number is None:
            found = reference.resolve()
        else:
            found = _VERSIONS.get((reference.model, reference.number), reference.resolve)
    if found is None:
        said = _("There is no version %(name)s that can be called. Nothing was called.")
        raise Problem("not-found", said % {"name": query.model or query.target})
    return found, asked


def _payload(request: HttpRequest, name: str) -> Payload:
    """What to send: a picture is kept as on the page, anything else as it is."""
    data = request.body
    given = request.headers.get("Content-Type", "") or _DEFAULT_TYPE
    content_type = _header_value("Content-Type", given)
    if not data:
        raise Problem("invalid", errors={"body": [_("The body is empty. Send a picture.")]})
    try:
        kept = as_it_is(data)
    except (decoding.NoPicture, decoding.Unreadable):
        pass  # the model itself says whether it can take it
    else:
        if kept is not None:
            # Without its parameters, in which a caller may say anything.
            told = replace(kept, content_type=content_type.partition(";")[0].strip()[:100])
            return Payload(file_name(name), content_type, data, kept.content_type, sent_as=told)
        try:
            return prepared(prepare(io.BytesIO(data), name))
        except NotAPicture as problem:
            if len(data) > MAX_PAYLOAD_BYTES:
                raise Problem("model-refused", str(problem)) from None
    if len(data) > MAX_PAYLOAD_BYTES:
        said = _("A payload that is no picture may have %(most)s bytes. Nothing was called.")
        raise Problem("too-large", said % {"most": f"{MAX_PAYLOAD_BYTES:,}"})
    return Payload(storable(name), content_type, data)


def _header_value(header: str, value: str) -> str:
    if _HEADER.fullmatch(value) is None:
        said = _("It may have 1024 printable characters of ASCII.")
        raise Problem("invalid", errors={header: [said]})
    return value


def _problem(row: Invocation, error: Exception | None) -> Problem:
    """What went wrong, in the words of the call's row, which stays."""
    said = str(row.said or "")
    headers = {"MME-Invocation": str(row.uid)}
    code = services.code_of(error)
    if code == "unavailable":
        headers["Retry-After"] = _THROTTLED_S
    return Problem(code, said, headers=headers)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _row(id: str) -> Invocation:
    found = recording.find(id)
    if found is None:
        raise Problem("not-found", _("There is no call %(id)s.") % {"id": id})
    return found


def _network_ms(row: Invocation) -> float | None:
    """The usual network of warm calls, for a cold one; None also where the database is away.

    The call was made, and its answer is given all the same.
    """
    try:
        return Invocation.everybodys.usual_networks([row]).get(row.uid)
    except DatabaseError as error:
        logger.warning("How long the archive of a cold call was fetched is not told: %s", error)
        return None


def _shown(row: Invocation, network_ms: float | None) -> dict[str, Any]:
    sent = None
    if row.picture_sha256:
        sent = {
            "name": row.picture_name,
            "sha256": row.picture_sha256,
            "size": row.sent_bytes,
            **(row.sent_as or _UNTOLD),
        }
    said = row.said
    return {
        "id": row.uid,
        "endpoint": row.endpoint.name,
        "model": row.version.model.name,
        "number": row.version.number,
        "asked": row.asked,
        "target_model": row.target_model,
        "variant": row.variant,
        "asked_variant": row.asked_variant,
        "state": row.state,
        "cold": row.cold,
        "put_out": row.put_out["names"] if row.put_out else [],
        "put_out_count": row.put_out["count"] if row.put_out else 0,
        "warming": row.warming,
        "predictions": row.predictions,
        "request_id": row.request_id,
        "created_at": row.created_at,
        "created_by": row.created_by.get_username() if row.created_by else None,
        "latency_ms": row.latency_ms,
        "timings": row.times(network_ms),
        "picture": sent,
        "error": None if said is None else str(said),
        "error_code": None if said is None else said.stable_code,
    }


def _as_json(shown: dict[str, Any]) -> HttpResponse:
    """As ninja writes it by `InvocationOut`, which takes as long as a row; a test compares them."""
    text = json.dumps(shown, cls=NinjaJSONEncoder)
    return HttpResponse(text, content_type="application/json; charset=utf-8")


def _server_timing(timings: dict[str, float | None]) -> str:
    """As the header has it (W3C, Server Timing): ``sagemaker;dur=5.2, infer;dur=2.0``."""
    return ", ".join(
        f"{name.removesuffix('_ms')};dur={ms:.2f}" for name, ms in timings.items() if ms is not None
    )
