"""Django's admin, opened to the portal's own admins."""

from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Uses :class:`mmeportal.admin_site.PortalAdminSite` as the admin site."""

    default_site = "mmeportal.admin_site.PortalAdminSite"
