"""Leases: one worker at a time works on a row, and another one goes on where that worker dies.

A leased row has two times, both by the database's clock (:mod:`core.clock`):

- ``check_after``: when it is due, that is, when there is work to do with it;
- ``leased_until``: until when one worker alone works on it; None while no worker does.

A worker claims a row that is due, renews the lease while it works, and releases it with the UPDATE
that writes the outcome. Each of the three is one conditional UPDATE whose count says whether the
worker holds the lease. The lease of a worker that is killed runs out, and the row is due again.
"""

import time
from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar

from django.db import models
from django.db.models import Q

from core import clock

Row = TypeVar("Row", bound="Leased")


class LeaseLost(Exception):
    """Another worker may work on the row by now: this one must write nothing more to it."""


class LeaseQuerySet(models.QuerySet[Row]):
    """The QuerySet of a model with leases; the model says which rows are unfinished."""

    def unfinished(self) -> Self:
        """Rows that still have work to do, now or later."""
        raise NotImplementedError

    def claim_columns(self) -> dict[str, Any]:
        """What a claim writes besides the lease."""
        return {}

    def lease_columns(self, until: datetime) -> dict[str, Any]:
        """The columns that say that a worker holds the row until then, with their values.

        They are written with each claim and renewal, and must be unchanged for the next one.
        """
        return {"leased_until": until}

    def due(self) -> Self:
        """Rows with work to do now that no worker holds the lease of, the longest due first."""
        now = clock.now()
        free = Q(leased_until=None) | Q(leased_until__lte=now)
        return self.unfinished().filter(free, check_after__lte=now).order_by("check_after")

    def claim(self, pk: int, *, lease: timedelta) -> Row | None:
        """Take the lease of a row that is due, for the time ``lease``.

        Returns the row, which :meth:`renew` and :meth:`release` take; None where another worker
        holds the lease, or where the row is not due.
        """
        mine = self.lease_columns(clock.now() + lease)
        if self.due().filter(pk=pk).update(**self.claim_columns(), **mine) != 1:
            return None
        return self.filter(pk=pk, **mine).alone()

    def alone(self) -> Row | None:
        """The row, where at most one is found: without the order, which is costly to make."""
        return next(iter(self.order_by()), None)

    def held(self, row: Row) -> Self:
        """``row`` if its lease is still the one that it was claimed with, else nothing.

        A lease that has run out is held until another worker claims the row.
        """
        if row.leased_until is None:
            return self.none()
        return self.unfinished().filter(pk=row.pk, **self.lease_columns(row.leased_until))

    def renew(self, row: Row, *, lease: timedelta, **changes: Any) -> None:
        """Prolong the lease to ``lease`` from now, writing ``changes`` too; raises LeaseLost."""
        mine = self.lease_columns(clock.now() + lease)
        if self.held(row).update(**changes, **mine) != 1:
            raise LeaseLost
        for name, value in mine.items():
            setattr(row, name, value)

    def release(self, row: Row, **changes: Any) -> None:
        """Give the lease back and write ``changes``; raises LeaseLost.

        They hold a ``check_after`` where the row is to be due again. ``row`` stays as it is, so
        that the lease can still be used where the transaction is rolled back.
        """
        if self.held(row).update(**changes, leased_until=None) != 1:
            raise LeaseLost


class Leased(models.Model):
    """A row that one worker at a time works on; its manager is made of a LeaseQuerySet."""

    check_after = models.DateTimeField(default=clock.now, db_index=True)
    leased_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker alone acts on it."
    )

    class Meta:
        abstract = True


class Lease(Generic[Row]):
    """The lease of one row, for work that takes longer than a lease: it calls :meth:`keep`."""

    def __init__(self, rows: LeaseQuerySet[Row], row: Row, length: timedelta) -> None:
        """``row`` was just claimed, for the time ``length``."""
        self._rows = rows
        self._row = row
        self._length = length
        self._renewed = time.monotonic()

    def renew(self, **changes: Any) -> None:
        """Prolong it, writing ``changes`` in the same UPDATE; raises LeaseLost."""
        self._rows.renew(self._row, lease=self._length, **changes)
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew it if half of it is over; cheap enough to be called many times a second."""
        if time.monotonic() - self._renewed > self._length.total_seconds() / 2:
            self.renew()

    def release(self, **changes: Any) -> None:
        """Give it back, writing ``changes`` in the same UPDATE; raises LeaseLost."""
        self._rows.release(self._row, **changes)
