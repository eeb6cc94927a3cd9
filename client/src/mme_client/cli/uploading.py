"""``mme uploads``: what has arrived of archives that are not complete."""

from __future__ import annotations

from mme_client.cli.running import running
from mme_client.cli.terminal import at, size
from mme_client.cli.words import _


def uploads(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """One's own unfinished uploads."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.uploads.list())
        headings = (
            _("id"), _("file"), _("model"), _("arrived"), _("begun"), _("until"), _("problem")
        )  # fmt: skip
        rows = [
            (
                one.id,
                one.file_name,
                one.model,
                _("{sent} of {all}").format(sent=size(one.offset), all=size(one.length)),
                at(one.created_at),
                at(one.expires_at),
                one.problem or "",
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.id for one in found])


def cancel(ids: list[str], *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Forget uploads, and delete what has arrived of them."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        for id in ids:
            upload = portal.uploads.get(id)
            upload.cancel()
            if json:
                terminal.document(upload.document)
            else:
                terminal.note(
                    _("Cancelled: {name}. Nothing of it is kept.").format(name=upload.file_name)
                )
