"""Pictures that come with the portal, to try a model with."""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from django.conf import settings

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
_MOST = 60


@dataclass(frozen=True)
class Sample:
    """One file of SAMPLES_DIR."""

    name: str
    group: str
    """What the name begins with: ``digit-3.png`` is a digit."""


def all_samples() -> list[Sample]:
    """The pictures in SAMPLES_DIR, by group and name; none where it is not set or not there."""
    if not settings.SAMPLES_DIR:
        return []
    try:
        found = [path.name for path in Path(settings.SAMPLES_DIR).iterdir() if _usable(path)]
    except OSError:
        return []
    samples = [Sample(name, _group(name)) for name in found]
    return sorted(samples, key=lambda s: (s.group, s.name))[:_MOST]


def grouped() -> list[tuple[str, list[Sample]]]:
    """The same, as the page shows them."""
    return [(group, list(of)) for group, of in groupby(all_samples(), key=lambda s: s.group)]


def path_of(name: str) -> Path | None:
    """Where the sample of this name is; None for any other name, so also for ``../secret``."""
    if any(sample.name == name for sample in all_samples()):
        return Path(settings.SAMPLES_DIR) / name
    return None


def _usable(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file() and not path.is_symlink()


def _group(name: str) -> str:
    return re.split(r"[-_.0-9]", name, maxsplit=1)[0].lower() or "other"
