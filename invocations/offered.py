"""What the page offers to call: of thousands of versions the likely ones, and what a search finds.

The page has a select of them. Its field asks for others as somebody types (views.versions).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from django.db.models import Q, QuerySet

from core.natural import by_name, natural_key
from core.templatetags.elements import cut_at
from models_catalog.models import Alias, Version

#: At most this many versions are listed at once, and half as many aliases.
MOST = 100
_MOST_TICKED = 8
_MOST_OF_NOTE = 40
_NUMBER = re.compile(r"v?(\d{1,9})")
# A longer text names no version.
_MOST_WORDS, _MOST_LETTERS = 6, 200


@dataclass(frozen=True)
class Offered:
    """Versions by model, and aliases; ``more``: there are others, which a search finds."""

    versions: list[Version]
    aliases: list[Alias]
    more: bool

    @property
    def alias_options(self) -> list[tuple[str, str]]:
        """What the field offers of the aliases: each value with its text."""
        return [(str(one), f"{one} · v{one.version.number}") for one in self.aliases]

    @property
    def version_options(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """What the field offers of the versions: by the name of the model value and text."""
        return [
            (name, [(str(one.pk), _said(one)) for one in versions])
            for name, versions in groupby(self.versions, key=lambda one: one.model.name)
        ]

    def narrowed(self, model: str) -> "Offered":
        """What of it is of one model, the newest first, few enough to be ticked."""
        versions = [one for one in self.versions if one.model.name == model]
        versions.sort(key=lambda one: -one.number)
        aliases = [one for one in self.aliases if one.model.name == model]
        more = max(len(versions), len(aliases)) > _MOST_TICKED
        return Offered(versions[:_MOST_TICKED], aliases[:_MOST_TICKED], more)


def _versions() -> QuerySet[Version]:
    """Those that are ready, with what an option says: there are a hundred of them."""
    return Version.objects.ready().only("number", "note", "model__name")


def likely(*, wanted: Iterable[int] = (), alias: str = "") -> Offered:
    """The newest versions and the first aliases; ``wanted`` versions and ``alias`` for certain.

    What is named there and cannot be called (any more) is left out.
    """
    found = _offered(_versions(), Alias.objects.offered())
    missing = set(wanted) - {version.pk for version in found.versions}
    if missing:
        found.versions.extend(_versions().filter(pk__in=missing))
        found.versions.sort(key=_by_name)
    if alias and alias not in {str(one) for one in found.aliases}:
        model, _at, name = alias.rpartition("@")
        found.aliases.extend(Alias.objects.offered().filter(model__name=model, name=name))
    return found


def of_model(model: Q) -> Offered:
    """The newest versions and the first aliases of one model, few enough to be ticked."""
    versions = _versions().filter(model)
    aliases = Alias.objects.offered().filter(model)
    newest = list(versions.order_by("-pk")[: _MOST_TICKED + 1])
    first = list(aliases[: _MOST_TICKED + 1])
    more = max(len(newest), len(first)) > _MOST_TICKED
    return Offered(newest[:_MOST_TICKED], first[:_MOST_TICKED], more)


def search(text: str) -> Offered:
    """Those that have each word: in the model's name, the note, the number or the alias."""
    versions, aliases = _versions(), Alias.objects.offered()
    for word in text.replace("\0", "")[:_MOST_LETTERS].split()[:_MOST_WORDS]:
        number = _NUMBER.fullmatch(word.lower())
        named = Q(model__name__icontains=word)
        of_version = named | Q(note__icontains=word)
        of_alias = named | Q(name__icontains=word)
        if number:
            of_version |= Q(number=int(number[1]))
            of_alias |= Q(version__number=int(number[1]))
        versions, aliases = versions.filter(of_version), aliases.filter(of_alias)
    return _offered(versions, aliases)


def _offered(versions: QuerySet[Version], aliases: QuerySet[Alias]) -> Offered:
    newest = list(versions.order_by("-pk")[: MOST + 1])
    # The models of the first ones are found by the key that each model keeps; that of an alias is
    # computed while it is sorted.
    by_model = aliases.order_by(*by_name("model__name", stored="model__name_key"))
    models = list(by_model.values_list("model", flat=True)[: MOST // 2 + 1])
    first = list(aliases.filter(model__in=models)[: MOST // 2 + 1])
    return Offered(
        versions=sorted(newest[:MOST], key=_by_name),
        aliases=first[: MOST // 2],
        more=len(newest) > MOST or len(first) > MOST // 2,
    )


def _said(version: Version) -> str:
    return f"{version} · {cut_at(version.note, _MOST_OF_NOTE)}" if version.note else str(version)


def _by_name(version: Version) -> tuple[str, str, int]:
    name = version.model.name
    return natural_key(name), name, -version.number
