"""Plans of what else is done with a living endpoint: paused, put back, torn down, its alarms.

Each is asked of the service that does it, in a transaction that is rolled back, as in planning.py.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from core import errors
from core.sentences import shown
from endpoints import adopting, alarms, drift, pausing, prices, quotas
from endpoints.end_dates import in_words
from endpoints.models import Endpoint, EndpointAlarm
from endpoints.planning import (
    DELETED,
    Difference,
    EndpointPlan,
    compared_with,
    facts_now,
    of_change,
    plan_of,
    rolled_back,
)
from endpoints.prices import Cost
from endpoints.reconciler import change_calls, pause_calls, renewal_calls, teardown_calls
from endpoints.sagemaker import Call

_STATES = Endpoint.State


def plan_hours(
    *, endpoint: Endpoint, hours: str, zone: str = "", actor: User | None
) -> EndpointPlan:
    """What `pausing.set_hours` would do. Raises what that raises; changes nothing."""
    before = endpoint.hours, endpoint.hours_zone
    with rolled_back():
        row = pausing.set_hours(endpoint=endpoint, hours=hours, zone=zone, actor=actor)
        pauses, resumes = row.pauses_at, row.resumes_at
    notes = []
    if row.hours:
        notes.append(
            _(
                "Nothing is called now. At the end of its hours it is paused, and when they begin "
                "it resumes: the plans of these two say what is called then."
            )
        )
    if pauses is not None:
        notes.append(_("It is paused next at %(at)s.") % {"at": shown(in_words(pauses))})
    if resumes is not None:
        notes.append(_("It resumes at %(at)s.") % {"at": shown(in_words(resumes))})
    once = prices.known().cost_of(endpoint.running)
    return plan_of(
        endpoint,
        calls=[],
        compared=[Difference("hours", _hours(*before), _hours(row.hours, row.hours_zone))],
        notes=notes,
        costs=(
            prices.in_hours(once, endpoint.working_hours),
            prices.in_hours(once, row.working_hours),
        ),
        said=_("It serves as it is, and calls go on.")
        if row.hours
        else _("It runs always. Nothing is called now."),
    )


def _hours(hours: str, zone: str) -> str:
    return f"{hours} {zone}" if hours else _("always")


def plan_pause(*, endpoint: Endpoint, actor: User | None) -> EndpointPlan:
    """What `pausing.pause_now` would do. Raises what that raises; changes nothing."""
    with rolled_back():
        row = pausing.pause_now(endpoint=endpoint, actor=actor)
        before, calls = pause_calls(row)
    notes = [_("Its configuration and its SageMaker model stay. They cost nothing.")]
    if before:
        notes.insert(0, _("The change that is under way is finished before."))
    if row.resumes_at is not None:
        notes.append(_("It resumes at %(at)s.") % {"at": shown(in_words(row.resumes_at))})
    elif row.hours == "":
        notes.append(_("It stays paused until somebody resumes it."))
    return plan_of(
        endpoint,
        calls=[*before, *calls],
        compared=[_state(endpoint, _STATES.PAUSED)],
        notes=notes,
        costs=(_now(endpoint), _nothing()),
        waits=DELETED,
        said=_("Who calls it gets an error until it has resumed.")
        if calls
        else _("It is paused already: nothing would be called."),
    )


def plan_resume(*, endpoint: Endpoint, actor: User | None) -> EndpointPlan:
    """What `pausing.resume_now` would do. Raises what that raises; changes nothing."""
    return _renewal(
        endpoint,
        lambda: pausing.write_resume(endpoint=endpoint, actor=actor),
        _("It serves, or its pause has not begun: nothing would be called."),
    )


def plan_put_back(*, endpoint: Endpoint, actor: User | None) -> EndpointPlan:
    """What `drift.put_back` would do. Raises what that raises; changes nothing."""
    if drift.is_deleted(endpoint):
        return _renewal(
            endpoint,
            lambda: drift.write_renewal(endpoint=endpoint, actor=actor),
            _("It is there already: nothing would be called."),
        )
    now, notes = _as_it_runs(endpoint)
    found = of_change(endpoint, lambda: drift.put_back(endpoint=endpoint, actor=actor), now)
    return replace(found, notes=[*notes, *found.notes])


def plan_accept(*, endpoint: Endpoint, actor: User | None) -> EndpointPlan:
    """What `drift.accept` would do. Raises what that raises; changes nothing."""
    with rolled_back():
        row = drift.accept(endpoint=endpoint, actor=actor)
        ends = row.tearing_down
        calls, afterwards = teardown_calls(row) if ends else change_calls(row)
    if ends:
        return plan_of(
            endpoint,
            calls=[*calls, *afterwards],
            compared=[_state(endpoint, _STATES.GONE)],
            costs=(_nothing(), _nothing()),
            waits="",
            said=_("Nothing serves, and nothing is made again. Archives in the store stay."),
        )
    cost = _now(endpoint)
    return plan_of(
        endpoint,
        calls=calls,
        afterwards=afterwards,
        compared=compared_with(facts_now(endpoint) | _requested(endpoint), row, named=False),
        costs=(cost, cost),
        said=_("It serves as it runs now, and calls go on. What it used before is deleted."),
    )


def plan_teardown(
    *, endpoint: Endpoint, keep_config: bool = False, keep_model: bool = False
) -> EndpointPlan:
    """What the teardown would do with what was seen last; changes nothing."""
    calls, afterwards = teardown_calls(endpoint, keep_config=keep_config, keep_model=keep_model)
    return plan_of(
        endpoint,
        calls=calls,
        afterwards=afterwards,
        compared=[_state(endpoint, _STATES.GONE)],
        costs=(_now(endpoint), _nothing()),
        waits=DELETED,
        said=_("Who calls it gets an error from that moment on. Archives in the store stay."),
    )


def plan_alarm(
    *,
    endpoint: Endpoint,
    kind: str,
    variant: str,
    threshold: int | None,
    minutes: int | None,
    actor: User | None,
) -> EndpointPlan:
    """What `alarms.set_alarm` would do. Raises what that raises; changes nothing."""
    before = endpoint.alarms.filter(kind=kind, variant=variant).first()
    there = before if before is not None and not before.removing else None
    with rolled_back():
        row = alarms.set_alarm(
            endpoint=endpoint,
            kind=kind,
            variant=variant,
            threshold=threshold,
            minutes=minutes,
            actor=actor,
        )
        calls = alarms.calls_of(row)
    return _of_alarm(endpoint, row, there, str(row.condition), calls)


def plan_alarm_removal(*, alarm: EndpointAlarm, actor: User | None) -> EndpointPlan:
    """What `alarms.remove` would do. Raises what that raises; changes nothing."""
    with rolled_back():
        row = alarms.remove(alarm=alarm, actor=actor)
        calls = alarms.calls_of(row)
    return _of_alarm(alarm.endpoint, row, alarm, "", calls)


def _of_alarm(
    endpoint: Endpoint,
    row: EndpointAlarm,
    there: EndpointAlarm | None,
    condition: str,
    calls: list[Call],
) -> EndpointPlan:
    def said(condition: str) -> str:
        return f"{row.key}: {condition}" if condition else _("none")

    now = said(str(there.condition) if there is not None else "")
    return plan_of(
        endpoint,
        calls=calls,
        compared=[Difference("alarm", now, said(condition))],
        costs=(
            prices.of_alarm() if there is not None else _nothing(),
            prices.of_alarm() if condition else _nothing(),
        ),
        waits="",
        said=_("The endpoint is not touched, and calls go on.")
        if calls
        else _("It is so already: nothing would be called."),
        of_costs=_("An estimate: CloudWatch’s price of an alarm in us-east-1, without taxes."),
    )


def _renewal(endpoint: Endpoint, ask: Callable[[], Endpoint], so_already: str) -> EndpointPlan:
    """What makes an endpoint again that was paused or deleted."""
    with rolled_back():
        row = ask()
        calls, afterwards = renewal_calls(row)
        pauses = row.pauses_at
    known, notes = prices.known(), []
    if calls:
        notes = quotas.notes(row.in_config.parts)
    if pauses is not None:
        notes.append(_("It is paused next at %(at)s.") % {"at": shown(in_words(pauses))})
    cost = prices.in_hours(known.cost_of(row.requested), row.working_hours)
    return plan_of(
        endpoint,
        calls=calls,
        afterwards=afterwards,
        compared=[_state(endpoint, _STATES.IN_SERVICE)],
        notes=notes,
        costs=(_now(endpoint), cost),
        said=_(
            "It cannot be called until SageMaker has started it, which takes some minutes. No "
            "model is in memory then."
        )
        if calls
        else so_already,
    )


def _as_it_runs(endpoint: Endpoint) -> tuple[dict[str, str], list[str]]:
    """What serves by SageMaker's word, or as last seen where it does not say; and why it did not.

    Somebody may have given the endpoint another model outside the portal, too.
    """
    now = facts_now(endpoint)
    try:
        found = adopting.described(endpoint.name)
    except errors.AwsError as error:
        said = _("What runs could not be read, so this is what was seen last: %(error)s")
        return now, [said % {"error": error}]
    options = replace(found.chosen, tags=endpoint.chosen.tags)
    seen = {
        "image": found.model.image,
        "role_arn": found.model.role_arn,
        "store": found.model.data_url,
        **options.said(),
    }
    return now | seen, []


def _requested(endpoint: Endpoint) -> dict[str, str]:
    """What was wanted until now, where something else runs."""
    said = endpoint.requested
    return {
        "instance_type": said.instance_type,
        "instance_count": str(said.instance_count),
        "variants": str(said),
    }


def _state(endpoint: Endpoint, then: Endpoint.State) -> Difference:
    return Difference("state", str(_STATES(endpoint.state).label), str(then.label))


def _now(endpoint: Endpoint) -> Cost | None:
    """What runs of it costs; None where the price is not known."""
    return prices.known().of(endpoint) if endpoint.has_instances else _nothing()


def _nothing() -> Cost:
    return Cost(Decimal(0), prices.known().currency)
