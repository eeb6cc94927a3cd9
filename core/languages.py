"""The language of an answer: the browser's wish, or what its user chose.

The choice is a cookie, which also holds before a log-in; a user's own preference
(accounts/preferences.py) goes before it.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers


class LanguageMiddleware:
    """Answers in the reader's language, and names it in the answer's headers.

    Stands before everything that can refuse a request with a page, and after WhiteNoise, whose
    files are in no language. Afterwards the thread's language is what it was, so that nothing
    outside of a request speaks another one than English.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Choose by the cookie, else by Accept-Language; what stands below may choose again."""
        with translation.override(translation.get_language_from_request(request)):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language())
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response
