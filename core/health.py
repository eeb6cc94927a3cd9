"""`/healthz`: the process runs. `/readyz`: the portal can do its work."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from core import readiness
from core.readiness import State

LIVES = "/healthz"
READY = "/readyz"


class HealthMiddleware:
    """Answers both addresses before other middleware: for any host name, without HTTPS or log-in.

    A load balancer sends the machine's address as the host, which is not in ALLOWED_HOSTS. The
    public answer says only whether all is well, and how far this host's clock is from the others.
    The parts, with their addresses, are in the log and, for admins, on the page `/status/`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the two paths, and pass on all others."""
        if request.path_info == LIVES:
            return _uncached({"status": State.OK}, 200)
        if request.path_info == READY:
            report = readiness.shared_checks().report()
            status = State.OK if report.ready else State.DOWN
            return _uncached(
                {"status": status, "clock": report.part("clock").english},
                200 if report.ready else 503,
            )
        return self.get_response(request)


def _uncached(body: dict[str, str], status: int) -> JsonResponse:
    answer = JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
    # Django would log each 503 as an error; the reason is logged when it changes.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer
