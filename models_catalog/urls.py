"""Addresses of the catalog."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from models_catalog import (
    alias_views,
    copy_views,
    describe_views,
    import_views,
    storage_views,
    store_views,
    upload_views,
    views,
)


class NameConverter(StringConverter):
    """The name of a model in an address; PostgreSQL takes no text with a NUL."""

    regex = r"[^/\x00]+"


class UploadIdConverter(StringConverter):
    """The id of an upload."""

    regex = r"[A-Za-z0-9_-]+"


register_converter(NameConverter, "model_name")
register_converter(UploadIdConverter, "upload_id")

app_name = "models_catalog"
urlpatterns = [
    path("", views.model_list, name="list"),
    path("new/", upload_views.new_model, name="new"),
    path("new/name/", views.check_name, name="check-name"),
    path("new/plan/", upload_views.plan, name="plan"),
    path("new/begin/", upload_views.begin, name="begin"),
    path("new/same/<upload_id:uid>/", upload_views.same, name="same"),
    path("new/import/", import_views.import_page, name="import"),
    path("new/import/live/", import_views.imported_live, name="imported-live"),
    path("new/storage/", storage_views.page, name="storage"),
    path("new/storage/quota/", storage_views.set_quota, name="storage-quota"),
    path("new/stores/", store_views.store_list, name="stores"),
    path("new/stores/new/", store_views.new_store, name="new-store"),
    path("new/stores/<model_name:name>/", store_views.store_page, name="store"),
    path("new/stores/<model_name:name>/test/", store_views.test, name="store-test"),
    path("new/stores/<model_name:name>/groups/", store_views.set_groups, name="store-groups"),
    path("new/stores/<model_name:name>/retire/", store_views.retire, name="store-retire"),
    path("new/stores/<model_name:name>/restore/", store_views.restore, name="store-restore"),
    path("new/try/<str:kind>/", views.try_archive, name="try"),
    path("<model_name:name>/delete/", views.delete_model, name="delete"),
    path("<model_name:name>/", views.model_page, name="model"),
    path("<model_name:name>/describe/", describe_views.describe, name="describe"),
    path("<model_name:name>/upload/", upload_views.new_version, name="upload"),
    path("<model_name:name>/v<int:number>/", views.version_page, name="version"),
    path("<model_name:name>/v<int:number>/download/", views.download, name="download"),
    path(
        "<model_name:name>/v<int:number>/download/original/",
        views.download_original,
        name="download-original",
    ),
    path(
        "<model_name:name>/v<int:number>/describe/",
        describe_views.describe_version,
        name="describe-version",
    ),
    path("<model_name:name>/v<int:number>/live/", views.version_live, name="version-live"),
    path("<model_name:name>/v<int:number>/compare/", views.compare, name="compare"),
    path("<model_name:name>/v<int:number>/copy/", copy_views.copy, name="copy"),
    path("<model_name:name>/v<int:number>/copies/", copy_views.copies_live, name="copies-live"),
    path("<model_name:name>/v<int:number>/repack/", import_views.repack, name="repack"),
    path("<model_name:name>/v<int:number>/dismiss/", views.dismiss, name="dismiss"),
    path("<model_name:name>/v<int:number>/restore/", views.restore, name="restore"),
    path("<model_name:name>/v<int:number>/retire/", views.retire, name="retire"),
    path("<model_name:name>/v<int:number>/unretire/", views.unretire, name="unretire"),
    path("<model_name:name>/v<int:number>/delete/", views.delete_version, name="version-delete"),
    path("<model_name:name>/compare/", views.compare_chosen, name="compare-chosen"),
    path("<model_name:name>/live/", views.versions_live, name="versions-live"),
    path("<model_name:name>/aliases/", alias_views.alias_list, name="aliases"),
    path("<model_name:name>/move-alias/", alias_views.move, name="alias-move"),
    path("<model_name:name>/aliases/<model_name:alias>/", alias_views.alias_page, name="alias"),
    path(
        "<model_name:name>/aliases/<model_name:alias>/roll-back/",
        alias_views.roll_back,
        name="alias-roll-back",
    ),
    path(
        "<model_name:name>/aliases/<model_name:alias>/delete/",
        alias_views.remove,
        name="alias-delete",
    ),
    path(
        "<model_name:name>/aliases/<model_name:alias>/undo/<int:revision>/",
        alias_views.undo,
        name="alias-undo",
    ),
]
