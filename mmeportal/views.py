"""The pages that belong to no app: home, and what a refusal looks like."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from activity.models import Event
from endpoints.models import Endpoint, Invocation
from mmeportal import readiness
from mmeportal.permissions import require_permission
from models_catalog.models import Model


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The state of things at a glance, and what to do next."""
    parts = {
        "endpoints": ("endpoints.view_endpoint", Endpoint.objects.shown()[:6]),
        "models": ("models_catalog.view_model", Model.objects.with_latest_version()[:6]),
        "invocations": ("endpoints.invoke_endpoint", Invocation.objects.for_home()[:6]),
        "events": ("activity.view_event", Event.objects.newest()[:8]),
    }
    context = {
        name: rows
        for name, (permission, rows) in parts.items()
        if request.user.has_perm(permission)
    }
    return render(request, "home.html", context | {"no_role": not context})


@require_safe
@require_permission("auth.change_user", "see the state of the portal's parts")
def status(request: HttpRequest) -> HttpResponse:
    """What `/readyz` found, part by part, for admins; as JSON to whoever asks for that."""
    report = readiness.BOARD.report()
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse(report.as_json())
    return render(request, "status.html", {"report": report})


def denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A 403 that says which roles may do more."""
    context = {"reason": str(exception) if exception else ""}
    return render(request, "403.html", context, status=403)
