"""The calls that this process has under way, and the heartbeat that renews their leases."""

import logging
import threading

from django.db import Error, close_old_connections, connections

from core import threads
from invocations.models import Invocation
from invocations.recording import REFUSED, Recorded

logger = logging.getLogger(__name__)


class UnderWay:
    """The calls that wait or run; a thread renews the leases of their rows.

    It does so every ``every_s`` seconds, in one UPDATE for all of them, and ends when there are
    none. So a call whose lease ran out has lost its process, and has not just waited for long. A
    call without a row gets it then, so that pages show it.
    """

    def __init__(self, *, every_s: float = 5.0) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._calls: set[Recorded] = set()
        self._beating = False

    def add(self, call: Recorded) -> None:
        """Renew the lease of ``call`` from now on."""
        with self._lock:
            self._calls.add(call)
            if not self._beating:
                self._beating = threads.started(self._beat, name="invoke-heartbeat") is not None

    def discard(self, call: Recorded) -> None:
        """Stop renewing: the call is finished, or was never begun."""
        with self._lock:
            self._calls.discard(call)

    def calls(self) -> list[Recorded]:
        """The calls whose leases are renewed now."""
        with self._lock:
            return list(self._calls)

    def pks(self) -> list[int]:
        """The primary keys of those that have rows."""
        return sorted(call.row.pk for call in self.calls() if call.written)

    def _beat(self) -> None:
        try:
            while calls := self._wait():
                pks: list[int] = []
                try:
                    close_old_connections()  # as Django does before and after a request
                    for call in calls:
                        if self._has_row(call):
                            pks.append(call.row.pk)
                    Invocation.objects.filter(pk__in=pks).renew_all(lease=Invocation.LEASE)
                    close_old_connections()
                except Error:
                    # The next heartbeat tries again; several must fail before a lease runs out.
                    logger.exception("Could not renew the leases of %s calls.", len(calls))
        finally:
            connections.close_all()  # the thread ends, and nobody else can use its connection

    @staticmethod
    def _has_row(call: Recorded) -> bool:
        """Whether it has a row now; one that the database refuses costs the others no lease."""
        try:
            return call.write_if_unfinished()
        except REFUSED:
            logger.exception("The database does not take the call %s.", call.uid)
            return False

    def _wait(self) -> list[Recorded]:
        """Pause, then return the calls that are under way; the thread ends if there are none."""
        threading.Event().wait(self._every_s)
        with self._lock:
            self._beating = bool(self._calls)
            return list(self._calls)
