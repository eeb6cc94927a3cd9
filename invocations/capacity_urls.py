"""Addresses of what is planned and warmed, below those of the endpoints."""

from django.urls import path

from invocations import planner_views, warm_views

app_name = "capacity"
urlpatterns = [
    path("planner/", planner_views.page, name="planner"),
    path("<int:pk>/warm/", warm_views.page, name="warm"),
    path("<int:pk>/warm/keep/", warm_views.keep, name="keep-warm"),
    path("<int:pk>/warm/off/", warm_views.off, name="warm-off"),
    path("<int:pk>/warm/stop/", warm_views.stop, name="warm-stop"),
]
