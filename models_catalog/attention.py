"""What Today shows of the catalog: rejected versions, and what differs in the store.

A rejected version is shown until somebody uploads the next one or dismisses it.
"""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from activity.models import Event
from activity.services import record
from core.attention import SHOWN, Item, ItemGroup
from models_catalog import secrecy
from models_catalog.importing import MAY_IMPORT
from models_catalog.models import StrayObject, Version, VersionQuerySet

MAY_LOOK = "models_catalog.view_model"
MAY_DISMISS = "models_catalog.add_version"
DISMISSED, RESTORED = "version.dismissed", "version.restored"
# At most this many are counted; nobody reads on after them.
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
    secrecy.check_may_write(version.model.placed_in, actor)
    about = Event.objects.about(Version.activity_kind, version.pk)
    last = about.filter(action__in=[DISMISSED, RESTORED]).first()
    if last is not None and last.action == DISMISSED:
        parameters = {"version": str(version)}
        record(action=RESTORED, subject=version, parameters=parameters, actor=actor)


def dismiss(*, version: Version, actor: User | None) -> None:
    """Take a rejected version off Today, for everybody; idempotent."""
    secrecy.check_may_write(version.model.placed_in, actor)
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


def in_stores(request: HttpRequest) -> list[ItemGroup]:
    """What differs in the stores, as Today shows it; asked by one query.

    The versions whose object is gone or another one; to who may import it, what appeared in the
    last week and no version knows.
    """
    found = Version.objects.drifted().values_list("drift", *_COLUMNS, "bucket", "key")
    if request.user.has_perm(MAY_IMPORT):
        named = {"no_drift": Value(""), "no_model": Value(""), "no_number": Value(0)}
        strays = StrayObject.objects.filter(seen_at__gt=Now() - STRAYS_SHOWN)
        strays = strays.annotate(**named).order_by()
        found = found.order_by().union(strays.values_list(*named, "bucket", "key"), all=True)
        found = found.order_by("-drift")  # versions first
    versions, objects = [], []
    for drift, model, number, bucket, key in found[: 2 * COUNTED]:
        uri = f"s3://{bucket}/{key}"
        if drift:
            versions.append((drift, f"{model} v{number}", (model, number), uri))
        else:
            objects.append(uri)
    return [*_drifted(versions[:COUNTED]), *_strays(objects[:COUNTED])]


_COLUMNS = ("model__name", "number")


def _counted(many: list[Any]) -> str | int:
    return f"{COUNTED}+" if len(many) == COUNTED else len(many)


def _drifted(versions: list[tuple[str, str, tuple[str, int], str]]) -> list[ItemGroup]:
    if not versions:
        return []
    items = [
        Item(
            _("%(version)s: its archive in the store is gone.") % {"version": version}
            if drift == Version.Drift.GONE
            else _("%(version)s: its archive in the store is another one.") % {"version": version},
            reverse("models_catalog:version", args=named),
            uri,
        )
        for drift, version, named, uri in versions[:SHOWN]
    ]
    summary = ngettext(
        "%(count)s version changed in the store, past the portal",
        "%(count)s versions changed in the store, past the portal",
        len(versions),
    ) % {"count": _counted(versions)}
    return [ItemGroup(summary, items, error=True)]


def _strays(objects: list[str]) -> list[ItemGroup]:
    if not objects:
        return []
    address = reverse("models_catalog:import")
    items = [Item(_("%(uri)s is no version.") % {"uri": uri}, address) for uri in objects[:SHOWN]]
    summary = ngettext(
        "%(count)s object in the store that the portal does not know",
        "%(count)s objects in the store that the portal does not know",
        len(objects),
    ) % {"count": _counted(objects)}
    return [ItemGroup(summary, items, address if len(objects) > SHOWN else "")]
