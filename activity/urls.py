"""Addresses of the activity log."""

from django.urls import path

from activity import redaction_views, views

app_name = "activity"
urlpatterns = [
    path("", views.event_list, name="list"),
    path("redact/", redaction_views.redact, name="redact"),
    path("export.csv", views.export, name="export"),
    path("<slug:kind>/<int:pk>/", views.subject, name="subject"),
]
