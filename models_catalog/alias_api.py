"""The operations of aliases: list, point at a version, roll back, delete, history."""

from datetime import datetime
from typing import Any, Literal

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from core.api import etags
from core.api.caller import Scope
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, Parameters, Schema
from core.natural import SORTING_KEY, with_sorting_key
from models_catalog import aliases
from models_catalog.aliases import MAY_MOVE, AliasRefused
from models_catalog.models import REASON_LENGTH, Alias, AliasMove

router = Router(tags=["aliases"])

_VIEW, _LOOKING = "models_catalog.view_model", "look at the catalog"
_MOVING = "move aliases"
# A revision that no alias ever has: what was read is no longer there.
_NEVER = -1
# The values of AliasMove.Kind; a class called Kind is another room's, too.
MoveKind = Literal[
    AliasMove.Kind.MADE,
    AliasMove.Kind.MOVED,
    AliasMove.Kind.ROLLED_BACK,
    AliasMove.Kind.REMOVED,
]


class AliasOut(Schema):
    """An alias, and where it points."""

    model: str
    name: str
    number: int = Field(description="The version that it points at.")
    target_model: str
    protected: bool = Field(description="It takes a reason, and a token with the scope operate.")
    moved_at: datetime
    moved_by: str | None
    reason: str
    back_to: int | None = Field(description="The version that a roll back returns to.")


class AliasMoveOut(Schema):
    """A line of an alias's history."""

    name: str
    kind: MoveKind
    before: int | None = Field(description="The version that it pointed at until then.")
    number: int | None = Field(description="The version that it pointed at then; null: deleted.")
    at: datetime
    by: str | None
    reason: str


_REASON = Field("", max_length=REASON_LENGTH, description="Why; protected aliases take one.")


class AliasIn(Input):
    """Where an alias is to point."""

    number: int = Field(ge=1, le=2**31 - 1, description="A ready version of the model.")
    reason: str = _REASON


class ReasonIn(Input):
    """Why an alias is rolled back."""

    reason: str = _REASON


class ReasonParameter(Parameters):
    """Why an alias is deleted."""

    reason: str = _REASON


@operation(
    router, "GET", "/models/{name}/aliases", id="aliases_list", scope=Scope.READ,
    permission=_VIEW, doing=_LOOKING, response={200: Page[AliasOut]},
)  # fmt: skip
def list_aliases(request: HttpRequest, name: str, query: Query[ListParameters]) -> Any:
    """The aliases of a model, by name."""
    with _Problems():
        model = aliases.model_of(name)
    rows = with_sorting_key(Alias.objects.filter(model=model).listed())
    found = page(request, rows, query, order=(SORTING_KEY, "name"))
    return {**found, "items": [_shown(alias) for alias in found["items"]]}


@operation(
    router, "GET", "/models/{name}/aliases/{alias}", id="aliases_get", scope=Scope.READ,
    permission=_VIEW, doing=_LOOKING, response={200: AliasOut}, etag=True,
)  # fmt: skip
def get(request: HttpRequest, name: str, alias: str) -> Any:
    """One alias; its ETag is what If-Match takes."""
    with _Problems():
        return _tagged(request, aliases.get(model=name, name=alias))


@operation(
    router, "PUT", "/models/{name}/aliases/{alias}", id="aliases_put", scope=Scope.UPLOAD,
    permission=MAY_MOVE, doing=_MOVING, response={200: AliasOut, 201: AliasOut},
    problems=(409,), etag=True,
)  # fmt: skip
def put(request: HttpRequest, name: str, alias: str, body: AliasIn) -> Any:
    """Point an alias at a version, and make it where it is missing.

    With If-Match it is moved only where it still is as it was read. A model's `live` version is
    the one that its plain name means in calls. Where it points there already, nothing is changed.
    """
    _check_scope(request, alias)
    with _Problems():
        found, changed = aliases.move(
            model=name,
            name=alias,
            number=body.number,
            reason=body.reason,
            expected=_expected(request, name, alias),
            actor=_user(request),
        )
    made = changed and found.move.kind == AliasMove.Kind.MADE
    return Status(201 if made else 200, _tagged(request, found))


