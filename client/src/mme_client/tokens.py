"""Tokens: with which programs call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.noun import Noun, part
from mme_client.records import Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Tokens(Noun):
    """One's own tokens; an admin's ``person`` names somebody else's."""

    def list(self, *, state: str = "", person: str = "") -> Iterator[Token]:
        """Tokens, the newest first; ``state``: valid, expired or revoked.

        >>> "the docs" in [token.name for token in portal.tokens.list(state="valid")]
        True
        """
        return self._portal.pages(Token, "/tokens", {"state": state, "person": person})

    def create(self, name: str, scopes: Sequence[str], *, days: int | None = None) -> Token:
        """Make a token; its secret is in ``token`` of what this gives, and nowhere else.

        >>> made = portal.tokens.create("nightly", ["read", "invoke"], days=7)
        >>> made.token[:4]
        'mme_'
        """
        document = {"name": name, "scopes": list(scopes), "days": days}
        return Token.of(
            self._transport.call("POST", "/tokens", document=document).document(), self._portal
        )

    def get(self, id: str, *, person: str = "") -> Token:
        """One token, by its id."""
        path = f"/tokens/{part(id)}"
        answer = self._transport.call("GET", path, query={"person": person})
        return Token.of(answer.document(), self._portal)

    def revoke(self, id: str, *, person: str = "") -> None:
        """Revoke a token; it counts for a second more at most.

        >>> made = portal.tokens.create("for once", ["read"])
        >>> portal.tokens.revoke(made.id)
        >>> portal.tokens.get(made.id).state
        'revoked'
        """
        self._transport.call("DELETE", f"/tokens/{part(id)}", query={"person": person})
