"""The forms of uploads, of what is said of models and versions, and of a deletion."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.natural import natural_key
from core.ui import EXACT_TEXT
from models_catalog import copying, metadata, storage, stores
from models_catalog import tags as tags_of
from models_catalog.archives import most_bytes, too_large, valid_file_name
from models_catalog.metadata import Metadata
from models_catalog.models import (
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    NAME_PATTERN,
    NAME_RULE,
    RegisteredModel,
    Store,
    Version,
    name_taken,
    valid_name,
)
from models_catalog.services import is_taken

_TYPED = {"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}


class MetadataField(forms.CharField):
    """Metadata, one a line as ``accuracy=0.93``; its cleaned value is Metadata."""

    def __init__(self, *, rows: int) -> None:
        attributes = {"rows": rows, "placeholder": "accuracy=0.93", "spellcheck": "false"}
        super().__init__(
            max_length=10_000,
            required=False,
            widget=forms.Textarea(attrs=attributes),
            label=_("Metadata"),
            help_text=_(
                "What is known of it, one a line: metrics, the training run, the data set."
            ),
        )

    def clean(self, value: Any) -> Metadata:
        """Read it. Raises ValidationError, which says the line."""
        return metadata.read(super().clean(value).splitlines())


class ModelForm(forms.Form):
    """What is said of a model."""

    tags = forms.CharField(
        required=False,
        max_length=(tags_of.MOST_CHARACTERS + 2) * tags_of.MOST * 2,
        label=_("Tags"),
        help_text=_("With commas between them. Models are found by them in the list."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
    )
    description = forms.CharField(
        required=False,
        label=_("Description"),
        help_text=_(
            "In Markdown. HTML is shown as it is written, and a picture becomes a link to it."
        ),
        widget=forms.Textarea(attrs={"rows": 12}),
    )
    owner = forms.ChoiceField(
        required=False,
        label=_("Owner"),
        help_text=_("Who answers for the model. Without one it is who made it."),
        widget=forms.Select(attrs={"data-combobox": ""}),
    )

    def __init__(self, *args: Any, model: RegisteredModel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        made_by = model.created_by.get_username() if model.created_by else ""
        people = User.objects.filter(is_active=True).order_by("username")
        names = {*people.values_list("username", flat=True), model.owned_by} - {""}
        nobody = [] if made_by else [("", gettext("Nobody"))]
        self._choices = [*nobody, *((name, name) for name in sorted(names, key=natural_key))]
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
        label=_("Version note"),
        help_text=_("What is new in this version."),
    )
    meta = MetadataField(rows=8)

    @classmethod
    def of(cls, version: Version) -> "VersionForm":
        """The form with what holds now."""
        now = {"note": version.note, "meta": metadata.lines(version.metadata or {})}
        return cls(initial=now)


class DeleteVersionForm(forms.Form):
    """The name of a version, typed to confirm that what it is stored as is deleted."""

    typed_name = forms.CharField(
        label=_("Name of the version"),
        widget=forms.TextInput(attrs=EXACT_TEXT),
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


class CopyForm(forms.Form):
    """Where copies of a version go, and how many; copying.py says what is wrong with it."""

    to = forms.CharField(
        max_length=copying.PATTERN_LENGTH,
        label=_("Copy to"),
        help_text=_(
            "The key below the store’s prefix, without .tar.gz. {n} is 1, 2, 3 …; the last part "
            "is the name of the model: demo/squeezenet_{n}"
        ),
        widget=forms.TextInput(
            attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    times = forms.IntegerField(min_value=1, max_value=copying.MOST_COPIES, label=_("How many"))


class QuotaForm(forms.Form):
    """Whose quota, and how much; storage.py says what is wrong with it."""

    person = forms.CharField(max_length=150, label=_("Person"), help_text=_("The user name."))
    gigabytes = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=storage.MOST_GB,
        label=_("Gigabytes"),
        help_text=_("0: there is no limit. Empty: the usual quota again."),
    )


class StoreForm(forms.Form):
    """Where a store is; stores.py says what is wrong with it, and tries what may be done there."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        label=_("Name"),
        help_text=_("By which people choose it. It cannot be changed."),
        widget=forms.TextInput(attrs=_TYPED),
    )
    bucket = forms.CharField(
        max_length=63,
        label=_("Bucket"),
        help_text=_("It must be there already."),
        widget=forms.TextInput(attrs=_TYPED),
    )
    prefix = forms.CharField(  # type: ignore[assignment]  # Django takes fields off the class
        max_length=400,
        label=_("Prefix"),
        help_text=_("An endpoint on the store serves all that lies below it."),
        widget=forms.TextInput(attrs=_TYPED),
    )
    region = forms.CharField(
        max_length=32,
        label=_("Region"),
        help_text=_("Of the bucket. Endpoints can be only on stores of the portal’s own region."),
        widget=forms.TextInput(attrs=_TYPED),
    )
    encryption = forms.ChoiceField(
        choices=Store.Encryption,
        required=False,
        label=_("Encryption"),
        help_text=_("What the portal asks of S3 when it writes there."),
    )
    kms_key_id = forms.CharField(
        max_length=2048,
        required=False,
        label=_("KMS key"),
        help_text=_("With SSE-KMS, the key’s whole ARN. Empty: AWS’s own key for S3."),
        widget=forms.TextInput(attrs=_TYPED),
    )


