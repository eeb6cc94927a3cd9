"""Pages to call a model: choose, send a picture, see the answer."""

import mimetypes
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from core.body_limits import accepts_body
from core.permissions import actor, require_permission
from endpoints.models import Endpoint
from invocations import samples, services
from invocations.decoding import LISTED
from invocations.models import Invocation, Picture
from invocations.pictures import ACCEPT, MAX_FILE_BYTES, NotAPicture, prepare, too_large
from models_catalog.models import Version

# Ids by name; the form's own choices.
Chosen = dict[str, int | None]

# A warm model answers well within this, so that its answer comes with the first response.
PATIENCE_S = 1.5
# What the picture's field says of itself.
_FIELD = {"accept": ACCEPT, "formats": LISTED, "max_file_bytes": MAX_FILE_BYTES}
_may_invoke = require_permission("endpoints.invoke_endpoint", "invoke models")


@require_safe
@_may_invoke
def page(request: HttpRequest) -> HttpResponse:
    """The form, preset by ``?endpoint=`` and ``?version=`` (ids)."""
    chosen = {name: _number(request.GET.get(name)) for name in ("endpoint", "version")}
    return render(request, "invocations/page.html", _page_context(chosen))


# The CSRF check reads the whole body; so the user's role and the size are looked at before it.
@accepts_body(
    megabytes=lambda: (MAX_FILE_BYTES >> 20) + 1,
    too_large=lambda: too_large("The picture"),
    at_once=16,
)
@csrf_exempt
@require_POST
@_may_invoke
def run(request: HttpRequest) -> HttpResponse:
    """Send the picture. What goes wrong is told beside the form, which keeps its choices."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_FILE_BYTES + 1_000_000:
        return _problem(request, too_large("The picture"))
    return _run(request)


@csrf_protect
def _run(request: HttpRequest) -> HttpResponse:
    chosen = {name: _number(request.POST.get(name)) for name in ("endpoint", "version")}
    picture = None
    try:
        endpoint, version = _targets(chosen)
        picture = _picture(request)
        invocation, future = services.start(
            endpoint=endpoint, version=version, picture=picture, actor=actor(request)
        )
    except (NotAPicture, services.CallRefused) as problem:
        if picture is None:
            picture = Picture.objects.filter(sha256=request.POST.get("again", "")).first()
        return _problem(request, str(problem), chosen, picture)
    _wait(future)
    if _is_htmx(request):
        return _result_fragment(request, invocation.pk)
    return redirect("invocations:result", invocation.pk)


@require_safe
@_may_invoke
def result(request: HttpRequest, pk: int) -> HttpResponse:
    """One call: its answer, or how long it has been waited for; for htmx that part alone."""
    if _is_htmx(request):
        return _result_fragment(request, pk)
    invocation = _invocation(pk)
    chosen: Chosen = {"endpoint": invocation.endpoint_id, "version": invocation.version_id}
    picture = Picture.objects.filter(sha256=invocation.picture_sha256).first()
    context = _page_context(chosen, picture) | _result_context(invocation)
    return render(request, "invocations/page.html", context)


@require_safe
@_may_invoke
@cache_control(private=True, max_age=86_400, immutable=True)
def thumbnail(request: HttpRequest, pk: int) -> HttpResponse:
    """The small JPEG of what was sent."""
    data = bytes(get_object_or_404(Invocation, pk=pk).thumbnail)
    if not data:
        raise Http404("This call has no picture.")
    return HttpResponse(data, content_type="image/jpeg")


@require_safe
@_may_invoke
@cache_control(private=True, max_age=86_400, immutable=True)
def kept(request: HttpRequest, sha256: str) -> HttpResponse:
    """The small JPEG of a picture that can be sent again."""
    data = bytes(get_object_or_404(Picture, sha256=sha256).thumbnail)
    return HttpResponse(data, content_type="image/jpeg")


@require_safe
@_may_invoke
@cache_control(private=True, max_age=3600)
def sample(request: HttpRequest, name: str) -> HttpResponse:
    """One of the pictures that come with the portal."""
    path = samples.path_of(name)
    if path is None:
        raise Http404("There is no such sample.")
    kind, _ = mimetypes.guess_type(path.name)
    return HttpResponse(path.read_bytes(), content_type=kind or "application/octet-stream")


def _targets(chosen: Chosen) -> tuple[Endpoint, Version]:
    endpoint = Endpoint.objects.filter(pk=chosen["endpoint"] or 0).first()
    version = Version.objects.select_related("model").filter(pk=chosen["version"] or 0).first()
    if endpoint is None:
        raise services.CallRefused("Choose an endpoint.")
    if version is None:
        raise services.CallRefused("Choose a version.")
    return endpoint, version


def _picture(request: HttpRequest) -> Picture:
    """The sample that was clicked, the file that was chosen, or the one that was sent before."""
    name = request.POST.get("sample")
    if name:
        path = samples.path_of(name)
        if path is None:
            raise NotAPicture("That sample is no longer there. Choose another picture.")
        with path.open("rb") as file:
            return services.keep(prepare(file, name))
    upload = request.FILES.get("picture")
    if upload is not None:
        return services.keep(prepare(cast(Any, upload), upload.name or ""))
    again = request.POST.get("again")
    if not again:
        raise NotAPicture("Choose a picture first, or click one of the samples.")
    kept = Picture.objects.filter(sha256=again).first()
    if kept is None:
        raise NotAPicture("That picture is kept for a day only, and is gone. Choose it again.")
    return kept


def _wait(future: "Future[None]") -> None:
    try:
        future.exception(timeout=PATIENCE_S)  # what went wrong is on the row
    except StillRunning:
        return


def _problem(
    request: HttpRequest, problem: str, chosen: Chosen | None = None, picture: Picture | None = None
) -> HttpResponse:
    if _is_htmx(request):
        # 200: htmx puts no error answers into the page.
        kept = "your choices are as they were."
        return render(request, "invocations/_problem.html", {"problem": problem, "kept": kept})
    # A page that is loaded anew can be preset with all but the file, and with what was read alone.
    kept = "version and endpoint are as you chose them." if chosen else "choose again."
    chosen = chosen or {"endpoint": None, "version": None}
    context = _page_context(chosen, picture) | {"problem": problem, "kept": kept}
    return render(request, "invocations/page.html", context, status=400)


def _result_fragment(request: HttpRequest, pk: int) -> HttpResponse:
    invocation = _invocation(pk)
    context = _result_context(invocation) | _FIELD
    if invocation.settled:
        context["recent"] = Invocation.objects.recent()[:12]
    context["picture"] = Picture.objects.filter(sha256=invocation.picture_sha256).first()
    return render(request, "invocations/_answer.html", context)


def _result_context(invocation: Invocation) -> dict[str, Any]:
    cold = None
    if invocation.state == Invocation.State.DONE and invocation.cold is False:
        cold = Invocation.objects.cold_before(invocation)
    times = None
    if cold is not None and cold.latency_ms and invocation.latency_ms:
        times = cold.latency_ms / invocation.latency_ms
    return {"invocation": invocation, "cold_one": cold, "times": times}


def _invocation(pk: int) -> Invocation:
    rows = Invocation.objects.select_related("endpoint", "version__model", "created_by")
    return get_object_or_404(rows.defer("thumbnail"), pk=pk)


def _page_context(chosen: Chosen, picture: Picture | None = None) -> dict[str, Any]:
    endpoints = list(Endpoint.objects.serving())
    versions = list(Version.objects.ready())
    # With nothing chosen, the first of each is as good as any, and saves two clicks.
    if chosen["endpoint"] is None and endpoints:
        chosen["endpoint"] = endpoints[0].pk
    if chosen["version"] is None and versions:
        chosen["version"] = versions[0].pk
    return {
        "endpoints": endpoints,
        "starting": Endpoint.objects.starting().first() if not endpoints else None,
        "versions": versions,
        "chosen": chosen,
        "picture": picture,
        "samples": samples.grouped(),
        "recent": Invocation.objects.recent()[:12],
        **_FIELD,
    }


def _is_htmx(request: HttpRequest) -> bool:
    return bool(cast(Any, request).htmx)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 18 else None
