"""The pages that belong to no app: home, and what a refusal looks like."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from activity.models import Event
from endpoints.models import Endpoint, Invocation
from models_catalog.models import Model


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The state of things at a glance, and what to do next."""
    parts = {
        "endpoints": ("endpoints.view_endpoint", Endpoint.objects.shown()[:6]),
        "models": ("models_catalog.view_model", Model.objects.with_latest_version()[:6]),
        "invocations": ("endpoints.invoke_endpoint", Invocation.objects.for_home()[:6]),
        "events": ("activity.view_event", Event.objects.newest().readable_by(request.user)[:8]),
    }
    context = {
        name: rows
        for name, (permission, rows) in parts.items()
        if request.user.has_perm(permission)
    }
    return render(request, "home.html", context | {"no_role": not context})


def denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A 403 that says which roles may do more."""
    context = {"reason": str(exception) if exception else ""}
    return render(request, "403.html", context, status=403)
