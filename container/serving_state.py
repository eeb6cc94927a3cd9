"""Whether the server is healthy or draining, as the entrypoint and the workers share it.

It is kept in files of the server's temporary folder: ``healthy`` exists while the server can load
and serve, and /ping then answers 200 (plugin/Ping.java); ``draining`` exists once the server stops;
each worker locks ``busy`` while it answers a request.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MIN_FREE_BYTES = 4 * 1024 * 1024
"""With less free space, sockets, pipes and logs of a model may not be written."""


class Draining(Exception):
    """The server is stopping, and refuses loads and requests."""

    def __init__(self) -> None:
        super().__init__("This instance is shutting down.")


class Health:
    """What the entrypoint uses: keeps ``healthy`` up to date, and drains the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._healthy = folder / "healthy"
        (folder / "draining").unlink(missing_ok=True)
        self.problem: str | None = None

    def update(self, problem: str | None) -> str | None:
        """Set the state to ``problem``, or to what is wrong with the disk, or to healthy.

        Returns the problem where it is new, "" where it has passed, None where nothing changed.
        """
        problem = problem or self.disk_problem()
        if problem is None:
            try:
                if not self._healthy.exists():
                    self._healthy.touch()
            except OSError as error:
                problem = f"{self.folder} cannot be written to: {error}"
        if problem is not None:
            self._healthy.unlink(missing_ok=True)
        if problem == self.problem:
            return None
        self.problem = problem
        return problem or ""

    def disk_problem(self) -> str | None:
        space = os.statvfs(self.folder)
        if space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
            return f"the disk that holds {self.folder} is full"
        if space.f_files and not space.f_favail:
            return f"the disk that holds {self.folder} has no room for another file"
        return None

    def drain(self, seconds: float) -> bool:
        """Refuse new requests and wait until the running ones are answered.

        Returns whether they were, within ``seconds``.
        """
        self._healthy.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # on a full disk new requests are not refused
            (self.folder / "draining").touch()
        deadline = time.monotonic() + seconds
        with _open(self.folder) as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        return False
                    time.sleep(0.02)
                else:
                    return True


class RequestLock:
    """What a worker uses: marks it as busy, and tells it that the server is draining."""

    def __init__(self) -> None:
        self.folder = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - the server's own
        # Each worker opens the file itself: a fork would share the lock of its parent (flock(2)).
        self.file = _open(self.folder)

    def draining(self) -> bool:
        """Whether the server is stopping and takes no new requests."""
        return (self.folder / "draining").exists()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Keep the server from ending while a request is answered."""
        fcntl.flock(self.file, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self.file, fcntl.LOCK_UN)


def _open(folder: Path) -> IO[bytes]:
    return (folder / "busy").open("ab")
