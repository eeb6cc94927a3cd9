"""Forms of the endpoint pages."""

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from endpoints.models import valid_endpoint_name, valid_instance_count


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

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choice = self.fields["instance_type"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(kind, kind) for kind in settings.INSTANCE_TYPES]
        # For the browser alone: the validator of the field refuses more.
        self.fields["instance_count"].widget.attrs["max"] = settings.MAX_INSTANCES


class TeardownForm(forms.Form):
    """The name, typed again."""

    typed_name = forms.CharField(
        label=_("Name of the endpoint"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
