"""Rows that not everybody may see: what somebody's request asks for leaves out what is hidden.

The manager of a guarded model asks who reads. For the request of a person it leaves out what that
person may not see, in every query: pages, operations, searches, exports, choices. What hides rows
is registered by the app that knows (`register`); each QuerySet says which rows those are
(``without``). Jobs and commands are the portal itself, and see all; so does what a
request does in a ``with as_portal()``, such as finding out whether a name is taken.

Django's base manager is not guarded: the row that a foreign key of a seen row leads to is there.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.core.signals import request_finished
from django.db import models
from django.dispatch import receiver
from django.http import HttpRequest

Row = TypeVar("Row", bound=models.Model)


class _Reader:
    """Who reads: found out when it is first asked, as most requests ask for nothing guarded."""

    def __init__(self, user: Callable[[], Any]) -> None:
        self._user = user
        self._known: dict[Any, Any] = {}

    def user(self) -> Any:
        """Whoever it is, also an anonymous user."""
        return self._user()

    def hidden(self) -> Any:
        """What is hidden from them."""
        user = self._user()
        if user.pk not in self._known:  # an operation may find another user than the session's
            with as_portal():
                self._known[user.pk] = _find[0](user)
        return self._known[user.pk]


_READER: ContextVar[_Reader | None] = ContextVar("reader", default=None)
_find: list[Callable[[Any], Hashable | None]] = []


def register(find: Callable[[Any], Hashable | None]) -> None:
    """Let ``find`` say what a user, also an anonymous one, may not see; None: nothing is hidden."""
    _find[:] = [find]


def bind(request: HttpRequest) -> None:
    """Read for the user of this request until its answer is sent, streams included."""
    _READER.set(_Reader(lambda: request.user))


@receiver(request_finished)
def _release(**_: Any) -> None:
    _READER.set(None)


@contextmanager
def reading_as(user: Any) -> Iterator[None]:
    """Read what a user may see, as where a job tells them of something."""
    token = _READER.set(_Reader(lambda: user))
    try:
        yield
    finally:
        _READER.reset(token)


@contextmanager
def as_portal() -> Iterator[None]:
    """Read all, as the portal itself; nothing of it may be shown. Also a decorator.

    It counts for the querysets that are begun in it, not for the others.
    """
    token = _READER.set(None)
    try:
        yield
    finally:
        _READER.reset(token)


def reader() -> Any:
    """The user who reads now, who may be anonymous; None: the portal itself."""
    found = _READER.get()
    return None if found is None else found.user()


def hidden() -> Any:
    """What is hidden from who reads now, hashable; None: nothing is."""
    reader = _READER.get()
    return None if reader is None or not _find else reader.hidden()


def hidden_parts() -> frozenset[str]:
    """A word for each part of what is hidden from who reads now, which stays the same for good."""
    found = hidden()
    return frozenset() if found is None else found.parts


class GuardedManager(models.Manager[Row]):
    """Gives the rows that who reads may see.

    It is made of a QuerySet (``from_queryset``) with a method ``without(hidden)``, which leaves
    hidden rows out: by subqueries, never by a join, as rows are locked, and updated in one step.
    """

    def get_queryset(self) -> models.QuerySet[Row]:
        """All rows but the hidden ones."""
        rows = super().get_queryset()
        found = hidden()
        if found is None:
            return rows
        seen: models.QuerySet[Row] = rows.without(found)  # type: ignore[attr-defined]
        return seen
