"""The operations of groups: list, make, put people in and take them out, delete."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from accounts import groups
from accounts.models import GROUP_NAME_LENGTH, PeopleGroup
from accounts.services import NotAllowed
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, Schema
from core.natural import SORTING_KEY, with_sorting_key
from core.permissions import actor

router = Router(tags=["groups"])


class GroupOut(Schema):
    """People who are named together."""

    name: str
    members: list[str] = Field(description="User names, sorted.")


class GroupIn(Input):
    """What group to make."""

    name: str = Field(min_length=1, max_length=GROUP_NAME_LENGTH)


class GroupChange(Input):
    """Who joins and who leaves; whoever is named in both joins."""

    join: list[str] = Field([], max_length=1000, description="User names.")
    leave: list[str] = Field([], max_length=1000, description="User names.")


def _out(group: PeopleGroup) -> dict[str, Any]:
    return {"name": group.name, "members": sorted(one.username for one in group.members.all())}


def _group(name: str) -> PeopleGroup:
    try:
        return groups.get(name)
    except PeopleGroup.DoesNotExist:
        raise _none(name) from None


def _none(name: str) -> Problem:
    return Problem("not-found", _("There is no group %(name)s.") % {"name": name})


@operation(
    router, "GET", "/groups", id="groups_list", scope=Scope.READ,
    permission=groups.MAY_MANAGE, doing=groups.MANAGING, response={200: Page[GroupOut]},
)  # fmt: skip
def list_groups(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """The groups, by name."""
    rows = with_sorting_key(PeopleGroup.objects.prefetch_related("members"))
    found = page(request, rows, query, order=(SORTING_KEY, "name", "pk"))
    return {**found, "items": [_out(one) for one in found["items"]]}


@operation(
    router, "POST", "/groups", id="groups_create", scope=Scope.ADMIN,
    permission=groups.MAY_MANAGE, doing=groups.MANAGING, response={201: GroupOut}, problems=(409,),
)  # fmt: skip
def make(request: HttpRequest, body: GroupIn) -> Any:
    """Make a group, with nobody in it. What its members may see is said at each store."""
    group = groups.make(name=body.name, actor=actor(request))
    set_header(request, "Location", f"{request.path}/{group.name}")
    return Status(201, _out(group))


@operation(
    router, "GET", "/groups/{name}", id="groups_get", scope=Scope.READ,
    permission=groups.MAY_MANAGE, doing=groups.MANAGING, response={200: GroupOut},
)  # fmt: skip
def get(request: HttpRequest, name: str) -> Any:
    """One group, with its people."""
    return _out(_group(name))


@operation(
    router, "PATCH", "/groups/{name}", id="groups_change", scope=Scope.ADMIN,
    permission=groups.MAY_MANAGE, doing=groups.MANAGING, response={200: GroupOut},
)  # fmt: skip
def change(request: HttpRequest, name: str, body: GroupChange) -> Any:
    """Put people into a group and take others out, all or nobody; a repetition changes nothing."""
    try:
        return _out(
            groups.change(name=name, join=body.join, leave=body.leave, actor=actor(request))
        )
    except PeopleGroup.DoesNotExist:
        raise _none(name) from None
    except ValidationError as error:
        raise Problem("invalid", errors={"join": error.messages}) from None


@operation(
    router, "DELETE", "/groups/{name}", id="groups_delete", scope=Scope.ADMIN,
    permission=groups.MAY_MANAGE, doing=groups.MANAGING, response={204: None}, problems=(409,),
)  # fmt: skip
def delete(request: HttpRequest, name: str) -> Any:
    """Delete a group. `conflict` where a store names it: then others would see what is in it."""
    try:
        groups.delete(name=name, actor=actor(request))
    except PeopleGroup.DoesNotExist:
        raise _none(name) from None
    except NotAllowed as refused:
        raise Problem("conflict", str(refused)) from None
    return HttpResponse(status=204)
