"""Pictures that come with the portal, to try a model with."""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from django.conf import settings

from core.natural import natural_key

#: Content types by what a file's name ends with.
CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
}
_MOST = 60


@dataclass(frozen=True)
class Sample:
    """One file of SAMPLES_DIR."""

    name: str
    group: str
    """What the name begins with: ``digit-3.png`` is a digit."""
    size: int
    """In bytes."""

    @property
    def content_type(self) -> str:
        """By the end of its name."""
        return CONTENT_TYPES[Path(self.name).suffix.lower()]


def all_samples() -> list[Sample]:
    """The pictures in SAMPLES_DIR, by group and name; none where it is not set or not there."""
    if not settings.SAMPLES_DIR:
        return []
    try:
        files = [path for path in Path(settings.SAMPLES_DIR).iterdir() if _usable(path)]
        samples = [Sample(path.name, _group(path.name), path.stat().st_size) for path in files]
    except OSError:
        return []
    return sorted(samples, key=in_order)[:_MOST]


def in_order(sample: Sample) -> list[str]:
    """What pictures are sorted by; unique."""
    return [natural_key(sample.group), sample.group, natural_key(sample.name), sample.name]


def grouped() -> list[tuple[str, list[Sample]]]:
    """The same, as the page shows them."""
    return [(group, list(of)) for group, of in groupby(all_samples(), key=lambda s: s.group)]


def that_fit(*models: str) -> list[Sample]:
    """Those of groups that a model's name begins with: digit-3.png for the model digits.

    All of them, where there is no such group: nobody knows then what the models are for.
    """
    every = all_samples()
    fit = [one for one in every if any(name.startswith(one.group) for name in models)]
    return fit or every


def path_of(name: str) -> Path | None:
    """Where the sample of this name is; None for any other name, so also for ``../secret``."""
    if any(sample.name == name for sample in all_samples()):
        return Path(settings.SAMPLES_DIR) / name
    return None


def read(name: str) -> tuple[bytes, str] | None:
    """The bytes of the sample of this name, and their content type; None for any other name."""
    path = path_of(name)
    if path is None:
        return None
    try:
        return path.read_bytes(), CONTENT_TYPES[path.suffix.lower()]
    except FileNotFoundError:  # it was taken away meanwhile
        return None


def _usable(path: Path) -> bool:
    return path.suffix.lower() in CONTENT_TYPES and path.is_file() and not path.is_symlink()


def _group(name: str) -> str:
    return re.split(r"[-_.0-9]", name, maxsplit=1)[0].lower() or "other"
