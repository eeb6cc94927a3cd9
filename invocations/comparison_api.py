"""The operations of comparisons of answers: two versions, called with the same pictures."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from activity.attempts import made_by
from core import waiting
from core.api import answers
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import Input, OneOf, Parameters, Schema
from core.permissions import actor
from endpoints.models import Endpoint
from invocations import side_by_side
from invocations.models import AnswerComparison, ComparedPicture
from invocations.panels import DOING, MAY_INVOKE
from models_catalog import references
from models_catalog.models import Version

router = Router(tags=["comparisons"])

ComparisonState = Annotated[str, OneOf(AnswerComparison.State)]


class AnswersIn(Input):
    """What to compare, and with which pictures."""

    one: str = Field(
        max_length=references.MAX_LENGTH, description="`digits:1`, `digits@live`, or `digits`."
    )
    other: str = Field(max_length=references.MAX_LENGTH)
    endpoint: str = Field(max_length=63, description="Its name. It serves both versions.")
    test_set: bool = Field(True, description="The pictures of the model's test set, newest first.")
    samples: bool = Field(True, description="The sample pictures of the portal.")


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
    source: str = Field(description="`test-set` or `sample`.")
    label: str = Field(description="The right one; empty: not known.")
    result: str = Field(description="`differ`, `error`, `same` or `open`.")
    one: OneAnswerOut | None
    other: OneAnswerOut | None


class AnswersOut(Schema):
    """Two versions that are called with the same pictures."""

    id: str
    state: ComparisonState
    endpoint: str
    one: SideOut
    other: SideOut
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    total: int = Field(description="Pictures.")
    sent: int = Field(description="Pictures that both were called with.")
    errors: int = Field(description="Pictures of which an answer is missing.")
    left_out: int = Field(description="Pictures over the limit of 200, which are not sent.")
    same: int = Field(description="Pictures with the same first label.")
    compared: int = Field(description="Pictures that both answered.")
    pictures: list[BothOut] = Field(description="Differences first.")


class UntilDoneParameters(Parameters):
    """How long to wait."""

    wait: int = Field(0, ge=0, le=waiting.MOST_S, description="Seconds to wait until it is `done`.")


def _started_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that started one (core/api/idempotency.py)."""
    pk = made_by(attempt, "comparison.requested")
    if pk is None:
        return None
    comparison = AnswerComparison.objects.listed().get(pk=pk)
    where = {"Location": _path(request, comparison)}
    return answers.of(202, AnswersOut, _shown(comparison), headers=where)


@operation(
    router, "POST", "/comparisons", id="comparisons_create", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={202: AnswersOut},
    problems=(409,), resume=_started_before,
)  # fmt: skip
def create(request: HttpRequest, body: AnswersIn) -> Any:
    """Call two versions with the same pictures, on an endpoint that serves both.

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
            other=_version("other", body.other),
            endpoint=endpoint,
            actor=actor(request),
            test_set=body.test_set,
            with_samples=body.samples,
        )
    except side_by_side.ComparisonRefused as refused:
        if refused.code == "invalid":
            raise Problem("invalid", errors={"other": [str(refused)]}) from None
        raise Problem(refused.code, str(refused)) from None
    set_header(request, "Location", _path(request, comparison))
    return Status(202, _shown(_comparison(comparison.uid)))


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


def _shown(comparison: AnswerComparison) -> dict[str, Any]:
    found = side_by_side.result(comparison)
    return {
        "id": comparison.uid,
        "state": comparison.state,
        "endpoint": comparison.endpoint.name,
        "one": _side(comparison.one, found.one_right),
        "other": _side(comparison.other, found.other_right),
        "created_at": comparison.created_at,
        "created_by": comparison.created_by_name,
        "finished_at": comparison.finished_at,
        "total": len(found.lines),
        "sent": found.sent,
        "errors": found.errors,
        "left_out": comparison.left_out,
        "same": found.agreement.count,
        "compared": found.agreement.of,
        "pictures": [_both(line) for line in found.lines],
    }


def _side(version: Version, right: side_by_side.Share) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "number": version.number,
        "right": right.count,
        "labelled": right.of,
    }


def _both(line: side_by_side.Line) -> dict[str, Any]:
    picture: ComparedPicture = line.picture
    return {
        "name": picture.name,
        "source": "sample" if picture.sample else "test-set",
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
