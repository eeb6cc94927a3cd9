"""Mails: what one is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.noun import Noun
from mme_client.records import Mails as Choice

if TYPE_CHECKING:
    from collections.abc import Sequence


class Mails(Noun):
    """What the caller is told of by mail."""

    def get(self) -> Choice:
        """What was chosen.

        >>> "version.ready" in portal.mails.get().offered
        True
        """
        return Choice.of(self._transport.call("GET", "/me/mails").document(), self._portal)

    def choose(self, kinds: Sequence[str], *, only_own: bool = True) -> Choice:
        """Choose; ``only_own``: only of what the caller uploaded, created or owns.

        >>> portal.mails.choose(["version.rejected"]).kinds
        ['version.rejected']
        """
        document = {"kinds": [*kinds], "only_own": only_own}
        answer = self._transport.call("PUT", "/me/mails", document=document)
        return Choice.of(answer.document(), self._portal)
