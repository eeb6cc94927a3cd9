"""The page that imports what lies in the store already, and the button for a canonical copy."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.errors import AwsError
from core.permissions import actor, require_permission
from models_catalog import importing, stores
from models_catalog.models import StoreComparison, Version
from models_catalog.refusals import CatalogRefused

SHOWN = 100
may_import = require_permission(importing.MAY_IMPORT, gettext_noop("import archives"))
may_repack = require_permission(importing.MAY_IMPORT, gettext_noop("upload models"))


@require_http_methods(["GET", "HEAD", "POST"])
@may_import
def import_page(request: HttpRequest) -> HttpResponse:
    """Show what lies in the store and is not registered; have what was chosen validated."""
    problem, status = "", 200
    offered = stores.offered()
    if not offered:
        said = _("You may see no store. An admin can put you into a group that sees one.")
        raise Http404(said)
    asked = request.GET.get("store", "")
    store = next((one for one in offered if one.name == asked), offered[0])
    if request.method == "POST":
        keys = request.POST.getlist("key")
        if not keys:
            problem, status = _("Choose at least one archive."), 422
        else:
            try:
                made = importing.start(keys=keys, store=store.name, actor=actor(request))
            except ValidationError as error:
                problem, status = " ".join(error.messages), 422
            except (CatalogRefused, AwsError) as refused:
                problem, status = str(refused), 409
            else:
                said = ngettext(
                    "%(count)s archive is being validated.",
                    "%(count)s archives are being validated.",
                    len(made),
                )
                messages.success(request, said % {"count": len(made)})
                return redirect(request.get_full_path())
    found: list[importing.FoundObject] | None = None
    try:
        found = importing.found(store.name)
    except AwsError as error:
        problem = problem or str(error)
    context = {
        "found": found,
        "possible": sum(not one.problem for one in found or ()),
        "most": importing.MOST,
        "problem": problem,
        "stores": offered,
        "store": store,
        "comparisons": StoreComparison.objects.all()[:SHOWN],
        "drifted": Version.objects.drifted().defer("report").select_related("model")[:SHOWN],
        **_imported(),
    }
    return render(request, "models_catalog/import.html", context, status=status)


@require_safe
@may_import
def imported_live(request: HttpRequest) -> HttpResponse:
    """What was imported, for the page to replace while validations go on."""
    return render(request, "models_catalog/_imported.html", _imported())


def _imported() -> dict[str, Any]:
    rows = (
        Version.objects.filter(as_found=True).defer("report").select_related("model", "created_by")
    )
    shown = list(rows.order_by("-pk")[:SHOWN])
    return {"imported": shown, "under_way": any(one.validating for one in shown)}


@require_POST
@may_repack
def repack(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Upload what was refused as not canonical as the next version, within S3."""
    version = get_object_or_404(
        Version.objects.defer("report").select_related("model"), model__name=name, number=number
    )
    try:
        made = importing.repack(model=name, number=number, actor=actor(request))
    except (CatalogRefused, AwsError) as refused:
        messages.error(request, str(refused))
        return redirect(version)
    return redirect(made)
