"""What the search of the whole site (Ctrl+K) knows of the catalog: models, versions and stores."""

import re
from typing import Any

from django.db.models import Case, OuterRef, Q, Subquery, When
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.natural import by_name
from core.palette import MOST_OF_A_SOURCE, Hit, matches
from models_catalog.attention import MAY_LOOK
from models_catalog.models import Alias, RegisteredModel, Store, Version

_VERSION = re.compile(r"(\S+)\s+v?(\d{1,9})")


def models(user: Any, query: str) -> list[Hit]:
    """Models by a part of their name, a tag, an alias or the owner's name; else the newest.

    Those that have it in their name come first.
    """
    if not user.has_perm(MAY_LOOK):
        return []
    rows = RegisteredModel.objects.newest_first()
    if query:
        named = Q(name__icontains=query)
        found = named | Q(tag_lines__icontains=query) | Q(owner__username__icontains=query)
        found |= Q(owner=None, created_by__username__icontains=query)
        found |= Q(pk__in=Alias.objects.filter(name__icontains=query).values("model"))
        first = Case(When(named, then=0), default=1)
        rows = RegisteredModel.objects.filter(found).order_by(
            first, *by_name("name", stored="name_key")
        )
    return [
        Hit(model.name, model.get_absolute_url(), "model", _("Model"))
        for model in rows[:MOST_OF_A_SOURCE]
    ]


def versions(user: Any, query: str) -> list[Hit]:
    """Versions by "name v3", by a part of their note, or by the beginning of a checksum.

    First the newest that is ready, of each model whose name begins so: its note may say nothing.
    """
    if not query or not user.has_perm(MAY_LOOK):
        return []
    match = _VERSION.fullmatch(query)
    newest: list[int] = []
    if match:
        found = Version.objects.filter(model__name__icontains=match[1], number=int(match[2]))
    else:
        found = Version.objects.filter(note__icontains=query)
        found |= Version.objects.with_checksum(query)
        newest = _newest_of_models(query)
        found |= Version.objects.filter(pk__in=newest)
    first = Case(When(pk__in=newest, then=0), default=1)
    return [
        Hit(_titled(version), version.get_absolute_url(), "file", _("Version"))
        for version in found.defer("report")
        .select_related("model")
        .order_by(first, "-pk")[:MOST_OF_A_SOURCE]
    ]


def _newest_of_models(query: str) -> list[int]:
    """The newest version that is ready, of the first models whose name begins so."""
    ready = Version.objects.filter(state=Version.State.READY, retired_at=None, model=OuterRef("pk"))
    named = RegisteredModel.objects.filter(name__istartswith=query)
    newest = Subquery(ready.order_by("-number").values("pk")[:1])
    found = named.annotate(newest=newest).exclude(newest=None)
    first = found.order_by(*by_name("name", stored="name_key"))[:MOST_OF_A_SOURCE]
    return list(first.values_list("newest", flat=True))


def stores(user: Any, query: str) -> list[Hit]:
    """The page of stores, for who types its name, and stores by theirs."""
    if not query or not user.has_perm(MAY_LOOK):
        return []
    found = [
        Hit(one.name, one.get_absolute_url(), "database", _("Store"))
        for one in Store.objects.added().filter(name__icontains=query)[:MOST_OF_A_SOURCE]
    ]
    page = _("Stores")
    if matches(page, query):
        found.insert(0, Hit(page, reverse("models_catalog:stores"), "database", _("Page")))
    return found


def _titled(version: Version) -> str:
    return f"{version} · {version.note}" if version.note else str(version)
