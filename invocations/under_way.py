"""The calls that this process has under way, and the heartbeat that renews their leases."""

import logging
import threading

from django.db import Error, close_old_connections, connections

from invocations.models import Invocation

logger = logging.getLogger(__name__)


class UnderWay:
    """The primary keys of the calls that wait or run; a thread renews their leases.

    It does so every ``every_s`` seconds, in one UPDATE for all of them, and ends when there are
    none. So a call whose lease ran out has lost its process, and has not just waited for long.
    """

    def __init__(self, *, every_s: float = 5.0) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._pks: set[int] = set()
        self._beating = False

    def add(self, pk: int) -> None:
        """Renew the lease of the call ``pk`` from now on."""
        with self._lock:
            self._pks.add(pk)
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._beat, name="invoke-heartbeat", daemon=True).start()

    def discard(self, pk: int) -> None:
        """Stop renewing: the call is finished, or was never begun."""
        with self._lock:
            self._pks.discard(pk)

    def pks(self) -> list[int]:
        """The calls whose leases are renewed now."""
        with self._lock:
            return sorted(self._pks)

    def _beat(self) -> None:
        try:
            while pks := self._wait():
                try:
                    close_old_connections()  # as Django does before and after a request
                    Invocation.objects.filter(pk__in=pks).renew_all(lease=Invocation.LEASE)
                    close_old_connections()
                except Error:
                    # The next heartbeat tries again; several must fail before a lease runs out.
                    logger.exception("Could not renew the leases of %s calls.", len(pks))
        finally:
            connections.close_all()  # the thread ends, and nobody else can use its connection

    def _wait(self) -> list[int]:
        """Pause, then return the calls that are under way; the thread ends if there are none."""
        threading.Event().wait(self._every_s)
        with self._lock:
            self._beating = bool(self._pks)
            return sorted(self._pks)
