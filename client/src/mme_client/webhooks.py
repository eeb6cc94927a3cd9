"""Webhooks: which addresses are told what happens. For admins, with a token of the scope admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mme_client.noun import Noun, part
from mme_client.records import Delivery, Webhook, WebhookKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Webhooks(Noun):
    """The portal's webhooks."""

    def kinds(self) -> Iterator[WebhookKind]:
        """What they can be told of."""
        return self._portal.pages(WebhookKind, "/webhooks/kinds", {})

    def list(self) -> Iterator[Webhook]:
        """All, in the order in which they were made."""
        return self._portal.pages(Webhook, "/webhooks", {})

    def create(
        self,
        url: str,
        kinds: Sequence[str],
        *,
        models: Sequence[str] = (),
        note: str = "",
        language: str = "en",
    ) -> Webhook:
        """Make one; its secret is in ``secret`` of what this gives, and nowhere else."""
        document = {"url": url, "kinds": [*kinds], "models": [*models]}
        document |= {"note": note, "language": language}
        return self._made(self._transport.call("POST", "/webhooks", document=document))

    def get(self, id: str) -> Webhook:
        """One, by its id."""
        return self._made(self._transport.call("GET", f"/webhooks/{part(id)}"))

    def change(
        self,
        id: str,
        *,
        url: str | None = None,
        kinds: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        note: str | None = None,
        language: str | None = None,
        paused: bool | None = None,
    ) -> Webhook:
        """Change one, pause or resume it; what is None stays."""
        wanted: dict[str, Any] = {
            "url": url,
            "kinds": None if kinds is None else [*kinds],
            "models": None if models is None else [*models],
            "note": note,
            "language": language,
            "paused": paused,
        }
        document = {name: value for name, value in wanted.items() if value is not None}
        path = f"/webhooks/{part(id)}"
        return self._made(self._transport.call("PATCH", path, document=document))

    def remove(self, id: str) -> None:
        """Remove one, with its deliveries."""
        self._transport.call("DELETE", f"/webhooks/{part(id)}", gone_is_done=True)

    def rotate(self, id: str, *, at_once: bool = False) -> Webhook:
        """Make a new secret; the old one counts for a day more, unless ``at_once``."""
        path = f"/webhooks/{part(id)}/rotate"
        return self._made(self._transport.call("POST", path, document={"at_once": at_once}))

    def test(self, id: str) -> Delivery:
        """Send a test now; gives what the receiver answered."""
        path = f"/webhooks/{part(id)}/test"
        return Delivery.of(self._transport.call("POST", path).document(), self._portal)

    def deliveries(self, id: str, *, state: str = "", kind: str = "") -> Iterator[Delivery]:
        """What was sent, the newest first; ``state``: pending, delivered or failed."""
        path = f"/webhooks/{part(id)}/deliveries"
        return self._portal.pages(Delivery, path, {"state": state, "kind": kind})

    def redeliver(self, id: str, message: str) -> Delivery:
        """Send a message again, with the same id."""
        path = f"/webhooks/{part(id)}/deliveries/{part(message)}/redeliver"
        return Delivery.of(self._transport.call("POST", path).document(), self._portal)

    def _made(self, answer: Any) -> Webhook:
        return Webhook.of(answer.document(), self._portal)
