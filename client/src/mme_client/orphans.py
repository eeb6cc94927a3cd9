"""Orphans: what is in the AWS account and belongs to no endpoint of the portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client import errors
from mme_client.noun import Noun, part
from mme_client.records import Orphan, OrphanList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds that one request waits; the portal's own most.
WAIT_S = 30
#: At most this many such requests wait for a look at the account.
LOOKS = 2


class Orphans(Noun):
    """What no endpoint of the portal owns."""

    def list(self, *, others: bool = False, kind: str = "") -> Iterator[Orphan]:
        """What the last look at the account found; ``others``: what others made, too.

        ``kind``: those of one kind alone, as ``endpoint``.

        >>> [orphan.name for orphan in portal.orphans.list() if orphan.made_for == "demo"]
        []
        """
        return self._portal.pages(Orphan, "/orphans", {"others": others, "kind": kind})

    def look(self, *, others: bool = False, kind: str = "") -> OrphanList:
        """The same after the portal has looked at the account, and how it went.

        The portal does not look anew within a minute. Where it takes longer than a minute,
        ``looking`` of what this gives is true: it is what was known before.

        >>> portal.orphans.look().problems
        []
        """
        chosen = {"others": others, "kind": kind, "limit": 200}
        query = {**chosen, "wait": WAIT_S}
        for _round in range(LOOKS):
            found = self._transport.call("GET", "/orphans", query=query).document()
            if not found["looking"]:
                break
        items, document = [*found["items"]], found
        while document["next"] is not None:
            more = {**chosen, "cursor": document["next"]}
            document = self._transport.call("GET", "/orphans", query=more).document()
            items += document["items"]
        return OrphanList.of({**found, "items": items, "next": None}, self._portal)

    def get(self, kind: str, name: str, *, wait: int = 0) -> Orphan:
        """One of them, by kind and name. ``wait``: seconds for its deletion."""
        query = {"wait": wait} if wait else {}
        answer = self._transport.call("GET", _path(kind, name), query=query)
        return Orphan.of(answer.document(), self._portal)

    def delete(self, kind: str, name: str) -> Orphan:
        """Ask for its deletion; ``wait`` waits for the end of what this gives.

        What was made less than ten minutes ago is refused: ``conflict``.
        """
        answer = self._transport.call("DELETE", _path(kind, name))
        return Orphan.of(answer.document(), self._portal)

    def adopt(self, kind: str, name: str) -> Orphan:
        """Make it the portal's own; an endpoint comes with its configuration and model.

        Where something does not fit it is refused, and the sentence says what: ``conflict``.
        """
        answer = self._transport.call("POST", f"{_path(kind, name)}/adopt")
        return Orphan.of(answer.document(), self._portal)

    def wait(
        self,
        orphan: Orphan,
        *,
        timeout: float | None = None,
        seen: Callable[[Orphan], None] | None = None,
    ) -> Orphan:
        """Wait until it is gone. Raises OrphanKept where it stays, and TimedOut."""
        now = orphan
        with self._transport.within(timeout):
            while now.state in ("to_delete", "deleting"):
                if seen is not None:
                    seen(now)
                now = self.get(orphan.kind, orphan.name, wait=WAIT_S)
        if now.state != "gone":
            raise errors.OrphanKept(now)
        return now


def _path(kind: str, name: str) -> str:
    return f"/orphans/{part(kind)}/{part(name)}"
