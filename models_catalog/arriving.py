"""The SHA-256 of uploads while their bytes arrive, so that they need not be read from S3 again.

It is known where all the bytes of an upload came to this process, as those of one connection do.
A restart, or a second connection to another process, loses it: the stretches are read again then.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models_catalog.models import Upload

if TYPE_CHECKING:
    from hashlib import _Hash

#: Uploads that are remembered; of more, the one that got no bytes for longest is forgotten.
_MOST = 256

_lock = threading.Lock()
_known: "OrderedDict[str, tuple[int, _Hash]]" = OrderedDict()


class Arriving:
    """Bytes of an upload that begin at ``offset``, and are not kept yet."""

    def __init__(self, upload: Upload, offset: int, pieces: Sequence[bytes]) -> None:
        self._upload, self._offset, self._pieces = upload, offset, pieces
        self._hash: _Hash | None = None

    def hash(self) -> None:
        """Hash the upload up to the end of these, where what is before them is known here."""
        known = hashlib.sha256() if self._offset == 0 else _find(self._upload, self._offset)
        if known is not None:
            self._hash = known.copy()
            for piece in self._pieces:
                self._hash.update(piece)

    def remember(self) -> None:
        """Say that they are kept."""
        _put(self._upload, self._offset + sum(map(len, self._pieces)), self._hash)


def of_all(upload: Upload) -> "_Hash | None":
    """The hash of all bytes of an upload; None where it is not known here."""
    return _find(upload, upload.length)


def forget(upload: Upload) -> None:
    """Forget an upload of which no more bytes are taken."""
    _put(upload, 0, None)


def _find(upload: Upload, offset: int) -> "_Hash | None":
    with _lock:
        found, known = _known.get(upload.uid, (0, None))
    return known if found == offset else None


def _put(upload: Upload, offset: int, known: "_Hash | None") -> None:
    with _lock:
        _known.pop(upload.uid, None)
        if known is not None:
            _known[upload.uid] = (offset, known)
        while len(_known) > _MOST:
            _known.popitem(last=False)
