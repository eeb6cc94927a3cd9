"""Leases: how a row is worked on by one worker at a time, and by another one if that one dies.

A worker claims a row that is due by one conditional UPDATE, whose count says who won. It renews
the lease while it works and releases it at the end. A lease that is not renewed runs out, and the
row is due again. The time is the database's (core/clock.py).
"""

import time
from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core import clock

M = TypeVar("M", bound="Leased")


class LeaseLost(Exception):
    """The lease ran out and somebody else may work on the row: write nothing more."""


class LeaseQuerySet(models.QuerySet[M]):
    """The QuerySet of a model with leases."""

    def due(self) -> Self:
        """Rows with work to do that nobody holds the lease of, the longest waiting first."""
        now = clock.now()
        free = Q(leased_until=None) | Q(leased_until__lte=now)
        return self.filter(free, check_after__lte=now).order_by("check_after")

    def claim(self, pk: int, *, lease: timedelta, **changes: Any) -> M | None:
        """Take the lease of a row that is due, for the time ``lease``, and write ``changes``.

        Returns the row; None where somebody else has it, or where it is not due.
        """
        until = clock.now() + lease
        if self.due().filter(pk=pk).update(leased_until=until, **changes) != 1:
            return None
        return self.filter(leased_until=until).get(pk=pk)

    def held(self, row: M) -> Self:
        """``row``, if the lease that it was claimed with is still the one in the database."""
        if row.leased_until is None:
            return self.none()
        return self.filter(pk=row.pk, leased_until=row.leased_until)

    def renew(self, row: M, *, lease: timedelta, **changes: Any) -> None:
        """Prolong the lease to ``lease`` from now, and write ``changes``; raises LeaseLost."""
        until = clock.now() + lease
        if self.held(row).update(leased_until=until, **changes) != 1:
            raise LeaseLost
        row.leased_until = until

    def release(self, row: M, **changes: Any) -> None:
        """Give the lease back, and write ``changes``, ``check_after`` among them if the row is to
        be due again; raises LeaseLost."""
        if self.held(row).update(leased_until=None, **changes) != 1:
            raise LeaseLost
        row.leased_until = None


class Leased(models.Model):
    """A row that workers work on; its manager is of a :class:`LeaseQuerySet`."""

    check_after = models.DateTimeField(
        default=clock.now, db_default=Now(), db_index=True, help_text="When it is due."
    )
    leased_until: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker alone works on it."
    )

    class Meta:
        abstract = True


class Lease(Generic[M]):
    """The lease of one row, for a worker that takes long: it calls :meth:`keep` again and again."""

    def __init__(self, rows: LeaseQuerySet[M], row: M, length: timedelta) -> None:
        self._rows = rows
        self._row = row
        self._length = length
        self._renewed = time.monotonic()

    def renew(self, **changes: Any) -> None:
        """Prolong it, writing ``changes`` in the same UPDATE; raises LeaseLost."""
        self._rows.renew(self._row, lease=self._length, **changes)
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Prolong it if half of it has gone by; cheap enough to be called all the time."""
        if time.monotonic() - self._renewed > self._length.total_seconds() / 2:
            self.renew()

    def release(self, **changes: Any) -> None:
        """Give it back, writing ``changes`` in the same UPDATE; raises LeaseLost."""
        self._rows.release(self._row, **changes)
