"""The activity log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mme_client.noun import Noun
from mme_client.records import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that one request waits for news; the portal's own most.
WAIT_S = 30


class Events(Noun):
    """Who did what, and when."""

    def list(
        self,
        *,
        person: str = "",
        kind: str = "",
        subject: str = "",
        level: str = "",
        channel: str = "",
        request: str = "",
        since: str = "",
        until: str = "",
        limit: int = 50,
    ) -> Iterator[Event]:
        """Events, the latest first; ``limit``: how many one request brings.

        ``channel``: what was asked for on a ``page``, by the ``api``, or by ``mme``.
        ``request``: the ``request_id`` of a request or a job. ``since`` and ``until`` are times, as
        2026-01-31T00:00Z; the second one is not in it.
        """
        query = {"person": person, "kind": kind, "subject": subject, "level": level}
        query |= {
            "channel": channel,
            "request": request,
            "since": since,
            "until": until,
            "limit": str(limit),
        }
        return self._portal.pages(Event, "/events", query)

    def follow(
        self,
        *,
        after: str = "",
        person: str = "",
        kind: str = "",
        subject: str = "",
        level: str = "",
        channel: str = "",
    ) -> Iterator[Event]:
        """Events as they happen, without an end; ``after``: the id of the last one that is known.

        Without it, those that come from now on.
        """
        query: dict[str, Any] = {"person": person, "kind": kind, "subject": subject}
        query |= {"level": level, "channel": channel}
        if not after:
            # All events, as the newest of a filter may be far back, or not there.
            newest = self._transport.call("GET", "/events", query={"limit": 1}).document()["items"]
            after = newest[0]["id"] if newest else ""
        while True:
            asked = {**query, "after": after, "wait": WAIT_S} if after else {**query, "limit": 200}
            found = self._transport.call("GET", "/events", query=asked).document()["items"]
            for item in found if asked.get("after") else reversed(found):
                after = item["id"]
                yield Event.of(item, self._portal)
            self._transport.left_s()
