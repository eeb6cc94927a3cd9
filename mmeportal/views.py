"""The pages that belong to no app: home, health, and what a refusal looks like."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from activity.models import Event
from endpoints.models import Endpoint, Invocation
from mmeportal import health
from models_catalog.models import Model


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The state of things at a glance, and what to do next."""
    context = {
        "endpoints": Endpoint.objects.shown()[:6],
        "models": Model.objects.with_latest_version()[:6],
        "invocations": Invocation.objects.for_home()[:6],
        "events": Event.objects.newest()[:8],
    }
    return render(request, "home.html", context)


@require_safe
@login_not_required
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the database answers; 503 with the reason where it does not.

    A silent Redis is told but is no reason to take the site away: every state is in the
    database, and the jobs go on when Redis is back.
    """
    database = health.database_problem()
    body = {
        "status": "down" if database else "ok",
        "database": database or "ok",
        "redis": health.broker_problem() or "ok",
    }
    return JsonResponse(body, status=503 if database else 200)


def denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A 403 that says which roles may do more."""
    context = {"reason": str(exception) if exception else ""}
    return render(request, "403.html", context, status=403)
