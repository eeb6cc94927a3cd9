"""The log files of the parts, and their rotation.

Parts write directly to their files, so that the supervisor can neither block them nor break their
output when it dies. A long file is therefore copied and truncated (copytruncate), which works
because it is open for appending.
"""

import contextlib
import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAX_BYTES = 10_000_000


@contextlib.contextmanager
def open_log(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open for appending, write a line with the start time; gives the file and its offset.

    On a full disk the line is left out: the program is started all the same.
    """
    with contextlib.suppress(OSError):
        rotate(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            file.write(f"== {name} started {now}\n".encode())
        yield file, file.tell()


def rotate(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Rotate a log that is longer than ``max_bytes`` to one older file (``.1``).

    Raises OSError where there is no room for that; the log stays as it is.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return
    except FileNotFoundError:
        return
    older = path.with_name(path.name + ".1")
    try:
        shutil.copyfile(path, older)
    except OSError:
        with contextlib.suppress(OSError):
            older.unlink()  # a part of it, which takes the last room
        raise
    with path.open("r+b") as file:
        file.truncate(0)
