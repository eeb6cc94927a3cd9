"""How a version is named: ``digits:2``, ``digits@production``, or ``digits``.

Plain ``digits`` is its live version, or where nobody has made one live, the newest that is ready.
A reference is resolved at the moment when it is used.
"""

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _

from models_catalog.models import LIVE, Alias, Version

MAX_LENGTH = 200
_REFERENCE = re.compile(r"([^:@\x00]+)(?::([0-9]{1,9})|@([^:@\x00]+))?")


class Malformed(Exception):
    """The text is no reference; ``str()`` says how one is written."""


@dataclass(frozen=True)
class Reference:
    """A reference, read: ``number`` and ``alias`` are None where it is a plain name."""

    model: str
    number: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.alias is not None:
            return f"{self.model}@{self.alias}"
        return self.model if self.number is None else f"{self.model}:{self.number}"

    def resolve(self, *, with_report: bool = False) -> Version | None:
        """The version that it means now, with its model; None where there is none."""
        rows = Version.objects.filter(model__name=self.model).select_related("model")
        rows = rows.defer("model__description")
        rows = rows.select_related("label_file") if with_report else rows.defer("report")
        if self.number is not None:
            return rows.filter(number=self.number).first()
        named = self.alias or LIVE
        pointed = Alias.objects.filter(model__name=self.model, name=named).values("version")
        found = rows.filter(pk__in=pointed).first()
        if found is None and self.alias is None:
            found = rows.filter(state=Version.State.READY).order_by("-number").first()
        return found


def parse(text: str) -> Reference:
    """Read a reference; raises Malformed."""
    match = _REFERENCE.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise Malformed(
            _(
                "Write it as digits:2, as digits@production, or as digits for its live version "
                "(without one, the newest that is ready)."
            )
        )
    model, number, alias = match.groups()
    return Reference(model, int(number) if number else None, alias)
