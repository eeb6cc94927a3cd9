"""The page of one's own tokens: the list, making one, and revoking one with a click."""

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services, tokens
from accounts.models import Token
from core import clock
from core.api.caller import Scope
from core.badges import Badge
from core.permissions import actor, require_permission
from core.tables import Choice, Column, Table

_may_change = require_permission("auth.change_user", "change people")

_COLOURS = {Token.State.VALID: "ok", Token.State.EXPIRED: "off", Token.State.REVOKED: "off"}


class TokenForm(forms.Form):
    """A name, what it may be used for, and for how long. Offers what the person's role allows."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Where it is used, as “laptop” or “build server”."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may be used for"), widget=forms.CheckboxSelectMultiple
    )
    days = forms.TypedChoiceField(label=gettext_lazy("Expires"), coerce=int)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = tokens.scopes_of(user)
        choices = [(scope.value, scope.label) for scope in Scope if scope in allowed]
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined]
        self.fields["days"].choices = [  # type: ignore[attr-defined]
            (days, ngettext("in %(days)s day", "in %(days)s days", days) % {"days": days})
            for days in tokens.offered_days()
        ]

    def take(self, error: ValidationError) -> None:
        """Show what the service refused, at its field where it has one."""
        self.add_error(None, error)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """One's own tokens, and a form that makes one. The answer to it shows the new token once.

    ``?name=`` fills in the name, so that a program can lead here.
    """
    user = actor(request)
    if request.method != "POST":
        initial = {
            "name": request.GET.get("name", "")[:100],
            "scopes": [scope for scope in ("read", "invoke") if scope in tokens.scopes_of(user)],
            "days": settings.API_TOKEN_DAYS,
        }
        return _list(request, user, TokenForm(user=user, initial=initial))
    form = TokenForm(request.POST, user=user)
    if form.is_valid():
        try:
            token, secret = tokens.make(user=user, **form.cleaned_data)
        except ValidationError as error:
            form.take(error)
        else:
            portal = request.build_absolute_uri("/").rstrip("/")
            context = {"token": token, "secret": secret, "portal": portal}
            return render(request, "accounts/token.html", context)
    return _list(request, user, form, status=400)


def _list(request: HttpRequest, user: User, form: TokenForm, status: int = 200) -> HttpResponse:
    now = clock.now()

    table = Table(
        request,
        Token.objects.filter(user=user),
        columns=[
            Column("name", _("Name"), sort="name", natural=True),
            Column("scopes", _("Scopes")),
            Column("made", _("Created"), sort="created_at"),
            Column("expires", _("Expires"), sort="expires_at"),
            Column("used", _("Last used"), sort="last_used_at"),
            Column("state", _("State")),
            Column("revoke", _("Revoke"), hidden_label=True),
        ],
        filters=[
            Choice(
                "state",
                _("State"),
                Token.State.choices,
                narrow=lambda rows, state: rows.in_state(state, now),
            )
        ],
        default_sort="-created_at",
    )
    context = {
        "form": form,
        "table": table,
        "rows": shown(table.rows, now),
        "has_any": table.filtered or bool(table.total),
        "max_days": settings.API_TOKEN_MAX_DAYS,
    }
    return render(request, "accounts/tokens.html", context, status=status)


def shown(rows: Any, now: datetime) -> list[dict[str, Any]]:
    """Tokens with their badges, as the tables show them."""
    found = []
    for token in rows:
        state = token.state(now)
        badge = Badge(_COLOURS[state], str(state.label))
        found.append({"token": token, "badge": badge, "living": state is Token.State.VALID})
    return found


def of_person(user: User) -> list[dict[str, Any]]:
    """The tokens of a person that count, for the person's page."""
    now = clock.now()
    return shown(Token.objects.living(now).filter(user=user).order_by("-created_at"), now)


@require_POST
def revoke(request: HttpRequest, id: str) -> HttpResponse:
    """Revoke a token of one's own."""
    user = actor(request)
    token = get_object_or_404(Token.objects.select_related("user"), pk=id, user=user)
    tokens.revoke(actor=user, token=token)
    messages.success(request, _revoked() % {"name": token.name})
    return redirect("tokens")


@require_POST
@_may_change
def revoke_of_person(request: HttpRequest, pk: int, id: str) -> HttpResponse:
    """Revoke a token of somebody else."""
    user = get_object_or_404(User, pk=pk)
    token = get_object_or_404(Token.objects.select_related("user"), pk=id, user=user)
    try:
        tokens.revoke(actor=actor(request), token=token)
    except services.NotAllowed as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _revoked() % {"name": token.name})
    return redirect("accounts:person", pk=pk)


def _revoked() -> Promise | str:
    return _("The token %(name)s is revoked. It stops working within a second.")
