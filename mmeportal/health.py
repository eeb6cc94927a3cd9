"""`/healthz`: the process lives. `/readyz`: the portal can do its work."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from mmeportal import readiness

LIVES = "/healthz"
READY = "/readyz"


class HealthMiddleware:
    """Answers both before all else: to any host name, in plain HTTP, to anybody.

    A load balancer asks with the machine's address as the host, which is none of ALLOWED_HOSTS.
    Anybody learns only whether all is well: the parts, with their addresses, are in the log and on
    the page `/status/`, for admins.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The state of things, or what the site answers to any other path."""
        if request.path_info == LIVES:
            return _uncached({"status": "ok"}, 200)
        if request.path_info == READY:
            ready = readiness.BOARD.report().ready
            return _uncached({"status": "ok" if ready else "down"}, 200 if ready else 503)
        return self.get_response(request)


def _uncached(body: dict[str, str], status: int) -> JsonResponse:
    answer = JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
    # Django would log each 503 as an error; the reason is logged when it changes.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer
