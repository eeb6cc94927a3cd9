"""Pages of stores: which there are, what the portal may do there, add one, retire one."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import groups
from core.badges import Badge
from core.permissions import actor, require_permission
from models_catalog import store_rights, stores
from models_catalog.forms import StoreForm
from models_catalog.models import Store
from models_catalog.refusals import CatalogRefused
from models_catalog.store_rights import RightFound, RightOutcome

may_look = require_permission(stores.MAY_LOOK, stores.LOOKING)
may_manage = require_permission(stores.MAY_MANAGE, stores.MANAGING)
_LOOKS = {
    RightOutcome.ALLOWED: "ok",
    RightOutcome.REFUSED: "error",
    RightOutcome.UNKNOWN: "degraded",
}


def _found(name: str) -> Store:
    try:
        return stores.get(name)
    except CatalogRefused as refused:
        raise Http404(str(refused)) from None


def badge(store: Store) -> Badge:
    """How a store stands, as its last test found it."""
    if store.retired_at is not None:
        return Badge("off", _("Retired"))
    if store.tested_at is None:
        return Badge("off", _("Not tested"))
    found = store_rights.known(store)
    if store_rights.lacking(found):
        return Badge("error", _("Rights are missing"))
    if any(one.refused for one in found):
        return Badge("degraded", _("Some rights are missing"))
    return Badge("ok", _("Ready"))


@require_safe
@may_look
def store_list(request: HttpRequest) -> HttpResponse:
    """All stores."""
    rows = [{"store": one, "badge": badge(one)} for one in stores.listed()]
    return render(request, "models_catalog/stores.html", {"rows": rows})


@require_safe
@may_look
def store_page(request: HttpRequest, name: str) -> HttpResponse:
    """One store: where it is, what is in it, and what the portal may do there."""
    store = _found(name)
    context = {
        "store": store,
        "badge": badge(store),
        "rights": _shown(store_rights.known(store)),
        "uses": list(stores.uses(store)),
        "named": stores.groups_of(store),
        "elsewhere": store.region != settings.AWS_REGION,
    }
    return render(request, "models_catalog/store.html", context)


#: What a group may do on a store, as the page's form says it.
SEES, WRITES = ("sees", "writes")


@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def set_groups(request: HttpRequest, name: str) -> HttpResponse:
    """Choose the groups that a store names."""
    store = _found(name)
    if request.method != "POST":
        named = {one.name: WRITES if one.may_write else SEES for one in stores.groups_of(store)}
        choices = [
            {"name": one.name, "may": named.get(one.name, "nothing")} for one in groups.listed()
        ]
        context = {"store": store, "choices": choices}
        return render(request, "models_catalog/store_groups.html", context)
    wanted = [
        stores.NamedGroup(key.removeprefix("group-"), value == WRITES)
        for key, value in request.POST.items()
        if key.startswith("group-") and value in (SEES, WRITES)
    ]
    try:
        stores.set_groups(name=store.name, groups=wanted, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("Who may see the store is kept: %(name)s.") % {"name": store})
    return redirect(store)


def _shown(found: list[RightFound]) -> list[dict[str, Any]]:
    return [
        {"right": one, "badge": Badge(_LOOKS[one.outcome], str(one.outcome.label))} for one in found
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def new_store(request: HttpRequest) -> HttpResponse:
    """Add a store; where the test finds that rights are missing, the answer shows which."""
    if request.method != "POST":
        return _new_page(request, StoreForm(initial={"region": settings.AWS_REGION}))
    form, rights = StoreForm(request.POST), []
    if form.is_valid():
        try:
            made = stores.add(**form.cleaned_data, actor=actor(request))
        except ValidationError as error:
            form.add_error(None, error)
        except stores.StoreRefused as refused:
            form.add_error(None, str(refused))
            rights = refused.found
        else:
            messages.success(request, _("The store is added: %(name)s.") % {"name": made})
            return redirect(made)
    return _new_page(request, form, rights, status=422)


def _new_page(
    request: HttpRequest, form: StoreForm, rights: list[RightFound] | None = None, status: int = 200
) -> HttpResponse:
    context = {"form": form, "rights": _shown(rights or [])}
    return render(request, "models_catalog/new_store.html", context, status=status)


@require_POST
@may_manage
def test(request: HttpRequest, name: str) -> HttpResponse:
    """Try again what the portal may do there."""
    store = stores.test(name=_found(name).name, actor=actor(request))
    refused = sum(one.refused for one in store_rights.known(store))
    if refused:
        said = _("The store was tested. Rights that are refused: %(count)s. They are listed below.")
        messages.warning(request, said % {"count": refused})
    else:
        messages.success(request, _("The store was tested: nothing that was tried is refused."))
    return redirect(store)


@require_POST
@may_manage
def retire(request: HttpRequest, name: str) -> HttpResponse:
    """Offer an empty store no more."""
    store = _found(name)
    try:
        stores.retire(name=name, actor=actor(request))
    except CatalogRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, _("The store is retired: %(name)s.") % {"name": store})
    return redirect(store)


@require_POST
@may_manage
def restore(request: HttpRequest, name: str) -> HttpResponse:
    """Take a retirement back."""
    store = _found(name)
    stores.restore(name=name, actor=actor(request))
    messages.success(request, _("The store is offered again: %(name)s.") % {"name": store})
    return redirect(store)