def offer_stores(form: forms.Form, offered: list[Store]) -> None:
    """Let a form's field ``store`` choose one of these; where that is the default one, it goes."""
    if len(offered) < 2 and all(one.is_default for one in offered):
        del form.fields["store"]
        return
    choice = form.fields["store"]
    assert isinstance(choice, forms.ChoiceField)
    choice.choices = [(one.name, f"{one.name} – {one.url}") for one in offered]


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
    meta = MetadataField(rows=2)
    packing = forms.ChoiceField(
        choices=Version.PackingChoice,
        required=False,
        label=_("Packing"),
        help_text=_(
            "How the portal packs what is served. Stored is larger in S3 and quicker in each cold "
            "start; automatic stores where compression would save less than 15\N{NO-BREAK SPACE}%."
        ),
    )
    store = forms.ChoiceField(
        required=False,
        label=_("Store"),
        help_text=_("Where the model’s versions go. A model cannot be moved later."),
    )
    archive = forms.FileField(label=_("Archive"), allow_empty_file=False)

    def __init__(self, *args: Any, model: RegisteredModel | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model
        #: What is in the field `meta`, once the form is valid.
        self.fields["packing"].initial = settings.PACKING
        offer_stores(self, [] if model is not None else stores.offered())
        if model is not None:
            del self.fields["name"]
            del self.fields["description"]

    def clean_name(self) -> str:
        """Refuse a name that is taken: a new version is uploaded on the model's own page."""
        name: str = self.cleaned_data["name"]
        if is_taken(name):
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


class BeginForm(forms.Form):
    """What the page's script says of a file before it sends it; uploads.create judges most of it.

    ``new``: whether a new model is meant; null: either way. ``uid``: the upload's id, at random.
    """

    uid = forms.RegexField(r"^[A-Za-z0-9_-]{43}\Z")
    name = forms.CharField(max_length=NAME_LENGTH)
    new = forms.NullBooleanField(required=False)
    file_name = forms.CharField(max_length=10_000, strip=False)
    length = forms.IntegerField(min_value=0)
    description = UploadForm.base_fields["description"]
    note = UploadForm.base_fields["note"]
    meta = forms.CharField(max_length=10_000, required=False)
    packing_choice = UploadForm.base_fields["packing"]
    store = forms.CharField(max_length=NAME_LENGTH, required=False)

    def clean_meta(self) -> list[str]:
        """The lines; uploads.create reads them."""
        return str(self.cleaned_data["meta"]).splitlines()
