"""Addresses of the pages that call (invoke/), and of the calls that were made (calls/)."""

from django.urls import include, path

import models_catalog.urls  # noqa: F401  (knows how a model is named in an address)
from invocations import comparison_views as comparisons
from invocations import experiment_views as experiments
from invocations import log_views, metrics_views, raw_views, views
from invocations import set_views as test_sets

app_name = "invocations"
_invoke = [
    path("", views.page, name="page"),
    path("run/", views.run, name="run"),
    path("raw/", raw_views.page, name="raw"),
    path("versions/", views.versions, name="versions"),
    path("kept/<slug:sha256>/", views.kept, name="kept"),
    path("samples/<str:name>", views.sample, name="sample"),
    path("logs/<int:pk>/", log_views.live, name="logs"),
    path("metrics/<int:pk>/", metrics_views.live, name="metrics"),
    path("comparisons/", comparisons.listing, name="comparisons"),
    path("comparisons/start/", comparisons.start, name="comparison-start"),
    path("comparisons/<slug:uid>/", comparisons.page, name="comparison"),
    path("comparisons/<slug:uid>/csv/", comparisons.as_csv, name="comparison-csv"),
    path("experiments/", experiments.listed, name="experiments"),
    path("experiments/new/", experiments.new, name="experiment-new"),
    path("experiments/<slug:uid>/", experiments.page, name="experiment"),
    path("experiments/<slug:uid>/stop/", experiments.stop, name="experiment-stop"),
    path("experiments/<slug:uid>/name/", experiments.rename, name="experiment-rename"),
    path("experiments/<slug:uid>/csv/", experiments.as_csv, name="experiment-csv"),
    path("experiments/<slug:uid>/json/", experiments.as_json, name="experiment-json"),
    path("comparisons/<slug:uid>/stop/", comparisons.stop, name="comparison-stop"),
    path("comparisons/<slug:uid>/delete/", comparisons.delete, name="comparison-delete"),
    path("test-sets/<model_name:model>/", test_sets.page, name="test-set"),
    path("test-sets/<model_name:model>/download/", test_sets.download, name="test-set-download"),
    path("test-sets/<model_name:model>/empty/", test_sets.empty, name="test-set-empty"),
    path("test-pictures/undo/", test_sets.undo, name="test-set-undo"),
    path("test-pictures/<int:test_pk>/remove/", test_sets.remove, name="test-picture-remove"),
    path("test-pictures/<int:test_pk>/", test_sets.picture, name="test-picture"),
    path("test-pictures/<int:test_pk>/thumbnail/", test_sets.thumbnail, name="test-thumbnail"),
    # Where calls were; people have bookmarked these.
    path("calls/", views.moved, name="old-calls"),
    path("side/", views.moved, name="old-side"),
    path("side/<slug:calls>/", views.moved, name="old-side-of"),
    path("<int:pk>/", views.moved, name="old-call"),
    path("<int:pk>/<slug:part>/", views.moved, name="old-part-of-call"),
]
_calls = [
    path("", views.calls, name="calls"),
    path("export.csv", views.calls_csv, name="calls-csv"),
    path("<int:pk>/", views.result, name="result"),
    path("<int:pk>/thumbnail/", views.thumbnail, name="thumbnail"),
    path("<int:pk>/picture/", views.picture, name="picture"),
    path("<int:pk>/forget/", views.forget, name="forget"),
    path("<int:pk>/wrong/", test_sets.wrong, name="wrong"),
    path("side/", views.beside_chosen, name="beside-chosen"),
    path("side/<slug:calls>/", views.side, name="side"),
]
urlpatterns = [
    path("invoke/", include(_invoke)),
    path("calls/", include(_calls)),
]
