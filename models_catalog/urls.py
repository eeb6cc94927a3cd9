"""Addresses of the catalog."""

from django.urls import path

from models_catalog import views

app_name = "models_catalog"
urlpatterns = [
    path("", views.model_list, name="list"),
    path("new/", views.new_model, name="new"),
    path("new/name/", views.check_name, name="check-name"),
    path("new/arrived/", views.arrived, name="arrived"),
    path("<str:name>/", views.model_page, name="model"),
    path("<str:name>/upload/", views.new_version, name="upload"),
    path("<str:name>/v<int:number>/", views.version_page, name="version"),
    path("<str:name>/v<int:number>/download/", views.download, name="download"),
    path(
        "<str:name>/v<int:number>/download/original/",
        views.download_original,
        name="download-original",
    ),
    path("<str:name>/v<int:number>/live/", views.version_live, name="version-live"),
    path("<str:name>/live/", views.versions_live, name="versions-live"),
]
