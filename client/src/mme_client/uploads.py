"""Uploads on their way: archives of which not all has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.noun import Noun, part
from mme_client.records import Upload

if TYPE_CHECKING:
    from collections.abc import Iterator


class Uploads(Noun):
    """One's own uploads of which no version was made yet."""

    def list(self) -> Iterator[Upload]:
        """Uploads, the newest first, with how much of each has arrived.

        >>> list(portal.uploads.list())
        []
        """
        return self._portal.pages(Upload, "/uploads/", {})

    def get(self, id: str) -> Upload:
        """One upload, by its id; also one that became a version."""
        answer = self._transport.call("GET", f"/uploads/{part(id)}")
        return Upload.of(answer.document(), self._portal)

    def cancel(self, id: str) -> None:
        """Forget an upload, and delete what has arrived of it."""
        headers = {"Tus-Resumable": "1.0.0"}
        self._transport.call("DELETE", f"/uploads/{part(id)}", headers=headers, gone_is_done=True)
