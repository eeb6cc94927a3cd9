"""Answers that Django 5.2 does not give by itself: headers, and a login that htmx can follow."""

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import resolve_url

from core import guarded, request_id

# Everything is a file of our own: no script or style stands in a page. `blob:` is the preview of a
# picture that was chosen. Django 6 has a middleware for this; 5.2 does not.
_POLICY = (
    "default-src 'self'; img-src 'self' blob:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; font-src 'self'; object-src 'none'; frame-src 'none'; "
    "worker-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    # What a page of the portal never asks for. Copying to the clipboard is its own business.
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RequestIdMiddleware:
    """Gives each request an id (core/request_id.py), or takes the one that it brings.

    Stands first, so that everything that is logged or answered has it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the id in the header ``X-Request-ID``."""
        given = request_id.accepted(request.headers.get(request_id.HEADER))
        request_id.bind(given)
        response = self.get_response(request)
        response.headers[request_id.HEADER] = given
        return response


class HeadersMiddleware:
    """Sends what limits the pages: where they load from, what they may use, who may load them.

    Stands before SecurityMiddleware, which sends the rest, and WhiteNoise: redirects, refusals and
    static files get them too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add each header unless a view has set its own."""
        response = self.get_response(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class NoStoreMiddleware:
    """Has browsers keep no page: after a log-out, Back must not show what was behind the log-in.

    Stands below WhiteNoise, so static files may be kept; views that set their own Cache-Control
    keep it. The answer to a log-out also has the browser forget what it kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the header unless a view has set its own."""
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        match = request.resolver_match
        if request.method == "POST" and match is not None and match.url_name == "logout":
            response.headers["Clear-Site-Data"] = '"cache"'
        return response


class ReaderMiddleware:
    """Lets the querysets of guarded models know who reads (core/guarded.py).

    Stands after what finds the user of a request, by session or by token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Read for the user of this request from here on."""
        guarded.bind(request)
        return self.get_response(request)


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
        if not (isinstance(response, HttpResponseRedirect) and htmx):
            return response
        login = resolve_url(settings.LOGIN_URL)
        if response.url.partition("?")[0] != login:
            return response
        query = QueryDict(mutable=True)
        query["next"] = htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)
        answer = HttpResponse(status=204)
        answer.headers["HX-Redirect"] = f"{login}?{query.urlencode(safe='/')}"
        return answer
