"""What the search (Ctrl+K) finds of endpoints."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.palette import MOST_OF_A_SOURCE, Hit, matches
from endpoints.models import Endpoint


def hits(user: Any, query: str) -> list[Hit]:
    """Endpoints by name, those that run first; and the action to create one."""
    found: list[Hit] = []
    if user.has_perm("endpoints.view_endpoint"):
        named = Endpoint.objects.filter(name__icontains=query).order_by("gone_at", "-id")
        if not query:
            named = named.filter(gone_at=None)
        # NULL is the first on SQLite and the last on PostgreSQL.
        some = sorted(named[: 4 * MOST_OF_A_SOURCE], key=lambda one: one.gone_at is not None)
        found += [
            Hit(
                one.name,
                one.get_absolute_url(),
                "endpoint",
                _("Torn-down endpoint") if one.gone_at else _("Endpoint"),
            )
            for one in some
        ]
    create = gettext_lazy("Create an endpoint")
    if user.has_perm("endpoints.add_endpoint") and matches(create, query):
        found.insert(0, Hit(create, reverse("endpoints:new"), "plus", _("Action")))
    return found
