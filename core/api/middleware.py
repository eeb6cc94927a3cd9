"""Below /api/ every refusal is a problem document, also what Django itself answers: never HTML."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils import translation

from core import languages, request_id
from core.api.problems import CONTENT_TYPE, Problem, body, code_of
from core.version import VERSION

PREFIX = "/api/"
VERSION_HEADER = "MME-Portal-Version"
# What an answer of Django's says beside its body.
_KEPT = ("Allow", "Retry-After", "Vary", "Cache-Control", "Set-Cookie")


class ApiMiddleware:
    """Turns the refusals of middleware, URL conf and handlers into problems.

    Stands near the top, as those below it refuse with pages.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; a client also learns the version of the portal."""
        response = self.get_response(request)
        if not request.path_info.startswith(PREFIX):
            return response
        if _is_refusal(response):
            response = _as_problem(request, response)
        response.headers[VERSION_HEADER] = VERSION
        return response


def _is_refusal(response: HttpResponse) -> bool:
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return False
    return response.headers.get("Content-Type", "").partition(";")[0] != CONTENT_TYPE


def _as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    wish = request.headers.get("Accept-Language", "")
    with translation.override(languages.of_headers(wish, "")):
        code = code_of(response.status_code)
        problem = Problem(code).response()
        problem.content = body(code, "", request_id.current(), status=response.status_code)
    problem.status_code = response.status_code
    for name in _KEPT:
        if name in response.headers:
            problem.headers[name] = response.headers[name]
    # Django has logged the answer that it made.
    problem._has_been_logged = True  # type: ignore[attr-defined]
    return problem
