"""The forms of people and of passwords."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import roles, throttle


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

    def save(self, commit: bool = True) -> User:
        """Write the password alone: what an admin has changed since the user was read stays."""
        user: User = self.user
        user.set_password(self.cleaned_data["new_password1"])
        if commit:
            user.save(update_fields=["password"])
        return user


def role_of(user: User) -> str:
    """The name of a user's role; empty for none. Of several, which old rows may have, the most."""
    names = {group.name for group in user.groups.all()}
    return next((role for role in reversed(roles.ALL) if role in names), "")


def _role_choices() -> list[tuple[str, Any]]:
    return [
        (roles.VIEWER, _("viewer: looks at everything, and calls models")),
        (roles.OPERATOR, _("operator: also uploads models and creates endpoints")),
        (roles.ADMIN, _("admin: also tears down endpoints, and manages people")),
    ]


class InviteForm(forms.Form):
    """Who is invited, and with which role."""

    name = forms.CharField(
        label=_("User name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
        help_text=_("Letters, digits and @ . + - _; it is shown on what this person makes."),
    )
    email = forms.EmailField(label=_("Mail"), required=False)
    role = forms.ChoiceField(label=_("Role"), choices=_role_choices)

    def add_errors(self, error: ValidationError) -> None:
        """Take the errors of the service, under the names of the form's fields."""
        names = {"username": "name", "email": "email"}
        for field, found in error.error_dict.items():
            self.add_error(names.get(field), found)


class DetailsForm(forms.Form):
    """How a person is called, and where mail goes."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
        help_text=_("It is also the name to log in with. Earlier events keep the name before."),
    )
    full_name = forms.CharField(label=_("Full name"), max_length=150, required=False)
    email = forms.EmailField(label=_("Mail"), required=False)

    def add_errors(self, error: ValidationError) -> None:
        """Take the errors of the service, under the names of the form's fields."""
        names = {"username": "username", "email": "email", "first_name": "full_name"}
        for field, found in error.error_dict.items():
            self.add_error(names.get(field), found)


NO_ROLE = "none"


class RoleForm(forms.Form):
    """One role, or none."""

    role = forms.ChoiceField(
        label=_("Role"),
        choices=lambda: [*_role_choices(), (NO_ROLE, _("no role: may log in, and see nothing"))],
    )
