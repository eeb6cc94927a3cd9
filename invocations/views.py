"""Pages to call a model: choose, send a picture, see the answer."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    QueryDict,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import resolve, reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.body_limits import accepts_body
from core.errors import AwsError
from core.icons import drawing
from core.permissions import actor, require_permission
from core.spreadsheet import MOST_EXPORTED
from core.storable import has_nul
from core.ui import Tab
from endpoints.models import Endpoint
from invocations import (
    beside,
    call_list,
    forgetting,
    given,
    offered,
    pictures_kept,
    samples,
    services,
    side_by_side,
    unloaded,
)
from invocations.models import Invocation, Picture
from invocations.panels import DOING, MAY_INVOKE
from invocations.payload import Payload, read
from invocations.pictures import ACCEPT, MAX_FILE_BYTES, NotAPicture, formats, too_large
from models_catalog import references
from models_catalog.models import Version


@dataclass
class Chosen:
    """The form's own choices: ids, and in place of a version an alias of one (``digits@live``)."""

    endpoint: int | None = None
    version: int | None = None
    alias: str = ""
    # Which variant of the endpoint is to answer; empty: SageMaker chooses.
    variant: str = ""
    # Others to call with the same picture: ids of versions, or references.
    also: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, given: QueryDict) -> "Chosen":
        """What a request says: ``version`` is an id or a reference, ``model`` a reference.

        ``also`` and ``others``, the ticked ones and those that were typed, are either.
        """
        text = given.get("version") or given.get("model") or ""
        alias = text if _ALIAS.fullmatch(text) else ""
        typed = given.get("others", "").replace(",", " ").split()
        also = list(dict.fromkeys([*given.getlist("also"), *typed]))
        variant = given.get("variant", "")
        return cls(_number(given.get("endpoint")), _number(text), alias, variant, also)

    @property
    def main(self) -> str:
        """The value of the field of the version."""
        return self.alias or str(self.version or "")


# Drawn in place of a picture that cannot be shown; its grey is legible on light and dark.
_NO_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -12 48 48" fill="none" stroke="#8a9099" '
    'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
    f"{drawing('image-off')}</svg>"
)

# A warm model answers well within this, so that its answer comes with the first response.
PATIENCE_S = 1.5
# For several together: what is there then is shown, and the rest as it comes.
_PATIENCE_FOR_SEVERAL_S = 0.5
RECENT = 10
# What names an alias, among what the form and links name.
_ALIAS = re.compile(r"[^@\x00]+@[^@\x00]+")
may_invoke = require_permission(MAY_INVOKE, DOING)


def _field() -> dict[str, Any]:
    """What the picture's field says of itself."""
    return {"accept": ACCEPT, "formats": formats(), "max_file_bytes": MAX_FILE_BYTES}


@require_safe
@may_invoke
def page(request: HttpRequest) -> HttpResponse:
    """The form, preset by ``?endpoint=`` and ``?version=`` (ids), or ``?model=digits@live``.

    For htmx: its latest calls.
    """
    if _is_htmx(request) and request.GET.get("part") == "recent":
        recent = Invocation.objects.traffic().recent()[:RECENT]
        return render(request, "invocations/_recent.html", {"recent": recent})
    chosen = Chosen.of(request.GET)
    named = request.GET.get("model", "")
    if named and not chosen.alias:  # digits:2, digits
        version = _meant(named)
        chosen.version = version.pk if version is not None else None
    return render(request, "invocations/page.html", _page_context(chosen))


@require_safe
@may_invoke
def versions(request: HttpRequest) -> HttpResponse:
    """For the field of the version: the options that ``?q=`` finds, or the likely ones.

    ``?part=also``: what can be called beside the version that is chosen.
    """
    if request.GET.get("part") == "also":
        chosen = Chosen.of(request.GET)
        context = {
            "chosen": chosen,
            "beside_choices": _beside_choices(chosen, _of_model_of(chosen)),
        }
        return render(request, "invocations/_also.html", context)
    text = request.GET.get("q", "").strip()
    found = offered.search(text) if text else offered.likely()
    context = {"found": found, "chosen": Chosen()}
    return render(request, "invocations/_versions.html", context)


