"""Groups of people, as a store names them. Admins make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mme_client.noun import Noun, part
from mme_client.records import PeopleGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Groups(Noun):
    """The portal's groups of people."""

    def list(self) -> Iterator[PeopleGroup]:
        """All of them, by name."""
        return self._portal.pages(PeopleGroup, "/groups", {})

    def get(self, name: str) -> PeopleGroup:
        """One, with its people."""
        return self._made(self._transport.call("GET", f"/groups/{part(name)}"))

    def create(self, name: str) -> PeopleGroup:
        """Make a group, with nobody in it."""
        return self._made(self._transport.call("POST", "/groups", document={"name": name}))

    def change(
        self, name: str, *, join: Sequence[str] = (), leave: Sequence[str] = ()
    ) -> PeopleGroup:
        """Put people in, by user name, and take others out: all or nobody."""
        document = {"join": [*join], "leave": [*leave]}
        return self._made(self._transport.call("PATCH", f"/groups/{part(name)}", document=document))

    def delete(self, name: str) -> None:
        """Delete a group that no store names."""
        self._transport.call("DELETE", f"/groups/{part(name)}", gone_is_done=True)

    def _made(self, answer: Any) -> PeopleGroup:
        return PeopleGroup.of(answer.document(), self._portal)
