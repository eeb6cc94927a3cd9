"""``mme describe``: what is said of a model or of a version."""

from __future__ import annotations

import sys
from pathlib import Path

from mme_client.cli.archives import metadata_of
from mme_client.cli.running import WrongUse, running
from mme_client.cli.words import _


def describe(
    name: str,
    *,
    tag: list[str],
    untag: list[str],
    owner: str | None,
    description: str,
    meta: list[str],
    unset: list[str],
    note: str | None,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Change what is said of a model, or of a version."""
    of_model = bool(tag or untag or owner is not None or description)
    of_version = bool(meta or unset or note is not None)
    if ":" in name:
        if of_model or not of_version:
            raise WrongUse(_("Say what to change of a version: --meta, --unset or --note."))
        changes: dict[str, str | None] = {**metadata_of(meta), **dict.fromkeys(unset)}
        _version(name, note, changes, json=json, quiet=quiet, timeout=timeout)
        return
    if of_version:
        raise WrongUse(_("--meta, --unset and --note are of a version: digits:2."))
    if not of_model:
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


def _version(
    name: str,
    note: str | None,
    changes: dict[str, str | None],
    *,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        version = portal.models.describe_version(name, note=note, metadata=changes or None)
        if json:
            terminal.document(version.document)
            return
        terminal.line(version.name)
        if not quiet:
            rows = [(key, str(value)) for key, value in sorted(version.metadata.items())]
            terminal.fields([(_("note"), version.note), *rows])
