"""Pages of the catalog."""

import logging
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Max, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from activity.models import Event
from core.body_limits import accepts_body
from core.errors import AwsError, StorageFull, Throttled
from core.permissions import actor, require_permission
from models_catalog import attention, services
from models_catalog.forms import ArrivedForm, UploadForm, too_large
from models_catalog.models import RegisteredModel, Version, name_taken, valid_name

log = logging.getLogger(__name__)

MAX_QUERY = 100
MAX_FOUND = 50

may_view = require_permission("models_catalog.view_model", "look at the catalog")
may_upload = require_permission("models_catalog.add_version", "upload models")
may_download = require_permission("models_catalog.add_version", "download archives")


@require_safe
@may_view
def model_list(request: HttpRequest) -> HttpResponse:
    """All models, newest upload first; or what a search for a name or a checksum finds."""
    # No name holds a NUL, and PostgreSQL takes none.
    query = request.GET.get("q", "").replace("\0", "").strip()[:MAX_QUERY]
    models = RegisteredModel.objects.with_latest_version()
    context: dict[str, object] = {"models": models, "query": query}
    if query:
        context["models"] = models.filter(name__icontains=query)
        context["versions"] = (
            Version.objects.with_checksum(query).for_lists().select_related("model")[:MAX_FOUND]
        )
    return render(request, "models_catalog/list.html", context)


@require_safe
@may_view
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """One model and its versions."""
    model = _model(name)
    context = {"model": model, "events": Event.objects.about("model", model.pk)[:20]}
    return render(request, "models_catalog/model.html", context)


@require_safe
@may_view
def versions_live(request: HttpRequest, name: str) -> HttpResponse:
    """The model's table of versions, for the page to replace while a check goes on."""
    return render(request, "models_catalog/_versions.html", {"model": _model(name)})


@require_safe
@may_view
def version_page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """One version: its state, and what is inside."""
    version = _version(name, number)
    return render(request, "models_catalog/version.html", _version_context(version))


