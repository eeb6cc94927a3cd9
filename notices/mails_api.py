"""The operations of one's own mails: what was chosen, and another choice."""

from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from activity.panels import MAY_LOOK
from core.api import etags
from core.api.caller import ANY
from core.api.operations import operation
from core.api.schema import Input, Schema
from core.permissions import actor
from notices import mails

router = Router(tags=["mails"])

_DOING = "read the activity log"  # untranslated: activity/views.py marks it


class MailsOut(Schema):
    """What the caller is told of by mail."""

    kinds: list[str]
    only_own: bool = Field(description="Only of what the caller uploaded, created or owns.")
    offered: list[str] = Field(description="The kinds that the caller may choose.")
    address: str = Field(description="Where mails go; empty: an admin can add an address.")
    possible: bool = Field(description="Whether the portal has a mail server.")


class MailsIn(Input):
    """What the caller wants to be told of by mail."""

    kinds: list[str] = Field(max_length=100, description="Names of `offered`; empty: no mails.")
    only_own: bool = True


@operation(
    router, "GET", "/me/mails", id="mails_get", scope=ANY, permission=MAY_LOOK, doing=_DOING,
    response={200: MailsOut}, etag=True,
)  # fmt: skip
def get(request: HttpRequest) -> Any:
    """What you are told of by mail."""
    shown = _shown(request)
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "PUT", "/me/mails", id="mails_put", scope=ANY, permission=MAY_LOOK, doing=_DOING,
    response={200: MailsOut}, etag=True,
)  # fmt: skip
def put(request: HttpRequest, body: MailsIn) -> Any:
    """Choose what you are told of by mail. You get none about what you do yourself."""
    etags.require_match(request, *_shown(request).values())
    mails.choose(user=actor(request), kinds=body.kinds, only_own=body.only_own)
    return get(request)


def _shown(request: HttpRequest) -> dict[str, Any]:
    user = actor(request)
    choice = mails.chosen(user)
    return {
        "kinds": list(choice.kinds),
        "only_own": choice.only_own,
        "offered": [kind.name for kind in mails.offered(user)],
        "address": user.email,
        "possible": mails.is_possible(),
    }
