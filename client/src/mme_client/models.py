"""Models and versions: pushed, waited for, looked at, downloaded."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mme_client import errors, resuming
from mme_client.noun import Noun, part
from mme_client.records import Comparison, FoundObject, Model, PlannedCopy, Use, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Seconds that one request waits for a change; the portal's own most.
WAIT_S = 30
#: The portal hashes what came, and puts it into the store, before it answers.
PUSH_S = 600.0
#: Up to this size an archive is sent in one request: every proxy takes it.
PLAIN_BYTES = 1 << 20
#: Problems of a push that are of the archive itself.
_OF_ARCHIVE = {"too-large", "digest-mismatch"}
_ENDING = re.compile(r"\.(?:tar\.gz|tgz)$", re.IGNORECASE)
_NUMBER = re.compile(r"_v\d+$")
_NAME = re.compile(r"(?P<model>[^:]+):(?P<number>[0-9]{1,9})")


class Models(Noun):
    """The registered models, and their versions."""

    def list(
        self,
        *,
        search: str = "",
        state: str = "",
        alias: str = "",
        tags: Sequence[str] = (),
        owner: str = "",
        store: str = "",
        called_in_days: int | None = None,
        never_called: bool = False,
        sort: str = "",
    ) -> Iterator[Model]:
        """Models; ``search``: words that each has, or the beginning of a SHA-256.

        ``state``: of the newest version: ready, rejected, validating or none. ``tags``: each model
        has all of them. ``sort``: uploaded, name, called,
        size, ``meta.accuracy`` (the largest first) or ``least.loss`` (the smallest first).

        >>> next(portal.models.list(search="digits", sort="name")).name
        'digits'
        """
        query = {
            "search": search,
            "state": state,
            "alias": alias,
            "tag": list(tags),
            "owner": owner,
            "store": store,
            "called_in_days": called_in_days,
            "never_called": never_called or None,
            "sort": sort,
        }
        return self._portal.pages(Model, "/models", query)

    def get(self, name: str) -> Model:
        """One model."""
        answer = self._transport.call("GET", f"/models/{part(name)}")
        return Model.of(answer.document(), self._portal)

    def create(self, name: str, *, description: str = "", store: str = "") -> Model:
        """Register a model; ``push`` does it by itself where it is missing.

        ``store``: where its versions go, for good; empty: the default one.
        """
        document = {"name": name, "description": description}
        if store:
            document["store"] = store
        answer = self._transport.call("POST", "/models", document=document)
        return Model.of(answer.document(), self._portal)

    def describe(
        self,
        name: str,
        *,
        tags: Sequence[str] | None = None,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        owner: str | None = None,
        description: str | None = None,
    ) -> Model:
        """Change what is said of a model; what is left out stays.

        ``tags`` replaces all of them. ``owner``: a user's name; empty: who made the model.
        ``description`` is Markdown.

        >>> portal.models.describe("digits", add_tags=["vision"]).tags
        ['vision']
        """
        document: dict[str, Any] = {}
        if tags is not None:
            document["tags"] = list(tags)
        if add_tags:
            document["add_tags"] = list(add_tags)
        if remove_tags:
            document["remove_tags"] = list(remove_tags)
        if owner is not None:
            document["owner"] = owner
        if description is not None:
            document["description"] = description
        answer = self._transport.call("PATCH", f"/models/{part(name)}", document=document)
        return Model.of(answer.document(), self._portal)

    def delete(self, name: str) -> None:
        """Delete a model of which nothing was ever published."""
        self._transport.call("DELETE", f"/models/{part(name)}", gone_is_done=True)

    def push(
        self,
        archive: str | os.PathLike[str],
        model: str = "",
        *,
        note: str = "",
        packing: str = "",
        description: str = "",
        metadata: Mapping[str, object] | None = None,
        store: str = "",
        file_name: str = "",
        progress: Callable[[int, int], None] | None = None,
        kept: str | os.PathLike[str] | None = None,
        sha256: str = "",
    ) -> Version:
        """Upload an archive as the next version of a model, which is made where it is missing.

        One of more than a megabyte goes on after a lost connection or a restart of the portal.
        ``kept``: a file that keeps where unfinished uploads are; with it, the same call goes on
        also where this program was killed, for a day.

        ``model``: by default the file's name, without ``_v2.tar.gz``. ``progress(sent, of)`` is
        called with bytes. ``metadata``: what is known of it, ``{"accuracy": 0.93}``. ``store``:
        where a new model goes, for good; empty: the default one. ``sha256``: that of the file, in
        hex, where it is known already, as of `find`: the file is not read for it, then. The portal
        compares it with what arrives. ``.wait()`` of what this gives
        waits for the validation. Raises RefusedArchive where the portal does not
        take the bytes.

        >>> version = portal.models.push("digits_v2.tar.gz", note="more data")
        >>> version.model
        'digits'
        """
        path = Path(archive)
        file_name = file_name or path.name
        model = model or name_of(file_name)
        if not model:
            raise ValueError(f"{file_name!r} names no model; say which one.")
        body = ArchiveBody.of(path, progress, sha256)
        query: dict[str, object] = {"file_name": file_name, "note": note, "packing": packing}
        query["description"] = description
        if store:
            query["store"] = store
        query["meta"] = [f"{key}={value}" for key, value in (metadata or {}).items()]
        if body.size > PLAIN_BYTES:
            told = {
                "model": model,
                "filename": file_name,
                "note": note,
                "description": description,
                "packing": packing,
                "meta": "\n".join(query["meta"]),  # type: ignore[arg-type]
                "sha256": body.sha256,
                "store": store,
            }
            addresses = resuming.Kept(Path(kept)) if kept else None
            try:
                made, number = resuming.send(self._transport, body, told, addresses)
                return self.version(f"{made}:{number}")
            except resuming.NotOffered:
                pass  # by a portal that is older than this client: in one request, then
            except errors.ProblemError as problem:
                if problem.code in _OF_ARCHIVE:
                    raise errors.RefusedArchive(problem.document, problem.status) from None
                raise
        digest = base64.b64encode(bytes.fromhex(body.sha256)).decode()
        try:
            answer = self._transport.call(
                "POST",
                f"/models/{part(model)}/versions",
                query=query,
                body=body,
                headers={"Content-Type": "application/gzip", "Repr-Digest": f"sha-256=:{digest}:"},
                timeout=max(PUSH_S, self._transport.timeout),
            )
        except errors.ProblemError as problem:
            if problem.code in _OF_ARCHIVE:
                raise errors.RefusedArchive(problem.document, problem.status) from None
            raise
        return Version.of(answer.document(), self._portal)

    def versions(self, model: str, *, state: str = "", sort: str = "") -> Iterator[Version]:
        """The versions of a model, the newest first; ``sort``: as models, by metadata."""
        path = f"/models/{part(model)}/versions"
        return self._portal.pages(Version, path, {"state": state, "sort": sort})

    def compare(self, one: str, other: str = "") -> Comparison:
        """A version, as ``digits:2``, beside another one; by default the one before."""
        answer = self._transport.call("GET", f"{_path(one)}/comparison", query={"other": other})
        return Comparison.of(answer.document(), self._portal)

    def version(self, name: str, *, wait: int = 0) -> Version:
        """One version, as ``digits:2``; ``wait``: seconds for a change where it is not settled.

        >>> portal.models.version("digits:2").state
        'ready'
        """
        query = {"wait": wait} if wait else None
        answer = self._transport.call("GET", _path(name), query=query)
        return Version.of(answer.document(), self._portal)

    def describe_version(
        self,
        name: str,
        *,
        note: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Version:
        """Change what is said of a version, as ``digits:2``; what is left out stays.

        ``metadata``: new values by key, None for a key that goes.

        >>> portal.models.describe_version("digits:2", metadata={"accuracy": 0.95}).metadata
        {'accuracy': 0.95}
        """
        document: dict[str, Any] = {}
        if note is not None:
            document["note"] = note
        if metadata is not None:
            document["metadata"] = dict(metadata)
        answer = self._transport.call("PATCH", _path(name), document=document)
        return Version.of(answer.document(), self._portal)

    def find(self, sha256: str) -> Iterator[Version]:
        """The versions whose bytes, as uploaded or as served, have this SHA-256 or begin of one."""
        return self._portal.pages(Version, "/versions", {"sha256": sha256})

    def drifted(self) -> Iterator[Version]:
        """The versions whose object in the store is gone or is another one than was published."""
        return self._portal.pages(Version, "/versions", {"drifted": True})

    def report(self, name: str) -> dict[str, Any]:
        """What the validation found in a version, in full."""
        found: dict[str, Any] = self._transport.call("GET", f"{_path(name)}/report").document()
        return found

    def download(
        self,
        name: str,
        to: IO[bytes],
        *,
        original: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Write the archive of a version that is served, or the uploaded one, to an open file.

        Gives its SHA-256, which is compared with the portal's. The bytes come from the store.
        """
        version = self.version(name)
        answer = self._transport.call(
            "GET", f"{_path(name)}/archive", query={"original": original}, redirects=True
        )
        hashed = hashlib.sha256()
        got = 0

        def take(piece: bytes, of: int) -> None:
            nonlocal got
            hashed.update(piece)
            to.write(piece)
            got += len(piece)
            if progress is not None:
                progress(got, of)

        self._transport.fetch(answer.headers["Location"], take)
        wanted = version.sha256 if original else version.published_sha256
        if wanted and wanted != hashed.hexdigest():
            raise errors.Unreachable(f"What came is not {name}: its SHA-256 is another.")
        return hashed.hexdigest()

    def uses(self, name: str) -> tuple[Use, ...]:
        """What uses a version: aliases, endpoints that serve it, its last call."""
        answer = self._transport.call("GET", f"{_path(name)}/uses")
        return tuple(Use.of(one, self._portal) for one in answer.document()["items"])

    def preview_copies(self, name: str, *, to: str, times: int = 1) -> tuple[PlannedCopy, ...]:
        """What copies of a version would be called, and what is in their way; makes nothing.

        >>> portal.models.preview_copies("digits:1", to="demo/zoo_{n}")[0].target_model
        'demo/zoo_1.tar.gz'
        """
        document = {"to": to, "times": times}
        answer = self._transport.call("POST", f"{_path(name)}/copies/preview", document=document)
        return tuple(PlannedCopy.of(one, self._portal) for one in answer.document()["items"])

    def copy(self, name: str, *, to: str, times: int = 1) -> tuple[Version, ...]:
        """Copy a version so many times within the store: each is version 1 of a new model.

        ``to``: the key below the store's prefix without ``.tar.gz``, with ``{n}`` for 1, 2, 3 …
        ``.wait()`` of each waits until it can be called.

        >>> portal.models.copy("digits:1", to="demo/zoo_{n}", times=2)[1].name
        'zoo_2:1'
        """
        document = {"to": to, "times": times}
        answer = self._transport.call("POST", f"{_path(name)}/copies", document=document)
        return tuple(Version.of(one, self._portal) for one in answer.document()["items"])

    def copies(self, name: str) -> Iterator[Version]:
        """The copies of a version."""
        return self._portal.pages(Version, f"{_path(name)}/copies", {})

    def found(self, *, store: str = "") -> tuple[FoundObject, ...]:
        """What lies in a store and is not registered: what ``import_found`` would import.

        ``store``: its name; empty: the default one.
        """
        query = {"store": store} if store else None
        answer = self._transport.call("POST", "/imports/preview", query=query)
        return tuple(FoundObject.of(one, self._portal) for one in answer.document()["items"])

    def import_found(self, keys: Sequence[str] = (), *, store: str = "") -> tuple[Version, ...]:
        """Have the portal validate and register what lies in a store; without keys, all of it.

        ``.wait()`` of each waits for its validation.
        """
        document: dict[str, object] = {"keys": list(keys)}
        if store:
            document["store"] = store
        answer = self._transport.call("POST", "/imports", document=document)
        return tuple(Version.of(one, self._portal) for one in answer.document()["items"])

    def imported(self) -> Iterator[Version]:
        """The versions that were imported as they were found, the newest first."""
        return self._portal.pages(Version, "/imports", {})

    def repack(self, name: str) -> Version:
        """Upload a canonical copy of a version that was refused as found: the next version."""
        answer = self._transport.call("POST", f"{_path(name)}/repack")
        return Version.of(answer.document(), self._portal)

    def retire(self, name: str) -> Version:
        """Offer and call a version nowhere any more; its archive stays.

        >>> portal.models.retire("digits:1").state
        'retired'
        >>> portal.models.restore("digits:1").state
        'ready'
        """
        answer = self._transport.call("POST", f"{_path(name)}/retire")
        return Version.of(answer.document(), self._portal)

    def restore(self, name: str) -> Version:
        """Make a retired version ready again."""
        answer = self._transport.call("POST", f"{_path(name)}/restore")
        return Version.of(answer.document(), self._portal)

    def delete_version(self, name: str) -> Version:
        """Delete what a version is stored as; its record stays. ``.wait()`` waits until it is gone.

        ``uses`` says before what still uses it.
        """
        answer = self._transport.call("DELETE", _path(name))
        return Version.of(answer.document(), self._portal)

    def dismiss(self, name: str) -> None:
        """Take a refused version off the list of what needs somebody."""
        self._transport.call("POST", f"{_path(name)}/dismiss")

    def wait(
        self,
        version: Version,
        *,
        timeout: float | None = None,
        seen: Callable[[Version], None] | None = None,
    ) -> Version:
        """Wait for a validation or a deletion (``Version.wait``)."""
        now = version
        with self._transport.within(timeout):
            while True:
                if seen is not None:
                    seen(now)
                if now.settled:
                    break
                now = self.version(version.name, wait=WAIT_S)
        if now.state == "rejected":
            raise errors.Rejected(now)
        return now


@dataclass
class ArchiveBody:
    """An archive as a body: hashed, and read from its beginning as often as it is sent."""

    path: Path
    size: int
    sha256: str
    progress: Callable[[int, int], None] | None = None

    @classmethod
    def of(
        cls,
        path: Path,
        progress: Callable[[int, int], None] | None = None,
        sha256: str = "",
    ) -> ArchiveBody:
        """Read the file once, for its SHA-256, where that is not known."""
        return cls(path, path.stat().st_size, sha256 or sha256_of(path), progress)

    def open(self) -> IO[bytes]:
        """The file; what is read of it is told to ``progress``."""
        return _Told(self.path, self.size, self.progress)


class _Told(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, of: int, progress: Callable[[int, int], None] | None) -> None:
        super().__init__(path, "rb")
        self._of = of
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        if self._progress is not None:
            self._progress(min(self.tell(), self._of), self._of)
        return data


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_of(file_name: str) -> str:
    """The model that an archive's name stands for: digits, of digits_v2.tar.gz."""
    return _NUMBER.sub("", _ENDING.sub("", file_name).lower())


def _path(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no version; write it as digits:2.")
    return f"/models/{part(match['model'])}/versions/{match['number']}"
