"""``mme endpoint thrash``: whether models take turns in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import running
from mme_client.cli.terminal import Terminal, at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import Thrash


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
