"""The page that takes a text out of all that was written and recorded."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from activity import redaction
from core.permissions import actor, require_permission
from core.ui import EXACT_TEXT


class RedactForm(forms.Form):
    """The text, and what is typed before it is taken out; redaction.py says what is wrong."""

    text = forms.CharField(
        label=gettext_lazy("Text"),
        min_length=redaction.LEAST_LENGTH,
        max_length=redaction.MOST_LENGTH,
        help_text=gettext_lazy("A name, an address, a secret: whatever its case, in any place."),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    typed = forms.CharField(
        required=False,
        label=gettext_lazy("Type: redact"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_permission(redaction.MAY_REDACT, redaction.REDACTING)
def redact(request: HttpRequest) -> HttpResponse:
    """Say where a text is; once the word was typed, take it out.

    The text comes by POST alone: addresses are kept in logs and histories.
    """
    form = RedactForm(request.POST if request.method == "POST" else None)
    found: list[redaction.Occurrences] | None = None
    status = 422 if request.method == "POST" else 200
    if form.is_valid():
        text, typed = form.cleaned_data["text"], form.cleaned_data["typed"]
        try:
            if typed == redaction.TYPED:
                changed = redaction.redact(text=text, actor=actor(request))
                count = sum(one.count for one in changed)
                said = ngettext(
                    "The text was redacted in %(count)s row.",
                    "The text was redacted in %(count)s rows.",
                    count,
                )
                messages.success(request, said % {"count": f"{count:,}"})
                return redirect("activity:redact")
            found = redaction.find(text=text)
            status = 200
            if typed:
                form.add_error("typed", _("That is not the word. Nothing was changed."))
                status = 422
        except ValidationError as error:
            form.add_error(None, error)
    context = {
        "form": form,
        "found": found,
        "count": sum(one.count for one in found or ()),
        "mark": redaction.MARK,
    }
    return render(request, "activity/redact.html", context, status=status)
