"""Pages of the activity log."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from activity import subjects
from activity.models import Event
from core.permissions import NotPermitted, require_permission


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
    """Redirect to the page of an event's subject, if it still exists."""
    known = subjects.kind(kind)
    if known is None or known.model is None:
        raise Http404(f"There is no kind {kind!r}.")
    if known.permission and not request.user.has_perm(known.permission):
        raise NotPermitted(
            f"Your role does not allow you to {known.doing}.", permission=known.permission
        )
    found = known.model._default_manager.filter(pk=pk).first()
    if found is None:
        raise Http404("What this event is about is no longer in the portal.")
    return redirect(known.url(found))