# The CSRF check reads the whole body; so the user's role and the size are looked at before it.
@accepts_body(
    megabytes=lambda: (MAX_FILE_BYTES >> 20) + 1,
    too_large=lambda: too_large(_("The picture")),
    at_once=16,
)
@csrf_exempt
@require_POST
@may_invoke
def run(request: HttpRequest) -> HttpResponse:
    """Send the picture. What goes wrong is told beside the form, which keeps its choices."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_FILE_BYTES + 1_000_000:
        return _problem(request, too_large(_("The picture")))
    return _run(request)


@csrf_protect
def _run(request: HttpRequest) -> HttpResponse:
    chosen = Chosen.of(request.POST)
    if len(request.FILES.getlist("picture")) > 1:
        return _many(request, chosen)
    payload = picture = None
    try:
        endpoint, targets = targets_of(chosen)
        payload = _payload(request)
        begun = beside.start(
            endpoint=endpoint,
            targets=targets,
            payload=payload,
            actor=actor(request),
            variant=chosen.variant,
        )
    except (NotAPicture, AwsError, services.CallRefused) as problem:
        if payload is not None:  # so that it can be sent when the call is possible
            picture = pictures_kept.keep(payload)
            if picture is not None:
                pictures_kept.note_giver(actor(request), payload)
        else:
            again = request.POST.get("again", "")
            picture = _kept_for(request, again)
        return _problem(request, str(problem), chosen, picture)
    if len(targets) > 1:
        return _several(request, begun, payload)
    (started,) = begun.started
    try:
        picture = started.keep(payload)
    finally:
        invocation = started.answered(PATIENCE_S)
    if _is_htmx(request):
        return _result_fragment(request, invocation, picture)
    return redirect("invocations:result", invocation.pk)


def _many(request: HttpRequest, chosen: Chosen) -> HttpResponse:
    """Several pictures: a job calls one or two versions with each; leads to its page."""
    try:
        endpoint, targets = targets_of(chosen)
        if chosen.variant:
            raise services.CallRefused(
                _("Several pictures are sent to the variants by weight. Choose no variant.")
            )
        if len(targets) > 2:
            raise services.CallRefused(
                _("Several pictures are sent to one version, or to two. Untick the others.")
            )
        files = request.FILES.getlist("picture")
        if len(files) > side_by_side.MOST_PICTURES:
            said = _("At most %(most)s pictures are sent at once.")
            raise services.CallRefused(said % {"most": side_by_side.MOST_PICTURES})
        for target in targets:
            services.check_possible(endpoint, target.version)
        named, label_of = _named(request, files), _right_labels(request)
        comparison = side_by_side.start(
            one=targets[0].version,
            other=targets[1].version if len(targets) > 1 else None,
            endpoint=endpoint,
            actor=actor(request),
            test_set=False,
            with_samples=False,
            given=given.keep(named, label_of, actor(request)),
        )
    except (
        NotAPicture,
        AwsError,
        services.CallRefused,
        side_by_side.ComparisonRefused,
    ) as problem:
        return _problem(request, str(problem), chosen)
    if _is_htmx(request):
        answer = HttpResponse(status=204)
        answer.headers["HX-Redirect"] = comparison.get_absolute_url()
        return answer
    return redirect(comparison)


def _named(request: HttpRequest, files: list[Any]) -> list[tuple[BinaryIO, str]]:
    """Each file with its name, and the folder that it lies in, where the page's script told it."""
    folders = request.POST.getlist("folder")
    if len(folders) != len(files):
        folders = [""] * len(files)
    names = [
        str(PurePath(folder, file.name or "")) for folder, file in zip(folders, files, strict=True)
    ]
    return [(file, name) for file, name in zip(files, names, strict=True)]


def _right_labels(request: HttpRequest) -> Callable[[str], str]:
    """Which right label a file's name has, as the form says."""
    table = request.FILES.get("label_file")
    if table is not None:
        return given.by_name(given.labels_of_csv(table.read(), table.name or "CSV"))
    if request.POST.get("labels") == "names":
        return given.label_of_name
    if request.POST.get("labels") == "folders":
        if not any(request.POST.getlist("folder")):
            raise services.CallRefused(
                _("The pictures are in no folder. Choose a folder, or tell the labels otherwise.")
            )
        return given.label_of_folder
    return lambda _name: ""


