"""How users log in, and how the user of a session and their permissions are read."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Model
from django.http import HttpRequest

#: A user's own permissions, and those of their groups.
# untranslated: the database
_PERMISSIONS = """
    SELECT kind.app_label, permission.codename
    FROM auth_permission permission
    JOIN django_content_type kind ON kind.id = permission.content_type_id
    WHERE permission.id IN (
        SELECT permission_id FROM auth_user_user_permissions WHERE user_id = %s
        UNION ALL
        SELECT granted.permission_id FROM auth_group_permissions granted
        JOIN auth_user_groups member ON member.group_id = granted.group_id
        WHERE member.user_id = %s
    )
"""


class PortalBackend(ModelBackend):
    """Django's own, which reads a user's preferences in the query for the user.

    Permissions are read by one statement that stays the same: Django makes two, and
    compiles them anew for each page (docs/measured.md).
    """

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

    def get_all_permissions(self, user_obj: Any, obj: Model | None = None) -> set[str]:
        """What a user may do, alone and by groups; kept with the user, as Django keeps it."""
        others = user_obj.is_anonymous or user_obj.is_superuser or not user_obj.is_active
        if others or obj is not None or hasattr(user_obj, "_perm_cache"):
            return super().get_all_permissions(user_obj, obj)
        with connection.cursor() as cursor:
            cursor.execute(_PERMISSIONS, [user_obj.pk, user_obj.pk])
            found = {f"{app}.{name}" for app, name in cursor.fetchall()}
        user_obj._perm_cache = found
        return found
