"""The operations of orphans: what no endpoint owns is listed, adopted, deleted."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from core import waiting
from core.api.caller import Scope
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import ListParameters, OneOf, Parameters, Schema
from core.natural import SORTING_KEY, with_sorting_key
from endpoints import adopting, orphans, prices
from endpoints.api import CostOut
from endpoints.end_dates import MAY_TEAR_DOWN
from endpoints.models import Orphan, OrphanLook
from endpoints.rights import LOOKING, MAY_LOOK

router = Router(tags=["orphans"])

_DECIDING = "adopt or delete what no endpoint owns"
OrphanKind = Annotated[str, OneOf(Orphan.Kind)]
OrphanState = Annotated[str, OneOf(Orphan.State)]


class OrphanOut(Schema):
    """Something in the account that no endpoint of the portal owns."""

    kind: OrphanKind
    name: str = Field(
        description="Of a `target` ENDPOINT.VARIANT, of a `log_group` the endpoint, of a `staged` "
        "object its key."
    )
    arn: str
    state: OrphanState
    ours: bool | None = Field(
        description="It bears the tags of this portal. null: AWS does not say."
    )
    made_for: str = Field(
        description="The endpoint that its tag names, or that it is of; empty: none."
    )
    adoptable: bool = Field(description="It is of a kind that an endpoint can own.")
    size_bytes: int | None = Field(description="What a log group or an object keeps.")
    uses: str = Field(description="An endpoint's configuration, a configuration's model.")
    sagemaker_status: str = Field(description="An endpoint's EndpointStatus.")
    instance_type: str
    instance_count: int | None
    cost: CostOut | None = Field(
        description="null: it costs nothing while it is there, or its price is not known."
    )
    made_at: datetime = Field(description="SageMaker's CreationTime.")
    found_at: datetime
    failure: str | None = Field(description="Why it is still there, in the reader's language.")
    adopted_by: str | None = Field(description="The endpoint that it belongs to by now.")


class OrphanPage(Page[OrphanOut]):
    """A page of what was found, and how the account was looked at."""

    looking: bool = Field(description="The account is being looked at; `wait` waits for it.")
    looked_at: datetime | None = Field(description="When it was last looked at as a whole.")
    problems: list[str] = Field(description="What AWS did not answer: it is not in the list.")
    cost: CostOut = Field(description="What all of them cost.")


class OrphanParameters(ListParameters):
    """Which of them."""

    others: bool = Field(False, description="What others made, too.")
    kind: OrphanKind | None = None
    wait: int = Field(
        0, ge=0, le=waiting.MOST_S,
        description="Seconds: until the account was looked at, where that is under way.",
    )  # fmt: skip


class OrphanWait(Parameters):
    """How long to wait for its end."""

    wait: int = Field(0, ge=0, le=waiting.MOST_S, description="Seconds: while it is being deleted.")


@operation(
    router, "GET", "/orphans", id="orphans_list", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: OrphanPage},
)  # fmt: skip
def list_orphans(request: HttpRequest, query: Query[OrphanParameters]) -> Any:
    """What is in the AWS account and no endpoint of the portal owns.

    SageMaker's models, configurations and endpoints; scalable targets, alarms and log groups of
    endpoints that are gone; objects in staging that belong to no upload.

    The account is looked at each night, and where the last look is older than a minute it is looked
    at anew: `wait` waits for that.
    """
    row = waiting.until(
        _first(orphans.look_if_old()), lambda one: not orphans.looking(one), seconds=query.wait
    )
    rows = orphans.shown(others=query.others)
    if query.kind is not None:
        rows = rows.filter(kind=query.kind)
    rows = with_sorting_key(rows.select_related("adopted_by"))
    found = page(request, rows, query, order=("kind", SORTING_KEY, "name", "pk"))
    return {
        **found,
        "items": [_shown(one) for one in orphans.with_costs(found["items"])],
        "looking": orphans.looking(row),
        "looked_at": row.looked_at,
        "problems": [str(one) for one in row.said],
        "cost": _cost(orphans.total_of(rows.there()).cost),
    }


def _first(row: OrphanLook) -> Any:
    """Looks at the row: what is known of it at first, then what the database says."""
    known = [row]
    return lambda: known.pop() if known else orphans.the_look()


@operation(
    router, "POST", "/orphans/{kind}/{path:name}/adopt", id="orphans_adopt", scope=Scope.OPERATE,
    permission=MAY_TEAR_DOWN, doing=_DECIDING, response={200: OrphanOut}, problems=(502,),
)  # fmt: skip
def adopt(request: HttpRequest, kind: str, name: str) -> Any:
    """Make it the portal's own.

    An endpoint becomes one of the portal's, with its configuration and model, and serves on as it
    is. A configuration or model goes to the living endpoint that its tag names. Where something
    does not fit it is 409 `conflict`, and the sentence says what.
    """
    row = _orphan(kind, name)
    adopting.adopt(orphan=row, actor=request.caller.user)  # type: ignore[attr-defined]
    return _shown(*orphans.with_costs([_orphan(kind, name)]))


@operation(
    router, "GET", "/orphans/{kind}/{path:name}", id="orphans_get", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: OrphanOut},
)  # fmt: skip
def get(request: HttpRequest, kind: str, name: str, query: Query[OrphanWait]) -> Any:
    """One of them. `kind` is `model`, `config`, `endpoint`, `target`, `alarm`, `log_group` or
    `staged`.
    """
    found = waiting.until(
        lambda: _orphan(kind, name), lambda one: not one.under_way, seconds=query.wait
    )
    return _shown(*orphans.with_costs([found]))


@operation(
    router, "DELETE", "/orphans/{kind}/{path:name}", id="orphans_delete", scope=Scope.OPERATE,
    permission=MAY_TEAR_DOWN, doing=_DECIDING, response={202: OrphanOut}, problems=(409,),
)  # fmt: skip
def delete(request: HttpRequest, kind: str, name: str) -> Any:
    """Have one of them deleted; the answer comes at once, and the deletion is followed to its end.

    What an endpoint uses stays, and so does what AWS refuses to delete: `failure` says why. What
    was made less than ten minutes ago is refused: 409 `conflict`.
    """
    row = _orphan(kind, name)
    orphans.request_deletion(orphans=[row], actor=request.caller.user)  # type: ignore[attr-defined]
    return Status(202, _shown(*orphans.with_costs([_orphan(kind, name)])))


def _orphan(kind: str, name: str) -> Orphan:
    rows = Orphan.objects.select_related("adopted_by")
    known = "\0" not in kind + name  # PostgreSQL has no such text
    found = rows.filter(kind=kind, name=name).first() if known else None
    if found is None:
        said = _("The last look at the account found no %(kind)s %(name)s that no endpoint owns.")
        raise Problem("not-found", said % {"kind": kind, "name": name})
    return found


def _shown(row: Orphan) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "arn": row.arn,
        "state": row.state,
        "ours": row.ours,
        "made_for": row.made_for,
        "adoptable": row.adoptable,
        "size_bytes": row.size_bytes,
        "uses": row.uses,
        "sagemaker_status": row.sagemaker_status,
        "instance_type": row.instance_type,
        "instance_count": row.instance_count,
        "cost": None if row.cost is None else _cost(row.cost),
        "made_at": row.made_at,
        "found_at": row.found_at,
        "failure": str(row.failure_said) if row.failure else None,
        "adopted_by": row.adopted_by.name if row.adopted_by is not None else None,
    }


def _cost(cost: prices.Cost) -> dict[str, str]:
    return {
        "per_hour": cost.hourly,
        "per_month": str(cost.per_month),
        "currency": cost.currency,
    }
