"""Calls of models, and the pictures that the portal has for trying them."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mme_client.noun import Noun, part
from mme_client.records import ForgottenPicture, Invocation, Sample
from mme_client.transport import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mme_client.transport import Answer

#: A cold start may take so long before the first byte of the answer.
INVOKE_S = 180.0
#: Under a time limit a call waits for a model that is still loading, and for a place.
_WAITS_FOR = frozenset({"model-loading", "too-many-calls", "unavailable"})
_BEGINS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_ANYTHING = "application/octet-stream"
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Invocations(Noun):
    """The calls of all people, and new ones."""

    def create(
        self,
        endpoint: str,
        model: str,
        payload: str | os.PathLike[str] | bytes | IO[bytes],
        *,
        target: str = "",
        name: str = "",
        content_type: str = "",
        variant: str = "",
    ) -> Invocation:
        """Call a model (``Portal.invoke``)."""
        answer = self._call(endpoint, model, payload, target, name, content_type, JSON, variant)
        return Invocation.of(answer.document(), self._portal)

    def raw(
        self,
        endpoint: str,
        model: str,
        payload: str | os.PathLike[str] | bytes | IO[bytes],
        *,
        target: str = "",
        name: str = "",
        content_type: str = "",
        accept: str = "*/*",
        variant: str = "",
        attributes: str = "",
    ) -> bytes:
        """Call a model, and get the container's own bytes, of the type that ``accept`` names.

        ``attributes`` are the header ``X-Amzn-SageMaker-Custom-Attributes`` for the container.

        >>> portal.invocations.raw("demo", "digits:2", "7.png")[:1]
        b'{'
        """
        return self.raw_answer(
            endpoint, model, payload, target=target, name=name, content_type=content_type,
            accept=accept, variant=variant, attributes=attributes,
        ).body  # fmt: skip

    def raw_answer(
        self,
        endpoint: str,
        model: str,
        payload: str | os.PathLike[str] | bytes | IO[bytes],
        *,
        target: str = "",
        name: str = "",
        content_type: str = "",
        accept: str = "*/*",
        variant: str = "",
        attributes: str = "",
    ) -> Answer:
        """As :meth:`raw`, with the answer's ``headers`` beside its ``body``.

        >>> portal.invocations.raw_answer("demo", "digits:2", "7.png").headers["Content-Type"]
        'application/json'
        """
        return self._call(
            endpoint, model, payload, target, name, content_type, accept, variant, attributes
        )

    def list(
        self,
        *,
        endpoint: str = "",
        model: str = "",
        state: str = "",
        cold: bool | None = None,
        label: str = "",
        slower_than_ms: float | None = None,
        by: str = "",
        since: str = "",
        until: str = "",
    ) -> Iterator[Invocation]:
        """Calls, the latest first.

        ``model`` may be an alias, ``digits@live``: the calls for which it was named. ``label``: a
        text in the first label. ``by``: a user, or ``me``.

        >>> next(portal.invocations.list(endpoint="demo")).model
        'digits'
        """
        query: dict[str, Any] = {"endpoint": endpoint, "model": model, "state": state}
        query |= {"cold": cold, "label": label, "slower_than_ms": slower_than_ms, "by": by}
        query |= {"since": since, "until": until}
        return self._portal.pages(Invocation, "/invocations", query)

    def get(self, id: str) -> Invocation:
        """One call, by its id."""
        answer = self._transport.call("GET", f"/invocations/{part(id)}")
        return Invocation.of(answer.document(), self._portal)

    def picture(self, id: str) -> bytes:
        """What was sent, as a small JPEG."""
        path = f"/invocations/{part(id)}/picture"
        return self._transport.call("GET", path, headers={"Accept": "image/jpeg"}).body

    def repeat(self, id: str) -> Invocation:
        """Call once more what was called, with the same picture, while that is kept.

        >>> call = portal.invoke("demo", "digits:2", "7.png")
        >>> portal.invocations.repeat(call.id).model
        'digits'
        """
        answer = self._transport.call(
            "POST",
            f"/invocations/{part(id)}/repeat",
            timeout=max(INVOKE_S, self._transport.timeout),
            retry_codes=_WAITS_FOR,
        )
        return Invocation.of(answer.document(), self._portal)

    def forget(self, id: str) -> ForgottenPicture:
        """Delete what was sent: the picture, its thumbnail and its name; the answer stays.

        >>> call = portal.invoke("demo", "digits:2", "7.png")
        >>> portal.invocations.forget(call.id).calls >= 1
        True
        """
        answer = self._transport.call("DELETE", f"/invocations/{part(id)}/picture")
        return ForgottenPicture.of(answer.document(), self._portal)

    def _call(
        self,
        endpoint: str,
        model: str,
        payload: str | os.PathLike[str] | bytes | IO[bytes],
        target: str,
        name: str,
        content_type: str,
        accept: str,
        variant: str,
        attributes: str = "",
    ) -> Answer:
        told = {_CUSTOM_ATTRIBUTES: attributes} if attributes else {}
        if isinstance(payload, bytes):
            data = payload
        elif isinstance(payload, str | os.PathLike):
            data = Path(payload).read_bytes()
            name = name or Path(payload).name
        else:
            data = payload.read()
        return self._transport.call(
            "POST",
            f"/endpoints/{part(endpoint)}/invocations",
            query={"model": model, "target": target, "name": name[:200], "variant": variant},
            body=data,
            headers={"Content-Type": content_type or type_of(data, name), "Accept": accept, **told},
            timeout=max(INVOKE_S, self._transport.timeout),
            retry_codes=_WAITS_FOR,
        )


class Samples(Noun):
    """The pictures that the portal has for trying models."""

    def list(self) -> Iterator[Sample]:
        """All of them."""
        return self._portal.pages(Sample, "/samples", {})

    def get(self, name: str) -> bytes:
        """The bytes of one."""
        accept: dict[str, Any] = {"Accept": "*/*"}
        return self._transport.call("GET", f"/samples/{part(name)}", headers=accept).body


def type_of(data: bytes, name: str = "") -> str:
    """The content type of a payload, by its first bytes, or by its name."""
    for begins, found in _BEGINS:
        if data.startswith(begins):
            return found
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return mimetypes.guess_type(name)[0] or _ANYTHING
