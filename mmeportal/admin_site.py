"""The admin site: for whoever may manage users, staff flag or not."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from mmeportal.permissions import NotPermitted


class PortalAdminSite(admin.AdminSite):
    """Django's admin under the portal's name; the group `admin` gets in."""

    site_header = site_title = "MME Portal administration"
    index_title = "Users and roles"

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse who is logged in already: another log-in would not help a viewer."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise NotPermitted(
                "Your role does not allow you to manage users.", permission="auth.change_user"
            )
        return super().login(request, extra_context)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whoever may change users may use the admin."""
        return request.user.is_active and request.user.has_perm("auth.change_user")
