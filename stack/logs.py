"""The parts' log files, kept bounded.

Parts write straight into their files: nothing they print passes through the supervisor, so it can
neither hold them up nor, by dying, break their output. A file that has grown too long is therefore
copied aside and emptied, which works because it is open for appending.
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
    """Open for appending, with a line that says when this run began; also give its offset."""
    bound(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        file.write(f"== {name} started {now}\n".encode())
        yield file, file.tell()


def bound(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Keep a log at ``max_bytes`` at most, and as much of what came before beside it (``.1``)."""
    try:
        if path.stat().st_size <= max_bytes:
            return
    except FileNotFoundError:
        return
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    with path.open("r+b") as file:
        file.truncate(0)
