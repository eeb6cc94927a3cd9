"""Labels are stored once for all versions that have the same."""

import hashlib
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.tests import locks
from models_catalog import publication
from models_catalog.models import LabelFile, Version
from models_catalog.tests.test_api_reading import made

pytestmark = pytest.mark.django_db
move = import_module("models_catalog.migrations.0019_labels_of_reports")


def test_versions_with_the_same_labels_share_a_row() -> None:
    first, again = LabelFile.of(["zero", "one"]), LabelFile.of(["zero", "one"])
    assert first is not None
    assert first == again
    assert LabelFile.of(["one", "zero"]) != first
    assert first.labels == ["zero", "one"]


@pytest.mark.parametrize("labels", [[], ["two\nlines", "one"]])
def test_what_is_no_list_of_lines_stays_in_the_report(labels: list[str]) -> None:
    assert LabelFile.of(labels) is None
    version = made("digits", report={"ok": True, "artifact": {"labels": labels}})
    assert version.labels == labels
    assert version.full_report == version.report


def test_the_report_is_told_with_its_labels() -> None:
    row = LabelFile.of(["zero", "one"])
    version = made("digits", report={"ok": True, "artifact": {"label_count": 2}}, label_file=row)
    assert version.full_report["artifact"] == {"label_count": 2, "labels": ["zero", "one"]}


def test_reports_of_the_release_before_are_found_by_their_labels_and_stay() -> None:
    report: dict[str, Any] = {"ok": True, "artifact": {"labels": ["zero", "one"]}}
    for name in ("old", "older"):
        made(name, state=Version.State.READY, report=report)
    made("empty", report={})
    made("waiting", report={"archive": {}})
    move.note_labels(apps, None)
    assert [row.labels for row in LabelFile.objects.all()] == [["zero", "one"]]
    old = Version.objects.get(model__name="old")
    assert old.label_file == LabelFile.objects.get()
    assert old.report == report
    assert Version.objects.filter(label_file=None).count() == 2


def test_labels_that_no_version_has_are_cleared() -> None:
    kept, left = LabelFile.of(["kept"]), LabelFile.of(["left"])
    assert left is not None
    made("digits", label_file=kept)
    publication.clear_labels()
    assert LabelFile.objects.get() == kept


@pytest.mark.django_db(transaction=True)
def test_labels_that_a_validation_finds_are_not_cleared_before_its_version_has_them() -> None:
    """On PostgreSQL either of them failed."""
    version, found = made("digits"), threading.Event()
    left = LabelFile.objects.create(sha256=hashlib.sha256(b"zero").hexdigest(), text="zero")

    def clear() -> None:
        try:
            assert found.wait(30)
            publication.clear_labels()
        finally:
            connections.close_all()

    worker = threading.Thread(target=clear)
    worker.start()
    with transaction.atomic():
        assert LabelFile.of(["zero"]) == left
        found.set()
        locks.wait_for_waiter(or_until=lambda: not worker.is_alive())
        Version.objects.filter(pk=version.pk).update(label_file=left)
    worker.join(30)
    version.refresh_from_db()
    assert version.labels == ["zero"]


@pytest.mark.parametrize("page", ["/models/digits/v2/", "/models/digits/v2/compare/?with=digits:1"])
def test_a_page_that_shows_labels_asks_for_them_with_the_version(
    client_of: Callable[[str], Client], page: str
) -> None:
    row = LabelFile.of(["zero", "one"])
    for number in (1, 2):
        report = {"ok": True, "artifact": {"label_count": 2}}
        made("digits", number, report=report, label_file=row)
    client = client_of("viewer")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(page).status_code == 200
    alone = [sql for one in asked if 'FROM "models_catalog_labelfile"' in (sql := one["sql"])]
    assert not alone
