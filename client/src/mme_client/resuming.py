"""An archive sent by the protocol tus: it goes on after a lost connection, and after a kill."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mme_client import errors
from mme_client.noun import part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mme_client.models import ArchiveBody
    from mme_client.transport import Transport

#: What one request sends at first; less where something between takes no such bodies (413), and up
#: to twice as much as the one before where that took a moment, as each has a pause at its end.
FIRST_BYTES, LEAST_BYTES, MOST_BYTES = 32 << 20, 128 << 10, 128 << 20
_MOMENT_S = 3.0
#: How often in a row nothing may arrive before it is given up.
MOST_FAILURES = 9
_LOOK_EVERY_S = 1.0
_KEPT_S = 24 * 3600
_OCTETS = "application/offset+octet-stream"
_VERSION = {"Tus-Resumable": "1.0.0"}
#: Refusals after which the upload is asked how far it is, and goes on.
_GOES_ON = {
    "wrong-offset", "upload-locked", "unavailable", "too-many-requests", "internal", "aws-failed",
    "no-space",
}  # fmt: skip
_GONE = {"not-found", "upload-expired"}
#: Refusals that say nothing of the upload but of who asks: with another token it goes on.
_OF_WHO_ASKS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class NotOffered(errors.MmeError):
    """The portal is older than such uploads."""


@dataclass
class Kept:
    """A file in which addresses of unfinished uploads are kept, for its user alone."""

    path: Path

    def get(self, key: str) -> str:
        """The address; empty: there is none."""
        found = self._read().get(key)
        return str(found[0]) if found else ""

    def put(self, key: str, address: str) -> None:
        """Keep an address, or forget it where it is empty; what is older than a day goes.

        Where the file cannot be written, as on a read-only disk, nothing is kept.
        """
        with contextlib.suppress(OSError):
            self._put(key, address)

    def _put(self, key: str, address: str) -> None:
        now = time.time()
        found = {name: one for name, one in self._read().items() if now - one[1] < _KEPT_S}
        found.pop(key, None)
        if address:
            found[key] = [address, now]
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(found, opened)
        temporary.replace(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            return {str(key): [str(one[0]), float(one[1])] for key, one in found.items()}
        except (OSError, ValueError, TypeError, AttributeError, LookupError):
            return {}  # what was kept is a help, and no more


def send(
    transport: Transport, body: ArchiveBody, told: Mapping[str, str], kept: Kept | None
) -> tuple[str, int]:
    """Send an archive; gives the model and the number of the version that it became.

    ``told``: tus's metadata. Raises NotOffered, and an MmeError where it is not done.
    """
    found = body.path.stat()
    what = [transport.url, str(body.path.resolve()), found.st_size, found.st_mtime_ns, dict(told)]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    upload = _Upload(transport, body, told)
    upload.address = kept.get(key) if kept else ""
    for _ in range(2):
        if not upload.address:
            upload.begin()
            if kept is not None:
                kept.put(key, upload.address)
        try:
            made = upload.finish()
        except errors.ProblemError as problem:
            goes_on = problem.code in _GOES_ON or problem.status in _OF_WHO_ASKS
            if kept is not None and not goes_on:
                kept.put(key, "")
            if problem.code not in _GONE:
                raise
            upload.address = ""  # of yesterday, or another user's: begin anew
            continue
        if kept is not None:
            kept.put(key, "")
        return made
    raise errors.Unreachable("The portal forgets the upload again and again.")


class _Upload:
    """One upload, and how it goes."""

    def __init__(self, transport: Transport, body: ArchiveBody, told: Mapping[str, str]) -> None:
        self.address = ""
        self._transport = transport
        self._body = body
        self._told = told
        self._most = FIRST_BYTES
        self._begun: dict[str, Any] = {}  # what the portal said when it began it
        self._taken = LEAST_BYTES  # the most that one request has sent
        self._may_grow = True

    def begin(self) -> None:
        pairs = (
            f"{key} {base64.b64encode(value.encode(errors='replace')).decode()}"
            for key, value in self._told.items()
            if value
        )
        headers = {
            **_VERSION, "Upload-Length": str(self._body.size), "Upload-Metadata": ",".join(pairs),
        }  # fmt: skip
        try:
            answer = self._transport.call("POST", "/uploads/", headers=headers)
        except errors.NotFound:
            raise NotOffered from None
        self._begun = answer.document()
        self.address = f"/uploads/{part(str(self._begun['id']))}"

    def finish(self) -> tuple[str, int]:
        """Send what is missing, and wait for the version."""
        failures = 0
        offset = -1
        while True:
            now, self._begun = self._begun or self._state(), {}
            if now["made"]:
                self._tell(self._body.size)
                return str(now["made"]["model"]), int(now["made"]["number"])
            if now["problem"]:
                document = {"type": "/problems/conflict", "detail": now["problem"]}
                raise errors.RefusedArchive(document, HTTPStatus.CONFLICT)
            if now["offset"] > offset:
                failures, offset = 0, int(now["offset"])
            if offset >= self._body.size:  # a worker of the portal makes the version
                self._transport.pause(_LOOK_EVERY_S)
                continue
            try:
                self._send_from(offset)
            except (errors.Unreachable, errors.ProblemError) as error:
                if self._is_too_large(error):
                    continue
                if isinstance(error, errors.ProblemError) and error.code not in _GOES_ON:
                    raise
                failures += 1
                if failures > MOST_FAILURES:
                    raise
                if isinstance(error, errors.Unreachable):  # perhaps before a 413 could be read
                    self._shrink(self._most)
                self._transport.pause(0.5 * 2**failures, error)

    def _state(self) -> dict[str, Any]:
        """What the portal says of it; a portal that starts anew is given time."""
        for failures in range(MOST_FAILURES):
            try:
                found: dict[str, Any] = self._transport.call("GET", self.address).document()
                return found
            except (errors.Unreachable, errors.ProblemError) as error:
                passes = not isinstance(error, errors.ProblemError) or error.code in _GOES_ON
                if not passes or failures + 1 == MOST_FAILURES:
                    raise
                self._transport.pause(0.5 * 2**failures, error)
        raise errors.Unreachable(f"{self._transport.url} does not answer.")

    def _send_from(self, offset: int) -> None:
        """Send as much as one request may have, and then the next, until something fails."""
        while offset < self._body.size:
            piece = _Piece(self._body, offset, min(self._most, self._body.size - offset))
            headers = {**_VERSION, "Upload-Offset": str(offset), "Content-Type": _OCTETS}
            began = time.monotonic()
            answer = self._transport.call(
                "PATCH", self.address, body=piece, headers=headers, retries=0,
                timeout=max(120.0, self._transport.timeout),
            )  # fmt: skip
            offset = int(answer.headers["Upload-Offset"])
            self._tell(offset)
            self._taken = max(self._taken, piece.size)
            if self._may_grow and time.monotonic() - began < _MOMENT_S:
                self._most = max(self._most, min(2 * self._most, MOST_BYTES))

    def _is_too_large(self, error: errors.MmeError) -> bool:
        """Whether something before the portal takes only smaller bodies; the next is smaller."""
        status = getattr(error, "status", 0)
        is_portals = isinstance(error, errors.ProblemError)
        if is_portals or status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return False
        if self._most <= LEAST_BYTES:
            return False
        self._shrink(min(self._most, self._body.size))
        return True

    def _shrink(self, sent: int) -> None:
        """Send less at a time from now on: what was taken before, where that is less."""
        self._may_grow = False
        less = self._taken if LEAST_BYTES < self._taken < sent else sent // 4
        self._most = max(LEAST_BYTES, less)

    def _tell(self, sent: int) -> None:
        if self._body.progress is not None:
            self._body.progress(sent, self._body.size)


@dataclass
class _Piece:
    """A part of an archive as a body."""

    whole: ArchiveBody
    begins: int
    size: int

    def open(self) -> IO[bytes]:
        return _PieceFile(self.whole.path, self.begins, self.size, self.whole)


class _PieceFile(io.FileIO):
    """A part of a file, that tells how much of it was read."""

    def __init__(self, path: Path, begins: int, size: int, whole: ArchiveBody) -> None:
        super().__init__(path, "rb")
        self.seek(begins)
        self._ends = begins + size
        self._whole = whole

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._ends - self.tell())
        data = super().read(left if size is None or size < 0 else min(size, left)) or b""
        if self._whole.progress is not None:
            self._whole.progress(self.tell(), self._whole.size)
        return data
