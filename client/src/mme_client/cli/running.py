"""What each command stands in: the portal, the output, the time limit."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from mme_client import __version__
from mme_client.cli import config, reasons, words
from mme_client.cli.terminal import Terminal
from mme_client.cli.words import _
from mme_client.errors import MmeError
from mme_client.portal import Portal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
D = TypeVar("D")


class WrongUse(Exception):
    """The command was called wrongly; its sentence says how."""


class NotThere(Exception):
    """What was named is not there; its sentence says so, and what to do."""


@contextmanager
def running(*, json: bool, quiet: bool, timeout: float | None) -> Iterator[tuple[Portal, Terminal]]:
    """The portal of the environment or of the log-in, and the output, within a time limit."""
    login = config.load()
    if not login.url:
        raise WrongUse(_("Say which portal: mme login URL, or set MME_URL and MME_TOKEN."))
    terminal = Terminal(json=json, quiet=quiet)
    with portal_of(login, terminal) as portal, portal.within(timeout):
        yield portal, terminal


def portal_of(login: config.Login, terminal: Terminal) -> Portal:
    """A portal that speaks the language of the locale, and warns where its version does not fit."""
    said: list[str] = []

    def seen(version: str) -> None:
        if not said and not fits(version):
            terminal.note(
                _(
                    "Warning: mme is {own}, the portal is {portal}. "
                    "Install the client of the portal's release."
                ).format(own=__version__, portal=version)
            )
        said.append(version)

    try:
        return Portal(login.url, login.token, language=words.language(), seen_version=seen)
    except ValueError as error:
        raise WrongUse(reasons.of_library(str(error))) from None


def fits(version: str) -> bool:
    """Whether a portal of this version is of the same release; below 1.0, to the minor number."""
    own, other = __version__.split("."), version.split(".")
    return own[:2] == other[:2] if own[0] == "0" else own[0] == other[0]


def each(things: Iterable[T], ask: Callable[[T], D], tell: Callable[[list[D]], None]) -> list[D]:
    """What ``ask`` gives for each; where one fails, what was done before it is told of first."""
    done: list[D] = []
    try:
        for thing in things:
            done.append(ask(thing))
    except MmeError:
        if done:
            tell(done)
        raise
    return done
