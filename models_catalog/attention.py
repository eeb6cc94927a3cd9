"""What Today shows of the catalog: rejected versions, and what differs in the store.

A rejected version is shown until somebody uploads the next one or dismisses it.
"""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from activity.models import Event
from activity.services import record
from core import clock
from core.attention import SHOWN, Item, ItemGroup
from models_catalog.models import StrayObject, Version, VersionQuerySet

MAY_LOOK = "models_catalog.view_model"
MAY_DISMISS = "models_catalog.add_version"
DISMISSED, RESTORED = "version.dismissed", "version.restored"
# So many are counted; nobody reads on after them.
COUNTED = 100
#: Somebody may want an object in the store that is no model: it is told so long.
STRAYS_SHOWN = timedelta(days=7)


def needing_somebody() -> VersionQuerySet:
    """Rejected versions without a newer version of their model that nobody has dismissed."""
    newer = Version.objects.filter(model=OuterRef("model"), number__gt=OuterRef("number"))
    last = Event.objects.filter(
        action__in=[DISMISSED, RESTORED],
        subject_kind=Version.activity_kind,
        subject_id=OuterRef("pk"),
    ).order_by("-pk")
    return (
        Version.objects.annotate(last=Coalesce(Subquery(last.values("action")[:1]), Value("")))
        .filter(~Exists(newer), ~Q(last=DISMISSED), state=Version.State.REJECTED)
        .defer("report")
        .select_related("model")
        .order_by("-pk")
    )


def restore(*, version: Version, actor: User | None) -> None:
    """Undo a dismissal: the version is on Today again, for everybody; idempotent."""
    about = Event.objects.about(Version.activity_kind, version.pk)
    last = about.filter(action__in=[DISMISSED, RESTORED]).first()
    if last is not None and last.action == DISMISSED:
        parameters = {"version": str(version)}
        record(action=RESTORED, subject=version, parameters=parameters, actor=actor)


def dismiss(*, version: Version, actor: User | None) -> None:
    """Take a rejected version off Today, for everybody; idempotent."""
    if needing_somebody().filter(pk=version.pk).exists():
        record(
            action=DISMISSED,
            subject=version,
            parameters={"version": str(version)},
            actor=actor,
        )


def rejected(request: HttpRequest) -> list[ItemGroup]:
    """The rejected versions, as Today shows them."""
    found = list(needing_somebody()[:COUNTED])
    if not found:
        return []
    may_dismiss = request.user.has_perm(MAY_DISMISS)
    items = [
        Item(
            _("%(version)s was rejected.") % {"version": version},
            version.get_absolute_url(),
            str(version.said),
            reverse("models_catalog:dismiss", args=[version.model.name, version.number])
            if may_dismiss
            else "",
        )
        for version in found[:SHOWN]
    ]
    summary = ngettext("%(count)s version rejected", "%(count)s versions rejected", len(found)) % {
        "count": f"{COUNTED}+" if len(found) == COUNTED else len(found)
    }
    return [ItemGroup(summary, items, reverse("models_catalog:list") if len(found) > SHOWN else "")]


def drifted(request: HttpRequest) -> list[ItemGroup]:
    """The versions whose object in the store is gone or another one, as Today shows them."""
    rows = Version.objects.drifted().defer("report").select_related("model")
    found = list(rows[:COUNTED])
    if not found:
        return []
    items = [
        Item(
            _("%(version)s: its archive in the store is gone.") % {"version": version}
            if version.drift == Version.Drift.GONE
            else _("%(version)s: its archive in the store is another one.") % {"version": version},
            version.get_absolute_url(),
            version.uri,
        )
        for version in found[:SHOWN]
    ]
    summary = ngettext(
        "%(count)s version changed in the store, past the portal",
        "%(count)s versions changed in the store, past the portal",
        len(found),
    ) % {"count": f"{COUNTED}+" if len(found) == COUNTED else len(found)}
    return [ItemGroup(summary, items, error=True)]


def strays(request: HttpRequest) -> list[ItemGroup]:
    """What appeared in the stores in the last week and no version knows, as Today shows it."""
    rows = StrayObject.objects.filter(seen_at__gt=clock.now() - STRAYS_SHOWN)
    found = list(rows.order_by("-pk")[:COUNTED])
    if not found:
        return []
    address = reverse("models_catalog:import")
    items = [Item(_("%(uri)s is no version.") % {"uri": stray}, address) for stray in found[:SHOWN]]
    summary = ngettext(
        "%(count)s object in the store that the portal does not know",
        "%(count)s objects in the store that the portal does not know",
        len(found),
    ) % {"count": f"{COUNTED}+" if len(found) == COUNTED else len(found)}
    return [ItemGroup(summary, items, address if len(found) > SHOWN else "")]
