"""``mme endpoint warm``: load models before somebody waits for them, and keep them warm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mme_client.cli import exits
from mme_client.cli.calling import SomeFailed
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, at, ms
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.portal import Portal
    from mme_client.records import KeptWarm, Warming, Warmth

_SPAN = re.compile(r"([0-9]{1,6})([mhd])")
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}


def warm(
    name: str,
    *,
    models: str,
    every: str,
    after_change: bool,
    off: bool,
    show: bool,
    stop: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Warm models now; or with one of the options keep them warm, end that, show it, or stop."""
    keeps = bool(every) or after_change
    if sum([keeps, off, show, stop, wait]) > 1:
        raise WrongUse(_("Give one of --every or --after-change, --off, --show, --stop, --wait."))
    minutes = _minutes(every) if every else None
    failed = False
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        endpoints = portal.endpoints
        if keeps:
            kept = endpoints.keep_warm(
                name, models, every_minutes=minutes, after_change=after_change
            )
            _tell_kept(terminal, kept)
        elif off:
            _tell_kept(terminal, endpoints.keep_warm_no_more(name))
        elif show:
            _tell_all(terminal, endpoints.warmth(name))
        elif stop:
            for one in endpoints.warmth(name).latest:
                if one.state == "running":
                    _tell(terminal, endpoints.stop_warming(one))
        else:
            found = endpoints.warm(name, models)
            if wait:
                found = _waited(portal, terminal, found)
            _tell(terminal, found)
            failed = any(one.error for one in found.called)
    if failed:
        raise SomeFailed(exits.Exit.FAILED)


def _minutes(every: str) -> int:
    found = _SPAN.fullmatch(every.strip())
    if found is None:
        raise WrongUse(_("{every!r} is no time. Give 10m, 2h or 1d.").format(every=every))
    return int(found[1]) * _MINUTES[found[2]]


def _waited(portal: Portal, terminal: Terminal, found: Warming) -> Warming:
    said = _("{done} of {all} versions")

    def told(now: Warming) -> None:
        step(said.format(done=len(now.called), all=len(now.versions)))

    goes_on = _("The portal goes on with it. See: mme endpoint warm {name} --show")
    with terminal.goes_on(goes_on.format(name=found.endpoint)), terminal.steps() as step:
        return portal.endpoints.wait_for_warming(found, seen=told)


def _tell(terminal: Terminal, found: Warming) -> None:
    if terminal.json:
        terminal.document(found.document)
    elif terminal.quiet:
        terminal.line(found.id)
    else:
        terminal.line(_line(found))
        for one in found.called:
            cold = {True: _("loaded"), False: _("was warm"), None: ""}[one.cold]
            terminal.line(f"  {one.name}  {one.error or f'{cold}  {ms(one.latency_ms)}'}")


def _line(found: Warming) -> str:
    said = _("{models} on {name}: {state}, {done} of {all} versions")
    return said.format(
        models=found.models,
        name=found.endpoint,
        state=found.state,
        done=len(found.called),
        all=len(found.versions),
    )


def _tell_kept(terminal: Terminal, found: Warmth) -> None:
    if terminal.json:
        terminal.document(found.document)
    elif not terminal.quiet:
        terminal.line(_kept(found.kept))


def _kept(kept: KeptWarm | None) -> str:
    if kept is None:
        return _("Nothing is kept warm.")
    parts = [kept.models]
    if kept.every_minutes is not None:
        said = _("every {minutes} min, {calls} calls a day")
        calls = "–" if kept.calls_per_day is None else kept.calls_per_day
        parts.append(said.format(minutes=kept.every_minutes, calls=calls))
    if kept.after_change:
        parts.append(_("after each deploy and change"))
    return ", ".join(parts)


def _tell_all(terminal: Terminal, found: Warmth) -> None:
    if terminal.json or terminal.quiet:
        _tell_kept(terminal, found)
        return
    terminal.line(_kept(found.kept))
    for one in found.latest:
        terminal.line(f"{at(one.created_at)}  {_line(one)}")
