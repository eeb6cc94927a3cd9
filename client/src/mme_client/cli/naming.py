"""``mme alias``: where the names on a model point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.portal import Portal
    from mme_client.records import Alias


def alias(
    name: str,
    number: int | None,
    *,
    reason: str,
    if_now: int | None,
    rollback: bool,
    remove: bool,
    history: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Move an alias, or look: at one, at its history, or at all of a model."""
    wanted = [number is not None, rollback, remove, history]
    if sum(wanted) > 1:
        raise WrongUse(_("Give one of NUMBER, --rollback, --remove and --history."))
    changes = number is not None or rollback or remove
    if (reason or if_now) and not changes:
        raise WrongUse(_("--reason and --if-now are for changes."))
    model, _at, own = name.partition("@")
    if not model or (not own and ("@" in name or any(wanted))):
        raise WrongUse(_("Write the alias as digits@production."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if not own:
            _list(portal, terminal, model, json=json, quiet=quiet)
        elif history:
            _history(portal, terminal, name, json=json, quiet=quiet)
        elif remove:
            portal.aliases.delete(name, reason=reason, etag=_seen(portal, name, if_now))
            if json:
                terminal.document({"name": own, "model": model, "number": None})
            terminal.note(_("{name} is deleted.").format(name=name))
        else:
            etag = _seen(portal, name, if_now)
            if rollback:
                found = portal.aliases.rollback(name, reason=reason, etag=etag)
            elif number is not None:
                found = portal.aliases.put(name, number, reason=reason, etag=etag)
            else:
                found = portal.aliases.get(name)
            _show(terminal, found, json=json, quiet=quiet)


def _seen(portal: Portal, name: str, if_now: int | None) -> str:
    """The ETag of the alias that points at ``if_now``; "" where it may point anywhere."""
    if if_now is None:
        return ""
    found = portal.aliases.get(name)
    if found.number != if_now:
        said = _("{name} is version {number} now, not {wanted}. Nothing was changed.")
        raise WrongUse(said.format(name=name, number=found.number, wanted=if_now))
    return found.etag


def _document(alias: Alias) -> dict[str, object]:
    return {field: value for field, value in alias.document.items() if field != "etag"}


def _show(terminal: Terminal, alias: Alias, *, json: bool, quiet: bool) -> None:
    if json:
        terminal.document(_document(alias))
    elif quiet:
        terminal.line(str(alias.number))
    else:
        terminal.line(
            _("{name} is {version}, since {at}, by {who}").format(
                name=f"{alias.model}@{alias.name}",
                version=f"{alias.model}:{alias.number}",
                at=at(alias.moved_at),
                who=alias.moved_by or "-",
            )
        )


def _list(portal: Portal, terminal: Terminal, model: str, *, json: bool, quiet: bool) -> None:
    found = list(portal.aliases.list(model))
    if json:
        terminal.document({"items": [_document(one) for one in found], "next": None})
    elif quiet:
        for one in found:
            terminal.line(f"{one.model}@{one.name}")
    else:
        headings = (_("alias"), _("version"), _("since"), _("by"), _("reason"))
        rows = [
            (one.name, str(one.number), at(one.moved_at), one.moved_by or "", one.reason)
            for one in found
        ]
        if not rows:
            terminal.note(_("There are none."))
            return
        terminal.table(headings, rows)


def _history(portal: Portal, terminal: Terminal, name: str, *, json: bool, quiet: bool) -> None:
    found = list(portal.aliases.history(name))
    if json:
        terminal.document({"items": [one.document for one in found], "next": None})
        return
    rows = [
        (
            at(one.at),
            one.kind,
            "" if one.before is None else str(one.before),
            "" if one.number is None else str(one.number),
            one.by or "",
            one.reason,
        )
        for one in found
    ]
    if quiet:
        for row in rows:
            terminal.line("\t".join(row))
    else:
        headings = (_("when"), _("what"), _("before"), _("version"), _("by"), _("reason"))
        terminal.table(headings, rows)
