"""The part of the page Preferences where a person chooses which mails to get."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from core.permissions import actor, require_permission
from notices import mails

_ALL, _OWN = "all", "own"


def context(request: HttpRequest) -> dict[str, Any]:
    """What the page offers, and what was chosen."""
    user = actor(request)
    choice = mails.chosen(user)
    return {
        "offered": [
            {"name": kind.name, "label": kind.label, "chosen": kind.name in choice.kinds}
            for kind in mails.offered(user)
        ],
        "only_own": choice.only_own,
        "possible": mails.is_possible(),
        "address": user.email,
    }


@require_POST
@require_permission("activity.view_event", "read the activity log")
def save(request: HttpRequest) -> HttpResponse:
    """Keep what was chosen."""
    try:
        mails.choose(
            user=actor(request),
            kinds=request.POST.getlist("kinds"),
            only_own=request.POST.get("of", _OWN) != _ALL,
        )
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("Your choice of mails is saved."))
    return redirect("preferences")
