"""The journal of calls: what each call is and was, in a file, before its answer is sent.

Rows are written after the answer (invocations/recording.py). What a call was is not lost when the
process is killed in between: its journal is read by another process, which writes the rows.

Each process has a file of its own in JOURNAL_DIR and holds a lock on it (flock(2)) for as long as
it lives; the kernel gives the lock back however the process ends. So a file whose lock can be taken
is that of a dead process. A line is JSON, and one write(2) with O_APPEND. Nothing is synced to the
disk: lines outlive the process, but not a machine that loses its power.

The files are readable by their owner alone. They hold what rows hold, and no bytes of a picture.
"""

import contextlib
import fcntl
import json
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"
_NEW = ".new"
#: Above this size a journal whose calls are all in rows is emptied, and any other is written anew.
EMPTIED_ABOVE = 256 << 10
ANEW_ABOVE = 4 << 20

Line = dict[str, Any]


class Journal:
    """The file of this process; for all threads. A line belongs to a call, named by its ``uid``."""

    def __init__(self, folder: Path) -> None:
        """Make the file; raises OSError."""
        self._folder = folder
        self._lock = threading.Lock()
        # The lines of calls that are in no row yet.
        self._kept: dict[str, list[bytes]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:12]}{SUFFIX}"
        self._file = self._locked()
        self._size = 0

    def _locked(self, lines: bytes = b"") -> int:
        """A new file with these lines, which has its lock before others see it."""
        new = self.path.with_suffix(_NEW)
        file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(file, lines)
            new.rename(self.path)
        except OSError:
            os.close(file)
            new.unlink(missing_ok=True)
            raise
        return file

    def write(self, uid: str, line: Line) -> None:
        """Add a line; raises OSError, as where the disk is full."""
        # The first end of line ends what a write left that was cut short.
        data = b"\n" + json.dumps({"uid": uid} | line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            _write(self._file, data)
            self._size += len(data)
            self._kept.setdefault(uid, []).append(data)

    def forget(self, uids: list[str]) -> None:
        """The rows of these calls are written."""
        with self._lock:
            for uid in uids:
                self._kept.pop(uid, None)
            if self._file < 0:  # it is closed
                return
            if not self._kept and self._size > EMPTIED_ABOVE:
                os.ftruncate(self._file, 0)
                self._size = 0
            elif self._size > ANEW_ABOVE:
                lines = b"".join(data for each in self._kept.values() for data in each)
                if len(lines) < self._size // 2:
                    before, self._file = self._file, self._locked(lines)
                    self._size = len(lines)
                    os.close(before)

    def close(self) -> None:
        """Give the lock back; the file goes where all its calls are in rows."""
        with self._lock:
            if not self._kept:
                self.path.unlink(missing_ok=True)
            # Threads may go on, and the next file that is opened gets the same number.
            file, self._file = self._file, -1
            os.close(file)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def of_the_dead(folder: Path) -> Iterator[list[Line]]:
    """The lines of each journal whose process is gone; the file goes once they were dealt with.

    Only one process at a time gets a file. Where who asked raises, the file stays.
    """
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                logger.warning("The journal %s cannot be read: %s", path, error)
            continue
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its process lives, or another one reads it now
            if os.fstat(file).st_nlink == 0:
                continue  # another one has just dealt with it
            with open(file, "rb", closefd=False) as opened:
                yield list(_lines(opened.read(), path))
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        finally:
            os.close(file)


def _lines(data: bytes, path: Path) -> Iterator[Line]:
    for line in data.splitlines():
        if not line:
            continue
        try:
            found = json.loads(line)
            str(found["uid"])
        except (ValueError, TypeError, KeyError):
            logger.warning("A line of the journal %s is cut short, and is left out.", path)
            continue
        yield found