@require_safe
@may_view
def version_live(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """What of a version's page changes while its check goes on."""
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
        messages.error(request, f"{version} cannot be downloaded now. {error}")
        return redirect(version)
    if address is None:
        raise Http404("There is nothing to download of this version.")
    return HttpResponseRedirect(address)


@require_safe
@may_upload
def check_name(request: HttpRequest) -> HttpResponse:
    """Say, before anything travels, what is wrong with a name; nothing where it is free."""
    name = request.GET.get("name", "")
    problem = ""
    try:
        if name:
            valid_name(name)
    except ValidationError as error:
        problem = " ".join(error.messages)
    if not problem and RegisteredModel.objects.filter(name=name).exists():
        problem = name_taken(name)
    return render(request, "models_catalog/_name_problem.html", {"problem": problem, "name": name})


@require_safe
@may_upload
def arrived(request: HttpRequest) -> JsonResponse:
    """Say which version was made of an upload whose answer was lost on the way, if one was.

    ``{"version": null}``, or its name, address and state. 400 where the question is malformed.
    """
    form = ArrivedForm(request.GET)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    version = Version.objects.arrived(actor=actor(request), **form.cleaned_data).first()
    if version is None:
        return JsonResponse({"version": None})
    return JsonResponse(
        {
            "version": {
                "name": str(version),
                "url": version.get_absolute_url(),
                "state": version.get_state_display().lower(),
            }
        }
    )


# The body of an upload may be gigabytes, and the CSRF check reads it; so these two views look at
# the user's role and at the size first, and leave the CSRF check to `_upload`. The web server has
# asked for both before it read the body; under another server they are asked for here alone.
_takes_archives = accepts_body(
    megabytes=lambda: settings.MAX_ARCHIVE_MB + 1,  # 1 MB for the form's other fields
    too_large=too_large,
    at_once=4,
)


@_takes_archives
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@may_upload
def new_model(request: HttpRequest) -> HttpResponse:
    """Register a model by uploading its first version."""
    return _guarded_upload(request, None)


@_takes_archives
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@may_upload
def new_version(request: HttpRequest, name: str) -> HttpResponse:
    """Upload a further version of a model."""
    return _guarded_upload(request, _model(name))


def _guarded_upload(request: HttpRequest, model: RegisteredModel | None) -> HttpResponse:
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > (settings.MAX_ARCHIVE_MB << 20) + (1 << 20):  # 1 MB for the form's other fields
        form = UploadForm(model=model)
        return _form_page(request, form, problem=too_large(), status=413)
    return _upload(request, model)


@csrf_protect
def _upload(request: HttpRequest, model: RegisteredModel | None) -> HttpResponse:
    if request.method != "POST":
        return _form_page(request, UploadForm(model=model))
    form = UploadForm(request.POST, request.FILES, model=model)
    problem, status = "", 422
    if form.is_valid():
        data = form.cleaned_data
        try:
            version = services.upload_version(
                name=model.name if model else data["name"],
                description=data.get("description", ""),
                note=data["note"],
                file=data["archive"],
                file_name=data["archive"].name,
                new=model is None,
                packing_choice=data["packing"],
                actor=actor(request),
            )
        except ValidationError as error:
            form.add_error("name" if "name" in form.fields else None, error.messages)
        except StorageFull as error:
            status = 507
            problem = f"The store has no room left, and nothing was kept. Ask an admin. {error}"
        except Throttled as error:
            status = 503
            problem = (
                "The store did not take the archive: it does not answer, or its disk is full. "
                f"Nothing was kept; try again in a minute, then ask an admin. {error}"
            )
        except AwsError as error:
            status = 502
            problem = f"The archive could not be stored, and nothing was kept. {error}"
        else:
            return redirect(version)
    if problem:
        log.warning("An upload was not taken (%s): %s", status, problem)
    answer = _form_page(request, form, problem=problem, status=status)
    if status in {503, 507}:
        answer.headers["Retry-After"] = "60"
    return answer


def _form_page(
    request: HttpRequest, form: UploadForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    last = Version.objects.aggregate(last=Max("pk"))["last"] or 0
    context = {"form": form, "model": form.model, "problem": problem, "last_version": last}
    return render(request, "models_catalog/upload.html", context, status=status)


@require_POST
@may_upload
def dismiss(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Take a rejected version off Today."""
    attention.dismiss(version=_version(name, number), actor=actor(request))
    return redirect("/")


def _model(name: str) -> RegisteredModel:
    versions = Prefetch("versions", Version.objects.for_lists())
    return get_object_or_404(RegisteredModel.objects.prefetch_related(versions), name=name)


def _version(name: str, number: int) -> Version:
    found = Version.objects.select_related("model", "created_by")
    return get_object_or_404(found, model__name=name, number=number)


def _version_context(version: Version) -> dict[str, object]:
    layers = version.artifact.get("layers") or {}
    most = max(layers.values(), default=1)
    twin = Version.objects.twins(version).first()
    return {
        "version": version,
        "steps": _steps(version),
        "layers": [
            {"kind": kind, "count": count, "share": 100 * count / most}
            for kind, count in sorted(layers.items(), key=lambda item: (-item[1], item[0]))
        ],
        "twin": twin,
        "likeness": version.likeness(twin) if twin else "",
        "packing": _packing(version.report.get("packing")),
        "output": _output(version.artifact.get("output")),
        "left_out": sum(not file["packed"] for file in version.files),
        "events": Event.objects.about("version", version.pk)[:20],
    }


def _steps(version: Version) -> list[tuple[str, str]]:
    """What is done, is being done, and is to come, with the state of each; while it is checked."""
    now = version.step or "Waiting for a worker"
    reached = version.STEPS.index(now) if now in version.STEPS else None
    steps = [("Uploaded", "done")]
    if reached is None:
        steps.append((now, "now"))
    for number, text in enumerate(version.STEPS):
        place = number - (-1 if reached is None else reached)
        steps.append((text, "done" if place < 0 else "now" if place == 0 else ""))
    return [*steps, ("Ready", "")]


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
    "probabilities": "probabilities, taken as they are",
    "logits": "logits; the container applies a softmax",
    "multilabel": "a probability for each label by itself",
}
_CHOSEN = {
    "probes": "found out by trying it with several inputs",
    "preprocess.json": "said by NAME-preprocess.json",
}


def _output(output: dict[str, Any] | None) -> dict[str, Any] | None:
    if not output:
        return None
    kind, chosen = output["kind"], output["chosen"]
    return output | {"says": _KINDS.get(kind, kind), "by": _CHOSEN.get(chosen, chosen)}
