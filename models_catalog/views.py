"""Pages of the catalog."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Prefetch, Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from activity.models import Event
from core import clock, ui
from core.errors import AwsError
from core.permissions import actor, require_permission
from core.tables import WITH_ROWS, Choice, Column, Search, Table
from models_catalog import (
    alias_views,
    attention,
    comparing,
    copy_views,
    importing,
    list_lines,
    measured,
    references,
    retiring,
    services,
    trying,
    validation_result,
)
from models_catalog.forms import DeleteVersionForm
from models_catalog.models import (
    DEFAULT_STORE,
    IN_PROGRESS,
    NO_VERSION,
    RegisteredModel,
    Version,
    VersionQuerySet,
    name_taken,
    valid_name,
)
from models_catalog.refusals import CatalogRefused

log = logging.getLogger(__name__)

MAX_FOUND = 50
# Of the number of a version; SQLite takes no larger ones.
MOST_DIGITS = 10

may_view = require_permission("models_catalog.view_model", "look at the catalog")
may_upload = require_permission("models_catalog.add_version", "upload models")
may_download = require_permission("models_catalog.add_version", "download archives")
may_delete = require_permission("models_catalog.delete_model", "delete models")
may_retire = require_permission(retiring.MAY_RETIRE, "retire versions")
may_delete_version = require_permission(retiring.MAY_DELETE, "delete versions")


def _of_calls(models: Any, value: str) -> Any:
    """Models that were never called, or that were in so many days."""
    if value == _NEVER:
        return models.never_called()
    return models.called_since(clock.now() - timedelta(days=int(value)))


_NEVER, _DAYS = "never", (1, 7, 30, 90)


@require_safe
@may_view
def model_list(request: HttpRequest) -> HttpResponse:
    """All models, newest upload first; or what a search and filters find."""
    called = [(days, _within_days(days)) for days in _DAYS]
    offered = RegisteredModel.objects.narrowings()
    keys = measured.keys(Version.objects.all())
    key = request.GET.get("meta", "")
    shown = key if key in keys else ""
    best = [Column("best", shown, sort="best_value", numeric=True)] if shown else []
    # An ascending order looks for the smallest: of each model its smallest counts, then.
    least = request.GET.get("sort") == "best"

    def prepared(models: Any, fields: Sequence[str]) -> Any:
        if "best_value" in fields:
            return models.with_best(shown, least=least)
        rows = models.with_facts(*fields)
        return rows.measured(shown) if shown else rows

    in_store = Choice(
        "store",
        _("Any store"),
        [(name, name) for name in (DEFAULT_STORE, *offered["store"])],
        narrow=lambda models, name: models.in_store(name),
        more=True,
    )
    table = Table(
        request,
        RegisteredModel.objects.only("pk"),
        columns=[
            Column("name", _("Model"), sort="name", natural=True, stored_key="name_key"),
            Column("description", _("Description")),
            Column("newest", _("Latest version"), sort="ready_number", numeric=True),
            *best,
            Column("aliases", _("Aliases")),
            Column("size", _("Size"), sort="ready_size", numeric=True),
            Column("called", _("Last call"), sort="called_at"),
            Column("owner", _("Owner"), sort="owner_name"),
            Column("uploaded", _("Uploaded"), sort="uploaded_at"),
            Column("by", _("By"), sort="uploaded_by"),
        ],
        filters=[
            Search("q", _("Name, note, person, SHA-256, …"), narrow=_searched),
            Choice(
                "state",
                _("Any state"),
                [
                    (Version.State.READY, Version.State.READY.label),
                    (IN_PROGRESS, Version.State.CHECKING.label),
                    (Version.State.REJECTED, Version.State.REJECTED.label),
                    (Version.State.RETIRED, Version.State.RETIRED.label),
                    (NO_VERSION, _("No version")),
                ],
                narrow=lambda models, state: models.of_state(state),
            ),
            Choice(
                "alias",
                _("Any alias"),
                [(name, name) for name in offered["alias"]],
                narrow=lambda models, name: models.with_alias(name),
            ),
            Choice(
                "called",
                _("Any calls"),
                [(_NEVER, _("Never called")), *called],
                narrow=_of_calls,
                more=True,
            ),
            Choice(
                "tag",
                _("Any tag"),
                [(tag, tag) for tag in offered["tag"]],
                narrow=lambda models, tag: models.with_tag(tag),
                more=True,
            ),
            Choice(
                "owner",
                _("Any owner"),
                [(name, name) for name in offered["owner"]],
                narrow=lambda models, name: models.owned_by(name),
                more=True,
            ),
            *([in_store] if offered["store"] else []),
            Choice(
                "meta",
                _("Any metadata"),
                [(name, name) for name in keys],
                narrow=lambda models, _name: models,  # by prepared(), which knows the order
                more=True,
            ),
        ],
        default_sort="-best_value" if shown else "-uploaded_at",
        live="found",
        counts=WITH_ROWS,
        prepare=prepared,
    )
    query = next(one.value for one in table.filters if one.name == "q")
    versions = Version.objects.with_checksum(query).for_lists().select_related("model")
    rows: Any = RegisteredModel.objects.in_list()
    if shown:
        rows = rows.with_best_version(shown, least=least)
    described = rows.in_bulk([row.pk for row in table.rows])
    for row in described.values() if shown else []:
        row.best = f"{row.best_value:.6g}", row.best_number
    context = {
        "table": table,
        "lines": [
            list_lines.line(described[row.pk], best=bool(shown))
            for row in table.rows
            if row.pk in described
        ],
        "query": query,
        "versions": versions[:MAX_FOUND] if query else [],
        "no_models": not table.filtered and not table.total,
        "try": trying.available(),
    }
    return render(request, "models_catalog/list.html", context)


def _searched(models: Any, text: str) -> Any:
    return models.search(text)


def _within_days(days: int) -> str:
    said = ngettext("Called in the last day", "Called in the last %(days)s days", days)
    return said % {"days": days}


@require_safe
@may_view
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """One model and its versions."""
    model = _model(name)
    context = _versions_context(request, model) | {
        "events": Event.objects.about("model", model.pk)[:20]
    }
    return render(request, "models_catalog/model.html", context)


@require_safe
@may_view
def versions_live(request: HttpRequest, name: str) -> HttpResponse:
    """The model's table of versions, for the page to replace while a validation goes on."""
    context = _versions_context(request, _model(name))
    return render(request, "models_catalog/_versions.html", context)


