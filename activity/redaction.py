"""Take a text out of everything that people wrote or that was recorded: personal data, a secret.

Each room says when Django starts in which columns such texts may be (``AppConfig.ready``)::

    redaction.register("notes", _("Notes"), Version, "note", "metadata")

What is found is replaced by MARK, also in the log, which nothing else changes. Archives and
pictures in the store are not changed: what is served stays as it was validated.

A redaction that is cut off has changed some rows and not others; asked for again, it does the rest.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import JSONField, Model, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from activity.services import record

MAY_REDACT, REDACTING = "activity.redact_event", gettext_noop("redact texts")
#: In place of each occurrence; no longer than the shortest text, so that it fits every column.
MARK = "███"
LEAST_LENGTH, MOST_LENGTH = len(MARK), 500
#: What is to be typed on the page, and in `mme`, before anything is changed.
TYPED = "redact"
_BATCH = 500

#: Writes a row's new values by column; for a column that others depend on.
Write = Callable[[Any, dict[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """Columns of a table in which a text may be; ``name`` is what the API calls them."""

    name: str
    label: Any
    model: type[Model]
    fields: tuple[str, ...]
    write: Write | None

    def rows(self, forms: tuple[str, ...]) -> QuerySet[Model]:
        """The rows that have the text, in any of its forms, in one of the columns."""
        found, texts = Q(), {}
        for name in self.fields:
            column = name
            if isinstance(self.model._meta.get_field(name), JSONField):
                column = f"text_of_{name}"
                texts[column] = Cast(name, TextField())
            for form in forms:
                found |= Q(**{f"{column}__icontains": form})
                # SQLite has escapes for letters beyond ASCII, PostgreSQL the letters.
                for ascii_alone in (True, False) if column != name else ():
                    escaped = json.dumps(form, ensure_ascii=ascii_alone)[1:-1]
                    found |= Q(**{f"{column}__icontains": escaped})
        rows: QuerySet[Model] = self.model._base_manager.alias(**texts).filter(found)
        return rows


@dataclass(frozen=True)
class Occurrences:
    """How many rows of a place have the text."""

    name: str
    label: str
    count: int


@dataclass(frozen=True)
class Log:
    """The log itself, as the subject of the event that says that something was redacted."""

    pk: int = 0
    activity_kind: str = "log"

    def __str__(self) -> str:
        return "log"


_places: dict[str, Place] = {}


def register(
    name: str, label: Any, model: type[Model], *fields: str, write: Write | None = None
) -> None:
    """Make known where a text may be. ``write``: in place of an UPDATE of the row's columns.

    Several tables may share a name: they are counted together.
    """
    for field in fields:
        model._meta.get_field(field)
    _places[f"{name}/{model._meta.label}"] = Place(name, label, model, fields, write)


def places() -> list[Place]:
    """All that were registered."""
    return list(_places.values())


def find(*, text: str) -> list[Occurrences]:
    """Where the text is, whatever its case: only places that have it. Raises ValidationError."""
    forms = _forms(text)
    counts: dict[str, int] = {}
    labels: dict[str, str] = {}
    for place in places():
        labels[place.name] = str(place.label)
        counts[place.name] = counts.get(place.name, 0) + place.rows(forms).count()
    return [Occurrences(name, labels[name], count) for name, count in counts.items() if count]


def redact(*, text: str, actor: User) -> list[Occurrences]:
    """Replace the text by MARK wherever it is, and record that it was done, without the text.

    Returns what was changed. Idempotent: where nothing is found, nothing is recorded. Raises
    ValidationError.
    """
    forms = _forms(text)
    pattern = re.compile("|".join(re.escape(form) for form in forms), re.IGNORECASE)
    counts: dict[str, int] = {}
    labels: dict[str, str] = {}
    for place in places():
        labels[place.name] = str(place.label)
        counts[place.name] = counts.get(place.name, 0) + _redact(place, forms, pattern)
    changed = [Occurrences(name, labels[name], count) for name, count in counts.items() if count]
    if changed:
        told: dict[str, str | int] = {"count": sum(one.count for one in changed)}
        record(action="log.redacted", subject=Log(), parameters=told, actor=actor)
    return changed


def _forms(text: str) -> tuple[str, ...]:
    """The text as it may be stored: letters with marks are one character, or several.

    In the usual cases, too: SQLite takes no other letters than a to z in any case.
    """
    text = text.strip()
    if not LEAST_LENGTH <= len(text) <= MOST_LENGTH or "\0" in text:
        said = _("Write between %(least)s and %(most)s letters.")
        sizes = {"least": LEAST_LENGTH, "most": MOST_LENGTH}
        raise ValidationError({"text": said % sizes})
    if MARK in text:
        raise ValidationError({"text": _("This is what stands where a text was redacted.")})
    cases = (text, text.lower(), text.upper(), text.title())
    return tuple(
        dict.fromkeys(
            unicodedata.normalize(form, case) for form in ("NFC", "NFD") for case in cases
        )
    )


def _redact(place: Place, forms: tuple[str, ...], pattern: re.Pattern[str]) -> int:
    changed = 0
    for pks in _batches(place.rows(forms)):
        with transaction.atomic():
            # The columns alone: other ones of the row may be long.
            rows = place.model._base_manager.select_for_update().filter(pk__in=pks)
            for row in rows.only(*place.fields):
                values = {}
                for name in place.fields:
                    before = getattr(row, name)
                    after = _without(before, pattern)
                    if after != before:
                        values[name] = after
                if not values:
                    continue
                changed += 1
                if place.write is not None:
                    place.write(row, values)
                else:  # the plain manager: that of events changes nothing
                    place.model._base_manager.filter(pk=row.pk).update(**values)
    return changed


def _batches(rows: QuerySet[Model]) -> Iterator[list[Any]]:
    """The keys, so many at a time; each batch is asked for once, as it may still be found."""
    last: Any = None
    while True:
        more = rows if last is None else rows.filter(pk__gt=last)
        pks = list(more.order_by("pk").values_list("pk", flat=True)[:_BATCH])
        if not pks:
            return
        yield pks
        last = pks[-1]


def _without(value: Any, pattern: re.Pattern[str]) -> Any:
    """A value of a column without the text: a text, or what JSON can hold; keys stay."""
    if isinstance(value, str):
        return pattern.sub(MARK, value)
    if isinstance(value, list):
        return [_without(one, pattern) for one in value]
    if isinstance(value, dict):
        # A stored sentence (core/sentences.py): nobody wrote its code.
        kept = {"code"} if value.keys() >= {"code", "parameters"} else set()
        return {key: one if key in kept else _without(one, pattern) for key, one in value.items()}
    return value
