"""``mme retire``, ``restore`` and ``delete``: versions that are no longer wanted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mme_client.cli.archives import state
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import Version


def retire(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Offer and call a version nowhere any more."""
    _checked(name)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _tell(terminal, portal.models.retire(name), json=json, quiet=quiet)


def restore(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Make a retired version ready again."""
    _checked(name)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _tell(terminal, portal.models.restore(name), json=json, quiet=quiet)


def delete(
    name: str, *, yes: bool, wait: bool, json: bool, quiet: bool, timeout: float | None
) -> None:
    """Delete what a version is stored as, after what uses it was said and its name was typed."""
    _checked(name)
    if not yes and not sys.stdin.isatty():
        raise WrongUse(_("Standard input is no terminal: confirm the deletion with --yes."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if not yes:
            for use in portal.models.uses(name):
                say(use.said)
            say(_("This deletes the archive of {name}; its record stays.").format(name=name))
            sys.stderr.write(_("Type its name: "))
            sys.stderr.flush()
            if sys.stdin.readline().strip() != name:
                raise WrongUse(_("That is not its name. Nothing was changed."))
        version = portal.models.delete_version(name)
        if wait:
            said = _("The portal goes on with the deletion. See: mme show {name}")
            with terminal.goes_on(said.format(name=name)), terminal.steps() as step:
                version = version.wait(seen=lambda now: step(now.step or state(now)))
        _tell(terminal, version, json=json, quiet=quiet)


def _checked(name: str) -> None:
    if ":" not in name:
        raise WrongUse(_("Write the version as digits:2."))


def _tell(terminal: Terminal, version: Version, *, json: bool, quiet: bool) -> None:
    if json:
        terminal.document(version.document)
    elif quiet:
        terminal.line(version.state)
    else:
        terminal.line(f"{version.name}  {state(version)}")