def _versions_context(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    keys = model.versions.all().metadata_keys()
    key = request.GET.get("meta", "")
    shown = key if key in keys else ""
    column = [Column("meta_value", shown, sort="meta_value", numeric=True)] if shown else []
    table = Table(
        request,
        model.versions.defer("report").select_related("created_by", "model"),
        columns=[
            Column("compare", _("Compare"), hidden_label=True),
            Column("version", _("Version"), sort="number", numeric=True),
            Column("aliases", _("Aliases")),
            Column("note", _("Note"), sort="note"),
            *column,
            Column("parameters", _("Parameters"), sort="parameters", numeric=True),
            Column("size", _("Size"), sort="published_size", numeric=True),
            Column("checksum", _("SHA-256")),
            Column("by", _("Uploaded by"), sort="created_by__username"),
            Column("uploaded", _("Uploaded"), sort="created_at"),
        ],
        filters=[
            Search("q", _("Note, or the beginning of a SHA-256"), narrow=_by_note_or_checksum),
            Choice("state", _("Any state"), Version.State.choices),
            *_metadata_filter(keys),
        ],
        default_sort="-version",
    )
    found = {"model": model, "table": table, "query": request.GET.urlencode(), "meta": shown}
    return found | alias_views.of_model(model)


def _metadata_filter(keys: list[str]) -> list[Choice]:
    """Shows the values of a key as a column, of the versions that have one."""
    if not keys:
        return []
    return [
        Choice(
            "meta",
            _("Any metadata"),
            [(key, key) for key in keys],
            narrow=lambda versions, key: versions.with_metadata(key),
        )
    ]


def _by_note_or_checksum(versions: VersionQuerySet, text: str) -> VersionQuerySet:
    same = Version.objects.with_checksum(text).values("pk")
    return versions.filter(Q(note__icontains=text) | Q(pk__in=same))


@require_http_methods(["GET", "HEAD", "POST"])
@may_delete
def delete_model(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, and delete a model of which nothing was published."""
    model = _model(name)
    if request.method == "POST":
        try:
            services.delete_model(name=name, actor=actor(request))
        except (services.NotDeletable, RegisteredModel.DoesNotExist):
            context = {"model": _model(name)}
            return render(request, "models_catalog/delete.html", context, status=409)
        messages.success(request, _("The model %(name)s was deleted.") % {"name": name})
        return redirect("models_catalog:list")
    return render(request, "models_catalog/delete.html", {"model": model})


@require_safe
@may_upload
def try_archive(request: HttpRequest, kind: str) -> HttpResponse:
    """An archive to try an upload with; 404 where this portal has none (DEMO_ARCHIVE)."""
    found = trying.archive(kind, actor(request).get_username())
    if found is None:
        raise Http404("no archive to try")
    name, data = found
    answer = HttpResponse(data, content_type="application/gzip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
@may_view
def version_page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """One version: its state, and what is inside."""
    version = _version(name, number, labels=True)
    return render(request, "models_catalog/version.html", _version_context(version))


@require_safe
@may_view
def version_live(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """What of a version's page changes while its validation goes on."""
    version = _version(name, number)
    return render(request, "models_catalog/_version.html", _version_context(version))


@require_safe
@may_download
def download(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Lead the browser to the archive that is served, in S3."""
    return _to_store(request, _version(name, number), original=False)


@require_safe
@may_download
def download_original(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Lead the browser to the file as it was uploaded, in S3."""
    return _to_store(request, _version(name, number), original=True)


def _to_store(request: HttpRequest, version: Version, *, original: bool) -> HttpResponse:
    try:
        address = services.download_address(version, original=original)
    except AwsError as error:
        log.warning("There is no address to download %s: %s", version, error)
        text = _("%(version)s cannot be downloaded now. %(problem)s")
        messages.error(request, text % {"version": version, "problem": error})
        return redirect(version)
    if address is None:
        raise Http404("nothing to download")
    return HttpResponseRedirect(address)


@require_POST
@may_retire
def retire(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Offer and call a version nowhere any more; a message has an Undo."""
    version = _version(name, number)
    try:
        found, changed = retiring.retire(model=name, number=number, actor=actor(request))
    except CatalogRefused as refused:
        messages.error(request, str(refused))
        return redirect(version)
    if changed:
        said = _("%(version)s is retired.") % {"version": found}
        ui.undo(request, said, reverse("models_catalog:unretire", args=[name, number]))
    return redirect(ui.back(request, found.get_absolute_url()))


@require_POST
@may_retire
def unretire(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Make a retired version ready again."""
    version = _version(name, number)
    try:
        found, changed = retiring.restore(model=name, number=number, actor=actor(request))
    except CatalogRefused as refused:
        messages.error(request, str(refused))
        return redirect(version)
    if changed:
        messages.success(request, _("%(version)s is ready again.") % {"version": found})
    return redirect(ui.back(request, found.get_absolute_url()))


@require_http_methods(["GET", "HEAD", "POST"])
@may_delete_version
def delete_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Say what goes, what stays and what uses the version; the user types its name to confirm."""
    version = _version(name, number)
    if not version.stored:
        return redirect(version)
    form = DeleteVersionForm(request.POST if request.method == "POST" else None, version=version)
    if form.is_valid():
        try:
            retiring.delete(model=name, number=number, actor=actor(request))
        except CatalogRefused as refused:
            form.add_error(None, str(refused))
        else:
            return redirect(version)
    uses = retiring.uses(version)
    context = {
        "form": form,
        "version": version,
        "uses": uses,
        "aliased": any(use.kind == "alias" for use in uses),
    }
    status = 422 if form.errors else 200
    return render(request, "models_catalog/delete_version.html", context, status=status)


@require_safe
@may_upload
def check_name(request: HttpRequest) -> HttpResponse:
    """Say what is wrong with a name; nothing where it is free.

    For pages that were loaded before uploads had lines: the script asks upload_views.plan.
    """
    name = request.GET.get("name", "")
    problem = free = ""
    try:
        if name:
            valid_name(name)
    except ValidationError as error:
        problem = " ".join(error.messages)
    if not problem and services.is_taken(name):
        problem, free = name_taken(name), services.free_name(name)
    context = {"problem": problem, "name": name, "free": free}
    return render(request, "models_catalog/_name_problem.html", context)


@require_safe
@may_view
def compare(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """A version beside another one, `?with=digits@live`; by default the one before."""
    version = _version(name, number, labels=True)
    others = version.model.versions.exclude(pk=version.pk).order_by("-number")
    named = request.GET.get("with", "").strip().replace("\0", "")
    if not named:
        before = others.filter(number__lt=number).values_list("number", flat=True).first()
        named = f"{name}:{before}" if before is not None else ""
    found, problem = None, ""
    try:
        other = references.parse(named).resolve(with_report=True) if named else None
    except references.Malformed as error:
        other, problem = None, str(error)
    if other is not None:
        found = comparing.compare(other, version)
    elif named and not problem:
        problem = _("There is no version %(name)s.") % {"name": named}
    differ = request.GET.get("differ") == "1"
    context = {
        "version": version,
        "named": named,
        "others": [f"{name}:{one}" for one in others.values_list("number", flat=True)[:MAX_FOUND]],
        "differ": differ,
        "longest_reference": references.MAX_LENGTH,
        "found": found,
        "problem": problem,
        "parts": _compared(found, differ=differ) if found is not None else [],
    }
    return render(request, "models_catalog/compare.html", context)


@require_safe
@may_view
def compare_chosen(request: HttpRequest, name: str) -> HttpResponse:
    """Lead to the comparison of the versions that were ticked, `?version=1&version=3`.

    Of one alone, to that with the version before it.
    """
    _model(name)
    given = {one for one in request.GET.getlist("version") if one.isascii() and one.isdigit()}
    numbers = sorted({int(one) for one in given if len(one) < MOST_DIGITS})
    if len(numbers) not in (1, 2):
        messages.error(request, _("Choose two versions to compare."))
        return redirect("models_catalog:model", name)
    address = reverse("models_catalog:compare", args=[name, numbers[-1]])
    if len(numbers) == 2:
        address += "?" + urlencode({"with": f"{name}:{numbers[0]}"})
    return redirect(address)


def _compared(found: comparing.Comparison, *, differ: bool) -> list[tuple[str, list[Any]]]:
    called = _("Calls of the last %(days)s days") % {"days": comparing.CALLED_DAYS}
    parts = [
        (_("What is known"), found.facts),
        (called, found.calls),
        (_("Metadata"), found.metadata),
        (_("Layers"), found.layers),
    ]
    return [
        (heading, [fact for fact in facts if fact.differs or not differ])
        for heading, facts in parts
    ]


@require_POST
@may_upload
def dismiss(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Take a rejected version off Today."""
    version = _version(name, number)
    attention.dismiss(version=version, actor=actor(request))
    ui.undo(
        request,
        _("%(version)s is dismissed.") % {"version": version},
        reverse("models_catalog:restore", args=[name, number]),
    )
    return redirect("/")


@require_POST
@may_upload
def restore(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Undo a dismissal: the rejected version is on Today again."""
    attention.restore(version=_version(name, number), actor=actor(request))
    return redirect(ui.back(request, "/"))


def _model(name: str) -> RegisteredModel:
    versions = Prefetch("versions", Version.objects.for_lists())
    rows = RegisteredModel.objects.select_related("owner", "created_by", "store")
    return get_object_or_404(rows.prefetch_related(versions), name=name)


def _version(name: str, number: int, *, labels: bool = False) -> Version:
    """With ``labels`` they are loaded with it."""
    found = Version.objects.select_related("model", "created_by", "copied_from__model")
    found = found.select_related("label_file") if labels else found
    found = found.defer("copied_from__report", "copied_from__model__description")
    beside = Version.objects.filter(model=OuterRef("model")).values("number")
    found = found.annotate(
        before=Subquery(beside.filter(number__lt=OuterRef("number")).order_by("-number")[:1]),
        after=Subquery(beside.filter(number__gt=OuterRef("number")).order_by("number")[:1]),
    )
    return get_object_or_404(found, model__name=name, number=number)


def _version_context(version: Any) -> dict[str, object]:
    """What the page of a version of `_version` shows."""
    layers = version.artifact.get("layers") or {}
    twin = Version.objects.twins(version).first()
    return {
        "version": version,
        "previous": version.before,
        "next": version.after,
        "steps": _steps(version),
        "upload_again": version.state == Version.State.REJECTED
        and not version.as_found
        and version.copied_from_id is None,
        "repackable": importing.repackable(version),
        "result": validation_result.of_report(version.report),
        "preprocessing": validation_result.preprocessing(version.artifact),
        "layers": sorted(layers.items(), key=lambda item: (-item[1], item[0])),
        "twin": twin,
        "likeness": version.likeness(twin) if twin else "",
        "packing": _packing(version.report.get("packing")),
        "output": _output(version.artifact.get("output")),
        "left_out": sum(not file["packed"] for file in version.files),
        "events": Event.objects.about("version", version.pk)[:20],
        "uses": retiring.other_uses(version) if version.stored else [],
        **alias_views.of_model(version.model),
        **copy_views.copies(version),
    }


def _steps(version: Version) -> list[tuple[str, str]]:
    """What of the validation is done, is being done, and is to come, with the state of each."""
    now = version.step
    reached = version.STEPS.index(now) if now in version.STEPS else None
    steps = [(_("Found in the store") if version.as_found else _("Uploaded"), "done")]
    if reached is None:
        steps.append((version.doing, "now"))
    for number, text in enumerate(version.STEPS):
        place = number - (-1 if reached is None else reached)
        steps.append((_(text), "done" if place < 0 else "now" if place == 0 else ""))
    return [*steps, (_("Ready"), "")]


def _packing(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """What both packings come to, as the page says it; the facts are packing.py's."""
    if not facts:
        return None
    stored, compressed = facts["stored_bytes"], facts["compressed_bytes"]
    return facts | {
        "saving": 100 * (1 - compressed / stored),
        "stored_ms": 1000 * facts["stored_s"],
        "compressed_ms": 1000 * facts["compressed_s"],
        "saved_ms": 1000 * max(0.0, facts["compressed_s"] - facts["stored_s"]),
    }


# What becomes of a network's output, by what it is.
_KINDS = {
    "probabilities": gettext_lazy("probabilities, taken as they are"),
    "logits": gettext_lazy("logits; the container applies a softmax"),
    "multilabel": gettext_lazy("a probability for each label by itself"),
}
_CHOSEN = {
    "probes": gettext_lazy("found out by trying it with several inputs"),
    "preprocess.json": gettext_lazy("said by NAME-preprocess.json"),
}


def _output(output: dict[str, Any] | None) -> dict[str, Any] | None:
    if not output:
        return None
    kind, chosen = output["kind"], output["chosen"]
    return output | {"says": _KINDS.get(kind, kind), "by": _CHOSEN.get(chosen, chosen)}
