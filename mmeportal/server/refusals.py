"""The responses of the server itself, for requests that do not reach the portal."""

import html
import json
from dataclasses import dataclass, field
from http import HTTPStatus

from core import request_id

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
# As templates/short.html, which the portal itself uses.
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">\
<meta name="viewport" content="width=device-width, initial-scale=1">\
<meta name="color-scheme" content="light dark"><title>{title} · MME Portal</title>\
<link rel="stylesheet" href="/static/portal.css"></head>
<body><main class="gate"><div class="card"><h1>{title}</h1><p id="refusal">{message}</p>\
<a class="button primary" href="/">Back to the start</a>\
<p class="muted">Request ID: <code>{id}</code></p></div></main></body></html>
"""
# Stands in a body where the request's id will be.
_ID = "(request id)"
_TITLES = {413: "Too large", 503: "Not just now", 507: "No room left"}


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


def refusal(code: int, sentence: str, *, accept: str = "", retry_after: int = 0) -> Refusal:
    """A refusal with a sentence: JSON where ``accept`` names it, else a plain page."""
    status = HTTPStatus(code)
    if "application/json" in accept.lower():
        kind, body = "application/json", json.dumps({"error": sentence, "request_id": _ID})
    else:
        kind = "text/html; charset=utf-8"
        body = _PAGE.format(
            title=_TITLES.get(code, status.phrase), message=html.escape(sentence), id=_ID
        )
    headers = [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", _POLICY),
    ]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return Refusal(f"{status.value} {status.phrase}", headers, body.encode())
