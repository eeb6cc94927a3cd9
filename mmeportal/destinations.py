"""The pages and actions that the search (Ctrl+K) finds, each for who may use it."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.palette import Hit, matches


@dataclass(frozen=True)
class Destination:
    """A page: its label, the name of its address, its icon, and who may see it ("": all)."""

    label: Any
    address: str
    icon: str
    permission: str = ""


PAGES = (
    Destination(_("Today"), "home", "calendar"),
    Destination(_("Models"), "models_catalog:list", "model", "models_catalog.view_model"),
    Destination(_("Endpoints"), "endpoints:list", "endpoint", "endpoints.view_endpoint"),
    Destination(_("Call a model"), "invocations:page", "invoke", "endpoints.invoke_endpoint"),
    Destination(_("Activity"), "activity:list", "activity", "activity.view_event"),
    Destination(_("Glossary"), "glossary", "help"),
    Destination(_("Status"), "status", "check", "auth.change_user"),
    Destination(_("Preferences"), "preferences", "config"),
    Destination(_("Tokens"), "tokens", "terminal"),
    Destination(_("API operations"), "api-docs", "terminal"),
)
ACTIONS = (
    Destination(_("Upload a model"), "models_catalog:new", "upload", "models_catalog.add_version"),
    Destination(_("Create an endpoint"), "endpoints:new", "plus", "endpoints.add_endpoint"),
    Destination(_("Change your password"), "password", "user"),
)


def pages(user: User | AnonymousUser, query: str) -> list[Hit]:
    """The pages that ``user`` may see whose name has the text; with none, all of them."""
    return [_hit(one, _("Page")) for one in PAGES if _found(one, user, query)]


def actions(user: User | AnonymousUser, query: str) -> list[Hit]:
    """What ``user`` may do, as pages do."""
    return [_hit(one, _("Action")) for one in ACTIONS if _found(one, user, query)]


def _found(one: Destination, user: User | AnonymousUser, query: str) -> bool:
    may = user.is_authenticated and (not one.permission or user.has_perm(one.permission))
    return may and matches(one.label, query)


def _hit(one: Destination, kind: Any) -> Hit:
    return Hit(one.label, reverse(one.address), one.icon, kind)
