"""``mme describe``: what is said of a model."""

from __future__ import annotations

import sys
from pathlib import Path

from mme_client.cli.running import WrongUse, running
from mme_client.cli.words import _


def describe(
    name: str,
    *,
    tag: list[str],
    untag: list[str],
    owner: str | None,
    description: str,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Change the description, the tags and the owner of a model."""
    if not (tag or untag or owner is not None or description):
        raise WrongUse(_("Say what to change: --description, --tag, --untag or --owner."))
    text = _read(description) if description else None
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        model = portal.models.describe(
            name, add_tags=tag, remove_tags=untag, owner=owner, description=text
        )
        if json:
            terminal.document(model.document)
        elif quiet:
            terminal.line(model.name)
        else:
            terminal.line(model.name)
            rows = [(_("tags"), ", ".join(model.tags)), (_("owner"), model.owner or "")]
            terminal.fields(rows)


def _read(file: str) -> str:
    """The text of a file, or of standard input."""
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WrongUse(_("{file} is no text in UTF-8.").format(file=file)) from None
