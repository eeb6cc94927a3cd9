"""``mme images``: the container images in ECR that an endpoint can be given."""

from __future__ import annotations

from mme_client.cli.running import running
from mme_client.cli.terminal import at, say, size
from mme_client.cli.words import _


def images(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """List them, the latest pushed first; those of the portal's own repository."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.endpoints.images()
        if terminal.json:
            terminal.document(found.document)
            return
        if found.note:
            say(found.note)
        headings = (_("tags"), _("pushed"), _("size"), _("image"))
        rows = [
            (", ".join(one.tags), at(one.pushed_at), size(one.size_bytes), one.image)
            for one in found.items
        ]
        terminal.listed(found.items, headings, rows, names=[one.image for one in found.items])
