"""Django's admin, opened to the portal's own admins."""

from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Uses :class:`accounts.admin_site.PortalAdminSite` as the admin site."""

    default_site = "accounts.admin_site.PortalAdminSite"
