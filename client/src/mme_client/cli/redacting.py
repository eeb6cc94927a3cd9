"""``mme redact``: take a text out of all that was written and recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import Redaction

STDIN = "-"
_WORD = "redact"


def redact(
    text: str, *, find: bool, yes: bool, json: bool, quiet: bool, timeout: float | None
) -> None:
    """Say where a text is; after the word was typed, take it out."""
    asks = not (find or yes)
    if asks and (text == STDIN or not sys.stdin.isatty()):
        raise WrongUse(_("Standard input is no terminal: confirm with --yes, or give --find."))
    if text == STDIN:
        text = sys.stdin.readline().strip()
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if not yes:
            found = portal.redactions.find(text)
            if find or not found.rows:
                _tell(terminal, found, json=json, quiet=quiet)
                return
            for place in found.places:
                say(f"{place.rows}  {place.label}")
            say(_("It is replaced for good. Archives and pictures in the store stay."))
            sys.stderr.write(_("Type {word}: ").format(word=_WORD))
            sys.stderr.flush()
            if sys.stdin.readline().strip() != _WORD:
                raise WrongUse(_("That is not the word. Nothing was changed."))
        _tell(terminal, portal.redactions.redact(text), json=json, quiet=quiet)


def _tell(terminal: Terminal, found: Redaction, *, json: bool, quiet: bool) -> None:
    if json:
        terminal.document(found.document)
    elif quiet:
        terminal.line(str(found.rows))
    elif found.places:
        rows = [(place.label, str(place.rows)) for place in found.places]
        terminal.table((_("where"), _("rows")), rows)
    else:
        terminal.line(_("It is nowhere."))
