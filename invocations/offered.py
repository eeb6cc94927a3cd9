"""What the page offers to call: of thousands of versions the likely ones, and what a search finds.

The page has a select of them. Its field asks for others as somebody types (views.versions).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from core.natural import natural_key
from models_catalog.models import Alias, Version

#: So many versions are listed at once, and half as many aliases.
MOST = 100
_MOST_TICKED = 8
_NUMBER = re.compile(r"v?(\d{1,9})")
# A longer text names no version.
_MOST_WORDS, _MOST_LETTERS = 6, 200


@dataclass(frozen=True)
class Offered:
    """Versions by model, and aliases; ``more``: there are others, which a search finds."""

    versions: list[Version]
    aliases: list[Alias]
    more: bool

    def narrowed(self, model: str) -> "Offered":
        """What of it is of one model, the newest first, few enough to be ticked."""
        versions = [one for one in self.versions if one.model.name == model]
        versions.sort(key=lambda one: -one.number)
        aliases = [one for one in self.aliases if one.model.name == model]
        more = max(len(versions), len(aliases)) > _MOST_TICKED
        return Offered(versions[:_MOST_TICKED], aliases[:_MOST_TICKED], more)


def likely(*, wanted: Iterable[int] = (), alias: str = "") -> Offered:
    """The newest versions and the first aliases; ``wanted`` versions and ``alias`` for certain.

    What is named there and cannot be called (any more) is left out.
    """
    found = _offered(Version.objects.ready(), Alias.objects.listed())
    missing = set(wanted) - {version.pk for version in found.versions}
    if missing:
        found.versions.extend(Version.objects.ready().filter(pk__in=missing))
        found.versions.sort(key=_by_name)
    if alias and alias not in {str(one) for one in found.aliases}:
        model, _at, name = alias.rpartition("@")
        found.aliases.extend(Alias.objects.listed().filter(model__name=model, name=name))
    return found


def of_model(model: Q) -> Offered:
    """The newest versions and the first aliases of one model, few enough to be ticked."""
    versions = Version.objects.ready().filter(model)
    aliases = Alias.objects.listed().filter(model)
    newest = list(versions.order_by("-pk")[: _MOST_TICKED + 1])
    first = list(aliases[: _MOST_TICKED + 1])
    more = max(len(newest), len(first)) > _MOST_TICKED
    return Offered(newest[:_MOST_TICKED], first[:_MOST_TICKED], more)


def search(text: str) -> Offered:
    """Those that have each word: in the model's name, the note, the number or the alias."""
    versions, aliases = Version.objects.ready(), Alias.objects.listed()
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
    # Which they are is found out first: all are sorted for it, and PostgreSQL would read all
    # versions three times for what each of them names.
    few = list(aliases.values_list("pk", flat=True)[: MOST // 2 + 1])
    first = list(Alias.objects.listed().filter(pk__in=few))
    return Offered(
        versions=sorted(newest[:MOST], key=_by_name),
        aliases=first[: MOST // 2],
        more=len(newest) > MOST or len(first) > MOST // 2,
    )


def _by_name(version: Version) -> tuple[str, str, int]:
    name = version.model.name
    return natural_key(name), name, -version.number
