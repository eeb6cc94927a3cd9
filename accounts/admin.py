"""Users in Django's admin, which is for superusers (accounts/admin_site.py).

The rules are those of accounts/services.py; a change that they forbid gives a message above the
form.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
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
    """Users with their roles. Nobody is deleted: who leaves is deactivated, and the name stays."""

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

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody: what a user made and did would lose its name."""
        return False

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

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Set a user's password."""
        view = super().user_change_password
        return _within_the_rules(request, id, lambda: view(request, id, form_url))

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
