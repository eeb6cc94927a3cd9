"""Stores: buckets and prefixes in which published archives lie. Admins add them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mme_client.noun import Noun, part
from mme_client.records import Store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Stores(Noun):
    """The portal's stores."""

    def list(self) -> Iterator[Store]:
        """The default one, which is that of the portal's settings, then the others by name.

        >>> next(portal.stores.list()).name
        'default'
        """
        return self._portal.pages(Store, "/stores", {})

    def get(self, name: str) -> Store:
        """One, with what is in it and on it.

        >>> portal.stores.get("default").region
        'ap-northeast-2'
        """
        return self._made(self._transport.call("GET", f"/stores/{part(name)}"))

    def create(
        self,
        name: str,
        bucket: str,
        prefix: str,
        *,
        region: str = "",
        encryption: str = "",
        kms_key_id: str = "",
    ) -> Store:
        """Have the portal try what it may do there, and add it where that is enough."""
        document = {"name": name, "bucket": bucket, "prefix": prefix, "region": region}
        document |= {"encryption": encryption, "kms_key_id": kms_key_id}
        return self._made(self._transport.call("POST", "/stores", document=document))

    def test(self, name: str) -> Store:
        """Have the portal try again what it may do there, right by right."""
        return self._made(self._transport.call("POST", f"/stores/{part(name)}/test"))

    def set_groups(
        self, name: str, *, sees: Collection[str] = (), writes: Collection[str] = ()
    ) -> Store:
        """Have it name exactly these groups; without any it is open to everybody.

        Who writes sees, too. Others see nothing of what is in it.
        """
        groups = [{"name": group, "may_write": True} for group in writes]
        groups += [{"name": group, "may_write": False} for group in sees if group not in writes]
        path = f"/stores/{part(name)}/groups"
        return self._made(self._transport.call("PUT", path, document={"groups": groups}))

    def retire(self, name: str) -> Store:
        """Offer an empty store no more."""
        return self._made(self._transport.call("POST", f"/stores/{part(name)}/retire"))

    def restore(self, name: str) -> Store:
        """Offer it again."""
        return self._made(self._transport.call("POST", f"/stores/{part(name)}/restore"))

    def _made(self, answer: Any) -> Store:
        return Store.of(answer.document(), self._portal)
