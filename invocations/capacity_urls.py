"""Addresses of what is planned for endpoints, below those of the endpoints."""

from django.urls import path

from invocations import planner_views

app_name = "capacity"
urlpatterns = [path("planner/", planner_views.page, name="planner")]
