"""What Celery runs: each task calls one function, and may run twice."""

from celery import shared_task

from endpoints import (
    alarms,
    budgets,
    expiry,
    idling,
    looks,
    orphans,
    pausing,
    price_list,
    reconciler,
    services,
)


# An older message is not needed: the sweep has sent another one.
@shared_task(expires=10)
def advance(pk: int) -> None:
    """One step with one endpoint."""
    reconciler.advance_if_room(pk)


@shared_task
def sweep() -> None:
    """Find what is due; beat calls this every two seconds."""
    services.sweep()


@shared_task(expires=10)
def look_at_settled() -> None:
    """Look at many settled endpoints by lists; `sweep` asks for it."""
    looks.look()


@shared_task
def sweep_ends() -> None:
    """Tell of end dates, and request the teardowns that are due; beat calls this each minute."""
    expiry.sweep()


@shared_task
def sweep_idle() -> None:
    """Tell of endpoints that nobody calls, and request the teardowns; beat calls it each minute."""
    idling.sweep()


@shared_task
def sweep_hours() -> None:
    """Pause and resume endpoints by their working hours; beat calls this each minute."""
    pausing.sweep()


@shared_task(expires=10)
def look_for_orphans() -> None:
    """Look at the whole AWS account, where that is due."""
    orphans.look()


@shared_task(expires=10)
def advance_orphan(pk: int) -> None:
    """One step with one orphan that is to be deleted."""
    reconciler.advance_orphan(pk)


@shared_task
def sweep_orphans() -> None:
    """Find what is due of both; beat calls this every five seconds."""
    orphans.sweep()


@shared_task(expires=10)
def watch_alarms() -> None:
    """Make alarms as they are wanted, and see their states, where that is due.

    Beat calls this every five seconds; due it is once a minute, and when something is asked for.
    """
    alarms.watch()


@shared_task(expires=60)
def sweep_budgets() -> None:
    """Add up the month, and tell of budgets that are used; beat calls this every ten minutes."""
    budgets.sweep()


@shared_task(expires=60)
def sweep_prices() -> None:
    """Read AWS's price list, where that is due; beat calls this every ten minutes."""
    price_list.sweep()
