"""Compiles the catalogs of the languages: each .po file becomes a .mo file beside it.

Only .po files are committed. The set-up makes the others (`make up`, `make dev`, the image's
build, the tests), with Babel, as a bare machine has no gettext. A .mo file ends with the checksum
of the .po file that it was made from, so one that is out of date is found and made anew.
"""

import hashlib
import io
import os
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent


def sources(root: Path = ROOT) -> list[Path]:
    """The .po files of all rooms."""
    return sorted(root.glob("*/locale/*/LC_MESSAGES/*.po"))


def compile_changed(root: Path = ROOT) -> list[Path]:
    """Make each .mo file that is missing or out of date; gives the .po files of those.

    A .mo file without a .po file is removed. Raises OSError where a file cannot be written, and
    babel's PoFileError for a .po file that cannot be read.
    """
    found = sources(root)
    for left in root.glob("*/locale/*/LC_MESSAGES/*.mo"):
        if left.with_suffix(".po") not in found:
            left.unlink(missing_ok=True)
    return [source for source in found if _compile(source)]


def _compile(source: Path) -> bool:
    text = source.read_bytes()
    # Programs that read .mo files find everything by its offset, so they never see the checksum.
    checksum = hashlib.sha256(text).hexdigest().encode()
    target = source.with_suffix(".mo")
    if target.exists() and target.read_bytes().endswith(checksum):
        return False
    language = source.parent.parent.name
    catalog = read_po(io.BytesIO(text), locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    # Under its own name first: another process may read or make the file at the same time.
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(compiled.getvalue() + checksum)
    temporary.replace(target)
    return True


if __name__ == "__main__":
    compile_changed()
