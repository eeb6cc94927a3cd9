"""Whether the server can load and serve, and how it stops: shared by entrypoint and workers.

All of it is files in the server's temporary folder: ``healthy`` is there while all is well, and
MMS's /ping answers 200 for as long (plugin/Ping.java); ``draining`` is there once the server is to
stop; ``busy`` is locked by each worker while it answers.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MIN_FREE_BYTES = 4 * 1024 * 1024
"""Below this, loading a model (its sockets, pipes and logs) is at risk."""


class Draining(Exception):
    """The server is stopping, and loads no more models."""

    def __init__(self) -> None:
        super().__init__("This instance is shutting down.")


class Health:
    """The entrypoint's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "healthy"
        (folder / "draining").unlink(missing_ok=True)
        self.trouble: str | None = None

    def update(self, trouble: str | None) -> str | None:
        """Note ``trouble``, or what is wrong with the disk. Returns it where it is news, "" where
        it has passed."""
        trouble = trouble or self.disk_trouble()
        if trouble is None:
            try:
                if not self.mark.exists():
                    self.mark.touch()
            except OSError as error:
                trouble = f"{self.folder} cannot be written to: {error}"
        if trouble is not None:
            self.mark.unlink(missing_ok=True)
        if trouble == self.trouble:
            return None
        self.trouble = trouble
        return trouble or ""

    def disk_trouble(self) -> str | None:
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
        self.mark.unlink(missing_ok=True)
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


class Turn:
    """A worker's side: says that it is busy, and hears that it is to stop."""

    def __init__(self) -> None:
        self.folder = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - the server's own
        # Opened by each worker itself: a lock belongs to the opening, and forks would share it.
        self.file = _open(self.folder)

    def draining(self) -> bool:
        """Whether the server is stopping, and takes no new requests."""
        return (self.folder / "draining").exists()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Hold the server's end off while a request is answered."""
        fcntl.flock(self.file, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self.file, fcntl.LOCK_UN)


def _open(folder: Path) -> IO[bytes]:
    return (folder / "busy").open("ab")
