"""The base of the nouns: they know their portal."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from mme_client.portal import Portal
    from mme_client.transport import Transport


class Noun:
    """What a portal has, by noun."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    @property
    def _transport(self) -> Transport:
        return self._portal.transport


def part(name: object) -> str:
    """A name as a part of an address; a slash or a dot in it leads nowhere else."""
    text = quote(str(name), safe="", errors="replace")
    # "." and ".." would be taken for folders, by the client's own library, too.
    return text if text.strip(".") else text.replace(".", "%2E")
