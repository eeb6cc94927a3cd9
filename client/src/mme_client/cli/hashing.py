"""The SHA-256 of a file, taken by a thread while the command imports what it needs."""

from __future__ import annotations

import hashlib
import sys
import threading

_READ_BYTES = 4 << 20
# Python's own 5 ms would be waited after each piece, as importing lets no other thread run.
_SWITCH_S = 0.0005


class Hashing:
    """A file that is being hashed from now on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._digest = ""
        self._error: Exception | None = None
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        self._thread = threading.Thread(target=self._hash, daemon=True)
        self._thread.start()

    def hexdigest(self) -> str:
        """The SHA-256, when it is there; raises what reading the file raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._digest

    def _hash(self) -> None:
        try:
            hashed = hashlib.sha256()
            piece = memoryview(bytearray(_READ_BYTES))
            with open(self._path, "rb", buffering=0) as file:
                while count := file.readinto(piece):
                    hashed.update(piece[:count])
            self._digest = hashed.hexdigest()
        except Exception as error:
            self._error = error
        finally:
            sys.setswitchinterval(self._switch_s)
