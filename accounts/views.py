"""The log-in page, the page of a pause, and the page to change one's password."""

import math
from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services, throttle
from accounts.forms import Paused, ThrottledPasswordChangeForm
from accounts.models import Token
from core import clock
from core.permissions import actor

# Django's class of forms would take a PUT for a POST.
_only_forms = method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")


@_only_forms
class LoginView(auth.LoginView):
    """The log-in page; Django's admin redirects to it."""

    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """The form again, with status 400."""
        if getattr(self.request, "axes_locked_out", False):
            return HttpResponse(status=429)  # AxesMiddleware replaces it by `paused`
        answer = super().form_invalid(form)
        answer.status_code = 400
        return answer


def paused(
    request: HttpRequest,
    original: HttpResponse | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """Status 429, with the time of the next attempt. Called by AxesMiddleware.

    The answer does not show whether the user exists or the password was right
    (AXES_LOCKOUT_CALLABLE).
    """
    result = getattr(request, "throttle", None)
    now = clock.now()
    until = result.until if isinstance(result, throttle.Locked) else now + throttle.cool_off()
    seconds = max(1, math.ceil((until - now).total_seconds()))
    context = {"until": until, "minutes": math.ceil(seconds / 60)}
    answer = render(request, "registration/paused.html", context, status=429)
    answer.headers["Retry-After"] = str(seconds)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@method_decorator(require_POST, name="dispatch")
class LogoutView(auth.LogoutView):
    """The way out."""


@_only_forms
class PasswordChangeView(auth.PasswordChangeView):
    """Change one's own password; other sessions end, this one stays."""

    form_class = ThrottledPasswordChangeForm
    success_url = "/"

    def get_form_kwargs(self) -> dict[str, Any]:
        """Give the form the request: it counts attempts by address and session."""
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """How many tokens are revoked with the old password, too."""
        living = Token.objects.living(clock.now()).filter(user=actor(self.request))
        return {**super().get_context_data(**kwargs), "tokens": living.count()}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer 429 during a pause."""
        try:
            return super().post(request, *args, **kwargs)
        except Paused:
            return paused(request)

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        """Change it, and record the event; not where an admin has set another one meanwhile."""
        user = actor(self.request)
        with services.changing_users(actor=user, users=[user.pk]):
            # With which the old password was compared, before the lock.
            same = services.still_has_password(user)
            answer = super().form_valid(form) if same else None
        if answer is None:
            wrong = form.error_messages["password_incorrect"]
            form.add_error("old_password", ValidationError(wrong, code="password_incorrect"))
            return self.form_invalid(form)
        messages.success(
            self.request,
            _("Your password is changed. You are logged out in all other browsers."),
        )
        return answer

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        """The form again, with status 400; or 429, where this failure began a pause."""
        result = getattr(self.request, "throttle", None)
        if (
            isinstance(result, throttle.Attempt)
            and result.reached
            and "old_password" in form.errors
        ):
            return paused(self.request)
        answer = super().form_invalid(form)
        answer.status_code = 400
        return answer
