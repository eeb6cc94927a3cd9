"""The operations of redactions: where a text is, and taking it out."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from activity import redaction
from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import Input, Schema
from core.permissions import actor

router = Router(tags=["redactions"])


class RedactionIn(Input):
    """What is to be found, or taken out."""

    text: str = Field(
        min_length=redaction.LEAST_LENGTH,
        max_length=redaction.MOST_LENGTH,
        description="Whatever its case, also as part of a word.",
    )


class PlaceOut(Schema):
    """Where the text is, or was."""

    name: str = Field(description="`notes`, `labels`, `events`, …")
    label: str = Field(description="The same, in the reader's language.")
    rows: int = Field(description="How many rows have it.")


class RedactionOut(Schema):
    """Where the text is, or was; the text itself is not repeated."""

    places: list[PlaceOut]
    rows: int = Field(description="In all.")


@operation(
    router, "POST", "/redactions/plan", id="redactions_plan", scope=Scope.ADMIN,
    permission=redaction.MAY_REDACT, doing=redaction.REDACTING, response={200: RedactionOut},
    counts_as_change=False,
)  # fmt: skip
def plan(request: HttpRequest, body: RedactionIn) -> Any:
    """Where a text is in all that was written and recorded; nothing is changed.

    By POST, as addresses are kept in logs.
    """
    try:
        return _shown(redaction.find(text=body.text))
    except ValidationError as error:
        raise Problem("invalid", errors=error.message_dict) from None


@operation(
    router, "POST", "/redactions", id="redactions_create", scope=Scope.ADMIN,
    permission=redaction.MAY_REDACT, doing=redaction.REDACTING, response={200: RedactionOut},
)  # fmt: skip
def create(request: HttpRequest, body: RedactionIn) -> Any:
    """Replace a text by `███` in notes, metadata, labels, results, calls and events, for good.

    Archives and pictures in the store stay as they are, and so do log files and names of models,
    aliases, endpoints and users. A repetition finds nothing more.
    """
    try:
        return _shown(redaction.redact(text=body.text, actor=actor(request)))
    except ValidationError as error:
        raise Problem("invalid", errors=error.message_dict) from None


def _shown(found: Sequence[redaction.Occurrences]) -> dict[str, Any]:
    return {
        "places": [{"name": one.name, "label": one.label, "rows": one.count} for one in found],
        "rows": sum(one.count for one in found),
    }
