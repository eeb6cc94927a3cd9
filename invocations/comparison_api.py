"""The operations of comparisons of answers: two versions, called with the same pictures."""

import io
from datetime import datetime
from typing import Annotated, Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from activity.attempts import made_by
from core import clock, waiting
from core.api import answers
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, OneOf, Parameters, Schema
from core.body_limits import BodyLimit
from core.permissions import actor
from endpoints.models import Endpoint
from invocations import payload, pictures_kept, side_by_side
from invocations.models import LABEL_LENGTH, AnswerComparison, ComparedPicture, Picture
from invocations.panels import DOING, MAY_INVOKE
from invocations.pictures import MAX_FILE_BYTES, NotAPicture, too_large
from models_catalog import references
from models_catalog.models import Version

router = Router(tags=["comparisons"])

ComparisonState = Annotated[str, OneOf(AnswerComparison.State)]


class GivenIn(Input):
    """A picture that was sent to `/pictures`."""

    sha256: str = Field(min_length=64, max_length=64, description="As `/pictures` answered.")
    name: str = Field("", max_length=255, description="For the table; empty: as it was sent.")
    label: str = Field("", max_length=LABEL_LENGTH, description="The right one, where known.")


class AnswersIn(Input):
    """What to compare, and with which pictures."""

    one: str = Field(
        max_length=references.MAX_LENGTH, description="`digits:1`, `digits@live`, or `digits`."
    )
    other: str = Field(
        "", max_length=references.MAX_LENGTH, description="Empty: `one` is called alone."
    )
    endpoint: str = Field(max_length=63, description="Its name. It serves both versions.")
    pictures: list[GivenIn] = Field([], max_length=side_by_side.MOST_PICTURES)
    test_set: bool | None = Field(
        None,
        description="The pictures of the model's test set, newest first. null: where no `pictures` "
        "are given.",
    )
    samples: bool | None = Field(
        None, description="The sample pictures of the portal. null: where no `pictures` are given."
    )


class SideOut(Schema):
    """One of the two versions. `right` of `labelled` answers are right: where that is known."""

    model: str
    number: int
    right: int
    labelled: int


class OneAnswerOut(Schema):
    """What a version answered to a picture; with `error`: what went wrong."""

    label: str = Field(description="The first label; empty: no answer.")
    probability: float | None
    latency_ms: float | None
    cold: bool | None
    call: str = Field(description="The id of the call; empty: none was made.")
    error: str | None
    error_code: str | None


class BothOut(Schema):
    """Both answers to a picture; null: not called yet."""

    name: str
    source: str = Field(description="`test-set`, `sample` or `given`.")
    label: str = Field(description="The right one; empty: not known.")
    result: str = Field(
        description="`differ`, `error`, `same` or `open`; of one version alone `wrong`, `error`, "
        "`right`, `answered` or `open`."
    )
    one: OneAnswerOut | None
    other: OneAnswerOut | None


class ListedComparisonOut(Schema):
    """A comparison of answers, without them."""

    id: str
    state: ComparisonState
    endpoint: str
    one: str = Field(description="`digits:1`.")
    other: str = Field(description="Empty: `one` is called alone.")
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    total: int = Field(description="Pictures.")


class PictureOut(Schema):
    """A picture that the portal keeps."""

    sha256: str = Field(description="Of what is sent to models; it names the picture.")
    name: str
    expires_at: datetime = Field(description="Or a day after it was last sent to a model.")


class PictureParameters(Parameters):
    """What is known of a picture."""

    name: str = Field("", max_length=200, description="A name for the picture, for the lists.")


class MistakeOut(Schema):
    """A label that was given in place of the right one, and to how many pictures."""

    label: str = Field(description="The right one.")
    answered: str
    pictures: int = Field(description="So many.")


class ConfusionOut(Schema):
    """How often a version gave which label to pictures of which right label."""

    labels: list[str] = Field(
        description=f"Of the rows and the columns of `counts`. Of more than "
        f"{side_by_side.MOST_LABELS} labels both are empty."
    )
    counts: list[list[int]] = Field(
        description="A row for each right label, and in it a column for each answered one."
    )
    mistakes: list[MistakeOut] = Field(
        description=f"The commonest first; {side_by_side.MOST_LABELS} at most."
    )


class ConfusionsOut(Schema):
    """The confusion of either version; null: the right label of no answer is known."""

    one: ConfusionOut | None
    other: ConfusionOut | None = Field(description="With `alone`: null.")


