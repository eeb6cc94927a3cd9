"""Archives for a newcomer to try an upload with: a good one, and a broken one made of it."""

import io
import tarfile
from pathlib import Path

from django.conf import settings
from django.utils.text import slugify

GOOD, BROKEN = "good", "broken"
KINDS = (GOOD, BROKEN)

# What the broken one lacks, so that its rejection names two files.
_LEFT_OUT = ("-shapes.json", "synset.txt")
_MOST_BYTES = 32 << 20
_MOST_OF_A_NAME = 20


def available() -> bool:
    """Whether there is one here: the setting DEMO_ARCHIVE names a file that exists."""
    return bool(settings.DEMO_ARCHIVE) and Path(settings.DEMO_ARCHIVE).is_file()


def archive(kind: str, whose: str) -> tuple[str, bytes] | None:
    """The name and the bytes of the archive of this kind; None where there is none.

    A model of the demo has the name of the file already, and so has that of the newcomer before:
    the name has that of the user, too, so that the first upload meets no other model.
    """
    if kind not in KINDS or not available():
        return None
    path = Path(settings.DEMO_ARCHIVE)
    if path.stat().st_size > _MOST_BYTES:
        return None
    good = path.read_bytes()
    stem = path.name.removesuffix(".tar.gz").partition("_v")[0]
    stem = f"{stem}-{slugify(whose)[:_MOST_OF_A_NAME]}".strip("-_")
    return (f"{stem}.tar.gz", good) if kind == GOOD else (f"{stem}-broken.tar.gz", _broken(good))


def _broken(good: bytes) -> bytes:
    """The same archive without two of the files that every network has."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(good), mode="r:gz") as source,
        tarfile.open(fileobj=out, mode="w:gz") as target,
    ):
        for member in source:
            if member.isfile() and not member.name.endswith(_LEFT_OUT):
                target.addfile(member, source.extractfile(member))
    return out.getvalue()
