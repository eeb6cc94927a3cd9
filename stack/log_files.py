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
    """Open for appending, write a line with the start time; gives the file and its offset."""
    rotate(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        file.write(f"== {name} started {now}\n".encode())
        yield file, file.tell()


def rotate(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Rotate a log that is longer than ``max_bytes`` to one older file (``.1``)."""
    try:
        if path.stat().st_size <= max_bytes:
            return
    except FileNotFoundError:
        return
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    with path.open("r+b") as file:
        file.truncate(0)
