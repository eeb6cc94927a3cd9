"""``mme orphans``: what is in the AWS account and belongs to no endpoint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mme_client.cli import planning
from mme_client.cli.running import NotThere, WrongUse, each, running
from mme_client.cli.terminal import Terminal, at, say, size
from mme_client.cli.words import _

#: Kinds that no endpoint can own.
_LEFT = ("target", "alarm", "log_group", "staged")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.portal import Portal
    from mme_client.records import Orphan, OrphanList, OtherEndpoints


def orphans(
    names: Sequence[str],
    *,
    others: bool,
    adopt: bool,
    delete: bool,
    yes: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """List them; or adopt or delete those named, else all that the portal made."""
    if adopt and delete:
        raise WrongUse(_("Give one of --adopt and --delete."))
    if names and not adopt and not delete:
        raise WrongUse(_("Say what to do with them: --adopt or --delete."))
    if delete and not yes and not sys.stdin.isatty():
        raise WrongUse(_("Standard input is no terminal: confirm the deletion with --yes."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.orphans.look(others=others or bool(names))
        for problem in found.problems:
            say(problem)
        if found.looking:
            terminal.note(_("The portal is still looking: this is what it knew before."))
        if not adopt and not delete:
            _list(terminal, found)
            return
        chosen = _chosen(found, names)
        if adopt and not names:  # what endpoints left beside them has nothing to belong to
            chosen = [one for one in chosen if one.kind not in _LEFT]
        if not chosen:
            terminal.note(_("There are none."))
            done = []
        elif adopt:
            done = _adopt(portal, chosen)
        else:
            if not yes:
                _confirm(chosen)
            done = each(
                chosen,
                lambda one: portal.orphans.delete(one.kind, one.name),
                lambda done: _tell(terminal, done),
            )
            if wait:
                done = [_waited(portal, terminal, one) for one in done]
        _tell(terminal, done)


def endpoints(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """List the endpoints in the account that are not the portal's."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.orphans.look(others=True, kind="endpoint")
        for problem in found.problems:
            say(problem)
        if found.looking:
            terminal.note(_("The portal is still looking: this is what it knew before."))
        _list(terminal, found)
        if any(one.state == "orphaned" for one in found.items):
            terminal.note(_("To make one the portal's: mme orphans --adopt NAME"))


def note_others(terminal: Terminal, others: OtherEndpoints | None) -> None:
    """Say how many endpoints a list of the portal's leaves out."""
    if others is None or not others.endpoint_count:
        return
    said = _("In the AWS account are {count} more endpoints, not by this portal: {cost}.")
    cost = planning.told(others.cost)
    terminal.note(
        " ".join(
            [
                said.format(count=others.endpoint_count, cost=cost),
                _("Last looked at: {at}.").format(at=at(others.looked_at)),
                _("See: mme endpoints --others"),
            ]
        )
    )


def _chosen(found: OrphanList, names: Sequence[str]) -> list[Orphan]:
    """Those of these names, of whatever kind; without names all that the portal made."""
    there = [one for one in found.items if one.state not in ("gone", "adopted")]
    if not names:
        return [one for one in there if one.ours]
    chosen, missing = [], []
    for name in dict.fromkeys(names):
        fitting = [one for one in there if name in (one.name, f"{one.kind}/{one.name}")]
        chosen += [one for one in fitting if one not in chosen]
        if not fitting:
            missing.append(name)
    if missing:
        said = _("No such orphan: {names}. Nothing was changed. See: mme orphans --all")
        raise NotThere(said.format(names=", ".join(missing)))
    return chosen


def _adopt(portal: Portal, chosen: Sequence[Orphan]) -> list[Orphan]:
    """Endpoints first: they take their configuration and model along."""
    done: list[Orphan] = []
    for one in sorted(chosen, key=lambda one: one.kind != "endpoint"):
        now = portal.orphans.get(one.kind, one.name)
        done.append(now if now.state == "adopted" else portal.orphans.adopt(one.kind, one.name))
    return done


def _confirm(chosen: Sequence[Orphan]) -> None:
    say(_("This deletes from the AWS account:"))
    for one in chosen:
        whose = "" if one.ours else _("made by others")
        say("  ".join(filter(None, ("", _kind(one.kind), one.name, _size(one), whose))))
    names = sorted(set(" ".join(one.name for one in chosen).replace(",", " ").split()))
    sys.stderr.write(_("Type their names, separated by spaces: "))
    sys.stderr.flush()
    if sorted(set(sys.stdin.readline().replace(",", " ").split())) != names:
        raise WrongUse(_("These are not their names. Nothing was changed."))


def _waited(portal: Portal, terminal: Terminal, orphan: Orphan) -> Orphan:
    goes_on = _("The portal goes on with the deletion. See: mme orphans")
    with terminal.goes_on(goes_on), terminal.steps() as step:
        return portal.orphans.wait(
            orphan, seen=lambda now: step(f"{now.name}: {now.failure or _state(now)}")
        )


def _list(terminal: Terminal, found: OrphanList) -> None:
    if terminal.json:
        terminal.document(found.document)
        return
    headings = (
        *(_("kind"), _("name"), _("state"), _("size"), _("cost an hour")),
        *(_("made by"), _("created"), _("why it is there")),
    )
    rows = [
        (
            _kind(one.kind),
            one.name,
            _state(one),
            _size(one),
            f"{one.cost.per_hour} {one.cost.currency}" if one.cost else "",
            _whose(one),
            at(one.made_at),
            one.failure or one.adopted_by or "",
        )
        for one in found.items
    ]
    names = [f"{one.kind}/{one.name}" for one in found.items]
    terminal.listed(found.items, headings, rows, names=names)
    if found.cost is not None and any(one.cost for one in found.items):
        terminal.note(_("Together: {cost}").format(cost=planning.told(found.cost)))


def _tell(terminal: Terminal, done: Sequence[Orphan]) -> None:
    if terminal.json:
        terminal.document({"items": [one.document for one in done], "next": None})
        return
    for one in done:
        if terminal.quiet:
            terminal.line(f"{one.kind}/{one.name}")
        else:
            more = one.failure or one.adopted_by or ""
            parts = (_kind(one.kind), one.name, _state(one), more)
            terminal.line("  ".join(filter(None, parts)))


def _size(one: Orphan) -> str:
    if one.size_bytes is not None:
        return size(one.size_bytes)
    if not one.instance_type or one.instance_count is None:
        return ""
    return f"{one.instance_count} × {one.instance_type}"


def _whose(one: Orphan) -> str:
    if one.ours:
        return one.made_for or _("the portal")
    if one.ours is None:
        return _("not known")
    return _("another portal") if one.made_for else _("others")


def _kind(kind: str) -> str:
    return {
        "model": _("model"),
        "config": _("config"),
        "endpoint": _("endpoint"),
        "target": _("scalable target"),
        "alarm": _("alarm"),
        "log_group": _("log group"),
        "staged": _("object in staging"),
    }.get(kind, kind)


def _state(one: Orphan) -> str:
    return {
        "orphaned": _("found"),
        "to_delete": _("to be deleted"),
        "deleting": _("deleting"),
        "gone": _("gone"),
        "adopted": _("adopted"),
    }.get(one.state, one.state)
