"""``mme copy``: a version under other names, copied within the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client import errors
from mme_client.cli.archives import say_refused, state
from mme_client.cli.running import WrongUse, running
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mme_client.cli.terminal import Terminal
    from mme_client.portal import Portal
    from mme_client.records import Version


def copy(
    name: str,
    *,
    to: str,
    times: int,
    preview: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Copy a version so many times, and wait until all can be called; or show what would be made.

    Raises errors.Rejected where one could not be made.
    """
    if ":" not in name:
        raise WrongUse(_("Write the version as digits:2."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if preview:
            _preview(portal, terminal, name, to, times)
            return
        tell(terminal, portal.models.copy(name, to=to, times=times), wait=True)


def tell(terminal: Terminal, made: Sequence[Version], *, wait: bool) -> None:
    """Wait until all of them are settled, if so asked, and print them.

    Raises errors.Rejected, after all of them were printed, where one was refused.
    """
    settled: list[Version] = list(made)
    refused: list[errors.Rejected] = []
    if wait and made:
        said = _("The portal goes on with it. See: mme show {name}")
        with terminal.goes_on(said.format(name=made[0].name)), terminal.steps() as step:
            settled, refused = _settled(made, step)
    if terminal.json:
        last = refused[-1].version if refused else None  # main.py prints that one
        for version in settled:
            if version is not last:
                terminal.document_line(version.document)
    elif terminal.quiet:
        for version in settled:
            terminal.line(version.name)
    elif settled:
        terminal.table(
            [_("version"), _("target"), _("state")],
            [[one.name, one.target_model, state(one)] for one in settled],
        )
    if refused:
        for error in refused[:-1]:
            say_refused(error.version)
        raise refused[-1]


def _settled(
    made: Sequence[Version], step: Callable[[str], None]
) -> tuple[list[Version], list[errors.Rejected]]:
    """All of them when they are settled, and what was refused."""
    settled: list[Version] = []
    refused: list[errors.Rejected] = []
    for number, version in enumerate(made, 1):
        said = _("{number} of {all}: {name}")
        step(said.format(number=number, all=len(made), name=version.name))
        try:
            settled.append(version.wait())
        except errors.Rejected as error:
            refused.append(error)
            settled.append(error.version)
    return settled, refused


def _preview(portal: Portal, terminal: Terminal, name: str, to: str, times: int) -> None:
    planned = portal.models.preview_copies(name, to=to, times=times)
    if terminal.json:
        for one in planned:
            terminal.document_line(one.document)
        return
    if terminal.quiet:
        for one in planned:
            terminal.line(one.target_model)
        return
    terminal.table(
        [_("version"), _("target"), _("in its way")],
        [[f"{one.model}:1", one.target_model, one.problem or ""] for one in planned],
    )
