"""Addresses of the activity log."""

from django.urls import path

from activity import views

app_name = "activity"
urlpatterns = [
    path("", views.event_list, name="list"),
    path("export.csv", views.export, name="export"),
    path("<slug:kind>/<int:pk>/", views.subject, name="subject"),
]
