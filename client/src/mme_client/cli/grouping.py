"""``mme groups``: people who are named together, and what of a store they see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import running
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.cli.terminal import Terminal
    from mme_client.records import PeopleGroup


def list_all(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """All groups."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.groups.list())
        rows = [(one.name, ", ".join(one.members)) for one in found]
        terminal.listed(found, (_("name"), _("people")), rows, names=[one.name for one in found])


def show(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """One group."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _told(terminal, portal.groups.get(name), json=json, quiet=quiet)


def make(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Make a group."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _told(terminal, portal.groups.create(name), json=json, quiet=quiet)


def change(
    name: str,
    *,
    join: Sequence[str] = (),
    leave: Sequence[str] = (),
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Put people into a group, or take them out."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.groups.change(name, join=join, leave=leave)
        _told(terminal, found, json=json, quiet=quiet)


def delete(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Delete a group."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        portal.groups.delete(name)
        terminal.note(_("Deleted: {name}").format(name=name))


def _told(terminal: Terminal, group: PeopleGroup, *, json: bool, quiet: bool) -> None:
    if json:
        terminal.document(group.document)
    elif quiet:
        for name in group.members:
            terminal.line(name)
    else:
        people = ", ".join(group.members) or _("nobody")
        terminal.fields([(_("name"), group.name), (_("people"), people)])
