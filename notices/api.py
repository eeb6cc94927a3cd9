"""The operations of webhooks: list, make, change, new secret, test, deliveries, send again."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router, Status
from pydantic import Field

from activity.attempts import made_by
from core.api import etags
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page, page_of
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, OneOf, Schema
from core.permissions import actor
from core.sentences import Sentence
from notices import kinds, services
from notices.models import NOTE_LENGTH, URL_LENGTH, Delivery, DeliveryAttempt, Webhook
from notices.services import MAY_MANAGE

router = Router(tags=["webhooks"])

_DOING = gettext_noop("manage webhooks")
DeliveryState = Annotated[str, OneOf(Delivery.State)]


class WebhookKindOut(Schema):
    """Something that webhooks can be told of."""

    name: str = Field(description="`type` of the messages.")
    label: str
    events: list[str] = Field(description="The codes of the events that are of this kind.")


class WebhookOut(Schema):
    """A webhook, without its secret."""

    id: str
    url: str
    note: str
    kinds: list[str]
    models: list[str] = Field(description="Only of these models; empty: of all.")
    language: str = Field(description="Of the sentences in its messages.")
    paused: bool
    paused_by_portal: bool = Field(description="Because its receiver failed for a day.")
    failing_since_at: datetime | None = Field(description="No delivery succeeded since then.")
    old_secret_ends_at: datetime | None = Field(description="Until then the old secret signs, too.")
    created_at: datetime
    created_by: str | None


class WebhookMade(WebhookOut):
    """A webhook, with its secret."""

    secret: str = Field(description="whsec_…; it is shown this once.")


_URL = Field(max_length=URL_LENGTH, description="https://…; it is sent a POST with JSON.")
_KINDS = "Names of GET /webhooks/kinds."
_LANGUAGE = "en or ko."  # untranslated: OpenAPI is in English
_MODELS = "Names of models; empty: all."  # untranslated: likewise


class WebhookIn(Input):
    """What webhook to make."""

    url: str = _URL
    kinds: list[str] = Field(max_length=100, description=_KINDS)
    models: list[str] = Field([], max_length=services.MOST_MODELS, description=_MODELS)
    note: str = Field("", max_length=NOTE_LENGTH, description="By which you know it again.")
    language: str = Field("en", max_length=10, description=_LANGUAGE)


class WebhookChange(Input):
    """What to change of a webhook; what is left out stays."""

    url: str | None = Field(None, max_length=URL_LENGTH)
    kinds: list[str] | None = Field(None, max_length=100, description=_KINDS)
    models: list[str] | None = Field(None, max_length=services.MOST_MODELS, description=_MODELS)
    note: str | None = Field(None, max_length=NOTE_LENGTH)
    language: str | None = Field(None, max_length=10, description=_LANGUAGE)
    paused: bool | None = Field(None, description="What happens in a pause is not told later.")


class RotateIn(Input):
    """How the old secret ends."""

    at_once: bool = Field(False, description="It no longer counts; else for 24 hours.")


class DeliveryAttemptOut(Schema):
    """One attempt, and what the receiver answered."""

    at: datetime
    ms: int
    http_status: int | None = Field(description="null: there was no answer.")
    answer: str = Field(description="The first 1,024 bytes of the answer's body.")
    problem: str = Field(description="Why it failed; empty: it did not.")


class DeliveryOut(Schema):
    """One message of a webhook."""

    id: str = Field(description="The header webhook-id, the same in each attempt.")
    kind: str = Field(description="`type` of the message.")
    event: str = Field(description="The id of its event.")
    sentence: str = Field(description="What happened, in the reader's language.")
    model: str | None
    state: DeliveryState
    created_at: datetime
    settled_at: datetime | None
    next_attempt_at: datetime | None
    attempts: list[DeliveryAttemptOut]


class DeliveryParameters(ListParameters):
    """Which deliveries."""

    state: DeliveryState | None = None
    kind: str = Field(
        "", max_length=60, pattern=r"^[a-z._]*$", description="`type` of the messages."
    )


class _WebhookProblems:
    """Turns what the services raise into problems."""

    def __init__(self, id: str) -> None:
        self._id = id

    def __enter__(self) -> None:
        """Nothing is to be done first."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, services.WebhookGone):
            said = _("There is no such webhook or delivery: %(id)s.") % {"id": self._id}
            raise Problem("not-found", said) from None


@operation(
    router, "GET", "/webhooks/kinds", id="webhooks_kinds", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: Page[WebhookKindOut]},
)  # fmt: skip
def list_kinds(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """What webhooks can be told of, by name."""
    found = page_of(request, kinds.all_kinds(), query, key=lambda one: [one.name])
    items = [
        {"name": one.name, "label": str(one.label), "events": list(one.codes)}
        for one in found["items"]
    ]
    return {**found, "items": items}


@operation(
    router, "GET", "/webhooks", id="webhooks_list", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: Page[WebhookOut]},
)  # fmt: skip
def list_webhooks(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """The webhooks, in the order in which they were made."""
    found = page(request, Webhook.objects.all(), query, order=("pk",))
    return {**found, "items": [_shown(one) for one in found["items"]]}


def _made_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """That an attempt made a webhook whose secret nobody saw (core/api/idempotency.py)."""
    return None if made_by(attempt, "webhook.made") is None else HttpResponse(status=201)


def _rotated_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """That an attempt made a secret that nobody saw."""
    made = [made_by(attempt, code) for code in ("webhook.rotated", "webhook.rotated_at_once")]
    return None if made == [None, None] else HttpResponse(status=200)


@operation(
    router, "POST", "/webhooks", id="webhooks_create", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={201: WebhookMade}, problems=(409,),
    secret=True, resume=_made_before,
)  # fmt: skip
def make(request: HttpRequest, body: WebhookIn) -> Any:
    """Make a webhook. Its secret is in this answer alone."""
    webhook, secret = services.make(**body.dict(), actor=actor(request))
    set_header(request, "Location", f"{request.path}/{webhook.uid}")
    return Status(201, {**_shown(webhook), "secret": secret})


@operation(
    router, "GET", "/webhooks/{id}", id="webhooks_get", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: WebhookOut}, etag=True,
)  # fmt: skip
def get(request: HttpRequest, id: str) -> Any:
    """One webhook; its ETag is what If-Match takes."""
    with _WebhookProblems(id):
        return _tagged(request, services.get(id))


