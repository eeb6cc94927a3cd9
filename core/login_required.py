"""What somebody without a log-in is answered: pages lead to the log-in, all else says 401.

A redirect to the log-in page would tell a program that all went well: a form that it sent is lost,
and the page that it is led to answers 200.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangosMiddleware
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from core import request_id

_LED_TO_LOG_IN = ("GET", "HEAD", "OPTIONS")
# RFC 9110 wants a challenge with each 401; the portal takes the session's cookie alone.
_CHALLENGE = 'Cookie realm="MME Portal"'


class LoginRequiredMiddleware(DjangosMiddleware):
    """Django's, with 401 in place of the redirect for requests that are no look at a page."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> Any:
        """Lead to the log-in, or answer 401."""
        if is_page(request):
            return super().handle_no_permission(request, view_func)
        return unauthorized(request)


def is_page(request: HttpRequest) -> bool:
    """Whether a person looks at a page, whom a redirect to the log-in helps.

    So does one that htmx asks a part for: the browser leaves the page then (core/middleware.py).
    """
    if request.headers.get("HX-Request") == "true":
        return True
    return (
        request.method in _LED_TO_LOG_IN
        and "Authorization" not in request.headers
        and not wants_json(request)
    )


def wants_json(request: HttpRequest) -> bool:
    """Whether the request asks for JSON rather than for a page."""
    kinds = ["text/html", "application/json"]
    return request.get_preferred_type(kinds) == "application/json"


def needs_login(request: HttpRequest) -> bool:
    """Whether the request has no user, and its address wants one."""
    user = getattr(request, "user", None)
    match = request.resolver_match
    if user is None or user.is_authenticated or match is None:
        return False
    return bool(getattr(match.func, "login_required", True))


def unauthorized(request: HttpRequest) -> HttpResponse:
    """Status 401 with one plain sentence: as JSON, as a page for browsers, else as text."""
    said = _("Log in first: there is no session, or it has ended. Nothing was changed or kept.")
    answer: HttpResponse
    if wants_json(request):
        answer = JsonResponse({"error": said, "request_id": request_id.current()})
    elif "text/html" in request.headers.get("Accept", ""):
        answer = render(request, "401.html", {"said": said, "login": _login(request)})
    else:
        answer = HttpResponse(f"{said}\n", content_type="text/plain; charset=utf-8")
    answer.status_code = 401
    answer.headers["WWW-Authenticate"] = _CHALLENGE
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _login(request: HttpRequest) -> str:
    """The log-in, which leads back to the page that the form was on."""
    before = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(before, {request.get_host()}, request.is_secure())
    parts = urlsplit(before)
    back = parts.path + (f"?{parts.query}" if parts.query else "") if ours else "/"
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back}, safe='/')}"