def _several(request: HttpRequest, begun: beside.Begun, payload: Payload) -> HttpResponse:
    picture = None
    calls = []
    until = time.monotonic() + _PATIENCE_FOR_SEVERAL_S
    try:
        for started in begun.started:
            picture = started.keep(payload)
    finally:
        for started in begun.started:
            calls.append(started.answered(max(0.0, until - time.monotonic())))
    found = beside.of(calls)
    if _is_htmx(request):
        context = {"beside": found, "not_called": begun.refused, "picture": picture} | _field()
        return render(request, "invocations/_beside.html", context)
    for asked, said in begun.refused:
        messages.warning(request, f"{asked}: {said}")
    return redirect("invocations:side", found.key)


@require_safe
@may_invoke
def side(request: HttpRequest, calls: str) -> HttpResponse:
    """Several calls side by side, as far as they are; for htmx that part alone."""
    pks = [_number(one) or 0 for one in calls.split("-")]
    rows = Invocation.objects.listed().in_bulk(pks[: beside.MOST])
    found = beside.of([rows[pk] for pk in dict.fromkeys(pks) if pk in rows])
    if not found.answers:
        raise Http404(_("There are no such calls."))
    if _is_htmx(request):
        return render(request, "invocations/_beside.html", {"beside": found})
    kept = _kept_for(request, found.first.picture_sha256)
    chosen = _chosen_of(found)
    context = _page_context(chosen, kept if found.of_one_picture else None) | {"beside": found}
    return render(request, "invocations/page.html", context)


def _chosen_of(found: beside.SideBySide) -> Chosen:
    """The form as it was when these were called."""
    first, *others = [call.asked if "@" in call.asked else "" for call in found.calls]
    also = [
        alias or str(call.version_id) for alias, call in zip(others, found.calls[1:], strict=True)
    ]
    endpoint, version = found.first.endpoint_id, found.first.version_id
    return Chosen(endpoint, version, first, found.asked_variant, also)


@require_safe
@may_invoke
def result(request: HttpRequest, pk: int) -> HttpResponse:
    """One call: its answer, or how long it has been waited for; for htmx that part alone."""
    invocation = _invocation(pk)
    if _is_htmx(request):
        picture = _kept_for(request, invocation.picture_sha256)
        return _result_fragment(request, invocation, picture)
    alias = invocation.asked if "@" in invocation.asked else ""
    variant = invocation.asked_variant
    chosen = Chosen(invocation.endpoint_id, invocation.version_id, alias, variant)
    picture = _kept_for(request, invocation.picture_sha256)
    context = _page_context(chosen, picture) | _result_context(request, invocation)
    return render(request, "invocations/page.html", context)


@require_safe
@may_invoke
@cache_control(private=True, max_age=86_400, immutable=True)
def thumbnail(request: HttpRequest, pk: int) -> HttpResponse:
    """The small JPEG of what was sent."""
    return _thumbnail(pk)


def _thumbnail(pk: int) -> HttpResponse:
    data = pictures_kept.thumbnail_of(get_object_or_404(Invocation, pk=pk))
    if data:
        return HttpResponse(data, content_type="image/jpeg")
    # What a program sent need not be a picture, and none is kept for long.
    answer = HttpResponse(_NO_PICTURE, content_type="image/svg+xml")
    patch_cache_control(answer, max_age=60)
    return answer


@require_safe
@may_invoke
@cache_control(private=True, max_age=3600)
def picture(request: HttpRequest, pk: int) -> HttpResponse:
    """What was sent, as a larger JPEG while it is kept; then the small one."""
    invocation = get_object_or_404(Invocation.objects.only("picture_sha256"), pk=pk)
    data = pictures_kept.preview_of(invocation.picture_sha256)
    if data:
        return HttpResponse(data, content_type="image/jpeg")
    return _thumbnail(pk)


