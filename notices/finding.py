"""What the search (Ctrl+K) finds of webhooks."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.palette import Hit, matches
from notices.services import MAY_MANAGE


def hits(user: Any, query: str) -> list[Hit]:
    """The page of webhooks, and the action to make one."""
    if not user.has_perm(MAY_MANAGE):
        return []
    found = []
    if matches(gettext_lazy("Webhooks"), query):
        found.append(Hit(_("Webhooks"), reverse("notices:list"), "webhook", _("Page")))
    create = gettext_lazy("Make a webhook")
    if matches(create, query):
        found.append(Hit(create, reverse("notices:new"), "plus", _("Action")))
    return found
