"""The file in which a process notes each call of an experiment before it makes it, and its end.

The row is written about once a second. What happened since is in this file, so that a process that
is killed leaves only those calls unknown that were under way. The file lies in JOURNAL_DIR, has one
line for each beginning (``[7]``) and each end, and a lock (flock(2)) for as long as its process
lives. A line is one write(2) with O_APPEND: it outlives the process, not the machine's power.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from invocations.experiments.tally import MadeCall

logger = logging.getLogger(__name__)

_SUFFIX = ".calls"
_NAME = re.compile(rf"experiment-(?P<uid>[0-9a-z]+)-[0-9a-f]+{re.escape(_SUFFIX)}")


class CallLog:
    """The file of this process and of one experiment; for all threads."""

    def __init__(self, uid: str) -> None:
        """Make it; raises OSError."""
        folder = Path(settings.JOURNAL_DIR)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"experiment-{uid}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def name(self) -> str:
        """The file's name, by which the row names it."""
        return self.path.name

    def begins(self, number: int) -> None:
        """Note that this call is made now; raises OSError."""
        self._write([number])

    def ended(self, call: MadeCall) -> None:
        """Note how it ended; raises OSError."""
        self._write(call.as_list())

    def _write(self, line: list[object]) -> None:
        # The first end of line ends what a write left that was cut short.
        data = b"\n" + json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError("A line of the calls was cut short.")  # untranslated: for the log

    def close(self) -> None:
        """Give the lock back. The file stays until the row has all that is in it."""
        os.close(self._file)


@dataclass
class ReadLog:
    """What a dead process noted: which calls it began, and those that ended, in their order."""

    begun: set[int] = field(default_factory=set)
    ended: list[MadeCall] = field(default_factory=list)


def read(name: str) -> ReadLog | None:
    """What the file has; None: it is not here, or its process lives and may go on."""
    if not name or Path(name).name != name:
        return None
    try:
        file = os.open(Path(settings.JOURNAL_DIR) / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(file, "rb", closefd=False) as opened:
            return _read(opened.read())
    except BlockingIOError:
        return None
    finally:
        os.close(file)


def _read(data: bytes) -> ReadLog:
    found = ReadLog()
    for line in data.splitlines():
        if not line:
            continue
        try:
            values = json.loads(line)
            if len(values) == 1:
                found.begun.add(int(values[0]))
            else:
                found.ended.append(MadeCall(*values))
        except (ValueError, TypeError):
            logger.warning("A line of the calls of an experiment is cut short, and is left out.")
    return found


def drop_others(uid: str, keep: str = "") -> None:
    """Delete the experiment's files, but for ``keep``."""
    for path in Path(settings.JOURNAL_DIR).glob(f"experiment-{uid}-*{_SUFFIX}"):
        if path.name != keep:
            with contextlib.suppress(OSError):
                path.unlink()


def drop_ended(unfinished: Callable[[Collection[str]], Collection[str]]) -> None:
    """Delete the files of experiments that have ended, and whose process was killed at that.

    ``unfinished``: which experiments of these are to go on, by their uids.
    """
    folder = Path(settings.JOURNAL_DIR)
    found = {
        path: named["uid"]
        for path in folder.glob(f"experiment-*{_SUFFIX}")
        if (named := _NAME.fullmatch(path.name)) is not None
    }
    going_on = unfinished(set(found.values())) if found else ()
    for path, uid in found.items():
        if uid not in going_on:
            with contextlib.suppress(OSError):
                path.unlink()
