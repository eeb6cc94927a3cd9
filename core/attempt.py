"""The attempt that this thread works on: an id of the portal's own for one repeatable change.

core/api/idempotency.py makes it and binds it; what is recorded meanwhile is stored with it
(activity/services.py), so that a later request can find what an attempt made that was cut off.
Clients choose their ``X-Request-ID`` and ``Idempotency-Key`` themselves, so neither would do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAX_LENGTH = 32
_CURRENT: ContextVar[str] = ContextVar("attempt", default="")


def current() -> str:
    """The id of the attempt; empty outside of one."""
    return _CURRENT.get()


@contextmanager
def bound(attempt: str) -> Iterator[None]:
    """Let ``attempt`` be the current one for a ``with`` block."""
    token = _CURRENT.set(attempt)
    try:
        yield
    finally:
        _CURRENT.reset(token)
