"""The pages that change what is said of a model or of a version."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from core import markdown
from core.permissions import actor, require_permission
from models_catalog import describing
from models_catalog.describing import DESCRIBING, MAY_DESCRIBE, ChangedMeanwhile
from models_catalog.forms import ModelForm, VersionForm
from models_catalog.models import DESCRIPTION_LENGTH, RegisteredModel, Version

may_describe = require_permission(MAY_DESCRIBE, DESCRIBING)


@require_http_methods(["GET", "HEAD", "POST"])
@may_describe
def describe_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Change note and metadata of a version."""
    rows = Version.objects.defer("report").select_related("model")
    version = get_object_or_404(rows, model__name=name, number=number)
    seen = request.POST.get("seen", "")
    form, status = VersionForm.of(version), 200
    if request.method == "POST":
        form = VersionForm(request.POST)
        status = _saved(form, lambda: _change_version(request, version, form.cleaned_data, seen))
        if status == 200:
            messages.success(request, _("Saved."))
            return redirect(version)
    if status == 409:
        version.refresh_from_db(fields=["note", "metadata"])
        seen = ""
    context = {
        "version": version,
        "form": form,
        "seen": seen or describing.stamp_of_version(version),
        "problem": _meanwhile() if status == 409 else "",
        "now": VersionForm.of(version).initial if status == 409 else None,
    }
    return render(request, "models_catalog/describe_version.html", context, status=status)


def _change_version(
    request: HttpRequest, version: Version, data: dict[str, Any], seen: str
) -> None:
    given = data["meta"]
    # What is no more in the form goes.
    gone = dict.fromkeys((version.metadata or {}).keys() - given.keys())

    def check(locked: Version) -> None:
        if seen and describing.stamp_of_version(locked) != seen:
            raise ChangedMeanwhile

    describing.describe_version(
        name=version.model.name,
        number=version.number,
        note=data["note"],
        metadata={**given, **gone},
        actor=actor(request),
        check=check,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@may_describe
def describe(request: HttpRequest, name: str) -> HttpResponse:
    """Change description, tags and owner of a model; or show how a description will look."""
    rows = RegisteredModel.objects.select_related("owner", "created_by")
    model = get_object_or_404(rows, name=name)
    seen = request.POST.get("seen", "")
    form, status, preview = ModelForm.of(model), 200, None
    if "preview" in request.POST:
        form = ModelForm(request.POST, model=model)
        preview = markdown.html(request.POST.get("description", "")[:DESCRIPTION_LENGTH])
    elif request.method == "POST":
        form = ModelForm(request.POST, model=model)
        status = _saved(form, lambda: _change(request, model, form.cleaned_data, seen))
        if status == 200:
            messages.success(request, _("Saved."))
            return redirect(model)
    if status == 409:
        model = get_object_or_404(rows, name=name)
        seen = ""
    context = {
        "model": model,
        "form": form,
        "seen": seen or describing.stamp(model),
        "problem": _meanwhile() if status == 409 else "",
        "preview": preview,
        "now": ModelForm.of(model).initial if status == 409 else None,
    }
    return render(request, "models_catalog/describe.html", context, status=status)


def _saved(form: forms.Form, save: Callable[[], object]) -> int:
    """Save what a form says; the status of the answer, 200 where it was saved."""
    if not form.is_valid():
        return 422
    try:
        save()
    except ValidationError as error:
        form.add_error(None, error)
        return 422
    except ChangedMeanwhile:
        return 409
    except (RegisteredModel.DoesNotExist, Version.DoesNotExist):
        raise Http404(_("It was deleted meanwhile. Nothing was saved.")) from None
    return 200


def _meanwhile() -> str:
    return _(
        "Somebody else changed it while this page was open. Nothing was saved. Look at what holds "
        "now, and save again."
    )


def _change(request: HttpRequest, model: RegisteredModel, data: dict[str, Any], seen: str) -> None:
    def check(locked: RegisteredModel) -> None:
        if seen and describing.stamp(locked) != seen:
            raise ChangedMeanwhile

    describing.describe_model(
        name=model.name,
        tags=data["tags"].split(","),
        owner=data["owner"],
        description=data["description"],
        actor=actor(request),
        check=check,
    )
