"""A migrated SQLite database, kept from one run of the tests to the next.

All migrations take some six seconds of a processor, and every process of the tests and every small
portal would spend them. A stack still runs `migrate` on a copy, as its start does on any database,
and finds what is already there; a small portal does not, which would take a second more.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

from stack.layout import ROOT

_KEPT = ROOT / ".pytest_cache" / "migrated"


def _kept() -> Path:
    """Where it is kept: another file after any change of a migration, a package or SQLite."""
    state = hashlib.sha256(sqlite3.sqlite_version.encode())
    for path in [ROOT / "requirements" / "portal.txt", *sorted(ROOT.glob("*/migrations/*.py"))]:
        state.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return _KEPT / f"{state.hexdigest()[:12]}.sqlite3"


def copy_to(database: Path) -> bool:
    """Copy it to ``database``, where nothing is yet; False where none is kept."""
    try:
        shutil.copyfile(_kept(), database)
    except FileNotFoundError:
        return False
    return True


def keep(database: Path) -> None:
    """Keep a copy of ``database``, which has just been migrated, and no other one."""
    kept = _kept()
    kept.parent.mkdir(parents=True, exist_ok=True)
    new = kept.with_suffix(f".{os.getpid()}")
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(new)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
    new.rename(kept)
    for other in kept.parent.glob("*.sqlite3"):
        if other != kept:
            other.unlink(missing_ok=True)
