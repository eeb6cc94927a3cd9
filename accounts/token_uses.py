"""When and from where each token was used last, written by a thread of its own.

No call waits for it. A use is written at most once a minute: accounts/token_auth.py reads the row
anew each second, and notes a use only where the row's is older.
"""

import logging
import threading

from django.db import Error, close_old_connections, connection
from django.db.models import Q

from accounts.models import Token
from accounts.tokens import USE_EVERY
from core import clock, threads

log = logging.getLogger(__name__)
_IDLE_S = 60.0


class Uses:
    """The uses that are to be written, by token; of several of one token the last."""

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ends = False

    def note(self, token_id: str, address: str) -> None:
        """Write soon that the token was used from ``address``."""
        with self._changed:
            self._waiting[token_id] = address
            if self._thread is None:
                self._ends = False
                self._thread = threads.started(self._work, name="token-uses")
            self._changed.notify_all()

    def end(self) -> None:
        """End the thread, once it has written what was noted; a later use begins another one."""
        with self._changed:
            thread, self._ends = self._thread, True
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ends, _IDLE_S)
                if not self._waiting:
                    self._thread = None
                    connection.close()
                    return
                uses, self._waiting = self._waiting, {}
            close_old_connections()
            try:
                _write(uses)
            except Error as error:
                # The next use notes it again.
                log.warning("The last use of %d tokens was not written: %s", len(uses), error)
            finally:
                close_old_connections()


def _write(uses: dict[str, str]) -> None:
    now = clock.now()
    for token_id, address in uses.items():
        # Another process may have written it meanwhile.
        old = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_EVERY)
        Token.objects.filter(old, pk=token_id).update(last_used_at=now, last_used_from=address)


#: Of this process.
USES = Uses()
