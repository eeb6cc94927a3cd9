"""What the server answers by itself, in the portal's place."""

import html
import json
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True)
class Refusal:
    """An answer that ends its connection, in the form that waitress takes errors in."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status line, headers and body."""
        return self.status, self.headers, self.body


def refusal(code: int, sentence: str, *, accept: str = "", retry_after: int = 0) -> Refusal:
    """A refusal with a sentence: JSON where ``accept`` names it, else a plain page."""
    status = HTTPStatus(code)
    if "application/json" in accept.lower():
        kind, body = "application/json", json.dumps({"error": sentence})
    else:
        kind = "text/html; charset=utf-8"
        told, title = html.escape(sentence), html.escape(status.phrase)
        body = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'</head><body><h1>{title}</h1><p id="refusal">{told}</p></body></html>\n'
        )
    headers = [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return Refusal(f"{status.value} {status.phrase}", headers, body.encode())
