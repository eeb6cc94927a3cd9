"""Loading models of a new endpoint before anybody calls them: the app that makes calls does it."""

from collections.abc import Callable
from typing import Any

_wanted: list[Callable[[Any, Any], None]] = []


def register(note: Callable[[Any, Any], None]) -> None:
    """Have ``note(endpoint, actor)`` called, in the transaction that writes such an endpoint."""
    _wanted[:] = [note]


def note_wanted(endpoint: Any, actor: Any) -> None:
    """Note that what aliases point at is to be loaded once ``endpoint`` serves."""
    for note in _wanted:
        note(endpoint, actor)
