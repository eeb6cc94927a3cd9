"""``mme endpoint schedule``, ``pause``, ``resume`` and ``extend``: when an endpoint works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli import planning
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import Endpoint


def schedule(
    name: str,
    *,
    hours: str | None,
    zone: str,
    clear: bool,
    plan: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Give an endpoint working hours, other ones, or none; or show the plan of that."""
    if (hours is None) != clear:
        raise WrongUse(_("Give one of --hours and --clear."))
    if hours is not None and not zone:
        raise WrongUse(_("Say the time zone of the hours: --zone Asia/Seoul."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.endpoints.preview_hours(name, hours or "", zone=zone)
            planning.show(terminal, planned, is_new=False)
            return
        _result(terminal, portal.endpoints.set_hours(name, hours or "", zone=zone))


def pause(
    name: str, *, plan: bool, wait: bool, json: bool, quiet: bool, timeout: float | None
) -> None:
    """Pause an endpoint now; with ``wait``, until it is; or show the plan of that."""
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planning.show(terminal, portal.endpoints.preview_pause(name), is_new=False)
            return
        endpoint = portal.endpoints.pause(name)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            with terminal.goes_on(said.format(name=name)):
                endpoint = portal.endpoints.wait_paused(endpoint)
        _result(terminal, endpoint)


def resume(
    name: str, *, plan: bool, wait: bool, json: bool, quiet: bool, timeout: float | None
) -> None:
    """Resume an endpoint now; with ``wait``, until it serves; or show the plan of that."""
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planning.show(terminal, portal.endpoints.preview_resume(name), is_new=False)
            return
        endpoint = portal.endpoints.resume(name)
        planning.tell(terminal, endpoint)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            with terminal.goes_on(said.format(name=name)):
                endpoint = endpoint.wait()
        _result(terminal, endpoint)


def extend(name: str, *, day: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Keep an endpoint running two hours longer this once, or a day."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _result(terminal, portal.endpoints.extend(name, day=day))


def _result(terminal: Terminal, endpoint: Endpoint) -> None:
    if terminal.json:
        terminal.document(endpoint.document)
    elif terminal.quiet:
        terminal.line(endpoint.name)
    else:
        hours = f"{endpoint.hours} {endpoint.hours_zone}" if endpoint.hours else ""
        parts = [endpoint.name, hours or _("no working hours")]
        if endpoint.state == "paused":
            parts.insert(1, _("paused"))
        if endpoint.pauses_at is not None:
            parts.append(_("pauses {at}").format(at=at(endpoint.pauses_at)))
        if endpoint.resumes_at is not None:
            parts.append(_("resumes {at}").format(at=at(endpoint.resumes_at)))
        terminal.line("  ".join(parts))
