"""The site's addresses; each app brings its own."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from mmeportal import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", auth.PasswordChangeView.as_view(success_url="/"), name="password"),
    path("models/", include("models_catalog.urls")),
    path("endpoints/", include("endpoints.urls")),
    path("invoke/", include("endpoints.invoke_urls")),
    path("status/", views.status, name="status"),
    path("activity/", include("activity.urls")),
    path("admin/", admin.site.urls),
]

handler403 = "mmeportal.views.denied"
handler400 = "mmeportal.views.malformed"
handler404 = "mmeportal.views.missing"
handler500 = "mmeportal.shortage.failed"