@operation(
    router, "PATCH", "/webhooks/{id}", id="webhooks_change", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: WebhookOut}, etag=True,
)  # fmt: skip
def change(request: HttpRequest, id: str, body: WebhookChange) -> Any:
    """Change a webhook, pause or resume it; what is left out stays.

    With If-Match it is changed only where it still is as it was read.
    """
    fields = body.dict(exclude={"paused"})
    with _WebhookProblems(id):
        found = services.change(
            uid=id,
            change=services.Change(**fields),
            paused=body.paused,
            actor=actor(request),
            check=_matches(request),
        )
    return _tagged(request, found)


@operation(
    router, "DELETE", "/webhooks/{id}", id="webhooks_delete", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={204: None}, etag=True,
)  # fmt: skip
def delete(request: HttpRequest, id: str) -> Any:
    """Remove a webhook with its deliveries."""
    with _WebhookProblems(id):
        services.remove(uid=id, actor=actor(request), check=_matches(request))
    return Status(204, None)


@operation(
    router, "POST", "/webhooks/{id}/rotate", id="webhooks_rotate", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: WebhookMade},
    secret=True, resume=_rotated_before,
)  # fmt: skip
def rotate(request: HttpRequest, id: str, body: RotateIn) -> Any:
    """Make a new secret, which is in this answer alone.

    For 24 hours messages are signed with the old one, too, unless `at_once` ends it.
    """
    with _WebhookProblems(id):
        found, secret = services.rotate(uid=id, at_once=body.at_once, actor=actor(request))
    return {**_shown(found), "secret": secret}


@operation(
    router, "POST", "/webhooks/{id}/test", id="webhooks_test", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: DeliveryOut},
)  # fmt: skip
def test(request: HttpRequest, id: str) -> Any:
    """Send a test now, and answer with what the receiver answered.

    It takes some seconds at most, also where the webhook is paused, and is not sent again.
    """
    with _WebhookProblems(id):
        return _delivery(services.test(uid=id, actor=actor(request)))


@operation(
    router, "GET", "/webhooks/{id}/deliveries", id="webhooks_deliveries", scope=Scope.ADMIN,
    permission=MAY_MANAGE, doing=_DOING, response={200: Page[DeliveryOut]},
)  # fmt: skip
def deliveries(request: HttpRequest, id: str, query: Query[DeliveryParameters]) -> Any:
    """What was sent to a webhook, and what is on its way, the newest first."""
    with _WebhookProblems(id):
        rows = services.deliveries(id, state=query.state or "", kind=query.kind)
    found = page(request, rows, query, order=("-pk",))
    return {**found, "items": [_delivery(row) for row in found["items"]]}


@operation(
    router, "POST", "/webhooks/{id}/deliveries/{message}/redeliver", id="webhooks_redeliver",
    scope=Scope.ADMIN, permission=MAY_MANAGE, doing=_DOING, response={202: DeliveryOut},
    problems=(409,),
)  # fmt: skip
def redeliver(request: HttpRequest, id: str, message: str) -> Any:
    """Send a message again, with the same id. One that is on its way is left as it is."""
    with _WebhookProblems(message):
        return Status(202, _delivery(services.redeliver(uid=id, message=message)))


def _matches(request: HttpRequest) -> Callable[[Webhook], None]:
    return lambda webhook: etags.require_match(request, *_shown(webhook).values())


def _tagged(request: HttpRequest, webhook: Webhook) -> dict[str, Any]:
    shown = _shown(webhook)
    etags.tag(request, *shown.values())
    return shown


def _shown(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.uid,
        "url": webhook.url,
        "note": webhook.note,
        "kinds": webhook.kinds,
        "models": webhook.only_models,
        "language": webhook.language,
        "paused": webhook.paused_at is not None,
        "paused_by_portal": webhook.paused_by_portal,
        "failing_since_at": webhook.failing_since,
        "old_secret_ends_at": webhook.old_until,
        "created_at": webhook.created_at,
        "created_by": webhook.created_by_name or None,
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    pending = row.state == Delivery.State.PENDING
    return {
        "id": row.uid,
        "kind": row.kind,
        "event": str(row.event_id),
        "sentence": row.event.sentence,
        "model": row.model or None,
        "state": row.state,
        "created_at": row.created_at,
        "settled_at": row.settled_at,
        "next_attempt_at": row.check_after if pending else None,
        "attempts": [_attempt(one) for one in row.tries.all()],
    }


def _attempt(one: DeliveryAttempt) -> dict[str, Any]:
    said = str(Sentence.from_json(one.problem_code, one.problem)) if one.problem else ""
    return {
        "at": one.at,
        "ms": one.ms,
        "http_status": one.status,
        "answer": one.answer,
        "problem": said,
    }
