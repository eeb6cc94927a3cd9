"""``mme endpoint thrash`` and ``mme plan-capacity``: whether models fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import running
from mme_client.cli.terminal import Terminal, at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import Capacity, Thrash


def thrash(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Print what is found, what it is based on, and the versions that were called."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.endpoints.thrash(name)
        if terminal.json:
            terminal.document(found.document)
        elif terminal.quiet:
            terminal.line(found.verdict)
        else:
            _show(terminal, found)


def _show(terminal: Terminal, found: Thrash) -> None:
    for sentence in found.sentences:
        terminal.line(sentence)
    based = _("Based on {calls} calls, {since} to {until}.")
    terminal.line(based.format(calls=found.calls, since=at(found.since), until=at(found.until)))
    if not found.versions:
        return
    terminal.line("")
    headings = (_("version"), _("calls"), _("memory"), _("cold"), _("loaded again"))
    rows = [
        (
            f"{one.model}:{one.number}",
            str(one.calls),
            "" if one.memory_mb is None else f"{one.memory_mb:.0f} MB",
            str(one.cold),
            str(one.again),
        )
        for one in found.versions
    ]
    terminal.table(headings, rows)


def plan(
    models: str,
    *,
    store: str,
    calls_per_hour: float,
    draw: str,
    like: str,
    percent: float,
    instances: int,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Print what each number of instances of each type would do; quiet: the recommended alone."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.endpoints.plan_capacity(
            models,
            store=store,
            calls_per_hour=calls_per_hour,
            draw=draw,
            like=like,
            cold_share=percent / 100,
            most_instances=instances,
        )
        if terminal.json:
            terminal.document(found.document)
        elif terminal.quiet:
            for one in found.choices:
                if one.recommended:
                    terminal.line(f"{one.instance_type} {one.instance_count}")
        else:
            _show_plan(terminal, found)


def _show_plan(terminal: Terminal, found: Capacity) -> None:
    said = _("{count} versions take {needed} MB together, as their validations measured.")
    terminal.line(said.format(count=len(found.models), needed=f"{found.needed_mb:.0f}"))
    headings = (
        *(_("instances"), _("cost an hour"), _("calls that wait"), _("an hour"), _("busy"), ""),
    )
    rows = [
        (
            f"{one.instance_count} × {one.instance_type}",
            "" if one.cost is None else f"{one.cost.per_hour} {one.cost.currency}",
            _("does not fit") if one.too_large else f"{100 * one.cold_share:.1f} %",
            f"{one.cold_per_hour:.0f}",
            f"{100 * one.busy_share:.0f} %",
            _("recommended") if one.recommended else "",
        )
        for one in found.choices
    ]
    terminal.table(headings, rows)
    if not any(one.recommended for one in found.choices):
        terminal.line(_("None has what is wanted: allow more instances, or name fewer models."))
    terminal.line(found.estimate)
