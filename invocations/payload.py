"""What a call sends, and what is kept of it."""

import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, BinaryIO

from core.sentences import Sentence
from invocations import decoding
from invocations.models import Picture
from invocations.pictures import Prepared, SentAs, as_it_is, file_name, prepare
from invocations.runtime import MAX_PAYLOAD_BYTES


@dataclass(frozen=True)
class Payload:
    """The bytes of a call. With ``kept_type`` it is a picture of that type, and is kept.

    One that is sent as it came has no thumbnail yet (invocations/pictures_kept.py makes it later).
    """

    name: str
    content_type: str
    data: bytes
    kept_type: str = ""
    thumbnail: bytes = b""
    preview: bytes | None = None
    made_smaller: Sentence | None = None
    sent_as: SentAs | None = None

    @cached_property
    def sha256(self) -> str:
        """Of the bytes that are sent, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def scaled(self) -> str:
        """How the picture was made smaller, in English; empty if it was not."""
        return self.made_smaller.english()[:200] if self.made_smaller else ""

    @property
    def scaled_code(self) -> Any:
        """The same as a code with parameters."""
        return self.made_smaller.as_json() if self.made_smaller else None

    def picture(self, used_at: datetime) -> Picture:
        """The row that keeps it, not saved yet."""
        return Picture(
            sha256=self.sha256,
            name=self.name,
            content_type=self.kept_type,
            data=self.data,
            thumbnail=self.thumbnail,
            preview=self.preview,
            scaled=self.scaled,
            scaled_code=self.scaled_code,
            used_at=used_at,
        )


def read(file: BinaryIO, name: str) -> Payload:
    """What is sent of a file: its header is looked at, and it is decoded only where it has to be.

    What is wrong with the rest, the model says, which reads by the same code. Raises NotAPicture.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if 0 < size <= MAX_PAYLOAD_BYTES:
        data = file.read()
        file.seek(0)
        try:
            kept = as_it_is(data)
        except (decoding.NoPicture, decoding.Unreadable):
            kept = None  # said below
        if kept is not None:
            kind = kept.content_type
            return Payload(file_name(name), kind, data, kind, sent_as=kept)
    return prepared(prepare(file, name))


def prepared(picture: Prepared) -> Payload:
    """What is sent of a picture that had to be scaled or re-encoded."""
    return Payload(
        name=picture.name,
        content_type=picture.content_type,
        data=picture.data,
        kept_type=picture.content_type,
        thumbnail=picture.thumbnail,
        preview=picture.preview,
        made_smaller=picture.scaled,
        sent_as=picture.sent_as,
    )
