"""Two versions beside each other: what is known of them, and where they differ."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils import formats
from django.utils.translation import gettext as _

from core import clock
from core.templatetags.portal import percent
from models_catalog import validation_result
from models_catalog.models import Version

Value = int | float | str | None
_MEGABYTE = 1 << 20
CALLED_DAYS = 30
"""Of so many days are the calls that are compared."""
MOST_CALLS = 10_000
"""At most this many calls of a version are read, the latest; more would make the page slow."""


@dataclass(frozen=True)
class Fact:
    """One line: ``name`` for programs, ``label`` for people; the value of either version."""

    name: str
    label: str
    one: Value
    other: Value
    unit: str = ""

    @property
    def differs(self) -> bool:
        """Whether the two are not alike."""
        return self.one != self.other

    @property
    def said(self) -> tuple[str, str]:
        """Both values as a page shows them."""
        return self._said(self.one), self._said(self.other)

    def _said(self, value: Value) -> str:
        if value is None or value == "":
            return "–"
        if isinstance(value, str):
            return f"{value[:16]}…" if self.unit == "sha256" else value
        if self.unit == "bytes":
            return filesizeformat(value)
        if self.unit == "ms":
            return f"{formats.number_format(value, 1, force_grouping=True)} ms"
        if self.unit == "share":
            return f"{100 * value:.1f} %"
        if self.unit == "as given":
            return str(value)
        return str(formats.number_format(value, force_grouping=True))


@dataclass(frozen=True)
class Moved:
    """A label that both have, at another place."""

    label: str
    one: int
    other: int


@dataclass(frozen=True)
class Called:
    """How a version was called: how often, how fast, and how often it had to be loaded first.

    ``p50_ms``: the median of the answered calls; None where none was. ``cold_share``: 0 to 1, of
    the calls of which the container says it; None where it says it of none.
    """

    calls: int
    p50_ms: float | None = None
    cold_share: float | None = None


CallsOf = Callable[[Version, datetime, int], Called]
_calls_of: list[CallsOf] = []


def register_calls(found: CallsOf) -> None:
    """Let ``found(version, since, most)`` tell how a version was called ``since`` then.

    It looks at the latest ``most`` calls. Calls belong to an app above this one.
    """
    _calls_of.append(found)


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` finds; of labels those that one of the two has alone, and the moved."""

    one: Version
    other: Version
    facts: list[Fact]
    calls: list[Fact]
    metadata: list[Fact]
    layers: list[Fact]
    added: list[str]
    removed: list[str]
    moved: list[Moved]

    @property
    def labels_differ(self) -> bool:
        """Whether the two name other labels, or in another order."""
        return bool(self.added or self.removed or self.moved)


def compare(one: Version, other: Version) -> Comparison:
    """Compare two versions, with their reports; ``added``: labels that ``other`` has alone."""
    first, second = _labels(one), _labels(other)
    return Comparison(
        one=one,
        other=other,
        facts=_facts(one, other),
        calls=_calls(one, other),
        metadata=_by_key(one.metadata or {}, other.metadata or {}, "as given"),
        layers=_by_key(one.artifact.get("layers") or {}, other.artifact.get("layers") or {}, ""),
        added=[label for label in second if label not in first],
        removed=[label for label in first if label not in second],
        moved=[
            Moved(label, place, second[label])
            for label, place in first.items()
            if label in second and second[label] != place
        ],
    )


def _calls(one: Version, other: Version) -> list[Fact]:
    """How both were called lately; nothing where neither was."""
    since = clock.now() - timedelta(days=CALLED_DAYS)
    for calls_of in _calls_of:
        first, second = (calls_of(version, since, MOST_CALLS) for version in (one, other))
        if first.calls or second.calls:
            counted = _("Number of calls, %(most)s at most")
            counted %= {"most": formats.number_format(MOST_CALLS, force_grouping=True)}
            return [
                Fact("calls", counted, first.calls, second.calls),
                Fact("p50_ms", _("Median time (p50)"), first.p50_ms, second.p50_ms, "ms"),
                Fact("cold_share", _("Cold starts"), first.cold_share, second.cold_share, "share"),
            ]
    return []


def _labels(version: Version) -> dict[str, int]:
    """Each label and its first place."""
    found: dict[str, int] = {}
    for place, label in enumerate(version.labels):
        found.setdefault(label, place)
    return found


def _by_key(one: dict[str, Any], other: dict[str, Any], unit: str) -> list[Fact]:
    keys = sorted({*one, *other})
    return [Fact(key, key, one.get(key), other.get(key), unit) for key in keys]


def _facts(one: Version, other: Version) -> list[Fact]:
    labels = [
        ("state", _("State"), ""),
        ("note", _("Note"), ""),
        ("file_name", _("File"), ""),
        ("size", _("Size as uploaded"), "bytes"),
        ("published_size", _("Size as served"), "bytes"),
        ("packing", _("Packing"), ""),
        ("sha256", _("SHA-256 as uploaded"), "sha256"),
        ("content_sha256", _("SHA-256 of the content"), "sha256"),
        ("input_shape", _("Input"), ""),
        ("preprocessing", _("Preprocessing"), ""),
        ("outputs", _("Output"), ""),
        ("parameters", _("Parameters"), ""),
        ("labels", _("Labels"), ""),
        ("load_ms", _("Load"), "ms"),
        ("first_ms", _("First answer"), "ms"),
        ("warm_ms", _("Warm answer"), "ms"),
        ("memory_bytes", _("Memory"), "bytes"),
        ("answer", _("Answer on the sample picture"), ""),
    ]
    first, second = _values(one), _values(other)
    return [Fact(name, label, first[name], second[name], unit) for name, label, unit in labels]


def _values(version: Version) -> dict[str, Value]:
    inside = version.artifact
    result = validation_result.of_report(version.report)
    memory = result.memory_mb if result is not None else None
    best = result.best if result is not None else None
    return {
        "state": str(version.get_state_display()),
        "note": version.note,
        "file_name": version.file_name,
        "size": version.size,
        "published_size": version.published_size,
        "packing": str(version.get_packing_display()),
        "sha256": version.sha256,
        "content_sha256": version.content_sha256,
        "input_shape": version.input_shape,
        "preprocessing": validation_result.preprocessing(inside),
        "outputs": ", ".join(
            f"{one['name']} {' × '.join(map(str, one['shape']))}"
            for one in inside.get("outputs") or []
        ),
        "parameters": version.parameters,
        "labels": inside.get("label_count"),
        "load_ms": result.load_ms if result is not None else None,
        "first_ms": result.first_ms if result is not None else None,
        "warm_ms": result.warm_ms if result is not None else None,
        "memory_bytes": None if memory is None else round(memory * _MEGABYTE),
        "answer": "" if best is None else f"{best.label} ({percent(best.percent / 100)})",
    }
