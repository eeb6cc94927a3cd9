"""Tells what is recorded from where a request came: core/origin.py."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.addresses import client_address
from activity.models import Event
from core import origin
from core.api.middleware import PREFIX

#: What the client and its command `mme` call themselves.
_CLIENT = "mme-client/"


class OriginMiddleware:
    """Binds channel and address of each request, for as long as it is answered.

    That of `mme` is what the client says of itself: it helps to find things, and proves nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer within the origin."""
        with origin.bound(origin.Origin(_channel(request), client_address(request))):
            return self.get_response(request)


def _channel(request: HttpRequest) -> str:
    if not request.path_info.startswith(PREFIX) or _is_of_a_page(request):
        return Event.Channel.PAGE
    by_client = request.headers.get("User-Agent", "").startswith(_CLIENT)
    return Event.Channel.MME if by_client else Event.Channel.API


def _is_of_a_page(request: HttpRequest) -> bool:
    """Whether a call of the API comes with a log-in of the pages: their scripts upload so."""
    return "Authorization" not in request.headers and (
        settings.SESSION_COOKIE_NAME in request.COOKIES
    )
