"""Forms that ask for a password."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest

from accounts import throttle


class Paused(Exception):
    """Too many wrong passwords: no further attempt is checked for now."""


class ThrottledPasswordChangeForm(PasswordChangeForm):
    """Asks for the old password, with the same limit of failures as the log-in."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        """Count the attempt before the password is checked. Raises Paused."""
        name = self.user.get_username()
        result = throttle.reserve(throttle.keys_of(self._request, name, prompt=True))
        self._request.throttle = result  # type: ignore[attr-defined]
        if isinstance(result, throttle.Locked):
            throttle.refused(self._request, result)
            raise Paused
        try:
            password = super().clean_old_password()
        except forms.ValidationError:
            throttle.failed(self._request, name, result)
            raise
        throttle.release(result)
        return str(password)
