"""From where the request that this thread works on came: through which channel, from which address.

A middleware binds it (accounts/origins.py); what is recorded meanwhile is stored with it
(activity/services.py). Outside of a request, as in a job, there is none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

#: An IPv6 address with that of an IPv4 one in it.
MAX_LENGTH = 45


@dataclass(frozen=True)
class Origin:
    """``channel`` is page, api or mme; both are empty outside of a request."""

    channel: str = ""
    address: str = ""


_NONE = Origin()
_CURRENT: ContextVar[Origin] = ContextVar("origin", default=_NONE)


def current() -> Origin:
    """Where the request came from."""
    return _CURRENT.get()


@contextmanager
def bound(origin: Origin) -> Iterator[None]:
    """Let ``origin`` be the current one for a ``with`` block."""
    token = _CURRENT.set(origin)
    try:
        yield
    finally:
        _CURRENT.reset(token)