@require_safe
@may_invoke
@cache_control(private=True, max_age=86_400, immutable=True)
def kept(request: HttpRequest, sha256: str) -> HttpResponse:
    """The JPEG of a picture that can be sent again."""
    found = pictures_kept.find(sha256) if pictures_kept.may_see(sha256) else None
    data = pictures_kept.preview_of(sha256) if found is not None else b""
    if found is None or not (data or found.thumbnail):
        raise Http404(_("This picture is no longer kept."))
    return HttpResponse(data or bytes(found.thumbnail), content_type="image/jpeg")


@require_safe
@may_invoke
@cache_control(private=True, max_age=3600)
def sample(request: HttpRequest, name: str) -> HttpResponse:
    """One of the pictures that come with the portal."""
    found = samples.read(name)
    if found is None:
        raise Http404(_("There is no such sample."))
    data, content_type = found
    return HttpResponse(data, content_type=content_type)


@require_safe
@may_invoke
def calls(request: HttpRequest) -> HttpResponse:
    """All calls that were made on these pages, newest first."""
    table = call_list.table(request)
    hashes = {call.picture_sha256 for call in table.rows} - {""}
    kept = set(Picture.objects.filter(sha256__in=hashes).values_list("sha256", flat=True))
    me = actor(request).pk
    context = {
        "table": table,
        "kept": kept,
        "mine_href": f"{request.path}?by={me}",
        "only_mine": request.GET.get("by") == str(me),
        "export_query": table.href(page=""),
        "most_exported": MOST_EXPORTED,
    }
    return render(request, "invocations/calls.html", context)


@require_safe
@may_invoke
def calls_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The same calls as a CSV file."""
    lines = call_list.exported(request)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="calls.csv"'
    return answer


@require_safe
@may_invoke
def beside_chosen(request: HttpRequest) -> HttpResponse:
    """Lead to the calls that were ticked in the list, side by side."""
    pks = [pk for text in request.GET.getlist("pk") if (pk := _number(text)) is not None]
    if not pks:
        messages.warning(request, _("Tick the calls that are to be shown side by side."))
        return redirect("invocations:calls")
    if len(pks) > beside.MOST:
        said = _("At most %(most)s calls are shown side by side; these are the first.")
        messages.info(request, said % {"most": beside.MOST})
    return redirect("invocations:side", "-".join(str(pk) for pk in pks[: beside.MOST]))


@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def moved(
    request: HttpRequest, pk: int | None = None, calls: str = "", part: str = ""
) -> HttpResponse:
    """Lead from where calls were to where they are: /invoke/12/ to /calls/12/; forms too."""
    texts = [str(pk)] if pk is not None else calls.split("-") if calls else []
    named = [_number(one) or 0 for one in texts]
    if named and not Invocation.objects.filter(pk__in=named[: beside.MOST]).exists():
        raise Http404(_("There are no such calls."))
    before = reverse("invocations:page")
    rest = request.get_full_path().removeprefix(before).removeprefix("calls/")
    now = reverse("invocations:calls") + rest
    if part:
        resolve(now.partition("?")[0])  # 404 where a call has no such page
    return HttpResponsePermanentRedirect(now, preserve_request=True)


@require_POST
@may_invoke
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete the picture of a call now. The answer stays, and so does the page."""
    call = _invocation(pk)
    try:
        messages.success(request, forgetting.forget(call=call, actor=actor(request)).said)
    except forgetting.NotForgotten as refused:
        messages.error(request, str(refused))
    except AwsError as error:
        told = {"why": str(error)}
        said = _("The picture is not forgotten: %(why)s Nothing was changed. Try again.")
        messages.error(request, said % told)
    return redirect(call)


def targets_of(chosen: Chosen) -> tuple[Endpoint, list[beside.AskedVersion]]:
    """The endpoint, and the versions to call, the one of the first field first."""
    endpoint = Endpoint.objects.filter(pk=chosen.endpoint or 0).first()
    if endpoint is None:
        raise services.CallRefused(_("Choose an endpoint."))
    if not chosen.main:
        raise services.CallRefused(_("Choose a version."))
    named = list(dict.fromkeys([chosen.main, *chosen.also]))
    return endpoint, [_target(text) for text in named[: beside.MOST + 1]]


