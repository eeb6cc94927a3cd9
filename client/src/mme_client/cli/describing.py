"""``mme describe``: what is said of a model."""

from __future__ import annotations

from mme_client.cli.running import WrongUse, running
from mme_client.cli.words import _


def describe(
    name: str,
    *,
    tag: list[str],
    untag: list[str],
    owner: str | None,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Change the tags and the owner of a model."""
    if not (tag or untag or owner is not None):
        raise WrongUse(_("Say what to change: --tag, --untag or --owner."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        model = portal.models.describe(name, add_tags=tag, remove_tags=untag, owner=owner)
        if json:
            terminal.document(model.document)
        elif quiet:
            terminal.line(model.name)
        else:
            terminal.line(model.name)
            rows = [(_("tags"), ", ".join(model.tags)), (_("owner"), model.owner or "")]
            terminal.fields(rows)
