"""Addresses of the invoke pages."""

from django.urls import path

from invocations import views

app_name = "invocations"
urlpatterns = [
    path("", views.page, name="page"),
    path("run/", views.run, name="run"),
    path("<int:pk>/", views.result, name="result"),
    path("<int:pk>/thumbnail/", views.thumbnail, name="thumbnail"),
    path("kept/<slug:sha256>/", views.kept, name="kept"),
    path("samples/<str:name>", views.sample, name="sample"),
]
