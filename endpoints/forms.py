"""Forms of the endpoint pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from endpoints import prices
from endpoints.limits import COOLDOWN_S, Limits
from endpoints.models import Endpoint, Orphan, valid_endpoint_name, valid_instance_count
from endpoints.scaling import HIGHEST_TARGET, LONGEST_COOLDOWN_S


def _end_date() -> forms.DateTimeField:
    return forms.DateTimeField(
        label=_("End date"),
        required=False,
        help_text=_(
            "The endpoint is torn down then. You are told a day and an hour before. Empty: it has "
            "no end date."
        ),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _cooldown(label: StrOrPromise, help_text: StrOrPromise) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=0,
        max_value=LONGEST_COOLDOWN_S,
        initial=COOLDOWN_S,
        label=label,
        help_text=help_text,
    )


class EndDateForm(forms.Form):
    """When an endpoint ends."""

    expires_at = _end_date()


class NewEndpointForm(forms.Form):
    """What a user says about a new endpoint; the rest is preset."""

    name = forms.CharField(
        label=_("Name"),
        max_length=53,
        validators=[valid_endpoint_name],
        help_text=_("Letters, digits and hyphens. Programs call the endpoint by this name."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "demo"}
        ),
    )
    instance_type = forms.ChoiceField(
        label=_("Instance type"),
        help_text=_("The kind of machine. More memory keeps more models warm at the same time."),
        widget=forms.Select(attrs={"data-combobox": True}),
    )
    instance_count = forms.IntegerField(
        min_value=1,
        validators=[valid_instance_count],
        initial=1,
        label=_("Number of instances"),
        help_text=_(
            "How many of these machines share the calls. With two or more, calls go on when one "
            "fails. Each loads models into its own memory."
        ),
    )

    expires_at = _end_date()

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choice = self.fields["instance_type"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(kind, _priced(kind)) for kind in settings.INSTANCE_TYPES]
        # For the browser alone: the validator of the field refuses more.
        self.fields["instance_count"].widget.attrs["max"] = settings.MAX_INSTANCES


class ChangeForm(NewEndpointForm):
    """What is to be different of a living endpoint."""

    field_order = ("instance_type", "instance_count", "image", "reason")
    # Django's way to leave fields of the parent out.
    name = None  # type: ignore[assignment]
    expires_at = None  # type: ignore[assignment]
    image = forms.CharField(
        label=_("Container image"),
        max_length=255,
        required=False,
        help_text=_("Another image is another SageMaker model. It runs with the execution role."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,
        help_text=_("The history keeps it. You can leave it empty."),
    )

    def __init__(self, *args: object, may_change_image: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["image"].disabled = not may_change_image
        choice = self.fields["instance_type"]
        assert isinstance(choice, forms.ChoiceField)
        now = self.initial["instance_type"]
        if now not in settings.INSTANCE_TYPES:  # what it has already can stay
            choice.choices = [(now, _priced(now)), *choice.choices]  # type: ignore[misc]


def _priced(instance_type: str) -> str:
    """The type with what one instance of it costs, where that is known."""
    cost = prices.known().cost(instance_type, 1)
    if cost is None:
        return instance_type
    told = {"type": instance_type, "price": cost.hourly, "currency": cost.currency}
    return gettext("%(type)s, about %(price)s %(currency)s an hour") % told


class ScalingForm(forms.Form):
    """Between how many instances AWS scales an endpoint, and when."""

    min_instances = forms.IntegerField(min_value=1, label=_("Fewest instances"))
    max_instances = forms.IntegerField(
        min_value=1,
        label=_("Most instances"),
        help_text=_("They cost money as long as they run, so this limits the cost."),
    )
    calls_per_minute = forms.IntegerField(
        min_value=1,
        max_value=HIGHEST_TARGET,
        label=_("Calls a minute for each instance"),
        help_text=_(
            "With more than this for three minutes, AWS adds instances; with less than nine tenths "
            "for a quarter of an hour, it takes some away."
        ),
    )
    out_cooldown_s = _cooldown(
        _("Pause after more instances, in seconds"),
        _("Until instances are added again. An instance needs some minutes to start."),
    )
    in_cooldown_s = _cooldown(
        _("Pause after fewer instances, in seconds"),
        _("Until instances are taken away again."),
    )

    @property
    def limits(self) -> Limits:
        """What a valid form says."""
        told = self.cleaned_data
        return Limits(
            least=told["min_instances"],
            most=told["max_instances"],
            target=told["calls_per_minute"],
            in_cooldown=told["in_cooldown_s"],
            out_cooldown=told["out_cooldown_s"],
        )


class TeardownOfManyForm(forms.Form):
    """The names of the chosen endpoints, typed again."""

    typed_names = forms.CharField(
        label=_("Names of the endpoints"),
        help_text=_("Separate them by spaces or commas. Their order does not matter."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(
        self, *args: object, endpoints: Sequence[Endpoint | Orphan], **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._names = {one.name for one in endpoints}

    def clean_typed_names(self) -> str:
        """Raise ValidationError where a name is missing or is that of no chosen endpoint."""
        typed: str = self.cleaned_data["typed_names"]
        names = set(typed.replace(",", " ").split())
        missing, unknown = self._names - names, names - self._names
        if missing or unknown:
            said = gettext(
                "Type each name as it is above. Missing: %(missing)s. Not chosen: %(unknown)s."
            )
            told = {
                "missing": ", ".join(sorted(missing)) or "–",
                "unknown": ", ".join(sorted(unknown)) or "–",
            }
            raise forms.ValidationError(said % told)
        return typed


class OrphansForm(TeardownOfManyForm):
    """The names of what no endpoint owns, typed again."""

    def __init__(self, *args: object, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["typed_names"].label = _("Names of what is to be deleted")


class TeardownForm(forms.Form):
    """The name, typed again."""

    typed_name = forms.CharField(
        label=_("Name of the endpoint"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
