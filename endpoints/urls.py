"""Addresses of the endpoints."""

from django.urls import path

from endpoints import views

app_name = "endpoints"
urlpatterns = [
    path("", views.endpoint_list, name="list"),
    path("new/", views.new_endpoint, name="new"),
    path("<int:pk>/", views.endpoint_page, name="detail"),
    path("<int:pk>/live/", views.endpoint_live, name="live"),
    path("<int:pk>/check/", views.check, name="check"),
    path("<int:pk>/teardown/", views.teardown, name="teardown"),
]
