"""The pages that change what is said of a model or of a version."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from core import markdown
from core.permissions import actor, require_permission
from models_catalog import describing, metadata
from models_catalog import tags as tags_of
from models_catalog.describing import DESCRIBING, MAY_DESCRIBE, ChangedMeanwhile
from models_catalog.models import DESCRIPTION_LENGTH, RegisteredModel, Version

may_describe = require_permission(MAY_DESCRIBE, DESCRIBING)


class ModelForm(forms.Form):
    """What is said of a model."""

    tags = forms.CharField(
        required=False,
        max_length=(tags_of.MOST_CHARACTERS + 2) * tags_of.MOST * 2,
        label=gettext_lazy("Tags"),
        help_text=gettext_lazy("With commas between them. Models are found by them in the list."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
    )
    description = forms.CharField(
        required=False,
        label=gettext_lazy("Description"),
        help_text=gettext_lazy(
            "In Markdown. HTML is shown as it is written, and a picture becomes a link to it."
        ),
        widget=forms.Textarea(attrs={"rows": 12}),
    )
    owner = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Owner"),
        help_text=gettext_lazy("Who answers for the model. Without one it is who made it."),
        widget=forms.Select(attrs={"data-combobox": ""}),
    )

    def __init__(self, *args: Any, model: RegisteredModel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        made_by = model.created_by.get_username() if model.created_by else ""
        people = User.objects.filter(is_active=True).order_by("username")
        names = {*people.values_list("username", flat=True), model.owned_by} - {""}
        nobody = [] if made_by else [("", _("Nobody"))]
        self._choices = [*nobody, *((name, name) for name in sorted(names))]
        self.fields["owner"].choices = self._choices  # type: ignore[attr-defined]

    @classmethod
    def of(cls, model: RegisteredModel) -> "ModelForm":
        """The form with what holds now."""
        now = {
            "tags": ", ".join(model.tags),
            "owner": model.owned_by,
            "description": model.description,
        }
        return cls(model=model, initial=now)


class VersionForm(forms.Form):
    """What is said of a version."""

    note = forms.CharField(
        max_length=500,
        required=False,
        label=gettext_lazy("Version note"),
        help_text=gettext_lazy("What is new in this version."),
    )
    meta = forms.CharField(
        max_length=10_000,
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 8, "placeholder": "accuracy=0.93", "spellcheck": "false"}
        ),
        label=gettext_lazy("Metadata"),
        help_text=gettext_lazy(
            "What is known of it, one a line: metrics, the training run, the data set."
        ),
    )

    @classmethod
    def of(cls, version: Version) -> "VersionForm":
        """The form with what holds now."""
        now = {"note": version.note, "meta": metadata.lines(version.metadata or {})}
        return cls(initial=now)

    def clean_meta(self) -> str:
        """Read the metadata."""
        text: str = self.cleaned_data["meta"]
        metadata.read(text.splitlines())
        return text


@require_http_methods(["GET", "HEAD", "POST"])
@may_describe
def describe_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Change note and metadata of a version."""
    rows = Version.objects.defer("report").select_related("model")
    version = get_object_or_404(rows, model__name=name, number=number)
    seen = request.POST.get("seen", "")
    problem, status = "", 200
    form = VersionForm.of(version)
    if request.method == "POST":
        form, status = VersionForm(request.POST), 422
        if form.is_valid():
            try:
                _change_version(request, version, form.cleaned_data, seen)
            except ValidationError as error:
                form.add_error(None, error)
            except ChangedMeanwhile:
                status, problem = 409, _meanwhile()
                version = get_object_or_404(rows, model__name=name, number=number)
                seen = describing.stamp_of_version(version)
            else:
                messages.success(request, _("Saved."))
                return redirect(version)
    context = {
        "version": version,
        "form": form,
        "seen": seen or describing.stamp_of_version(version),
        "problem": problem,
        "now": VersionForm.of(version).initial if problem else None,
    }
    return render(request, "models_catalog/describe_version.html", context, status=status)


def _change_version(
    request: HttpRequest, version: Version, data: dict[str, Any], seen: str
) -> None:
    given = metadata.read(data["meta"].splitlines())
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
    problem, status = "", 200
    form = ModelForm.of(model)
    preview = None
    if "preview" in request.POST:
        form = ModelForm(request.POST, model=model)
        preview = markdown.html(request.POST.get("description", "")[:DESCRIPTION_LENGTH])
    elif request.method == "POST":
        form, status = ModelForm(request.POST, model=model), 422
        if form.is_valid():
            try:
                _change(request, model, form.cleaned_data, seen)
            except ValidationError as error:
                form.add_error(None, error)
            except ChangedMeanwhile:
                status, problem = 409, _meanwhile()
                model = get_object_or_404(rows, name=name)
                seen = describing.stamp(model)
            else:
                messages.success(request, _("Saved."))
                return redirect(model)
    context = {
        "model": model,
        "form": form,
        "seen": seen or describing.stamp(model),
        "problem": problem,
        "preview": preview,
        "now": ModelForm.of(model).initial if problem else None,
    }
    return render(request, "models_catalog/describe.html", context, status=status)


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
