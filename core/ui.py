"""Small parts of pages that views make and templates render: tabs, and messages with Undo."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

#: Begins the extra tags of a message that has an Undo button; its address follows.
UNDO = "undo "
#: The attributes of a field for names, ids and patterns: browsers neither complete nor correct it.
EXACT_TEXT = {"autocomplete": "off", "spellcheck": "false"}


@dataclass(frozen=True)
class Tab:
    """One tab: a link to a page of its own. ``count``: how many things it shows, if that helps."""

    label: Any
    url: str
    current: bool
    count: int | None = None


def undo(request: HttpRequest, text: Any, url_of_post: str) -> None:
    """Tell that something was done, with a button that takes it back.

    ``url_of_post``: an address of the portal's own; the button sends it a POST with ``next``, the
    page to go back to. The view checks again whether the user may do it.
    """
    messages.success(request, text, extra_tags=f"{UNDO}{url_of_post}")


def undo_url(message: Message) -> str:
    """Where the message's Undo button posts to; empty where it has none."""
    tags = message.extra_tags or ""
    return tags.removeprefix(UNDO) if tags.startswith(UNDO) else ""


def back(request: HttpRequest, otherwise: str) -> str:
    """Where an Undo, and any form that sends ``next``, leads back to: a page of the portal's own.

    ``otherwise``: where it leads if ``next`` is missing, is an address of another site, or none:
    Django takes any other word for the name of a view.
    """
    wanted = request.POST.get("next", "")
    ours = "/" in wanted and url_has_allowed_host_and_scheme(
        wanted, {request.get_host()}, request.is_secure()
    )
    return wanted if ours else otherwise
