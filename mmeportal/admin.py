"""Users in Django's admin: a portal admin manages users, but makes no superusers."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest

if TYPE_CHECKING:
    UserAdminOfUser = UserAdmin[User]
else:
    UserAdminOfUser = UserAdmin  # a type argument is for the type checker only

admin.site.unregister(User)


@admin.register(User)
class PortalUserAdmin(UserAdminOfUser):
    """Users with their groups; the flags above the groups are for superusers alone."""

    list_display = ("username", "email", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the groups in one query, for the list."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        """The user's groups, or that it is a superuser."""
        if user.is_superuser:
            return "superuser"
        return ", ".join(group.name for group in user.groups.all()) or "none"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Who is no superuser cannot raise anybody above the roles."""
        if request.user.is_superuser:
            return super().get_readonly_fields(request, obj)
        return ("is_superuser", "is_staff", "user_permissions", "last_login", "date_joined")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """A superuser's account (and so password) is for superusers alone."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As for changing."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_delete_permission(request, obj)
