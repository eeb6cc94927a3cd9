"""Keep models warm: again and again, and after each deploy and change, while an endpoint stands."""

import logging
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from activity.services import record
from core import clock
from endpoints.models import Endpoint
from invocations.models import Warming, WarmSchedule
from invocations.warming import chosen, running
from invocations.warming.running import WarmingRefused, WarmingUnderWay

log = logging.getLogger(__name__)

LEAST_MINUTES, MOST_MINUTES = 1, 7 * 24 * 60


def keep(
    *,
    endpoint: Endpoint,
    models: str,
    every_minutes: int | None,
    after_change: bool,
    actor: User,
) -> WarmSchedule:
    """Keep versions warm from now on, in place of what was kept warm before.

    ``every_minutes`` None: not again and again. Raises WarmingRefused, with nothing changed.
    """
    if endpoint.gone_at is not None or endpoint.tearing_down:
        said = _("The endpoint %(name)s is torn down. Nothing was changed.")
        raise WarmingRefused(said % {"name": endpoint.name})
    if every_minutes is not None and not LEAST_MINUTES <= every_minutes <= MOST_MINUTES:
        said = _("The minutes are from %(least)s to %(most)s. Nothing was changed.")
        raise WarmingRefused(said % {"least": LEAST_MINUTES, "most": MOST_MINUTES}, "invalid")
    if every_minutes is None and not after_change:
        said = _("Say how often, or that models are warmed after a deploy. Nothing was changed.")
        raise WarmingRefused(said, "invalid")
    found = running.named_versions(models, endpoint)
    now = clock.now()
    serves = endpoint.serving and endpoint.settled
    with transaction.atomic():
        schedule, _made = WarmSchedule.objects.update_or_create(
            endpoint=endpoint,
            defaults={
                "named": models.strip(),
                "every_minutes": every_minutes,
                "after_change": after_change,
                "next_at": now if every_minutes is not None else None,
                "warmed_revision": endpoint.revision if serves else 0,
                "changed_at": now,
                "changed_by": actor,
                "changed_by_name": actor.get_username(),
            },
        )
        told: dict[str, str | int] = {"name": endpoint.name, "versions": len(found)}
        if every_minutes is None:
            action = "endpoint.warmed_after_changes"
        else:
            action, told = "endpoint.kept_warm", {**told, "minutes": every_minutes}
        record(action=action, subject=endpoint, parameters=told, actor=actor)
    return schedule


def note_aliases(endpoint: Endpoint, actor: User | None) -> None:
    """Have what aliases point at loaded once a new endpoint serves, and after each change.

    Called in the transaction that writes the endpoint; there may be no alias yet.
    """
    WarmSchedule.objects.create(
        endpoint=endpoint,
        named=chosen.ALL_ALIASES,
        after_change=True,
        changed_by=actor,
        changed_by_name=actor.get_username() if actor is not None else "",
    )
    versions = len(chosen.resolve(chosen.ALL_ALIASES, endpoint))
    told: dict[str, str | int] = {"name": endpoint.name, "versions": versions}
    record(action="endpoint.warmed_after_changes", subject=endpoint, parameters=told, actor=actor)


def end(*, endpoint: Endpoint, actor: User) -> None:
    """Keep nothing warm any more; what is being warmed goes on. Idempotent."""
    with transaction.atomic():
        if WarmSchedule.objects.filter(endpoint=endpoint).delete()[0]:
            record(
                action="endpoint.not_kept_warm",
                subject=endpoint,
                parameters={"name": endpoint.name},
                actor=actor,
            )


def of_endpoint(endpoint: Endpoint) -> WarmSchedule | None:
    """What is kept warm of an endpoint; None: nothing."""
    return WarmSchedule.objects.filter(endpoint=endpoint).first()


def calls_a_day(schedule: WarmSchedule) -> int | None:
    """How many calls a day it makes now; None where the endpoint has none of these versions."""
    if schedule.every_minutes is None:
        return 0
    try:
        found = running.named_versions(schedule.named, schedule.endpoint)
    except WarmingRefused:
        return None
    return len(found) * (24 * 60 // schedule.every_minutes)


def sweep() -> None:
    """Begin each warming that is due; beat calls this."""
    now = clock.now()
    WarmSchedule.objects.exclude(endpoint__gone_at=None).delete()
    rows = WarmSchedule.objects.select_related("endpoint", "changed_by")
    for schedule in rows.filter(Q(next_at__lte=now) | Q(after_change=True)):
        endpoint = schedule.endpoint
        if not endpoint.serving or not endpoint.settled:
            continue
        if schedule.after_change and schedule.warmed_revision != endpoint.revision:
            _begin(schedule, Warming.Reason.CHANGE, warmed_revision=endpoint.revision)
        elif schedule.next_at is not None and schedule.next_at <= now:
            pause = timedelta(minutes=schedule.every_minutes or LEAST_MINUTES)
            _begin(schedule, Warming.Reason.SCHEDULE, next_at=now + pause)


def _begin(schedule: WarmSchedule, reason: str, **noted: Any) -> None:
    """Begin a warming and note that, in one transaction, unless another worker just has.

    After a change it is not left out where models are being warmed already: those that were called
    before the change are gone from memory. It is due still, and begins when that is done.
    """
    seen = {name: getattr(schedule, name) for name in noted}
    try:
        with transaction.atomic():
            if not WarmSchedule.objects.filter(pk=schedule.pk, **seen).update(**noted):
                return
            try:
                running.start(
                    endpoint=schedule.endpoint,
                    models=schedule.named,
                    actor=schedule.changed_by,
                    reason=reason,
                )
            except WarmingRefused as refused:
                if reason == Warming.Reason.CHANGE and isinstance(refused, WarmingUnderWay):
                    raise
                _log(schedule, refused)
    except WarmingUnderWay as refused:
        _log(schedule, refused)


def _log(schedule: WarmSchedule, refused: WarmingRefused) -> None:
    log.info("%s is not warmed now: %s", schedule.endpoint.name, refused)
