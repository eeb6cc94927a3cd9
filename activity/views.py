"""Pages of the activity log."""

from django.apps import apps
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from activity.models import Event
from core.permissions import NotPermitted, require_permission

# Where the things live that events speak of; by name, since this app knows no other app.
_MODELS = {
    "model": "models_catalog.RegisteredModel",
    "version": "models_catalog.Version",
    "endpoint": "endpoints.Endpoint",
    "user": "auth.User",
}


@require_safe
@require_permission("activity.view_event", "read the activity log")
def event_list(request: HttpRequest) -> HttpResponse:
    """All events, newest first, fifty a page; with ``?request=ID`` those of one request."""
    events = Event.objects.newest().readable_by(request.user)
    of_request = request.GET.get("request", "").strip()
    if of_request:
        events = events.filter(request_id=of_request)
    page = Paginator(events, 50).get_page(request.GET.get("page"))
    return render(request, "activity/list.html", {"page": page, "of_request": of_request})


@require_safe
@require_permission("activity.view_event", "read the activity log")
def subject(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Go to the page of the thing that an event is about, if it is still there."""
    if kind not in _MODELS:
        raise Http404(f"There is no kind {kind!r}.")
    if kind == "user" and not request.user.has_perm("auth.view_user"):
        raise NotPermitted(
            "Your role does not allow you to see users.", permission="auth.view_user"
        )
    found = apps.get_model(_MODELS[kind])._default_manager.filter(pk=pk).first()
    if found is None:
        raise Http404("What this event is about is no longer in the portal.")
    if kind == "user":
        return redirect("admin:auth_user_change", pk)
    return redirect(found.get_absolute_url())
