"""Two versions that the portal calls with the same pictures, and both answers to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.noun import Noun, part
from mme_client.records import ComparedAnswers

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that one request waits for the end; between two of them ``seen`` is told.
WAIT_S = 5


class Comparisons(Noun):
    """Comparisons of answers."""

    def create(
        self,
        one: str,
        other: str,
        *,
        endpoint: str,
        test_set: bool = True,
        samples: bool = True,
    ) -> ComparedAnswers:
        """Have the portal call both with the same pictures, on an endpoint that serves both.

        ``one`` and ``other``: ``digits:1``, ``digits@live`` or ``digits``. ``test_set``: with the
        pictures of the model's test set; ``samples``: with the portal's samples.

        >>> portal.comparisons.create("digits:1", "digits:2", endpoint="demo").wait().state
        'done'
        """
        document = {
            "one": one,
            "other": other,
            "endpoint": endpoint,
            "test_set": test_set,
            "samples": samples,
        }
        answer = self._transport.call("POST", "/comparisons", document=document)
        return ComparedAnswers.of(answer.document(), self._portal)

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
