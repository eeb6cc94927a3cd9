"""Leases: at most one worker at a time works on a database row, and a dead one holds it briefly.

A leased row has two times, both by the database's clock (:mod:`core.clock`):

- ``check_after``: when it is due, so when there is something to do with it;
- ``leased_until``: until when one worker alone works on it; None while nobody does.

A worker claims a row that is due, renews the lease while it works, and releases it in the same
UPDATE that writes the outcome. Each of the three is one conditional UPDATE, and the number of rows
that it changed says whether the worker holds the lease. A worker that is killed releases nothing:
its row is due again when the lease is over.
"""

from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from django.db import models
from django.db.models import Q

from core import clock

_Row = TypeVar("_Row", bound="Leased")


class LeaseLost(Exception):
    """Another worker has claimed the row, or it is finished: nothing more may be written to it."""


class LeaseQuerySet(models.QuerySet[_Row]):
    """The lease of the rows of one model; each method is meant for rows of any state."""

    def unfinished(self) -> Self:
        """Those that still have work to do, whether that is due now or later."""
        raise NotImplementedError

    def written_by_claim(self) -> dict[str, Any]:
        """What a claim writes besides the lease."""
        return {}

    def lease_columns(self, until: datetime) -> dict[str, Any]:
        """The columns that say "held until then": a holder writes them, and knows them again."""
        return {"leased_until": until}

    def due(self) -> Self:
        """Those with work to do now that nobody holds the lease of, the longest due first."""
        now = clock.now()
        free = Q(leased_until=None) | Q(leased_until__lte=now)
        return self.unfinished().filter(free, check_after__lte=now).order_by("check_after")

    def claim(self, pk: int, *, lease: timedelta) -> datetime | None:
        """Take the lease of one row that is due, for the time ``lease``.

        Returns when it ends. That time is also what :meth:`renew` and :meth:`release` know the
        holder by: load the row after the claim. None where somebody else holds the lease, or
        where the row is not due.
        """
        until = clock.now() + lease
        changes = {**self.written_by_claim(), **self.lease_columns(until)}
        claimed = self.due().order_by().filter(pk=pk).update(**changes)
        return until if claimed == 1 else None

    def held(self, row: _Row) -> Self:
        """The row if whoever loaded ``row`` still holds its lease, else nothing.

        A lease that has run out is held until somebody else claims the row.
        """
        if row.leased_until is None:
            return self.none()
        return self.unfinished().filter(pk=row.pk, **self.lease_columns(row.leased_until))

    def renew(self, row: _Row, *, lease: timedelta, **changes: Any) -> datetime:
        """Prolong a lease that is held, and write ``changes`` to the row in the same UPDATE.

        Returns when it ends now, and notes it in ``row``. Raises LeaseLost.
        """
        until = clock.now() + lease
        if self.held(row).update(**{**changes, **self.lease_columns(until)}) != 1:
            raise LeaseLost
        for name, value in self.lease_columns(until).items():
            setattr(row, name, value)
        return until

    def release(self, row: _Row, *, check_after: datetime | None = None, **changes: Any) -> None:
        """Give back a lease that is held, and write ``changes`` to the row in the same UPDATE.

        ``check_after``: when the row is due again; None where it is finished. Raises LeaseLost.
        """
        if check_after is not None:
            changes["check_after"] = check_after
        if self.held(row).update(**{**changes, "leased_until": None}) != 1:
            raise LeaseLost
        row.leased_until = None


class Leased(models.Model):
    """A row that one worker at a time works on; its manager is made of a LeaseQuerySet."""

    check_after = models.DateTimeField(default=clock.now, db_index=True)
    leased_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker alone acts on it."
    )

    class Meta:
        abstract = True
