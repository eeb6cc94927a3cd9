"""The form of a webhook."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.ui import EXACT_TEXT
from notices import kinds
from notices.models import NOTE_LENGTH, URL_LENGTH, Webhook
from notices.services import Change


class WebhookForm(forms.Form):
    """Where to, of what, and in which language."""

    url = forms.CharField(
        label=_("Address"),
        max_length=URL_LENGTH,
        widget=forms.TextInput(
            attrs={"placeholder": "https://example.com/hook", "autocomplete": "off"}
        ),
        help_text=_("It is sent a POST with JSON for each event."),
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=_("By which you know it again, as “deployment pipeline”."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("Tell it when"), widget=forms.CheckboxSelectMultiple, required=False
    )
    models = forms.CharField(
        label=_("Of these models alone"),
        required=False,
        max_length=10_000,
        widget=forms.TextInput(attrs=EXACT_TEXT),
        help_text=_(
            "Names with commas between. Empty: of all models. Events of endpoints are of no model."
        ),
    )
    language = forms.ChoiceField(label=_("Language of its sentences"), choices=settings.LANGUAGES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(kind.name, kind.label) for kind in kinds.all_kinds()]
        self.fields["kinds"].choices = choices  # type: ignore[attr-defined]

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookForm":
        """The form with what a webhook has."""
        return cls(
            initial={
                "url": webhook.url,
                "note": webhook.note,
                "kinds": webhook.kinds,
                "models": ", ".join(webhook.only_models),
                "language": webhook.language,
            }
        )

    @property
    def change(self) -> Change:
        """What was typed, once it is valid."""
        data = self.cleaned_data
        names = [name for name in re.split(r"[,\s]+", data["models"]) if name]
        return Change(data["url"], data["note"], data["kinds"], names, data["language"])

    def take(self, error: ValidationError) -> None:
        """Show what the service refused, at its field where it has one."""
        self.add_error(None, error)
