"""The pages that upload archives, and what their script asks.

The script (static/js/upload.js) begins an upload here, sends the bytes by the tus operations of the
API (upload_api.py), and asks the API what becomes of the version. Without a script the form is sent
at once, with the archive in it.
"""

import json
import logging

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from core.api.problems import CODES
from core.body_limits import accepts_body
from core.errors import AwsError
from core.permissions import actor, require_permission
from models_catalog import services, storage, trying, uploads
from models_catalog.archives import most_bytes, too_large
from models_catalog.forms import BeginForm, UploadForm
from models_catalog.models import RegisteredModel

log = logging.getLogger(__name__)

may_upload = require_permission("models_catalog.add_version", "upload models")


@require_POST
@may_upload
def plan(request: HttpRequest) -> JsonResponse:
    """Say of each ``name`` what an upload would become, before a byte travels."""
    names = request.POST.getlist("name")[: uploads.MOST_UNFINISHED]
    try:
        found = services.planned(names=names, store=request.POST.get("store", ""))
    except ValidationError as error:
        return JsonResponse({"errors": error.message_dict}, status=422)
    return JsonResponse({"plans": [one.document for one in found]})


@require_POST
@may_upload
def begin(request: HttpRequest) -> JsonResponse:
    """Begin an upload, whose bytes then go to the API; or say by field why it is refused.

    By a form, and not by the API: a header of that holds no long description.
    """
    form = BeginForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    told = form.cleaned_data
    try:
        upload = uploads.create(owner=actor(request), **told)
    except ValidationError as error:
        return JsonResponse({"errors": error.message_dict}, status=422)
    except services.NotStored as error:
        return JsonResponse({"errors": {"archive": [str(error)]}}, status=422)
    return JsonResponse({"id": upload.uid}, status=201)


@require_POST
@may_upload
def same(request: HttpRequest, uid: str) -> JsonResponse:
    """Whether the file of which the body has some bytes is the one that an upload began with."""
    text = request.GET.get("offset", "")
    try:
        upload = uploads.find(owner=actor(request), uid=uid)
    except uploads.UploadExpired:
        upload = None
    if upload is None:
        return JsonResponse({"problem": _("You have no such upload. Begin a new one.")}, status=404)
    if request.content_type == "multipart/form-data":  # its body was read as a form
        return JsonResponse({"problem": _("Send some bytes of the file.")}, status=415)
    try:
        offset = int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else -1
        found = uploads.is_same(upload=upload, offset=offset, known_by=request.body)
    except uploads.WrongOffset:
        return JsonResponse({"offset": upload.offset}, status=409)
    except AwsError as error:
        return JsonResponse({"problem": str(error)}, status=503)
    return JsonResponse({"same": found})


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
    return _guarded_upload(request, get_object_or_404(RegisteredModel, name=name))


def _guarded_upload(request: HttpRequest, model: RegisteredModel | None) -> HttpResponse:
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > most_bytes() + (1 << 20):  # 1 MB for the form's other fields
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
                metadata=data["meta"],
                file=data["archive"],
                file_name=data["archive"].name,
                new=model is None,
                packing_choice=data["packing"],
                store=data.get("store", ""),
                size=data["archive"].size,
                actor=actor(request),
            )
        except ValidationError as error:
            told = getattr(error, "error_dict", {})
            field = next((one for one in ("store", "name") if one in form.fields), None)
            form.add_error("name" if field and "store" not in told else field, error.messages)
        except services.NotStored as error:
            status, problem = CODES[error.code].status, str(error)
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
    unfinished = uploads.listed(owner=actor(request)).order_by("-pk")[: uploads.MOST_UNFINISHED]
    context = {
        "form": form,
        "model": form.model,
        "problem": problem,
        "known_by_bytes": uploads.KNOWN_BY_BYTES,
        "unfinished": json.dumps(
            [uploads.document(one) for one in reversed(unfinished)], cls=DjangoJSONEncoder
        ),
        "try": trying.available(),
        "usage": storage.of_user(actor(request)),
    }
    return render(request, "models_catalog/upload.html", context, status=status)
