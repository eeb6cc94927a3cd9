"""``mme storage``: what the archives take up, and the quotas of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, size
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import PersonUsage, StorageUsage

_NO_LIMIT, _USUAL = "none", "usual"


def storage(person: str, quota: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Say what takes up the store; or set the quota of one person."""
    if bool(person) != bool(quota):
        raise WrongUse(_("Give --person and --quota together."))
    gigabytes = _gigabytes(quota) if quota else None
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if not person:
            _overview(terminal, portal.storage.get(), json=json, quiet=quiet)
            return
        found = portal.storage.set_quota(person, gigabytes)
        if json:
            terminal.document(found.document)
        elif quiet:
            terminal.line("" if found.quota is None else str(found.quota))
        else:
            terminal.fields(
                [
                    (_("person"), found.name),
                    (_("taken up"), size(found.used)),
                    (_("quota"), _quota(found.quota)),
                ]
            )


def _gigabytes(quota: str) -> int | None:
    """What --quota says; None: the usual quota."""
    if quota == _USUAL:
        return None
    if quota == _NO_LIMIT:
        return 0
    if not (quota.isascii() and quota.isdecimal() and 0 < int(quota) <= 10**6):
        raise WrongUse(_("Write --quota as a whole number of gigabytes, none or usual."))
    return int(quota)


def _quota(quota: int | None) -> str:
    return _("no limit") if quota is None else size(quota)


def _overview(terminal: Terminal, found: StorageUsage, *, json: bool, quiet: bool) -> None:
    if json:
        terminal.document(found.document)
        return
    if quiet:
        terminal.line(str(found.store.used))
        return
    terminal.fields(
        [
            (_("all archives"), f"{size(found.store.used)} / {_quota(found.store.quota)}"),
            (_("your own"), f"{size(found.mine.used)} / {_quota(found.mine.quota)}"),
        ]
    )
    if len(found.stores) > 1:
        terminal.line()
        by_store = [(one.name, str(one.versions), size(one.used)) for one in found.stores]
        terminal.table((_("store"), _("versions"), _("taken up")), by_store)
    if found.people:
        terminal.line()
        headings = (_("person"), _("versions"), _("taken up"), _("quota"))
        terminal.table(headings, [_row(one) for one in found.people])
    if found.largest:
        terminal.line()
        rows = [(one.name, str(one.versions), size(one.used)) for one in found.largest]
        terminal.table((_("model"), _("versions"), _("taken up")), rows)


def _row(person: PersonUsage) -> tuple[str, ...]:
    return (person.name, str(person.versions), size(person.used), _quota(person.quota))