def _target(text: str) -> beside.AskedVersion:
    """What an id of a version or a reference means in this moment."""
    number = _number(text)
    if number is not None:
        version = Version.objects.select_related("model").filter(pk=number).first()
    else:
        version = _meant(text)
    if version is None and number is not None:
        raise services.CallRefused(_("Choose a version."))
    if version is None and _ALIAS.fullmatch(text):
        said = _("There is no %(alias)s any more. Choose another version.")
        raise services.CallRefused(said % {"alias": text})
    if version is None:
        said = _("There is no version %(name)s that can be called.")
        raise services.CallRefused(said % {"name": text})
    alias = text if _ALIAS.fullmatch(text) else ""
    return beside.AskedVersion(version, alias or f"{version.model.name}:{version.number}")


def _meant(text: str) -> Version | None:
    """The version that a reference means in this moment."""
    try:
        return references.parse(text).resolve()
    except references.Malformed:
        return None


def _payload(request: HttpRequest) -> Payload:
    """The sample that was clicked, the file that was chosen, or the one that was sent before."""
    name = request.POST.get("sample")
    if name:
        path = samples.path_of(name)
        if path is None:
            raise NotAPicture(_("That sample is no longer there. Choose another picture."))
        with path.open("rb") as file:
            return read(file, name)
    upload = request.FILES.get("picture")
    if upload is not None:
        return read(cast(Any, upload), upload.name or "")
    again = request.POST.get("again")
    if not again:
        raise NotAPicture(_("Choose a picture first, or click one of the samples."))
    seen = not has_nul(again) and pictures_kept.may_see(again)
    kept = pictures_kept.find(again) if seen else None
    if kept is None:
        raise NotAPicture(_("That picture is no longer kept. Choose it again."))
    name = pictures_kept.names_of(actor(request), [kept])[kept.sha256]
    return replace(pictures_kept.payload_of(kept), name=name)


def _kept_for(request: HttpRequest, sha256: str) -> Picture | None:
    """A picture that is kept and that its reader may see, with the name that they know it by."""
    user = actor(request)
    rows = pictures_kept.seen_by(user).filter(sha256=sha256).defer("data")
    found = rows.first() if sha256 and not has_nul(sha256) else None
    if found is not None:
        found.name = pictures_kept.names_of(user, [found])[sha256]
    return found


def _problem(
    request: HttpRequest, problem: str, chosen: Chosen | None = None, picture: Picture | None = None
) -> HttpResponse:
    if _is_htmx(request):
        # 200: htmx puts no error answers into the page.
        kept = _("Nothing was sent. Your choices are as they were.")
        return render(request, "invocations/_problem.html", {"problem": problem, "kept": kept})
    # A page that is loaded anew can be preset with all but the file, and with what was read alone.
    if chosen:
        kept = _("Nothing was sent. Version and endpoint are as you chose them.")
    else:
        kept = _("Nothing was sent. Choose again.")
    context = _page_context(chosen or Chosen(), picture) | {"problem": problem, "kept": kept}
    return render(request, "invocations/page.html", context, status=400)


def _result_fragment(
    request: HttpRequest, invocation: Invocation, picture: Picture | None
) -> HttpResponse:
    context = _result_context(request, invocation) | _field()
    context["picture"] = picture
    return render(request, "invocations/_answer.html", context)


def _result_context(request: HttpRequest, invocation: Invocation) -> dict[str, Any]:
    cold = network_ms = None
    if invocation.state == Invocation.State.DONE and invocation.cold is False:
        cold = Invocation.everybodys.cold_before(invocation)
    elif invocation.cold:
        network_ms = Invocation.everybodys.usual_network_ms(invocation)
    times = None
    if cold is not None and cold.latency_ms and invocation.latency_ms:
        times = cold.latency_ms / invocation.latency_ms
    return {
        "invocation": invocation,
        "cold_one": cold,
        "times": times,
        "spans": invocation.where_time_went(network_ms),
        "put_out": unloaded.versions_of(invocation),
        "test_sets": settings.TEST_SETS,
        "may_forget": bool(invocation.picture_sha256)
        and forgetting.may_forget(actor(request), invocation),
        "region": settings.AWS_REGION,
        "portal_url": portal_url(request),
    }


