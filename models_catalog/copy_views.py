"""The page that copies a version under other names: a preview, then the copies on their way."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Window
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from core.errors import AwsError
from core.permissions import actor, require_permission
from models_catalog import copying
from models_catalog.forms import CopyForm
from models_catalog.models import Version
from models_catalog.refusals import CatalogRefused

_SHOWN = 200
may_copy = require_permission(copying.MAY_COPY, gettext_noop("copy versions"))
may_look = require_permission("models_catalog.view_model", gettext_noop("look at the catalog"))


@require_http_methods(["GET", "HEAD", "POST"])
@may_copy
def copy(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show what copies would be called and where they would lie; then make them."""
    version = _version(name, number)
    given: Mapping[str, Any] | None = None
    if request.method == "POST":
        given = request.POST
    elif "to" in request.GET:
        given = request.GET
    form = CopyForm(given, initial={"to": f"{name}_{copying.PLACE}", "times": 10})
    planned: list[copying.PlannedCopy] = []
    status = 200
    if form.is_valid():
        to, times = form.cleaned_data["to"], form.cleaned_data["times"]
        try:
            if request.method == "POST":
                made = copying.start(
                    model=name, number=number, to=to, times=times, actor=actor(request)
                )
                said = ngettext(
                    "%(count)s copy was requested.", "%(count)s copies were requested.", len(made)
                )
                messages.success(request, said % {"count": len(made)})
                return redirect("models_catalog:copy", name, number)
            planned = copying.plan(source=version, to=to, times=times)
        except ValidationError as error:
            form.add_error(None, error)
        except (CatalogRefused, AwsError) as refused:
            form.add_error(None, str(refused))
            status = 409
    if request.method == "POST" and status == 200:
        status = 422
    context = {
        "version": version,
        "form": form,
        "planned": planned,
        "clashes": sum(bool(one.problem) for one in planned),
        **copies(version),
    }
    return render(request, "models_catalog/copy.html", context, status=status)


@require_safe
@may_look
def copies_live(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The copies of a version, for the page to replace while some are being made."""
    version = _version(name, number)
    context = {"version": version, **copies(version)}
    return render(request, "models_catalog/_copies.html", context)


def copies(version: Version) -> dict[str, Any]:
    """What pages say of the copies of a version: the newest of them, and how far they are."""
    rows = version.copies.defer("report").select_related("model").order_by("-pk")
    counted: Any = rows.annotate(of_all=Window(Count("pk")))
    shown = list(counted[: _SHOWN + 1])
    count = shown[0].of_all if shown else 0
    under_way = sum(copy.state == Version.State.COPYING for copy in shown)
    said = ngettext("%(count)s copy", "%(count)s copies", count) % {"count": count}
    if under_way:
        going_on = ngettext("%(count)s is being made", "%(count)s are being made", under_way) % {
            "count": under_way
        }
        said = f"{said}, {going_on}"
    return {"copies": shown[:_SHOWN], "copies_said": said, "copies_under_way": under_way}


def _version(name: str, number: int) -> Version:
    rows = Version.objects.defer("report").select_related("model")
    return get_object_or_404(rows, model__name=name, number=number)
