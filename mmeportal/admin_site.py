"""The admin site: for whoever may manage users, staff flag or not."""

from django.contrib import admin
from django.http import HttpRequest


class PortalAdminSite(admin.AdminSite):
    """Django's admin under the portal's name; the group `admin` gets in."""

    site_header = site_title = "MME Portal administration"
    index_title = "Users and roles"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whoever may change users may use the admin."""
        return request.user.is_active and request.user.has_perm("auth.change_user")
