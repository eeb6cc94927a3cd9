"""Answers that Django 5.2 does not give by itself: a header, and a login that htmx can follow."""

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import resolve_url

# The admin brings inline styles of its own; scripts come from our own origin everywhere.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)


class ContentSecurityPolicyMiddleware:
    """Sends a Content-Security-Policy: nothing is loaded from anywhere but the portal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the header unless a view has set its own."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        return response


class LoginForHtmxMiddleware:
    """Sends a page whose session has ended to the login, where one of its parts was asked for.

    htmx follows a redirect unseen, and would put the login form into the page in the part's place;
    and the login would lead back to the part alone. ``HX-Redirect`` makes the browser leave the
    page, and ``next`` names the page. Stands after HtmxMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Replace a redirect to the login by one that htmx leaves to the browser."""
        response = self.get_response(request)
        htmx = cast(Any, request).htmx
        login = resolve_url(settings.LOGIN_URL)
        if not (htmx and isinstance(response, HttpResponseRedirect)):
            return response
        if response.url.partition("?")[0] != login:
            return response
        query = QueryDict(mutable=True)
        query["next"] = htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)
        answer = HttpResponse(status=204)
        answer.headers["HX-Redirect"] = f"{login}?{query.urlencode(safe='/')}"
        return answer
