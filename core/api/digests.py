"""Digests of a body as its sender computed them: ``Content-Digest``, ``Repr-Digest`` (RFC 9530).

Both are the same here, as bodies with a Content-Encoding are not taken where digests are read.
"""

import base64
import binascii
import re

from django.http import HttpRequest
from django.utils.translation import gettext as _

from core.api.problems import Problem

HEADERS = ("Content-Digest", "Repr-Digest")
#: The algorithms that are checked, with their names in hashlib; others are passed over (RFC 9530).
ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
_BYTES = {"sha256": 32, "sha512": 64}
# A member of a dictionary whose value is a byte sequence (RFC 9651, section 3.2).
_MEMBER = re.compile(r"(?P<name>[a-z*][a-z0-9_\-.*]*)=:(?P<value>[A-Za-z0-9+/=]*):")


def given(request: HttpRequest) -> list[tuple[str, bytes]]:
    """The digests that the body must have, each with hashlib's name of its algorithm.

    Raises Problem for a header that cannot be read: what its sender wants checked would not be.
    """
    found = []
    for header in HEADERS:
        for member in filter(None, map(str.strip, request.headers.get(header, "").split(","))):
            match = _MEMBER.fullmatch(member)
            if match is None:
                raise _malformed(header)
            algorithm = ALGORITHMS.get(match["name"])
            if algorithm is None:
                continue
            try:
                value = base64.b64decode(match["value"], validate=True)
            except binascii.Error:
                raise _malformed(header) from None
            if len(value) != _BYTES[algorithm]:
                raise _malformed(header)
            found.append((algorithm, value))
    return found


def _malformed(header: str) -> Problem:
    said = _("Write it as RFC 9530 has it: sha-256=:BASE64:. Nothing was kept.")
    return Problem("invalid", errors={header: [said]})
