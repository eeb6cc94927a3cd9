"""The language and the time zone that a user chose: a page, and what it does to each answer.

Without a choice both are the browser's: the language of Accept-Language, and the zone that
`static/js/portal.js` puts into a cookie. The language is also a cookie, for pages before a log-in.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.forms.utils import flatatt
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Preferences
from core import languages
from core.permissions import actor


def of_user(user: User) -> Preferences | None:
    """What a user chose; without a query where the user was read with it (accounts/backends.py)."""
    try:
        return user.preferences
    except Preferences.DoesNotExist:
        return None


class PreferencesMiddleware:
    """Answers a user who is logged in in the language and the time zone of their choice.

    Stands after AuthenticationMiddleware, inside of LanguageMiddleware, which has set both for the
    browser and sets them back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Take the user's choice, if there is one."""
        if request.user.is_authenticated:
            chosen = of_user(request.user)
            if chosen is not None:
                if chosen.language in languages.codes():
                    translation.activate(chosen.language)
                languages.use_zone(request, chosen.time_zone)
        return self.get_response(request)


_BROWSER = "browser"


class _Zones(forms.Select):
    """A select of hundreds of options, in half the bytes of Django's: no blank lines, and no value
    or end tag where HTML needs none."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """The element; names and labels are escaped."""
        context = self.get_context(name, value, attrs)["widget"]
        options = [
            format_html(
                "<option{}{}>{}",
                "" if option["value"] == option["label"] and not option["selected"]
                else format_html(' value="{}"', option["value"]),
                " selected" if option["selected"] else "",
                option["label"],
            )
            for _group, found, _index in context["optgroups"]
            for option in found
        ]  # fmt: skip
        return format_html(
            '<select name="{}"{}>{}</select>',
            name,
            flatatt(context["attrs"]),
            mark_safe("\n".join(options)),  # noqa: S308  (made by format_html)
        )


class PreferencesForm(forms.Form):
    """Both choices; the first of each is the browser's, of which nothing is kept."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=lambda: [(_BROWSER, _("As the browser asks")), *settings.LANGUAGES],
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=lambda: [
            (_BROWSER, _("As the browser says")),
            *((name, name.replace("_", " ")) for name in languages.zones()),
        ],
        widget=_Zones(attrs={"data-combobox": ""}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show and save the preferences of whoever asks."""
    user = actor(request)
    if request.method != "POST":
        chosen = of_user(user) or Preferences()
        form = PreferencesForm(
            initial={
                "language": chosen.language or _BROWSER,
                "time_zone": chosen.time_zone or _BROWSER,
            }
        )
        return render(request, "accounts/preferences.html", {"form": form})
    form = PreferencesForm(request.POST)
    if not form.is_valid():
        return render(request, "accounts/preferences.html", {"form": form}, status=400)
    wanted = {
        name: "" if value == _BROWSER else str(value) for name, value in form.cleaned_data.items()
    }
    Preferences.objects.update_or_create(user=user, defaults=wanted)
    answer = redirect("preferences")
    languages.remember(answer, wanted["language"])
    # The confirmation is in the language that it changed to.
    with translation.override(wanted["language"] or languages.of_browser(request)):
        messages.success(request, _("Your preferences are saved."))
    return answer


@login_not_required
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language, before a log-in too; a user's preference changes with it."""
    wanted = request.POST.get("language", "")
    if wanted not in languages.codes():
        return render(request, "400.html", status=400)
    if request.user.is_authenticated:
        Preferences.objects.update_or_create(user=actor(request), defaults={"language": wanted})
    back = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    answer = HttpResponseRedirect(back if ours else "/")
    languages.remember(answer, wanted)
    return answer
