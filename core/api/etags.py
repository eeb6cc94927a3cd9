"""ETags: a reader asks whether something changed, a writer whether it is still what was read.

A read calls `tag`, and core/api/operations.py answers If-None-Match with 304. A write calls
`require_match` before it changes anything (RFC 9110, section 13).
"""

import hashlib

from django.http import HttpRequest
from django.utils.http import parse_etags
from django.utils.translation import gettext as _

from core.api.headers import set_header
from core.api.problems import Problem


def of(*parts: object) -> str:
    """The ETag of something with these parts: all that its representation is made of."""
    text = "\0".join(str(part) for part in parts)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def tag(request: HttpRequest, *parts: object) -> str:
    """Give the answer to ``request`` an ETag of these parts, and return it."""
    found = of(*parts)
    set_header(request, "ETag", found)
    return found


def matches(request: HttpRequest, *parts: object) -> bool:
    """Whether the request has no If-Match, or one that names this state."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        return True
    known = parse_etags(wanted)
    return known == ["*"] or of(*parts) in known


def require_match(request: HttpRequest, *parts: object) -> None:
    """Refuse with 412 where the request has If-Match and names another state."""
    if matches(request, *parts):
        return
    raise Problem(
        "changed-meanwhile",
        _("It was changed after you read it. Nothing was changed now. Read it again."),
    )
