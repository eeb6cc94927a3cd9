"""Autoscaling by instance: asked for, given other limits, and switched off."""

from collections.abc import Callable
from dataclasses import replace

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from activity.codes import Scalar
from activity.services import record
from core import clock
from core.errors import CONFLICT
from core.jobs import enqueue_on_commit
from core.sentences import phrase
from endpoints import quotas
from endpoints.limits import MOST_SCHEDULED, Limits, ScheduledLimits, known_zone
from endpoints.models import Endpoint, Running
from endpoints.variants import ALONE, ProductionVariant, Variants
from endpoints.working_hours import HoursError

#: A day, in seconds: a longer cooldown is a mistake.
LONGEST_COOLDOWN_S = 86_400
#: Calls a minute and instance: more is a mistake.
HIGHEST_TARGET = 1_000_000
_PAUSED = (Endpoint.Scaling.PAUSED,)


def set_scaling(
    *,
    endpoint: Endpoint,
    limits: Limits | None,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """Record how an endpoint is to be scaled, or with None that it is not; the reconciler does it.

    ``require`` is called with the locked row before anything is changed, and may raise. Idempotent.
    Raises ValidationError, with nothing changed: by field, or with the code CONFLICT where the
    endpoint is torn down, is being torn down, or does not serve yet. ``quota_notes`` has what to
    know where the account may not run the most instances.
    """
    running = endpoint.running
    row = write_scaling(endpoint=endpoint, limits=limits, actor=actor, require=require)
    row.quota_notes = quotas.warnings(at_most(running, limits))
    return row


def at_most(running: Running, limits: Limits | None) -> Variants:
    """The instances that autoscaling may start beside those that run."""
    more = 0 if limits is None else limits.highest - running.instance_count
    return (ProductionVariant(ALONE, running.instance_type, more),) if more > 0 else ()


@transaction.atomic
def write_scaling(
    *,
    endpoint: Endpoint,
    limits: Limits | None,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """`set_scaling` without a question to AWS."""
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    if row.gone_at is not None or row.tearing_down:
        said = _("The endpoint %(name)s is torn down, or is being torn down. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    if limits is None:
        return _switch_off(row, actor)
    if not row.serving:
        said = _("The endpoint %(name)s does not serve yet, so it cannot be scaled. Wait for it.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    if len(row.requested.parts) > 1:
        said = _("Autoscaling is of endpoints with one variant, and %(name)s has several.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    if not limits.schedule:
        limits = replace(limits, zone="")
    _check(limits)
    if row.limits == limits and row.scaling != Endpoint.Scaling.ENDING:
        return row
    row.scale_min, row.scale_max, row.scale_target = limits.least, limits.most, limits.target
    row.scale_in_cooldown, row.scale_out_cooldown = limits.in_cooldown, limits.out_cooldown
    row.scale_schedule = limits.schedule_as_json()
    # During an update that SageMaker takes of what is not scaled alone, it waits as before.
    if row.scaling not in _PAUSED:
        row.scaling = Endpoint.Scaling.WANTED
    _go_on(row)
    facts: dict[str, Scalar] = {
        "name": row.name,
        "least": limits.least,
        "most": limits.most,
        "target": limits.target,
    }
    record(action="endpoint.scaling_requested", subject=row, actor=actor, parameters=facts)
    if limits.schedule:
        told: dict[str, Scalar] = {"name": row.name, "schedule": limits.scheduled}
        record(action="endpoint.scaling_scheduled", subject=row, actor=actor, parameters=told)
    return row


def _switch_off(row: Endpoint, actor: User | None) -> Endpoint:
    if row.limits is None:
        return row
    row.scale_min = row.scale_max = row.scale_target = None
    row.scale_in_cooldown = row.scale_out_cooldown = row.scale_schedule = None
    row.scaling = Endpoint.Scaling.ENDING
    _go_on(row)
    facts: dict[str, Scalar] = {"name": row.name}
    record(action="endpoint.scaling_end_requested", subject=row, actor=actor, parameters=facts)
    return row


def _go_on(row: Endpoint) -> None:
    row.attempts, row.check_after = 0, clock.now()
    starts = phrase("AWS is being asked for it.").named("endpoint.scaling_starts")
    row.say(failure=None, hint=starts)
    row.save()
    enqueue_on_commit("endpoints.tasks.advance", row.pk)


def _check(limits: Limits) -> None:
    most = settings.MAX_INSTANCES
    wrong = {}
    if not 1 <= limits.most <= most:
        wrong["max_instances"] = _("Choose a number from 1 to %(most)s.") % {"most": most}
    elif not 1 <= limits.least <= limits.most:
        said = _("Choose a number from 1 to the most instances, %(most)s.")
        wrong["min_instances"] = said % {"most": limits.most}
    if not 1 <= limits.target <= HIGHEST_TARGET:
        wrong["calls_per_minute"] = _("Choose a number from 1 to %(most)s.") % {
            "most": HIGHEST_TARGET
        }
    cooldowns = {"in_cooldown_s": limits.in_cooldown, "out_cooldown_s": limits.out_cooldown}
    for name, seconds in cooldowns.items():
        if not 0 <= seconds <= LONGEST_COOLDOWN_S:
            wrong[name] = _("Choose a number of seconds from 0 to %(most)s.") % {
                "most": LONGEST_COOLDOWN_S
            }
    if problem := _wrong_schedule(limits):
        wrong["schedule"] = problem
    if limits.schedule and not known_zone(limits.zone):
        wrong["zone"] = _("There is no such time zone. One is Asia/Seoul.")
    if wrong:
        raise ValidationError(wrong)


def _wrong_schedule(limits: Limits) -> str:
    """What is wrong with the limits that are scheduled; empty: nothing."""
    most = settings.MAX_INSTANCES
    if len(limits.schedule) > MOST_SCHEDULED:
        return _("Give at most %(most)s.") % {"most": MOST_SCHEDULED}
    for one in limits.schedule:
        if not 1 <= one.least <= one.most <= most:
            said = _("%(scheduled)s: choose numbers from 1 to %(most)s, the fewest first.")
            return said % {"scheduled": one, "most": most}
    times = [one.cron for one in limits.schedule]
    if len(set(times)) < len(times):
        return _("Give each time once.")
    return ""


def scheduled(when: str, least: int, most: int) -> ScheduledLimits:
    """Limits from a time on. Raises ValidationError, of the field schedule, where it is none."""
    try:
        return ScheduledLimits.of(when, least, most)
    except HoursError as error:
        said = {
            "form": _("%(when)s is no time of the week. Write it as mon-fri 08:00."),
            "day": _("%(when)s names a day that is not there. Days are mon, tue, … sun."),
            "time": _("%(when)s names a time that is not there. Times are 00:00 to 23:59."),
        }[error.code]
        raise ValidationError({"schedule": said % {"when": when[:60]}}) from None
