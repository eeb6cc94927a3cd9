"""Storage: what the archives take up, and the quotas of people."""

from __future__ import annotations

from mme_client.noun import Noun, part
from mme_client.records import PersonUsage, StorageUsage


class Storage(Noun):
    """What the archives take up in the store."""

    def get(self) -> StorageUsage:
        """In all, one's own, by person and by model.

        >>> portal.storage.get().store.used > 0
        True
        """
        answer = self._transport.call("GET", "/storage")
        return StorageUsage.of(answer.document(), self._portal)

    def set_quota(self, name: str, gigabytes: int | None) -> PersonUsage:
        """Give a person a quota; 0: no limit, None: the usual one. For admins."""
        document = {"gigabytes": gigabytes}
        answer = self._transport.call("PUT", f"/storage/people/{part(name)}", document=document)
        return PersonUsage.of(answer.document(), self._portal)
