"""The admin site, for superusers, with or without the staff flag."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from core.permissions import NotPermitted

_only_forms = require_http_methods(["GET", "HEAD", "POST"])


class PortalAdminSite(admin.AdminSite):
    """Django's admin under the portal's name, for superusers.

    An admin has the portal's own pages of people, which check each change.
    """

    site_header = site_title = gettext_lazy("MME Portal administration")
    index_title = gettext_lazy("Users and roles")

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Refuse methods that no page of the admin uses: Django's views take them for GET."""
        return _only_forms(super().admin_view(view, cacheable))

    @method_decorator(login_not_required)
    @method_decorator(_only_forms)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the portal's own log-in, which is throttled.

        Raises NotPermitted for a user who is logged in already and is no superuser.
        """
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise NotPermitted(
                _("Only a superuser may use Django's admin."), permission="auth.change_user"
            )
        wanted = request.GET.get("next") or reverse("admin:index")
        return redirect_to_login(wanted)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Redirect to the portal's own page, which is throttled."""
        return redirect("password")

    def has_permission(self, request: HttpRequest) -> bool:
        """Active superusers may use the admin."""
        return request.user.is_active and request.user.is_superuser
