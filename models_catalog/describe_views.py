"""The page that changes what is said of a model."""

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

from core.permissions import actor, require_permission
from models_catalog import describing
from models_catalog import tags as tags_of
from models_catalog.describing import DESCRIBING, MAY_DESCRIBE, ChangedMeanwhile
from models_catalog.models import RegisteredModel

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
        now = {"tags": ", ".join(model.tags), "owner": model.owned_by}
        return cls(model=model, initial=now)


@require_http_methods(["GET", "HEAD", "POST"])
@may_describe
def describe(request: HttpRequest, name: str) -> HttpResponse:
    """Change tags and owner of a model."""
    rows = RegisteredModel.objects.select_related("owner", "created_by")
    model = get_object_or_404(rows, name=name)
    seen = request.POST.get("seen", "")
    problem, status = "", 200
    form = ModelForm.of(model)
    if request.method == "POST":
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
        actor=actor(request),
        check=check,
    )
