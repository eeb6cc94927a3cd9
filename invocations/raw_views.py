"""Any payload, sent as it is: with its types and attributes; the answer as it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from core import errors
from core.body_limits import accepts_body
from core.permissions import actor
from core.ui import EXACT_TEXT
from invocations import answers, runtime, services
from invocations.models import Invocation
from invocations.payload import Payload
from invocations.pictures import file_name
from invocations.views import Chosen, chosen_context, may_invoke, portal_url, tabs, targets_of

#: At most this much of an answer is shown: of a text, and of other bytes.
MOST_SHOWN, MOST_BYTES_SHOWN = 65_536, 1_024
_MOST_TYPED = 1_000_000
# They say something of the connection, and nothing of the answer.
_HIDDEN = {"connection", "date", "server", "content-length", "keep-alive"}
_VISIBLE = r"\A[\x20-\x7e]*\Z"
_OFFERED = ("application/json", "text/csv", "application/x-npy", "image/png", "text/plain")
_TYPE = EXACT_TEXT | {"list": "types"}


class RawForm(forms.Form):
    """What is sent: a text that was typed, or a file."""

    body = forms.CharField(
        label=gettext_lazy("Body"),
        required=False,
        max_length=_MOST_TYPED,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}),
    )
    file = forms.FileField(label=gettext_lazy("Or a file"), required=False, allow_empty_file=True)
    content_type = forms.RegexField(
        _VISIBLE,
        label="Content-Type",  # untranslated: a header's name
        initial="application/json",
        max_length=1024,
        widget=forms.TextInput(attrs=_TYPE),
    )
    accept = forms.RegexField(
        _VISIBLE,
        label="Accept",  # untranslated: a header's name
        initial="application/json",
        max_length=1024,
        widget=forms.TextInput(attrs=_TYPE),
    )
    attributes = forms.RegexField(
        _VISIBLE,
        label=gettext_lazy("Custom attributes"),
        required=False,
        max_length=1024,
        help_text=gettext_lazy("X-Amzn-SageMaker-Custom-Attributes, for the container."),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )

    def clean(self) -> dict[str, Any]:
        """A text or a file, and not both."""
        told: dict[str, Any] = super().clean() or {}
        if not self.errors:
            if told.get("body") and told.get("file"):
                self.add_error("body", _("Type a body or choose a file, and not both."))
            elif not told.get("body") and not told.get("file"):
                self.add_error("body", _("The body is empty. Type one, or choose a file."))
        return told

    def payload(self) -> Payload:
        """What a valid form sends."""
        told = self.cleaned_data
        file = told["file"]
        # A browser ends lines with two characters; a file on this machine has one.
        data = file.read() if file else told["body"].replace("\r\n", "\n").encode()
        return Payload(file_name(file.name) if file else "", told["content_type"], data)


@dataclass(frozen=True)
class RawAnswer:
    """What came back. ``text``: its beginning, in hexadecimal where it is no text."""

    status: int
    headers: list[tuple[str, str]]
    size: int
    text: str
    binary: bool

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "RawAnswer":
        """As the page shows it."""
        shown = body[:MOST_SHOWN]
        try:
            # What is cut off may have cut a character.
            text, binary = shown.decode("utf-8", "strict" if shown == body else "ignore"), False
        except UnicodeDecodeError:
            text, binary = shown[:MOST_BYTES_SHOWN].hex(" ", 4), True
        kept = sorted((k, v) for k, v in headers.items() if k.lower() not in _HIDDEN)
        return cls(status, kept, len(body), text, binary)

    @property
    def reason(self) -> str:
        """The status in HTTP's words; empty for one that HTTP does not know."""
        known = {one.value: one.phrase for one in HTTPStatus}
        return known.get(self.status, "")

    @property
    def cut_off(self) -> bool:
        """Whether not all of it is shown."""
        return self.size > (MOST_BYTES_SHOWN if self.binary else MOST_SHOWN)


# The CSRF check reads the whole body; so the user's role and the size are looked at before it.
@accepts_body(
    megabytes=lambda: (runtime.MAX_PAYLOAD_BYTES >> 20) + 2,
    too_large=lambda: _("The payload is larger than 6 MB, which is the most that SageMaker takes."),
    at_once=16,
)
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def page(request: HttpRequest) -> HttpResponse:
    """The form; sent, the answer beside it. The call is in the list of calls, its bytes are not."""
    return _page(request)


@csrf_protect
def _page(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _shown(request, Chosen.of(request.GET), RawForm())
    chosen = Chosen.of(request.POST)
    form = RawForm(request.POST, request.FILES)
    if not form.is_valid():
        return _shown(request, chosen, form, status=400)
    told = form.cleaned_data
    try:
        endpoint, (target, *_others) = targets_of(chosen)
        call, outcome = services.call(
            endpoint=endpoint,
            version=target.version,
            payload=form.payload(),
            actor=actor(request),
            accept=told["accept"],
            own_bytes=True,
            asked=target.asked,
            variant=chosen.variant,
            custom_attributes=told["attributes"],
        )
    except services.CallRefused as refused:
        form.add_error(None, str(refused))
        return _shown(request, chosen, form, status=400)
    return _shown(request, chosen, form, call=call, answer=_answer(outcome))


def _answer(outcome: services.Outcome) -> RawAnswer | None:
    """What the container answered, also an error; None where nothing of it came."""
    if outcome.answer is not None:
        return RawAnswer.of(HTTPStatus.OK, outcome.answer.headers, outcome.answer.body)
    if isinstance(outcome.error, errors.ModelFailed):
        return RawAnswer.of(outcome.error.status, {}, str(outcome.error).encode())
    return None


def _code(request: HttpRequest, told: Mapping[str, Any]) -> dict[str, Any]:
    """What the same call in code names."""
    accept = told["accept"] or "*/*"
    return {
        "region": settings.AWS_REGION,
        "portal_url": portal_url(request),
        "content_type": told["content_type"],
        "accept": accept,
        # With application/json the API answers a document of its own.
        "portal_accept": "*/*" if accept == answers.JSON else accept,
        "attributes": told["attributes"],
    }


def _shown(
    request: HttpRequest,
    chosen: Chosen,
    form: RawForm,
    *,
    call: Invocation | None = None,
    answer: RawAnswer | None = None,
    status: int = 200,
) -> HttpResponse:
    context = chosen_context(chosen) | {
        "form": form,
        "tabs": tabs(raw=True),
        "types": _OFFERED,
        "call": call,
        "answer": answer,
    }
    if call is not None:
        context |= _code(request, form.cleaned_data)
    return render(request, "invocations/raw.html", context, status=status)
