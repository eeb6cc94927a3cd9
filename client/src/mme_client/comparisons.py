"""Two versions that the portal calls with the same pictures, and both answers to each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mme_client.calls import type_of
from mme_client.noun import Noun, part
from mme_client.records import ComparedAnswers, ListedComparison

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Seconds that one request waits for the end; between two of them ``seen`` is told.
WAIT_S = 5


@dataclass(frozen=True)
class OwnPicture:
    """A file of your own; ``name``: how it is shown; ``label``: the right one, where known."""

    path: str | os.PathLike[str]
    name: str = ""
    label: str = ""


class Comparisons(Noun):
    """Comparisons of answers."""

    def create(
        self,
        one: str,
        other: str = "",
        *,
        endpoint: str,
        test_set: bool | None = None,
        samples: bool | None = None,
        pictures: Iterable[OwnPicture] = (),
    ) -> ComparedAnswers:
        """Have the portal call both with the same pictures, on an endpoint that serves both.

        ``one`` and ``other``: ``digits:1``, ``digits@live`` or ``digits``. ``test_set``: with the
        pictures of the model's test set; ``samples``: with the portal's samples; both where no
        ``pictures`` are given. ``pictures``: files of your own, which are sent one by one. Without
        ``other`` one version is called alone.

        >>> portal.comparisons.create("digits:1", "digits:2", endpoint="demo").wait().state
        'done'
        """
        document: dict[str, Any] = {
            "one": one,
            "other": other,
            "endpoint": endpoint,
            "test_set": test_set,
            "samples": samples,
        }
        given = [
            {"sha256": self.keep(one.path), "name": one.name, "label": one.label}
            for one in pictures
        ]
        if given:
            document["pictures"] = given
        answer = self._transport.call("POST", "/comparisons", document=document)
        return ComparedAnswers.of(answer.document(), self._portal)

    def keep(self, path: str | os.PathLike[str]) -> str:
        """Send a picture, which the portal keeps for a day; gives its SHA-256, its name there."""
        data = Path(path).read_bytes()
        name = Path(path).name
        answer = self._transport.call(
            "POST",
            "/pictures",
            query={"name": name[:200]},
            body=data,
            headers={"Content-Type": type_of(data, name)},
        )
        return str(answer.document()["sha256"])

    def list(self) -> Iterator[ListedComparison]:
        """Those of all people, the latest first."""
        return self._portal.pages(ListedComparison, "/comparisons", {})

    def stop(self, id: str) -> ComparedAnswers:
        """Send no more pictures; the answers that are there stay."""
        answer = self._transport.call("POST", f"/comparisons/{part(id)}/stop")
        return ComparedAnswers.of(answer.document(), self._portal)

    def delete(self, id: str) -> None:
        """Delete one; its calls stay."""
        self._transport.call("DELETE", f"/comparisons/{part(id)}", gone_is_done=True)

    def get(self, id: str, *, wait: int = 0) -> ComparedAnswers:
        """One of them, as far as it is; ``wait``: seconds to wait for its end."""
        query = {"wait": wait} if wait else None
        answer = self._transport.call("GET", f"/comparisons/{part(id)}", query=query)
        return ComparedAnswers.of(answer.document(), self._portal)

    def csv(self, id: str) -> bytes:
        """The same as a CSV file in UTF-8."""
        accept = {"Accept": "text/csv"}
        return self._transport.call("GET", f"/comparisons/{part(id)}/csv", headers=accept).body

    def wait(
        self,
        comparison: ComparedAnswers,
        *,
        timeout: float | None = None,
        seen: Callable[[ComparedAnswers], None] | None = None,
    ) -> ComparedAnswers:
        """Wait until all pictures were sent; ``seen`` gets it every few seconds.

        Raises TimedOut. The portal goes on by itself.
        """
        with self._portal.within(timeout):
            while comparison.running:
                comparison = self.get(comparison.id, wait=WAIT_S)
                if seen is not None:
                    seen(comparison)
        return comparison
