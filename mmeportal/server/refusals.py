"""The responses of the server itself, for requests that do not reach the portal."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import languages, request_id

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
# As templates/short.html, which the portal itself uses.
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">\
<meta name="viewport" content="width=device-width, initial-scale=1">\
<meta name="color-scheme" content="light dark"><title>{title} · MME Portal</title>\
<link rel="stylesheet" href="/static/portal.css"></head>
<body><main class="gate"><div class="card"><h1>{title}</h1><p id="refusal">{message}</p>\
<a class="button primary" href="/">{back}</a>\
<p class="muted">{request}: <code>{id}</code></p></div></main></body></html>
"""
# Stands in a body where the request's id will be.
_ID = "(request id)"
_TITLES = {413: _("Too large"), 503: _("Not just now"), 507: _("No room left")}


@dataclass(frozen=True)
class Refusal:
    """A response that closes its connection, in the form that waitress takes errors in."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)

    def naming(self, given: str) -> "Refusal":
        """The same with the request's id, unless it has one."""
        if any(name.lower() == request_id.HEADER.lower() for name, _ in self.headers):
            return self
        body = self.body.replace(_ID.encode(), given.encode())
        return Refusal(self.status, [*self.headers, (request_id.HEADER, given)], body)

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status line, headers and body."""
        return self.status, self.headers, self.body


@dataclass(frozen=True)
class Recipient:
    """Who reads a refusal: the types that the client accepts, and its language."""

    accept: str
    language: str

    @classmethod
    def of_environ(cls, environ: Mapping[str, Any]) -> "Recipient":
        """By the request's WSGI environment."""
        return cls._of(environ, "HTTP_")

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> "Recipient":
        """By the headers as waitress keeps them."""
        return cls._of(headers, "")

    @classmethod
    def _of(cls, found: Mapping[str, Any], prefix: str) -> "Recipient":
        accept, wish, cookies = (
            found.get(f"{prefix}{name}", "") for name in ("ACCEPT", "ACCEPT_LANGUAGE", "COOKIE")
        )
        return cls(accept, languages.of_headers(wish, cookies))

    @property
    def wants_json(self) -> bool:
        """Whether the client is a program."""
        return "application/json" in self.accept.lower()


def refusal(
    code: int, sentence: Promise | str, *, recipient: Recipient, retry_after: int = 0
) -> Refusal:
    """A refusal with a sentence, in the reader's language: JSON for programs, else a plain page."""
    with translation.override(recipient.language):
        return _refusal(code, str(sentence), recipient, retry_after)


def _refusal(code: int, sentence: str, recipient: Recipient, retry_after: int) -> Refusal:
    status = HTTPStatus(code)
    if recipient.wants_json:
        kind, body = "application/json", json.dumps({"error": sentence, "request_id": _ID})
    else:
        kind = "text/html; charset=utf-8"
        body = _PAGE.format(
            language=recipient.language,
            title=_TITLES.get(code, status.phrase),
            message=html.escape(sentence),
            back=gettext("Back to the start"),
            request=gettext("Request ID"),
            id=_ID,
        )
    headers = [
        ("Content-Type", kind),
        ("Content-Language", recipient.language),
        ("Vary", "Accept-Language, Cookie"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", _POLICY),
    ]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return Refusal(f"{status.value} {status.phrase}", headers, body.encode())
