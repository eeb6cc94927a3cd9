"""Pages of the activity log."""

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from activity import log, subjects
from core.permissions import not_permitted, require_permission
from core.spreadsheet import MOST_EXPORTED


@require_safe
@require_permission("activity.view_event", "read the activity log")
def event_list(request: HttpRequest) -> HttpResponse:
    """Events, newest first, fifty a page, by day; with ``?request=ID`` those of one request."""
    table = log.table(request, request.user)
    context = {
        "table": table,
        "days": log.by_day(log.with_addresses(table.rows, request.user)),
        "of_request": request.GET.get("request", "").strip(),
        "export_query": table.href(page=""),
        "most_exported": MOST_EXPORTED,
    }
    return render(request, "activity/list.html", context)


@require_safe
@require_permission("activity.view_event", "read the activity log")
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The same events as a CSV file."""
    lines = log.exported(request, request.user)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="activity.csv"'
    return answer


@require_safe
@require_permission("activity.view_event", "read the activity log")
def subject(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Redirect to the page of an event's subject, if it still exists."""
    known = subjects.kind(kind)
    if known is None or known.model is None:
        raise Http404(_("Events of this kind are not known."))
    if known.permission and not request.user.has_perm(known.permission):
        raise not_permitted(known.permission, known.doing)
    found = known.model._default_manager.filter(pk=pk).first()
    if found is None:
        raise Http404(_("What this event is about is no longer in the portal."))
    return redirect(known.url(found))
