"""Pages, styles and scripts are sent compressed to browsers that take gzip.

The length of a compressed page tells something of it to who reads the network and can put a guess
beside a secret into the page (the BREACH attack). No page has both: what stays the same from one
answer to the next is no secret. Django masks the CSRF token anew for each answer, and a token or a
link that is shown once stands in the answer to a POST. In addition each page gets up to a hundred
random bytes, as Django's GZipMiddleware gives them, so that two answers of one page differ in
length. That middleware itself would also compress JSON, whose ETags must stay as they are,
downloads, and parts of files.
"""

import gzip
import re
from collections.abc import Callable
from threading import Lock

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

_PAGE = "text/html"
_FILES = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml"})
_TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))")
_LEAST = 200  # bytes; shorter ones do not get shorter
_RANDOM_BYTES = 100
# More than the portal has files; their compressed forms take 0.7 MB together.
_MOST_FILES = 300


def takes_gzip(request: HttpRequest) -> bool:
    """Whether who asks takes a compressed answer."""
    return _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")) is not None


class CompressionMiddleware:
    """Stands above WhiteNoise: without a build step its files are not compressed beforehand."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._files: dict[tuple[str, str], bytes] = {}
        self._lock = Lock()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, compressed where it is a page, a style or a script, and the browser takes it."""
        response = self.get_response(request)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        whole = response.status_code not in (204, 206, 304)
        if not whole or response.has_header("Content-Encoding") or kind not in {_PAGE, *_FILES}:
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if not takes_gzip(request) or request.method == "HEAD":
            return response
        if isinstance(response, StreamingHttpResponse):
            return self._file(request.path, response) if kind in _FILES else response
        if isinstance(response, HttpResponse) and len(response.content) >= _LEAST:
            response.content = compress_string(response.content, max_random_bytes=_RANDOM_BYTES)
            response.headers["Content-Length"] = str(len(response.content))
            response.headers["Content-Encoding"] = "gzip"
        return response

    def _file(self, path: str, response: StreamingHttpResponse) -> HttpResponseBase:
        """A static file, compressed once for as long as it does not change.

        With its length, as the web server ends a connection after an answer that has none. Its ETag
        is that of the uncompressed file, so Last-Modified alone says whether it has changed.
        """
        at = (path, response.headers.get("ETag", ""))
        body = self._files.get(at)
        if body is None:
            body = gzip.compress(response.getvalue(), 6, mtime=0)
            if at[1]:
                with self._lock:
                    if len(self._files) >= _MOST_FILES:
                        self._files.clear()
                    self._files[at] = body
        response.streaming_content = [body]
        del response.headers["ETag"]
        response.headers["Content-Length"] = str(len(body))
        response.headers["Content-Encoding"] = "gzip"
        return response
