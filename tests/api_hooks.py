"""What schemathesis sends where the document says only that a body is bytes.

Archives and pictures that are good, cut off, and none at all: bytes at random would be refused
before the portal does anything with them.
"""

import io
import tarfile

import schemathesis
from hypothesis import strategies
from PIL import Image


def _archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        found = tarfile.TarInfo("digits-symbol.json")
        found.size = 2
        archive.addfile(found, io.BytesIO(b"{}"))
    return file.getvalue()


def _picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


_GOOD = (_archive(), _picture("PNG"), _picture("JPEG"))
BYTES = strategies.one_of(
    strategies.sampled_from(_GOOD),
    strategies.sampled_from(_GOOD).flatmap(
        lambda whole: strategies.integers(0, len(whole)).map(lambda end: whole[:end])
    ),
    strategies.binary(max_size=200),
)
#: The content types of bodies that are bytes.
BINARY = (
    "application/octet-stream", "application/offset+octet-stream", "application/gzip",
    "application/x-gzip", "application/x-tar",
    "image/png", "image/jpeg", "*/*", "image/*",
)  # fmt: skip


def register() -> None:
    """Tell schemathesis; idempotent."""
    for kind in BINARY:
        schemathesis.openapi.media_type(kind, BYTES)
