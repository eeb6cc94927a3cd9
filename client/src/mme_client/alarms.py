"""Alarms of endpoints: made in CloudWatch, watched, tested, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client import errors
from mme_client.noun import Noun, part
from mme_client.records import Alarm, AlarmList, EndpointPlan

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that one request waits; the portal's own most.
WAIT_S = 30
#: More than an endpoint has: there are five of each variant.
MOST = 200


class EndpointAlarms(Noun):
    """What watches endpoints."""

    def list(self, endpoint: str) -> AlarmList:
        """The alarms of an endpoint, with their states as last seen.

        >>> portal.alarms.list("demo").items
        []
        """
        query = {"limit": MOST}
        answer = self._transport.call("GET", f"/endpoints/{part(endpoint)}/alarms", query=query)
        return AlarmList.of(answer.document(), self._portal)

    def get(self, endpoint: str, name: str, *, wait: int = 0) -> Alarm:
        """One of them; ``wait``: seconds while CloudWatch is being asked for it."""
        query = {"wait": wait} if wait else {}
        answer = self._transport.call("GET", _path(endpoint, name), query=query)
        return Alarm.of(answer.document(), self._portal)

    def set(
        self,
        endpoint: str,
        name: str,
        *,
        threshold: int | None = None,
        minutes: int | None = None,
    ) -> Alarm:
        """Make an alarm, or have it go off at another time; None: as it is, or as it is preset.

        ``name``: 5xx, p99, cache-hits, memory or no-calls; with several variants p99.VARIANT.
        """
        given = {"threshold": threshold, "minutes": minutes}
        document = {key: value for key, value in given.items() if value is not None}
        answer = self._transport.call("PUT", _path(endpoint, name), document=document)
        return Alarm.of(answer.document(), self._portal)

    def preview(
        self,
        endpoint: str,
        name: str,
        *,
        threshold: int | None = None,
        minutes: int | None = None,
        remove: bool = False,
    ) -> EndpointPlan:
        """What ``set``, or with ``remove`` ``delete``, would call in AWS; changes nothing."""
        given = {"threshold": threshold, "minutes": minutes, "remove": remove or None}
        document = {key: value for key, value in given.items() if value is not None}
        answer = self._transport.call("POST", f"{_path(endpoint, name)}/plan", document=document)
        return EndpointPlan.of(answer.document(), self._portal)

    def test(self, endpoint: str, name: str) -> Alarm:
        """Tell of it as if it went off, and say that it is a test."""
        answer = self._transport.call("POST", f"{_path(endpoint, name)}/test")
        return Alarm.of(answer.document(), self._portal)

    def delete(self, endpoint: str, name: str) -> Alarm:
        """Have it deleted; ``wait`` waits until it is gone."""
        answer = self._transport.call("DELETE", _path(endpoint, name))
        return Alarm.of(answer.document(), self._portal)

    def wait(
        self,
        endpoint: str,
        alarm: Alarm,
        *,
        timeout: float | None = None,
        seen: Callable[[Alarm], None] | None = None,
    ) -> Alarm | None:
        """Wait until CloudWatch has it as it was asked for; None: it is gone.

        Raises AlarmRefused where AWS refuses it, and TimedOut.
        """
        now = alarm
        with self._transport.within(timeout):
            while now.state in ("requested", "deleting") and not now.failure:
                if seen is not None:
                    seen(now)
                try:
                    now = self.get(endpoint, alarm.name, wait=WAIT_S)
                except errors.NotFound:
                    return None
        if now.failure:
            raise errors.AlarmRefused(now)
        return now


def _path(endpoint: str, name: str) -> str:
    return f"/endpoints/{part(endpoint)}/alarms/{part(name)}"
