"""Versions in Django's admin, to look at: what was uploaded, what is served, and how it went."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from models_catalog.models import Version

if TYPE_CHECKING:
    AdminOfVersion = admin.ModelAdmin[Version]
else:
    AdminOfVersion = admin.ModelAdmin  # a type argument is for the type checker only


@admin.register(Version)
class VersionAdmin(AdminOfVersion):
    """Read-only: versions are immutable, and only the portal writes their state."""

    list_display = ("__str__", "state", "packing", "published_size", "created_by", "created_at")
    list_filter = ("state", "packing")
    list_select_related = ("model", "created_by")
    search_fields = ("model__name", "sha256", "published_sha256", "content_sha256")
    exclude = ("report",)  # it may hold thousands of labels, and its page shows it

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No: a version is made by an upload."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Version | None = None) -> bool:
        """No: versions are immutable."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Version | None = None) -> bool:
        """No: numbers are never given again."""
        return False