def portal_url(request: HttpRequest) -> str:
    """Where programs find the portal: as this reader does."""
    return request.build_absolute_uri("/").rstrip("/")


def _invocation(pk: int) -> Invocation:
    return get_object_or_404(Invocation.objects.listed(), pk=pk)


def tabs(*, raw: bool) -> list[Tab]:
    """The two ways to call a model by hand."""
    return [
        Tab(_("Pictures"), reverse("invocations:page"), not raw),
        Tab(_("Raw payload"), reverse("invocations:raw"), raw),
    ]


def chosen_context(chosen: Chosen) -> dict[str, Any]:
    """What the fields of version, endpoint and variant show; what is not chosen is preset."""
    endpoints = list(Endpoint.objects.serving())
    recent = list(Invocation.objects.traffic().recent()[:RECENT])
    called = [one.version_id for one in recent]
    wanted = called if chosen.version is None else [chosen.version, *called]
    found = offered.likely(wanted=wanted, alias=chosen.alias)
    versions = found.versions
    if chosen.alias not in {str(alias) for alias in found.aliases}:
        chosen.alias = ""  # it was deleted: the version that it was, or the first
    elif chosen.alias:
        chosen.version = None
    # With nothing chosen, what was called last is the best guess, and saves two clicks.
    if chosen.endpoint is None:
        chosen.endpoint = _first_of([one.endpoint_id for one in recent], endpoints)
    if chosen.version is None and not chosen.alias:
        chosen.version = _first_of(called, versions)
    return {
        "endpoints": endpoints,
        "with_variants": [one for one in endpoints if len(one.running.parts) > 1],
        "starting": Endpoint.objects.starting().first() if not endpoints else None,
        "found": found,
        "chosen": chosen,
        "recent": recent,
    }


def _page_context(chosen: Chosen, picture: Picture | None = None) -> dict[str, Any]:
    context = chosen_context(chosen)
    return context | {
        "tabs": tabs(raw=False),
        "beside_choices": _beside_choices(chosen, context["found"]),
        "most_beside": beside.MOST,
        "most_typed": beside.MOST * (references.MAX_LENGTH + 1),
        "most_pictures": side_by_side.MOST_PICTURES,
        "picture": picture,
        "samples": samples.grouped(),
        **_field(),
    }


def _of_model_of(chosen: Chosen) -> offered.Offered:
    """The newest versions and the aliases of the model of the chosen version."""
    if chosen.alias:
        return offered.of_model(Q(model__name=chosen.alias.rpartition("@")[0]))
    return offered.of_model(Q(model__versions=chosen.version or 0))


def _beside_choices(chosen: Chosen, found: offered.Offered) -> list[tuple[str, str, bool]]:
    """What can be called beside the chosen version: value, name, and whether it is ticked.

    Of what is offered that is of the same model, and what was ticked or typed before.
    """
    model = chosen.alias.rpartition("@")[0] or next(
        (one.model.name for one in found.versions if one.pk == chosen.version), ""
    )
    found = found.narrowed(model)
    rows = [(str(alias), f"{alias} · v{alias.version.number}") for alias in found.aliases]
    rows += [(str(version.pk), str(version)) for version in found.versions]
    ticked = set(chosen.also)
    missing = [text for text in chosen.also if text not in {value for value, _name in rows}]
    for text in missing[: beside.MOST]:
        try:
            target = _target(text)
        except services.CallRefused:
            continue
        rows.append((text, target.asked if "@" in target.asked else str(target.version)))
    return [(value, name, value in ticked) for value, name in rows if value != chosen.main]


def _first_of(ids: list[int], rows: Sequence[Endpoint | Version]) -> int | None:
    """The first of ``ids`` that is still to be had, or else the first row."""
    known = [row.pk for row in rows]
    return next((one for one in ids if one in known), known[0] if known else None)


def _is_htmx(request: HttpRequest) -> bool:
    return bool(cast(Any, request).htmx)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 18 else None
