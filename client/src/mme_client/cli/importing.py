"""``mme import`` and ``repack``: archives that lie in the store already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.archives import state
from mme_client.cli.copying import tell
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import at, size
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.cli.terminal import Terminal
    from mme_client.portal import Portal


def import_(
    keys: list[str],
    *,
    store: str,
    preview: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Show what could be imported, or have it validated and registered."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if preview:
            _preview(portal, terminal, store)
            return
        made = portal.models.import_found(keys, store=store)
        if not made:
            terminal.note(_("There is nothing to import."))
        tell(terminal, made, wait=wait)


def repack(name: str, *, wait: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Have a canonical copy made of an archive that was refused as it was found."""
    if ":" not in name:
        raise WrongUse(_("Write the version as digits:2."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        version = portal.models.repack(name)
        if wait:
            goes_on = _("Its validation goes on in the portal. See: mme show {name}")
            with terminal.goes_on(goes_on.format(name=version.name)), terminal.steps() as step:
                version = version.wait(seen=lambda now: step(now.step or state(now)))
        if json:
            terminal.document(version.document)
        elif quiet:
            terminal.line(version.name)
        else:
            terminal.line(f"{version.name}  {state(version)}")


def _preview(portal: Portal, terminal: Terminal, store: str) -> None:
    found = portal.models.found(store=store)
    if terminal.json:
        for one in found:
            terminal.document_line(one.document)
    elif terminal.quiet:
        for one in found:
            if not one.problem:
                terminal.line(one.target_model)
    else:
        terminal.table(
            [_("key"), _("model"), _("size"), _("written"), _("why not")],
            [
                [one.target_model, one.model or "", size(one.size), at(one.modified_at),
                 one.problem or ""]
                for one in found
            ],
        )  # fmt: skip
