"""Addresses of the invoke pages."""

from django.urls import path

from endpoints import invoke_views

app_name = "invoke"
urlpatterns = [
    path("", invoke_views.page, name="page"),
    path("run/", invoke_views.run, name="run"),
    path("<int:pk>/", invoke_views.result, name="result"),
    path("<int:pk>/thumbnail/", invoke_views.thumbnail, name="thumbnail"),
    path("kept/<slug:sha256>/", invoke_views.kept, name="kept"),
    path("samples/<str:name>", invoke_views.sample, name="sample"),
]
