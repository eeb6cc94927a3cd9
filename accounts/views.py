"""The log-in, its pause, and the own password."""

import math
from typing import Any

from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services, throttle
from accounts.forms import Paused, ThrottledPasswordChangeForm
from core import clock
from core.permissions import actor

# Django's class of forms would take a PUT for a POST.
_only_forms = method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")


@_only_forms
class LoginView(auth.LoginView):
    """The only log-in page: Django's admin leads here too."""

    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """The form again, as a refusal."""
        if getattr(self.request, "axes_locked_out", False):
            return HttpResponse(status=429)  # AxesMiddleware puts `paused` in its place
        answer = super().form_invalid(form)
        answer.status_code = 400
        return answer


def paused(
    request: HttpRequest,
    original: HttpResponse | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """429, with when to try again. AxesMiddleware calls this (AXES_LOCKOUT_CALLABLE).

    It is the same whether there is such a user, and whether the password was right.
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
    """The own password; other sessions end, this one stays."""

    form_class = ThrottledPasswordChangeForm
    success_url = "/"

    def get_form_kwargs(self) -> dict[str, Any]:
        """The form counts attempts by the request's address and session."""
        return {**super().get_form_kwargs(), "request": self.request}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Refuse during a pause."""
        try:
            return super().post(request, *args, **kwargs)
        except Paused:
            return paused(request)

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        """Change it, with the event."""
        user = actor(self.request)
        with services.changing_users(actor=user, users=[user.pk]):
            return super().form_valid(form)

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        """The form again, as a refusal; or the pause, where this failure began one."""
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
