"""How users log in, and how the user of a session is read."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


class PortalBackend(ModelBackend):
    """Django's own, which reads a user's preferences in the query for the user."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User:
        """The user with this name and password; raises PermissionDenied, which asks no other one.

        Django's own backend is on the list for sessions alone: a password is checked once.
        """
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if not isinstance(user, User):
            raise PermissionDenied
        return user

    def get_user(self, user_id: int) -> User | None:
        """The user of a session, if they may still log in."""
        user = User.objects.select_related("preferences").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
