"""The pages of aliases: those of a model, one with its history, and the buttons that move them."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core import ui
from core.api.problems import CODES
from core.permissions import actor, require_permission
from core.storable import has_nul
from core.tables import Column, Table
from models_catalog import alias_mirror, aliases
from models_catalog.aliases import MAY_MOVE, AliasRefused
from models_catalog.models import (
    LIVE,
    Alias,
    AliasMirror,
    AliasMoveQuerySet,
    RegisteredModel,
    Version,
)

may_view = require_permission("models_catalog.view_model", "look at the catalog")
may_move = require_permission(MAY_MOVE, "move aliases")


def of_model(model: RegisteredModel) -> dict[str, Any]:
    """What the pages of a model and of its versions show of its aliases: `live` is the first.

    The model has them loaded then, for the panels of its page.
    """
    prefetch_related_objects([model], Prefetch("aliases", Alias.objects.listed()))
    found = list(model.aliases.all())
    live = found[0] if found and found[0].name == LIVE else None
    return {
        "aliases": found,
        "live": live,
        "live_is_protected": aliases.is_protected(LIVE),
        "LIVE": LIVE,
    }


@require_safe
@may_view
def alias_list(request: HttpRequest, name: str) -> HttpResponse:
    """The aliases of a model, a form for another one, and what was done with all of them."""
    return _list_page(request, get_object_or_404(RegisteredModel, name=name))


@require_safe
@may_view
def alias_page(request: HttpRequest, name: str, alias: str) -> HttpResponse:
    """One alias: where it points, its history, how to move it and how to call it."""
    return _page(request, get_object_or_404(RegisteredModel, name=name), alias)


@require_POST
@may_move
def move(request: HttpRequest, name: str) -> HttpResponse:
    """Point an alias at a version; it is made where it is missing."""
    model = get_object_or_404(RegisteredModel, name=name)
    alias, number = request.POST.get("alias", "").strip(), _number(request, "number")
    problem, status = _("Choose a version."), 422
    if number is not None:
        try:
            found, changed = aliases.move(
                model=model.name, name=alias, number=number, **_asked(request)
            )
        except AliasRefused as refused:
            problem, status = str(refused), CODES[refused.code].status
        except ValidationError as error:
            problem = " ".join(error.messages)
        else:
            said = _("%(alias)s is %(version)s now.") if changed else _("%(alias)s is %(version)s.")
            _tell(request, found, said % {"alias": found, "version": found.version})
            return redirect(ui.back(request, _address("alias", model, alias)))
    # The name may be one that no address can have.
    known = bool(alias) and not has_nul(alias) and aliases.history(model, alias).exists()
    page = _page(request, model, alias, problem) if known else _list_page(request, model, problem)
    page.status_code = status
    return page


@require_POST
@may_move
def roll_back(request: HttpRequest, name: str, alias: str) -> HttpResponse:
    """Point the alias at the version before."""
    _known(name, alias)
    try:
        found = aliases.roll_back(model=name, name=alias, **_asked(request))
    except AliasRefused as refused:
        return _refused(request, name, alias, refused)
    said = _("%(alias)s is %(version)s again.") % {"alias": found, "version": found.version}
    _tell(request, found, said)
    return redirect(ui.back(request, _address("alias", found.model, alias)))


@require_POST
@may_move
def remove(request: HttpRequest, name: str, alias: str) -> HttpResponse:
    """Delete the alias; its page shows its history then."""
    _known(name, alias)
    try:
        gone = aliases.remove(model=name, name=alias, **_asked(request))
    except AliasRefused as refused:
        return _refused(request, name, alias, refused)
    said = _("%(alias)s is deleted.") % {"alias": gone}
    if aliases.is_protected(alias):
        messages.success(request, said)
    else:
        ui.undo(request, said, _address("alias-undo", gone.model, alias, gone.pk))
    return redirect(ui.back(request, _address("alias", gone.model, alias)))


@require_POST
@may_move
def undo(request: HttpRequest, name: str, alias: str, revision: int) -> HttpResponse:
    """Take back what a button did a moment ago, unless somebody has moved the alias since."""
    if not _known(name, alias).filter(pk=revision).exists():
        raise Http404("no such move")
    try:
        found = aliases.undo(model=name, name=alias, revision=revision, actor=actor(request))
    except AliasRefused as refused:
        return _refused(request, name, alias, refused)
    if found is None:
        messages.success(request, _("%(alias)s is deleted.") % {"alias": f"{name}@{alias}"})
    else:
        said = _("%(alias)s is %(version)s again.") % {"alias": found, "version": found.version}
        messages.success(request, said)
    return redirect(ui.back(request, reverse("models_catalog:model", args=[name])))


def _known(name: str, alias: str) -> AliasMoveQuerySet:
    """What was done with an alias; raises Http404 where there never was one of this name."""
    moves = aliases.history(get_object_or_404(RegisteredModel, name=name), alias)
    if not moves.exists():
        raise Http404("no such alias")
    return moves


def _refused(request: HttpRequest, name: str, alias: str, refused: AliasRefused) -> HttpResponse:
    """Lead back, with why nothing was changed."""
    model = get_object_or_404(RegisteredModel, name=name)
    messages.error(request, str(refused))
    return redirect(ui.back(request, _address("aliases", model)))


def _tell(request: HttpRequest, alias: Alias, said: str) -> None:
    """Say what was done, with Undo; a protected alias has none, as that gives no reason."""
    if alias.protected:
        messages.success(request, said)
    else:
        address = _address("alias-undo", alias.model, alias.name, alias.revision)
        ui.undo(request, said, address)


def _address(name: str, model: RegisteredModel, *more: Any) -> str:
    return reverse(f"models_catalog:{name}", args=[model.name, *more])


def _asked(request: HttpRequest) -> dict[str, Any]:
    """What each change of an alias is told: why, by whom, and which move its page has shown."""
    expected = _number(request, "expected")
    return {"reason": _reason(request), "expected": expected, "actor": actor(request)}


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "")


def _number(request: HttpRequest, name: str) -> int | None:
    return _int(request.POST.get(name, ""))


def _int(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _history(request: HttpRequest, model: RegisteredModel, alias: str = "") -> Table:
    named = [] if alias else [Column("alias", _("Alias"), sort="name", natural=True)]
    return Table(
        request,
        aliases.history(model, alias),
        columns=[
            *named,
            Column("when", _("When"), sort="pk"),
            Column("what", _("What"), sort="kind"),
            Column("version", _("Version"), sort="version__number"),
            Column("by", _("By"), sort="by_name"),
            Column("reason", _("Reason")),
        ],
        default_sort="-when",
    )


def _choices(model: RegisteredModel) -> list[tuple[int, str]]:
    """The ready versions, newest first, each with its note."""
    rows = Version.objects.filter(model=model, state=Version.State.READY).order_by("-number")
    return list(rows.values_list("number", "note"))


def _context(
    request: HttpRequest, model: RegisteredModel, problem: str, alias: str = ""
) -> dict[str, Any]:
    return {
        "model": model,
        "choices": _choices(model),
        "chosen": _number(request, "number"),
        "reason": _reason(request),
        "problem": problem,
        "table": _history(request, model, alias),
    }


def _list_page(request: HttpRequest, model: RegisteredModel, problem: str = "") -> HttpResponse:
    context = _context(request, model, problem) | of_model(model)
    given = request.POST or request.GET  # a link presets the form where a reason is needed
    context["typed"], context["chosen"] = given.get("alias", ""), _int(given.get("number", ""))
    return render(request, "models_catalog/aliases.html", context)


def _page(
    request: HttpRequest, model: RegisteredModel, name: str, problem: str = ""
) -> HttpResponse:
    alias = Alias.objects.filter(model=model, name=name).listed().first()
    context = _context(request, model, problem, name)
    if alias is None and not context["table"].total:
        raise Http404("no such alias")
    mirror = AliasMirror.objects.filter(model=model, name=name).order_by("-wanted", "-pk").first()
    context |= {
        "alias": alias,
        "name": name,
        "protected": aliases.is_protected(name),
        "mirror": mirror,
        "mirrored": mirror is not None and alias is not None and mirror.written == alias.revision,
        "key": alias_mirror.key_of(model.name, name),
    }
    return render(request, "models_catalog/alias.html", context)
