"""The calls that this process has under way, and the heartbeat that it writes for them."""

import logging
import threading

from django.db import DatabaseError, connections

from invocations.models import Invocation

logger = logging.getLogger(__name__)


class UnderWay:
    """Ids of the calls that wait in line or run; while there are any, a thread says so.

    It writes to their rows every ``every_s`` seconds, in one UPDATE for all of them. A call whose
    row was not written for some time has therefore lost its process, however long it has waited.
    """

    def __init__(self, *, every_s: float = 5.0) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._pks: set[int] = set()
        self._beating = False

    def add(self, pk: int) -> None:
        """From now on this process answers for the call ``pk``."""
        with self._lock:
            self._pks.add(pk)
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._beat, name="invoke-alive", daemon=True).start()

    def discard(self, pk: int) -> None:
        """The call is settled, or was never begun."""
        with self._lock:
            self._pks.discard(pk)

    def pks(self) -> list[int]:
        """All of them now."""
        with self._lock:
            return sorted(self._pks)

    def _beat(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(self._every_s)
            with self._lock:
                pks = sorted(self._pks)
                self._beating = bool(pks)
            if not pks:
                return
            try:
                Invocation.objects.filter(pk__in=pks).note_alive()
            except DatabaseError:
                # The next beat tries again; several must fail before a call counts as lost.
                logger.exception("cannot say that %s calls are under way", len(pks))
            finally:
                connections.close_all()