class AnswersOut(Schema):
    """Two versions that are called with the same pictures, or one alone."""

    id: str
    state: ComparisonState
    endpoint: str
    one: SideOut
    other: SideOut = Field(description="With `alone`: the same version as `one`.")
    alone: bool = Field(description="Whether `one` is called alone.")
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    total: int = Field(description="Pictures.")
    hidden: int = Field(
        description="Pictures that somebody else gave, where the caller sees no calls of others: "
        "they count in the sums, and are not among `pictures` nor in `confusion`."
    )
    sent: int = Field(description="Pictures that each was called with.")
    errors: int = Field(description="Pictures of which an answer is missing.")
    left_out: int = Field(description="Pictures over the limit of 200, which are not sent.")
    same: int = Field(description="Pictures with the same first label.")
    compared: int = Field(description="Pictures that both answered.")
    confusion: ConfusionsOut = Field(description="Right labels, and those that were answered.")
    pictures: list[BothOut] = Field(description="Differences first.")


class UntilDoneParameters(Parameters):
    """How long to wait."""

    wait: int = Field(0, ge=0, le=waiting.MOST_S, description="Seconds to wait until it is `done`.")


def _started_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that started one (core/api/idempotency.py)."""
    pk = made_by(attempt, side_by_side.REQUESTED)
    pk = pk or made_by(attempt, side_by_side.REQUESTED_OF_ONE)
    comparison = AnswerComparison.objects.listed().filter(pk=pk or 0).first()
    if comparison is None:  # none was started, or it was deleted or is hidden by now
        return None
    where = {"Location": _path(request, comparison)}
    return answers.of(202, AnswersOut, _shown(comparison), headers=where)


@operation(
    router, "POST", "/comparisons", id="comparisons_create", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={202: AnswersOut},
    problems=(409,), resume=_started_before,
)  # fmt: skip
def create(request: HttpRequest, body: AnswersIn) -> Any:
    """Call two versions with the same pictures, on an endpoint that serves both; or one alone.

    The pictures are those of the test set, the samples, and any that were sent to `/pictures`.
    A job sends each picture to both, 200 pictures at most; ask the address that `Location` names
    with `wait`. Each call is in the list of calls. A picture that fails does not end the rest.
    """
    endpoint = Endpoint.objects.filter(gone_at=None, name=body.endpoint).first()
    if endpoint is None:
        said = _("There is no endpoint %(name)s. Nothing was called.") % {"name": body.endpoint}
        raise Problem("not-found", said)
    try:
        comparison = side_by_side.start(
            one=_version("one", body.one),
            other=_version("other", body.other) if body.other else None,
            endpoint=endpoint,
            actor=actor(request),
            test_set=not body.pictures if body.test_set is None else body.test_set,
            with_samples=not body.pictures if body.samples is None else body.samples,
            given=[side_by_side.GivenPicture(**picture.dict()) for picture in body.pictures],
        )
    except side_by_side.ComparisonRefused as refused:
        if refused.code == "invalid":
            field = "pictures" if body.pictures else "other"
            raise Problem("invalid", errors={field: [str(refused)]}) from None
        raise Problem(refused.code, str(refused)) from None
    set_header(request, "Location", _path(request, comparison))
    return Status(202, _shown(_comparison(comparison.uid)))


_TAKES = BodyLimit(
    megabytes=lambda: MAX_FILE_BYTES >> 20,
    too_large=lambda: too_large(_("The picture")),
    at_once=16,
    permission=MAY_INVOKE,
    doing=DOING,
)


@operation(
    router, "POST", "/pictures", id="pictures_keep", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={200: PictureOut}, problems=(502,),
    takes=_TAKES, counts_as_change=False,
    extra={
        "requestBody": {
            "required": True,
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)  # fmt: skip
def keep(request: HttpRequest, query: Query[PictureParameters]) -> Any:
    """Send a picture, for a comparison. It is kept for PICTURES_KEPT_HOURS; no model is called.

    It is what the page would send: one that is too large is scaled down first.
    """
    if not request.body:
        raise Problem("invalid", errors={"body": [_("The body is empty. Send a picture.")]})
    try:
        read = payload.read(io.BytesIO(request.body), query.name)
        sha256 = pictures_kept.keep_now(read, actor(request))
    except NotAPicture as problem:
        raise Problem("invalid", errors={"body": [str(problem)]}) from None
    until = clock.now() + Picture.kept_for()
    return {"sha256": sha256, "name": read.name, "expires_at": until}


@operation(
    router, "GET", "/comparisons", id="comparisons_list", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: Page[ListedComparisonOut]},
)  # fmt: skip
def list_comparisons(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """The comparisons of all people, the latest first."""
    rows = AnswerComparison.objects.listed().annotate(total=Count("pictures"))
    found = page(request, rows, query, order=("-pk",))
    return {**found, "items": [_listed(row) for row in found["items"]]}


@operation(
    router, "POST", "/comparisons/{id}/stop", id="comparisons_stop", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={200: AnswersOut},
)  # fmt: skip
def stop(request: HttpRequest, id: str) -> Any:
    """Send no more pictures; the answers that are there stay. What is done stays as it is."""
    comparison = _own(request, id)
    try:
        side_by_side.stop(comparison=comparison, actor=actor(request))
    except AnswerComparison.DoesNotExist:  # somebody has deleted it meanwhile
        raise Problem("not-found", _("There is no comparison %(id)s.") % {"id": id}) from None
    return _shown(comparison)


@operation(
    router, "DELETE", "/comparisons/{id}", id="comparisons_delete", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={204: None},
)  # fmt: skip
def delete(request: HttpRequest, id: str) -> Any:
    """Delete a comparison. The calls stay. One that is running ends."""
    side_by_side.delete(comparison=_own(request, id), actor=actor(request))
    return Status(204, None)


@operation(
    router, "GET", "/comparisons/{id}", id="comparisons_get", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: AnswersOut},
)  # fmt: skip
def get(request: HttpRequest, id: str, query: Query[UntilDoneParameters]) -> Any:
    """Both answers to each picture, as far as it is; with `wait`, when it is done."""
    side_by_side.wait_until_done(id, seconds=query.wait)
    return _shown(_comparison(id))


@operation(
    router, "GET", "/comparisons/{id}/csv", id="comparisons_csv", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: str},
    extra={"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}},
)  # fmt: skip
def as_csv(request: HttpRequest, id: str) -> Any:
    """The same for spreadsheets: a line for each picture."""
    text = "".join(side_by_side.csv_of(_comparison(id)))
    return HttpResponse(text, content_type="text/csv; charset=utf-8")


def _path(request: HttpRequest, comparison: AnswerComparison) -> str:
    return f"{request.path.rstrip('/')}/{comparison.uid}"


def _version(field: str, text: str) -> Version:
    try:
        found = references.parse(text).resolve()
    except references.Malformed as problem:
        raise Problem("invalid", errors={field: [str(problem)]}) from None
    if found is None:
        said = _("There is no version %(name)s that can be called. Nothing was called.")
        raise Problem("not-found", said % {"name": text})
    return found


def _comparison(uid: str) -> AnswerComparison:
    found = AnswerComparison.objects.listed().filter(uid=uid).first()
    if found is None:
        raise Problem("not-found", _("There is no comparison %(id)s.") % {"id": uid})
    return found


def _own(request: HttpRequest, uid: str) -> AnswerComparison:
    """A comparison that the caller may stop and delete."""
    comparison = _comparison(uid)
    if not side_by_side.may_change(actor(request), comparison):
        said = _("Only %(name)s and admins stop and delete this comparison. Nothing was changed.")
        raise Problem("not-allowed", said % {"name": comparison.created_by_name})
    return comparison


def _listed(comparison: Any) -> dict[str, Any]:
    one, other = comparison.one, comparison.other
    return {
        "id": comparison.uid,
        "state": comparison.state,
        "endpoint": comparison.endpoint.name,
        "one": f"{one.model.name}:{one.number}",
        "other": "" if comparison.alone else f"{other.model.name}:{other.number}",
        "created_at": comparison.created_at,
        "created_by": comparison.created_by_name,
        "finished_at": comparison.finished_at,
        "total": comparison.total,
    }


def _shown(comparison: AnswerComparison) -> dict[str, Any]:
    found = side_by_side.result(comparison)
    return {
        "id": comparison.uid,
        "state": comparison.state,
        "endpoint": comparison.endpoint.name,
        "one": _side(comparison.one, found.one_right),
        "other": _side(comparison.other, found.other_right),
        "alone": comparison.alone,
        "created_at": comparison.created_at,
        "created_by": comparison.created_by_name,
        "finished_at": comparison.finished_at,
        "total": found.total,
        "hidden": found.hidden,
        "sent": found.sent,
        "errors": found.errors,
        "left_out": comparison.left_out,
        "same": found.agreement.count,
        "compared": found.agreement.of,
        "confusion": {
            side: _confusion(found, side) if side in comparison.sides else None
            for side in ("one", "other")
        },
        "pictures": [_both(line) for line in found.lines],
    }


def _side(version: Version, right: side_by_side.Share) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "number": version.number,
        "right": right.count,
        "labelled": right.of,
    }


def _confusion(found: side_by_side.Findings, side: str) -> dict[str, Any] | None:
    of_side = side_by_side.confusion(found.lines, side)
    if of_side is None:
        return None
    return {
        "labels": of_side.labels,
        "counts": [row for _label, row in of_side.counts],
        "mistakes": [
            {"label": right, "answered": given, "pictures": count}
            for right, given, count in of_side.mistakes
        ],
    }


def _both(line: side_by_side.Line) -> dict[str, Any]:
    picture: ComparedPicture = line.picture
    return {
        "name": picture.name,
        "source": "sample" if picture.sample else "given" if picture.sha256 else "test-set",
        "label": picture.label,
        "result": line.kind,
        "one": _answer(line.one),
        "other": _answer(line.other),
    }


def _answer(answer: side_by_side.GivenAnswer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "label": answer.label,
        "probability": answer.probability,
        "latency_ms": answer.latency_ms,
        "cold": answer.cold,
        "call": answer.call,
        "error": None if answer.said is None else str(answer.said),
        "error_code": None if answer.said is None else answer.said.stable_code,
    }
