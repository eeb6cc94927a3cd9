"""``mme endpoint schedule``, ``sleep``, ``wake`` and ``stay-awake``: when an endpoint works."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Give an endpoint working hours, other ones, or none."""
    if (hours is None) != clear:
        raise WrongUse(_("Give one of --hours and --clear."))
    if hours is not None and not zone:
        raise WrongUse(_("Say the time zone of the hours: --zone Asia/Seoul."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _result(terminal, portal.endpoints.set_hours(name, hours or "", zone=zone))


def sleep(name: str, *, wait: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Let an endpoint sleep now; with ``wait``, until it does."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        endpoint = portal.endpoints.sleep(name)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            with terminal.goes_on(said.format(name=name)):
                endpoint = portal.endpoints.wait_asleep(endpoint)
        _result(terminal, endpoint)


def wake(name: str, *, wait: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Wake an endpoint now; with ``wait``, until it serves."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        endpoint = portal.endpoints.wake(name)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            with terminal.goes_on(said.format(name=name)):
                endpoint = endpoint.wait()
        _result(terminal, endpoint)


def stay_awake(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Let an endpoint sleep two hours later this once."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _result(terminal, portal.endpoints.stay_awake(name))


def _result(terminal: Terminal, endpoint: Endpoint) -> None:
    if terminal.json:
        terminal.document(endpoint.document)
    elif terminal.quiet:
        terminal.line(endpoint.name)
    else:
        hours = f"{endpoint.hours} {endpoint.hours_zone}" if endpoint.hours else ""
        parts = [endpoint.name, hours or _("no working hours")]
        if endpoint.sleeps_at is not None:
            parts.append(_("sleeps {at}").format(at=at(endpoint.sleeps_at)))
        if endpoint.wakes_at is not None:
            parts.append(_("wakes {at}").format(at=at(endpoint.wakes_at)))
        terminal.line("  ".join(parts))
