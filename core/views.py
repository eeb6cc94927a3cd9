"""Pages that belong to no app and to all: the search, and the page of all elements."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core import palette
from core import styleguide as elements


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """What the apps find for ``?q=``; the dialog of Ctrl+K asks for the list alone."""
    query = request.GET.get("q", "").strip()
    context = {"query": query, "groups": palette.search(request.user, query)}
    part = request.headers.get("HX-Target") == "palette-results"
    return render(request, "_search_results.html" if part else "search.html", context)


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Every element in all its states; only where the setting STYLEGUIDE is on."""
    if not settings.STYLEGUIDE:
        raise Http404
    return render(request, "styleguide.html", elements.context(request))
