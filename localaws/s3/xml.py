"""XML documents of S3: writing and reading."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from .s3_errors import S3Error

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
Tree = Iterable[tuple[str, Any]]
"""Element names and content: text, number, boolean, list of elements; None is left out."""


def document(root: str, content: Tree | str) -> bytes:
    """A document with that root."""
    text = escape(content) if isinstance(content, str) else _inside(content)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_NAMESPACE}">{text}</{root}>'
    ).encode()


def _inside(content: Tree) -> str:
    written = []
    for name, value in content:
        if value is None:
            continue
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, str | int):
            text = _text(str(value))
        else:
            text = _inside(value)
        written.append(f"<{name}>{text}</{name}>")
    return "".join(written)


def _text(text: str) -> str:
    """Escaped; what XML 1.0 has no place for as S3 writes it, a number that parsers refuse."""
    return re.sub(r"[\x00-\x08\x0b-\x1f]", lambda found: f"&#x{ord(found[0]):x};", escape(text))


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def parsed(body: bytes, root: str) -> ET.Element:
    """The document of a request, names without their namespace. Raises MalformedXML."""
    try:
        text = body.decode("utf-8-sig")
        if "<!" in text:  # S3's documents have no declarations, so entities are refused
            raise ValueError
        found = ET.fromstring(text)  # noqa: S314
        for element in found.iter():
            element.tag = re.sub(r"^\{[^}]*\}", "", element.tag)
        if found.tag != root:
            raise ValueError
    except (ET.ParseError, ValueError, LookupError):
        raise S3Error(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published "
            "schema",
        ) from None
    return found
