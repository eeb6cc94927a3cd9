"""Runs the command line, and turns what went wrong into sentences and an exit code."""

import atexit
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from mme_client import __version__
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.errors import MmeError


def main() -> None:
    """The program ``mme``."""
    # What it loads stays until it ends, and the kernel takes it back then. So the garbage collector
    # need not look through it.
    gc.set_threshold(100_000, 10, 10)
    atexit.register(gc.freeze)
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A locale such as ko_KR.EUC-KR has not each letter that somebody wrote into a note.
        sys.stdout.reconfigure(errors="replace")
    for name in ("SIGTERM", "SIGHUP"):  # Windows has one of them
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _ended)
    sys.exit(run(sys.argv[1:]))


def _open_what_is_closed() -> None:
    """Standard streams that the shell closed (``>&-``) are empty, and take what nobody reads."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _ended(number: int, _frame: object) -> NoReturn:
    """End as one that a signal ended, but not without clearing away what is half done."""
    raise SystemExit(128 + number)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; gives its exit code."""
    if list(arguments) in (["--version"], ["--version", "--json"]):
        from mme_client.cli.account import version

        version(json="--json" in arguments)
        return 0
    from mme_client.cli import app

    try:
        code = app.command().main(args=list(arguments), prog_name="mme", standalone_mode=False)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            return 2
        if app.is_usage(error):
            return _wrong_use(app.usage(error), app.hint(error))
        return _failed(error, json="--json" in arguments)
    return code if isinstance(code, int) else 0


def _wrong_use(sentence: str, hint: str = "") -> int:
    from mme_client.cli.terminal import say

    say(_("Wrong use: {sentence}").format(sentence=sentence))
    if hint:
        say(hint)
    return 2


def _failed(error: Exception, *, json: bool) -> int:
    """Say what went wrong; gives the exit code. What is a fault of ``mme`` itself is raised."""
    from mme_client import errors
    from mme_client.cli import exits, reasons
    from mme_client.cli.calling import SomeFailed
    from mme_client.cli.config import ConfigError
    from mme_client.cli.running import NotThere, WrongUse
    from mme_client.cli.terminal import say

    if isinstance(error, SomeFailed):
        return error.code
    if isinstance(error, WrongUse):
        return _wrong_use(str(error))
    if isinstance(error, NotThere):
        say(str(error))
        return exits.Exit.NOT_FOUND
    if isinstance(error, BrokenPipeError):
        return exits.Exit.FAILED  # whoever read the output has enough
    if isinstance(error, OSError):
        reason = reasons.of_file(error)
        say(f"{error.filename}: {reason}" if error.filename else reason)
        return exits.Exit.FAILED
    if isinstance(error, ConfigError):
        say(str(error))
        return exits.Exit.FAILED
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return _wrong_use(reasons.of_library(str(error)))
    if not isinstance(error, errors.MmeError):
        raise error
    if json:
        _documented(error)
    return _said(error)


def _documented(error: "MmeError") -> None:
    """Print what the API answered, for programs: on a line, as there may be others before it."""
    from mme_client import errors
    from mme_client.cli.terminal import Terminal

    if isinstance(error, errors.Rejected):
        Terminal().document_line(error.version.document)
    elif isinstance(error, errors.EndpointFailed):
        Terminal().document_line(error.endpoint.document)
    elif isinstance(error, errors.ProblemError):
        Terminal().document_line(error.document)


def _said(error: "MmeError") -> int:
    from mme_client import errors
    from mme_client.cli import exits
    from mme_client.cli.terminal import say

    code = exits.of_error(error)
    if isinstance(error, errors.Rejected):
        from mme_client.cli.archives import say_refused

        say_refused(error.version)
        return code
    if isinstance(error, errors.ProblemError):
        for sentence in error.sentences():
            say(sentence)
        say(_("Request {id}; mme {version}").format(id=error.instance, version=__version__))
    elif isinstance(error, errors.TimedOut):
        say(_("The time that --timeout gives is over. {why}").format(why=error).strip())
    elif isinstance(error, errors.Unreachable):
        say(_("No answer of a portal. {why}").format(why=error))
        if error.never_connected:
            say(
                _("Does the portal run, and is its address right? Another one: mme login, MME_URL.")
            )
    else:
        say(str(error))
    return code
