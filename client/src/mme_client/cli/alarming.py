"""``mme alarms``: what watches an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli import planning
from mme_client.cli.running import running
from mme_client.cli.terminal import Terminal, at, say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.portal import Portal
    from mme_client.records import Alarm, AlarmList


def listing(endpoint: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """List the alarms of an endpoint."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _list(terminal, portal.alarms.list(endpoint))


def create(
    endpoint: str,
    alarm: str,
    *,
    threshold: int | None,
    minutes: int | None,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Make an alarm, or have it go off at another time; with ``wait``, until it is so.

    With ``plan`` only say what that would be.
    """
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.alarms.preview(endpoint, alarm, threshold=threshold, minutes=minutes)
            planning.show(terminal, planned, is_new=False)
            return
        asked = portal.alarms.set(endpoint, alarm, threshold=threshold, minutes=minutes)
        _asked(portal, terminal, endpoint, asked, wait=wait)


def delete(
    endpoint: str,
    alarm: str,
    *,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Have an alarm deleted; with ``wait``, until it is gone; or show the plan of that."""
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.alarms.preview(endpoint, alarm, remove=True)
            planning.show(terminal, planned, is_new=False)
            return
        _asked(portal, terminal, endpoint, portal.alarms.delete(endpoint, alarm), wait=wait)


def send_test(endpoint: str, alarm: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Tell of an alarm as if it went off, and say that it is a test."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _tell(terminal, portal.alarms.test(endpoint, alarm), _("a test is on its way"))


def _asked(portal: Portal, terminal: Terminal, endpoint: str, asked: Alarm, *, wait: bool) -> None:
    """Say what became of what was asked for."""
    now: Alarm | None = asked
    if wait:
        goes_on = _("The portal goes on with the alarm. See: mme alarms list {name}")
        with terminal.goes_on(goes_on.format(name=endpoint)):
            now = portal.alarms.wait(endpoint, asked)
    if now is None:
        _tell(terminal, asked, _("gone"))
    else:
        _tell(terminal, now, _state(now.state))


def _list(terminal: Terminal, found: AlarmList) -> None:
    if found.problem:
        say(found.problem)
    if terminal.json:
        terminal.document(found.document)
        return
    headings = (_("alarm"), _("state"), _("goes off at"), _("since"), _("why"))
    rows = [
        (
            one.name,
            _state(one.state),
            one.condition,
            at(one.changed_at) if one.changed_at else "",
            one.failure or one.reason,
        )
        for one in found.items
    ]
    terminal.listed(found.items, headings, rows, names=[one.name for one in found.items])


def _tell(terminal: Terminal, alarm: Alarm, state: str) -> None:
    if terminal.json:
        terminal.document(alarm.document)
    elif terminal.quiet:
        terminal.line(alarm.alarm_name)
    else:
        parts = (alarm.name, state, alarm.condition, alarm.alarm_name)
        terminal.line("  ".join(parts))


def _state(state: str) -> str:
    return {
        "requested": _("requested"),
        "normal": _("OK"),
        "in_alarm": _("in alarm"),
        "insufficient_data": _("insufficient data"),
        "deleting": _("being removed"),
    }.get(state, state)
