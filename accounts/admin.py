"""Users in Django's admin: a portal admin manages users, but cannot create superusers.

The rules are those of accounts/services.py; a change that they forbid gives a message above the
form.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import services
from core.permissions import actor

if TYPE_CHECKING:
    UserAdminOfUser = UserAdmin[User]
else:
    UserAdminOfUser = UserAdmin  # a type argument is for the type checker only

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """The roles, read-only: the program defines them, and writes them at each start."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Nobody: its users would lose the role."""
        return False


@admin.register(User)
class PortalUserAdmin(UserAdminOfUser):
    """Users with their roles; only superusers may set the flags above the roles."""

    list_display = ("username", "email", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the roles of the list in one query."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        """The user's roles, or "superuser"."""
        if user.is_superuser:
            return "superuser"
        return ", ".join(group.name for group in user.groups.all()) or "none"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only superusers may give rights beyond the roles."""
        if request.user.is_superuser:
            return super().get_readonly_fields(request, obj)
        return ("is_superuser", "is_staff", "user_permissions", "last_login", "date_joined")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only superusers may change a superuser, and so its password."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only superusers may delete a superuser."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_delete_permission(request, obj)

    # --- changes, within the rules ------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Create or change a user."""
        view = super().changeform_view
        return _within_the_rules(
            request, object_id, lambda: view(request, object_id, form_url, extra_context)
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Delete a user."""
        view = super().delete_view
        return _within_the_rules(
            request, object_id, lambda: view(request, object_id, extra_context)
        )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Set a user's password."""
        view = super().user_change_password
        return _within_the_rules(request, id, lambda: view(request, id, form_url))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with a message where an action is refused."""
        try:
            return super().changelist_view(request, extra_context)
        except services.NotAllowed as error:
            return _refused(request, error)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete the chosen users: all of them or none."""
        chosen = list(queryset.values_list("pk", flat=True))
        with services.changing_users(actor=actor(request), users=chosen):
            super().delete_queryset(request, queryset)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record the event of a new user; Django calls this once the roles are saved."""
        services.record_created(user=obj, actor=actor(request))
        return super().log_addition(request, obj, message)


def _within_the_rules(
    request: HttpRequest, object_id: str | None, view: Callable[[], HttpResponse]
) -> HttpResponse:
    if request.method != "POST":
        return view()
    chosen = [int(object_id)] if object_id is not None and object_id.isdecimal() else []
    session_key = request.session.session_key
    try:
        with services.changing_users(actor=actor(request), users=chosen):
            return view()
    except services.NotAllowed as error:
        if request.session.session_key != session_key:
            # A new own password began a new session, which was rolled back with the password.
            request.session = type(request.session)(session_key)
        return _refused(request, error)


def _refused(request: HttpRequest, error: services.NotAllowed) -> HttpResponse:
    # Django's admin has added a message of success meanwhile. Reading messages removes them.
    list(messages.get_messages(request))
    messages.error(request, str(error))
    return redirect(request.get_full_path())
