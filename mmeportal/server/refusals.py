"""The responses of the server itself, for requests that do not reach the portal."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

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
_API = "/api/"  # core.api.middleware.PREFIX, which needs the settings
_SCHEME_AND_HOST = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)
_WISH = re.compile(rb"^accept-language:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
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
    """Who reads a refusal: the types that the client accepts, and its language.

    ``of_api``: it called the API, and gets a problem document whatever it accepts.
    """

    accept: str
    language: str
    of_api: bool = False

    @classmethod
    def of_environ(cls, environ: Mapping[str, Any]) -> "Recipient":
        """By the request's WSGI environment."""
        return cls._of(environ, "HTTP_", environ.get("PATH_INFO", ""))

    @classmethod
    def of_headers(cls, headers: Mapping[str, str], path: str) -> "Recipient":
        """By the headers as waitress keeps them, and the path without percent signs."""
        return cls._of(headers, "", path)

    @classmethod
    def of_opening(cls, opening: bytes) -> "Recipient":
        """By the first bytes of a request that could not be parsed."""
        line, _, rest = opening.lstrip().partition(b"\n")
        target = [*line.split(b" "), b""][1].decode("latin-1")
        path = unquote(_SCHEME_AND_HOST.sub("", target))
        wish = _WISH.search(rest)
        language = wish[1].decode("latin-1").strip() if wish else ""
        return cls._of({"ACCEPT_LANGUAGE": language}, "", path)

    @classmethod
    def _of(cls, found: Mapping[str, Any], prefix: str, path: str) -> "Recipient":
        accept, wish, cookies = (
            found.get(f"{prefix}{name}", "") for name in ("ACCEPT", "ACCEPT_LANGUAGE", "COOKIE")
        )
        of_api = path.startswith(_API)
        # Programs have no cookie, as in core/api/operations.py.
        return cls(accept, languages.of_headers(wish, "" if of_api else cookies), of_api)

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
    if recipient.of_api:
        kind, body = "application/problem+json", _problem(code, sentence)
    elif recipient.wants_json:
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
        ("Vary", "Accept-Language" if recipient.of_api else "Accept-Language, Cookie"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", _POLICY),
    ]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return Refusal(f"{status.value} {status.phrase}", headers, body.encode())


def _problem(status: int, sentence: str) -> str:
    from core.api import problems  # it imports ninja, which needs the settings

    code = "bad-request" if status == HTTPStatus.NOT_IMPLEMENTED else problems.code_of(status)
    return problems.body(code, sentence, _ID, status=status).decode()
