"""Redactions: a text is taken out of all that was written and recorded."""

from __future__ import annotations

from mme_client.noun import Noun
from mme_client.records import Redaction


class Redactions(Noun):
    """Where a text is, and taking it out. For admins."""

    def find(self, text: str) -> Redaction:
        """Where it is; nothing is changed."""
        answer = self._transport.call("POST", "/redactions/plan", document={"text": text})
        return Redaction.of(answer.document(), self._portal)

    def redact(self, text: str) -> Redaction:
        """Replace it everywhere, for good; a repetition finds nothing more."""
        answer = self._transport.call("POST", "/redactions", document={"text": text})
        return Redaction.of(answer.document(), self._portal)