@operation(
    router, "POST", "/models/{name}/aliases/{alias}/rollback", id="aliases_rollback",
    scope=Scope.UPLOAD, permission=MAY_MOVE, doing=_MOVING, response={200: AliasOut}, etag=True,
)  # fmt: skip
def roll_back(request: HttpRequest, name: str, alias: str, body: ReasonIn) -> Any:
    """Point an alias at the version before; the next roll back goes to the one before that.

    Send If-Match, so that a request that is repeated goes back one step only.
    """
    _check_scope(request, alias)
    with _Problems():
        found = aliases.roll_back(
            model=name,
            name=alias,
            reason=body.reason,
            expected=_expected(request, name, alias),
            actor=_user(request),
        )
    return _tagged(request, found)


@operation(
    router, "DELETE", "/models/{name}/aliases/{alias}", id="aliases_delete", scope=Scope.UPLOAD,
    permission=MAY_MOVE, doing=_MOVING, response={204: None}, etag=True,
)  # fmt: skip
def delete(request: HttpRequest, name: str, alias: str, query: Query[ReasonParameter]) -> Any:
    """Delete an alias; its history stays."""
    _check_scope(request, alias)
    with _Problems():
        aliases.remove(
            model=name,
            name=alias,
            reason=query.reason,
            expected=_expected(request, name, alias),
            actor=_user(request),
        )
    return Status(204, None)


@operation(
    router, "GET", "/models/{name}/aliases/{alias}/history", id="aliases_history",
    scope=Scope.READ, permission=_VIEW, doing=_LOOKING, response={200: Page[AliasMoveOut]},
)  # fmt: skip
def history(request: HttpRequest, name: str, alias: str, query: Query[ListParameters]) -> Any:
    """What was done with an alias, the latest first; also with one that was deleted."""
    with _Problems():
        model = aliases.model_of(name)
        rows = aliases.history(model, alias)
        if not rows.exists():
            raise aliases.none_of(model, alias)
    found = page(request, rows, query, order=("-pk",))
    return {**found, "items": [_line(move) for move in found["items"]]}


class _Problems:
    """Turns the service's refusal into the API's problem."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AliasRefused):
            errors = (
                {error.field: [str(error)]} if error.code == "invalid" and error.field else None
            )
            raise Problem(error.code, "" if errors else str(error), errors=errors) from None


def _user(request: HttpRequest) -> User:
    user: User = request.caller.user  # type: ignore[attr-defined]
    return user


def _check_scope(request: HttpRequest, alias: str) -> None:
    """A protected alias takes the scope of who operates."""
    caller = request.caller  # type: ignore[attr-defined]
    if aliases.is_protected(alias) and not caller.may(Scope.OPERATE):
        said = _("This needs a token with the scope %(scope)s. Nothing was changed.")
        raise Problem("scope-missing", said % {"scope": Scope.OPERATE})


def _expected(request: HttpRequest, name: str, alias: str) -> int | None:
    """The revision that If-Match names; the service compares it with what it locks."""
    if "If-Match" not in request.headers:
        return None
    found = Alias.objects.filter(model__name=name, name=alias).only("move_id").first()
    if found is None or not etags.matches(request, name, alias, found.revision):
        return _NEVER
    return found.revision


def _tagged(request: HttpRequest, alias: Alias) -> dict[str, Any]:
    etags.tag(request, alias.model.name, alias.name, alias.revision)
    return _shown(alias)


def _shown(alias: Alias) -> dict[str, Any]:
    return {
        "model": alias.model.name,
        "name": alias.name,
        "number": alias.version.number,
        "target_model": alias.version.target_model,
        "protected": alias.protected,
        "moved_at": alias.move.at,
        "moved_by": alias.move.by_name or None,
        "reason": alias.move.reason,
        "back_to": alias.back_to.number if alias.back_to else None,
    }


def _line(move: AliasMove) -> dict[str, Any]:
    return {
        "name": move.name,
        "kind": move.kind,
        "before": move.before.number if move.before else None,
        "number": move.version.number if move.version else None,
        "at": move.at,
        "by": move.by_name or None,
        "reason": move.reason,
    }
