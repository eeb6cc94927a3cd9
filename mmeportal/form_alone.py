"""What somebody sees who looks at an address that takes a form alone."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core import login_required
from mmeportal.views import frame


class FormAloneMiddleware:
    """Gives an empty answer 405 a page.

    Plans and confirmations are shown below the address that their form was sent to. Whoever
    gets that address from somebody, or opens it once more, would see nothing. It stands after
    AuthenticationMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the page in place of nothing, and the same status and ``Allow``."""
        response = self.get_response(request)
        if response.status_code != 405 or response.streaming or response.content:
            return response
        part = request.headers.get("HX-Request") == "true"
        if request.method != "GET" or part or not login_required.is_page(request):
            return response
        page = render(request, "405.html", {"frame": frame(request)}, status=405)
        page.headers["Allow"] = response.headers.get("Allow", "POST")
        page._has_been_logged = True  # type: ignore[attr-defined]  # Django did
        return page
