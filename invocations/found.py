"""What the search (Ctrl+K) finds of calls: the pages, and the newest version of a model to call."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.palette import MOST_OF_A_SOURCE, Hit, matches
from invocations.panels import MAY_INVOKE
from models_catalog.models import Version


def pages(user: Any, query: str) -> list[Hit]:
    """The pages of this app whose names match."""
    if not user.has_perm(MAY_INVOKE):
        return []
    known = [
        Hit(gettext_lazy("Call a model"), reverse("invocations:page"), "invoke", _("Page")),
        Hit(
            gettext_lazy("Experiments"),
            reverse("invocations:experiments"),
            "flask-conical",
            _("Page"),
        ),
        Hit(gettext_lazy("All calls"), reverse("invocations:calls"), "activity", _("Page")),
    ]
    return [hit for hit in known if matches(hit.label, query)]


def versions(user: Any, query: str) -> list[Hit]:
    """For each model that matches, its newest version that is ready, to call it."""
    if not query or not user.has_perm(MAY_INVOKE):
        return []
    found: dict[int, Version] = {}
    ready = Version.objects.ready().filter(model__name__icontains=query)
    # Newest first of each model; a model of hundreds of versions is passed over quickly.
    for version in ready.only("number", "model__name")[:400]:
        found.setdefault(version.model_id, version)
        if len(found) > MOST_OF_A_SOURCE:
            break
    return [
        Hit(
            _("Call %(version)s") % {"version": version},
            f"{reverse('invocations:page')}?version={version.pk}",
            "invoke",
            _("Call"),
        )
        for version in found.values()
    ]
