"""AWS's Signature Version 4 of a request that is known, without the parts of botocore's own.

botocore takes the URL apart and sorts the headers three times, and makes the day's key of each
request anew. A test holds both together (core/tests/test_signature_v4.py).
IAM User Guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

DATE = "X-Amz-Date"
TOKEN = "X-Amz-Security-Token"  # noqa: S105 - a header's name
_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    *,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    access_key: str,
    secret_key: str,
    token: str | None,
    region: str,
    service: str,
    at: datetime,
) -> dict[str, str]:
    """``headers``, ``Host`` among them, with date, token and signature, which covers all of them.

    ``path`` is the request's, percent-encoded, without a query.
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    found = {**headers, DATE: stamp}
    if token:
        found[TOKEN] = token
    values = sorted((name.lower(), " ".join(value.split())) for name, value in found.items())
    names = ";".join(name for name, _value in values)
    lines = "".join(f"{name}:{value}\n" for name, value in values)
    digest = hashlib.sha256(body).hexdigest()
    request = f"{method}\n{quote(path, safe='/~')}\n\n{lines}\n{names}\n{digest}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = _key(secret_key, stamp[:8], region, service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    found["Authorization"] = (
        f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return found


@lru_cache(maxsize=8)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """The day's key: of each set of credentials one for all requests of a day."""
    made = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        made = hmac.digest(made, part.encode(), "sha256")
    return made
