"""Aliases: movable names on a model, each pointing at one version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mme_client.noun import Noun, part
from mme_client.records import Alias, AliasMove

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"(?P<model>[^:@]+)@(?P<alias>[^:@]+)")


class Aliases(Noun):
    """The aliases of models, each named as ``digits@production``."""

    def list(self, model: str) -> Iterator[Alias]:
        """The aliases of a model, by name."""
        return self._portal.pages(Alias, f"/models/{part(model)}/aliases", {})

    def get(self, name: str) -> Alias:
        """One alias; its ``etag`` says later whether it was moved."""
        answer = self._transport.call("GET", _path(name))
        return self._tagged(answer.document(), answer.headers.get("ETag", ""))

    def put(self, name: str, number: int, *, reason: str = "", etag: str = "") -> Alias:
        """Point an alias at a version; it is made where it is missing.

        ``etag``: only where it is still what ``get`` gave; else ProblemError ``changed-meanwhile``.
        """
        answer = self._transport.call(
            "PUT",
            _path(name),
            document={"number": number, "reason": reason},
            headers=_match(etag),
        )
        return self._tagged(answer.document(), answer.headers.get("ETag", ""))

    def rollback(self, name: str, *, reason: str = "", etag: str = "") -> Alias:
        """Point an alias at the version before."""
        answer = self._transport.call(
            "POST", f"{_path(name)}/rollback", document={"reason": reason}, headers=_match(etag)
        )
        return self._tagged(answer.document(), answer.headers.get("ETag", ""))

    def delete(self, name: str, *, reason: str = "", etag: str = "") -> None:
        """Delete an alias; its history stays."""
        query = {"reason": reason} if reason else None
        self._transport.call(
            "DELETE", _path(name), query=query, headers=_match(etag), gone_is_done=True
        )

    def history(self, name: str) -> Iterator[AliasMove]:
        """What was done with an alias, the latest first."""
        return self._portal.pages(AliasMove, f"{_path(name)}/history", {})

    def _tagged(self, document: dict[str, object], etag: str) -> Alias:
        return Alias.of(document | {"etag": etag}, self._portal)


def _match(etag: str) -> dict[str, str]:
    return {"If-Match": etag} if etag else {}


def _path(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no alias; write it as digits@production.")
    return f"/models/{part(match['model'])}/aliases/{part(match['alias'])}"
