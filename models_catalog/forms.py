"""The upload form."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from models_catalog import metadata
from models_catalog.archives import most_bytes, too_large, valid_file_name
from models_catalog.metadata import Metadata
from models_catalog.models import (
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    NAME_PATTERN,
    NAME_RULE,
    RegisteredModel,
    Version,
    name_taken,
    valid_name,
)


class DeleteVersionForm(forms.Form):
    """The name of a version, typed to confirm that what it is stored as is deleted."""

    typed_name = forms.CharField(
        label=_("Name of the version"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, version: Version, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._version = version

    def clean_typed_name(self) -> str:
        """The name; nothing else confirms anything."""
        typed = str(self.cleaned_data["typed_name"]).strip()
        if typed != str(self._version):
            raise forms.ValidationError(
                _("That is not its name. Nothing was deleted; type %(name)s.")
                % {"name": self._version}
            )
        return typed


class ArrivedForm(forms.Form):
    """What a browser knows of an upload whose answer it has not got."""

    model = forms.CharField(max_length=NAME_LENGTH)
    after = forms.IntegerField(min_value=0)
    size = forms.IntegerField(min_value=1)
    sha256 = forms.RegexField(r"[0-9a-f]{64}", required=False)
    file_name = forms.CharField()


class UploadForm(forms.Form):
    """An archive with a note; for a new model also its name and description."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        validators=[valid_name],
        widget=forms.TextInput(attrs={"pattern": NAME_PATTERN, "title": NAME_RULE}),
        label=_("Name"),
        help_text=_(
            "Small letters, digits, dots, hyphens, underscores. It becomes a part of the S3 key "
            "and of TargetModel, and cannot be changed."
        ),
    )
    description = forms.CharField(
        max_length=DESCRIPTION_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label=_("Description"),
        help_text=_("What the model is for, for those who find it in the list; in Markdown."),
    )
    note = forms.CharField(
        max_length=500,
        required=False,
        label=_("Version note"),
        help_text=_("What is new in this version."),
    )
    meta = forms.CharField(
        max_length=10_000,
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 2, "placeholder": "accuracy=0.93", "spellcheck": "false"}
        ),
        label=_("Metadata"),
        help_text=_("What is known of it, one a line: metrics, the training run, the data set."),
    )
    packing = forms.ChoiceField(
        choices=Version.PackingChoice,
        required=False,
        label=_("Packing"),
        help_text=_(
            "How the portal packs what is served. Stored is larger in S3 and quicker in each cold "
            "start; automatic stores where compression would save less than 15 %."
        ),
    )
    archive = forms.FileField(label=_("Archive"), allow_empty_file=False)

    def __init__(self, *args: Any, model: RegisteredModel | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model
        #: What is in the field `meta`, once the form is valid.
        self.metadata: Metadata = {}
        self.fields["packing"].initial = settings.PACKING
        if model is not None:
            del self.fields["name"]
            del self.fields["description"]

    def clean_name(self) -> str:
        """Refuse a name that is taken: a new version is uploaded on the model's own page."""
        name: str = self.cleaned_data["name"]
        if RegisteredModel.objects.filter(name=name).exists():
            raise forms.ValidationError(name_taken(name))
        return name

    def clean_archive(self) -> "UploadedFile[Any]":
        """Refuse at once what is not named like an archive, or is larger than allowed."""
        file: UploadedFile[Any] = self.cleaned_data["archive"]
        # Django cuts `name` to 255 letters, and may cut the ending off with it.
        name: str = getattr(file, "whole_name", None) or file.name or ""
        valid_file_name(name)
        if (file.size or 0) > most_bytes():
            raise forms.ValidationError(too_large())
        return file

    def clean_meta(self) -> str:
        """Read the metadata."""
        text: str = self.cleaned_data["meta"]
        self.metadata = metadata.read(text.splitlines())
        return text
