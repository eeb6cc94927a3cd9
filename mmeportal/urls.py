"""The URL conf of the site; each app has its own."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from accounts import preferences, token_pages
from accounts.views import LoginView, LogoutView, PasswordChangeView
from core import views as core_views
from mmeportal import api_pages, views
from mmeportal.api import api_urls
from notices import mail_page

urlpatterns = [
    # First, as each is tried in turn: programs call models a hundred times a second.
    path("api/v1/", api_urls()),
    path("", views.home, name="home"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", PasswordChangeView.as_view(), name="password"),
    path("preferences/", preferences.page, name="preferences"),
    path("preferences/mails/", mail_page.save, name="mails"),
    path("tokens/", token_pages.page, name="tokens"),
    path("tokens/<slug:id>/revoke/", token_pages.revoke, name="revoke-token"),
    path("language/", preferences.language, name="language"),
    path("", include("accounts.urls")),
    path("webhooks/", include("notices.urls")),
    path("models/", include("models_catalog.urls")),
    path("endpoints/", include("endpoints.urls")),
    path("endpoints/", include("invocations.capacity_urls")),
    path("", include("invocations.urls")),
    path("status/", views.status, name="status"),
    path("glossary/", views.glossary_page, name="glossary"),
    path("first-steps/hide/", views.hide_first_steps, name="hide-first-steps"),
    path("first-steps/show/", views.show_first_steps, name="show-first-steps"),
    path("activity/", include("activity.urls")),
    path("problems/<slug:code>", views.problem, name="problem"),
    path("problems/", views.problem_list, name="problems"),
    path("docs/api/", api_pages.page, name="api-docs"),
    path("docs/api/try/", api_pages.try_page, name="api-docs-try"),
    path("docs/api/<slug:tag>/", api_pages.tag_page, name="api-docs-tag"),
    path("search/", core_views.search, name="search"),
    path("styleguide/", core_views.styleguide, name="styleguide"),
]
if settings.DJANGO_ADMIN:
    urlpatterns.append(path("admin/", admin.site.urls))

handler403 = "mmeportal.views.denied"
handler400 = "mmeportal.views.malformed"
handler404 = "mmeportal.views.missing"
handler500 = "core.shortage.failed"
