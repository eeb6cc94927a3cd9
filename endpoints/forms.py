"""Forms of the endpoint pages."""

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from endpoints.models import Endpoint, valid_endpoint_name, valid_instance_count


class NewEndpointForm(forms.Form):
    """What a user says about a new endpoint; the rest is preset."""

    name = forms.CharField(
        max_length=53,
        validators=[valid_endpoint_name],
        help_text="Letters, digits and hyphens. Programs call the endpoint by this name.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "demo"}
        ),
    )
    instance_type = forms.ChoiceField(
        help_text="The memory of an instance says how many models stay warm at the same time.",
    )
    instance_count = forms.IntegerField(
        min_value=1,
        validators=[valid_instance_count],
        initial=1,
        label="Instances",
        help_text="Each has its own cache of models; two or more survive the loss of one.",
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choice = self.fields["instance_type"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(kind, kind) for kind in settings.INSTANCE_TYPES]
        # For the browser alone: the validator of the field refuses more.
        self.fields["instance_count"].widget.attrs["max"] = settings.MAX_INSTANCES

    def add_errors(self, error: ValidationError) -> None:
        """Show what the service found: beside its field, or above all where the form has none.

        What is in no field is preset, and not for this user to put right.
        """
        for name, problems in error.update_error_dict({}).items():
            if name in self.fields or name == NON_FIELD_ERRORS:
                self.add_error(name, problems)
                continue
            preset = getattr(Endpoint._meta.get_field(name), "verbose_name", name)
            for message in ValidationError(problems).messages:
                self.add_error(
                    None,
                    "Nothing was created, since the portal's own settings are wrong. "
                    f"The {preset}: {message} Ask whoever runs the portal.",
                )


class TeardownForm(forms.Form):
    """The name, typed again."""

    typed_name = forms.CharField(
        label="Name of the endpoint",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
