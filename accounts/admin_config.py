"""The app configuration of Django's admin, with the portal's admin site."""

from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Uses :class:`accounts.admin_site.PortalAdminSite` as the admin site."""

    default_site = "accounts.admin_site.PortalAdminSite"
