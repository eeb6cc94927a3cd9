"""What vanished, changed or appeared in a store past the portal is found, told, and taken back."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from activity.models import Event
from core import clock, errors
from models_catalog import drift, s3, tasks
from models_catalog.models import StoreComparison, StrayObject, Version
from models_catalog.tests.test_aliases import make_model
from tests.bearer import secret_of

ONE, TWO = "models/digits_v1.tar.gz", "models/digits_v2.tar.gz"


class _Killed(BaseException):
    """As a SIGKILL: no handler of the code that runs may do anything about it."""


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The jobs that were queued; nothing is run."""
    queued: list[tuple[str, int]] = []
    monkeypatch.setattr(drift, "enqueue_on_commit", lambda *job: queued.append(job))
    return queued


@pytest.fixture
def digits(db: None, store: str) -> str:
    """Two ready versions with their objects, compared once; gives the bucket."""
    model = make_model("digits", 2, bucket=store, prefix="models", published_size=3)
    for number, data in ((1, b"one"), (2, b"two")):
        digest = hashlib.sha256(data).hexdigest()
        model.versions.filter(number=number).update(published_sha256=digest)
        _put(store, f"models/digits_v{number}.tar.gz", data)
    drift.prepare()
    _night()
    return store


def _put(bucket: str, key: str, data: bytes) -> None:
    s3.replace(bucket=bucket, key=key, data=data, found=s3.read(bucket=bucket, key=key))


def _night() -> None:
    """Let the comparison be due, and do it."""
    StoreComparison.objects.update(check_after=clock.now(), leased_until=None)
    for row in StoreComparison.objects.all():
        drift.compare(comparison_pk=row.pk)


def _drifts() -> list[str]:
    return list(Version.objects.order_by("number").values_list("drift", flat=True))


def _actions() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("action", flat=True))


def test_a_store_that_is_right_is_read_once(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _drifts() == ["", ""]
    assert all(Version.objects.values_list("etag", flat=True))
    assert _actions() == []
    row = StoreComparison.objects.get()
    assert row.compared_at is not None
    assert row.check_after > clock.now()

    def never(**_what: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(s3, "download", never)
    _night()
    assert _drifts() == ["", ""]


def test_what_is_gone_or_changed_is_told_once_and_taken_back(digits: str) -> None:
    s3.delete(bucket=digits, key=ONE)
    _put(digits, TWO, b"TWO")
    _night()
    _night()
    assert _drifts() == ["gone", "changed"]
    assert _actions() == ["version.object_gone", "version.object_changed"]
    assert list(Version.objects.drifted().values_list("number", flat=True)) == [2, 1]
    _put(digits, ONE, b"one")
    _put(digits, TWO, b"two")
    _night()
    assert _drifts() == ["", ""]
    assert _actions()[2:] == ["version.object_right", "version.object_right"]
    assert not Version.objects.exclude(drift_at=None).exists()


def test_other_sizes_are_not_read(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(digits, TWO, b"longer")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "sha256", lambda **_what: pytest.fail("read"))
        _night()
    assert _drifts() == ["", "changed"]


def test_the_same_bytes_written_again_are_right(
    digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Version.objects.update(etag="another")
    _night()
    assert _drifts() == ["", ""]
    assert _actions() == []
    assert not Version.objects.filter(etag="another").exists()


def test_what_is_not_in_the_store_by_right_is_not_missed(digits: str) -> None:
    s3.delete(bucket=digits, key=ONE)
    s3.delete(bucket=digits, key=TWO)
    Version.objects.filter(number=1).update(state="deleted")
    Version.objects.filter(number=2).update(state="checking")
    _night()
    assert _drifts() == ["", ""]
    Version.objects.filter(number=2).update(state="retired")
    _night()
    assert _drifts() == ["", "gone"]


def test_a_version_that_is_deleted_meanwhile_did_not_drift(
    digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = s3.listing

    def deleted(**what: Any) -> Any:
        Version.objects.filter(number=1).update(state="deleting")
        s3.delete(bucket=digits, key=ONE)
        return listing(**what)

    monkeypatch.setattr(s3, "listing", deleted)
    _night()
    assert _drifts() == ["", ""]
    assert _actions() == []


def test_what_appeared_is_kept_until_it_is_gone_or_registered(digits: str) -> None:
    _put(digits, "models/team/zoo.tar.gz", b"data")
    _put(digits, "models/notes.txt", b"data")
    _put(digits, "staging/x", b"data")
    _night()
    _night()
    assert sorted(map(str, StrayObject.objects.all())) == [
        f"s3://{digits}/models/notes.txt",
        f"s3://{digits}/models/team/zoo.tar.gz",
    ]
    assert _actions() == ["store.appeared", "store.appeared"]
    s3.delete(bucket=digits, key="models/notes.txt")
    digest = hashlib.sha256(b"data").hexdigest()
    zoo = make_model("zoo", 1, bucket=digits, size=4, sha256=digest)
    zoo.versions.update(key="models/team/zoo.tar.gz")
    _night()
    assert not StrayObject.objects.exists()
    assert _actions()[2:] == ["store.cleared", "store.cleared"]


def test_many_are_counted(digits: str) -> None:
    for number in range(drift.TOLD + 5):
        _put(digits, f"models/{number}.tar.gz", b"data")
    _night()
    assert _actions().count("store.appeared") == drift.TOLD
    assert "Found 5 more such objects" in Event.objects.get(action="store.appeared_more").sentence


def test_what_s3_does_not_list_is_said_and_tried_again(
    digits: str, monkeypatch: pytest.MonkeyPatch, client_of: Callable[[str], Client]
) -> None:
    def denied(**_what: object) -> None:
        raise errors.Denied("S3 does not allow it.")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "listing", denied)
        _night()
        page = client_of("operator").get("/models/new/import/").content.decode()
    assert "S3 does not allow it." in page
    row = StoreComparison.objects.get()
    assert row.attempts == 1
    assert row.check_after < clock.now() + timedelta(minutes=31)
    _night()
    row.refresh_from_db()
    assert (row.problem, row.said, row.attempts) == ("", None, 0)


@pytest.mark.parametrize("where", ["listing", "sha256", "_note_strays"])
def test_a_killed_comparison_is_taken_up(
    digits: str, jobs: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    _put(digits, TWO, b"TWO")
    _put(digits, "models/zoo.tar.gz", b"data")
    row = StoreComparison.objects.get()
    StoreComparison.objects.update(check_after=clock.now())

    def kill(*_: Any, **__: Any) -> Any:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(drift if where.startswith("_") else s3, where, kill)
        with pytest.raises(_Killed):
            drift.compare(comparison_pk=row.pk)
    tasks.sweep()
    assert jobs == [], "its lease has not run out"
    StoreComparison.objects.update(leased_until=clock.now())
    tasks.sweep()
    assert jobs == [("models_catalog.tasks.compare_store", row.pk)]
    drift.compare(comparison_pk=row.pk)
    assert _drifts() == ["", "changed"]
    assert _actions() == ["version.object_changed", "store.appeared"]


def test_each_store_is_compared_every_night(digits: str, settings: Any) -> None:
    make_model("old", 1, bucket=digits, prefix="older")
    settings.MODEL_PREFIX = "newer"
    drift.prepare()
    drift.prepare()
    assert sorted(map(str, StoreComparison.objects.all())) == [
        f"s3://{digits}/{prefix}/" for prefix in ("models", "newer", "older")
    ]
    zone = ZoneInfo(settings.TIME_ZONE)
    with timezone.override("UTC"):  # whatever the reader's is
        for hour, day in ((1, 5), (3, 6), (14, 6)):
            night = drift._next_night(datetime(2026, 5, 5, hour, tzinfo=zone))
            assert night == datetime(2026, 5, day, 3, tzinfo=zone)


def test_pages_show_it(digits: str, client_of: Callable[[str], Client]) -> None:
    s3.delete(bucket=digits, key=ONE)
    _put(digits, TWO, b"TWO")
    _put(digits, "models/zoo.tar.gz", b"data")
    _night()
    operator = client_of("operator")
    page = operator.get("/").content.decode()
    for said in (
        "digits v1: its archive in the store is gone.",
        "digits v2: its archive in the store is another one.",
        f"s3://{digits}/models/zoo.tar.gz is no version.",
    ):
        assert said in page
    assert (
        "Its archive is gone from the store" in operator.get("/models/digits/v1/").content.decode()
    )
    page = operator.get("/models/digits/v2/").content.decode()
    assert "is not the one that was published" in page
    assert "zoo.tar.gz is no version" not in client_of("viewer").get("/").content.decode()
    StrayObject.objects.update(seen_at=clock.now() - timedelta(days=8))
    assert "is no version" not in operator.get("/").content.decode()
    assert "models/digits/v1/" in operator.get("/models/new/import/").content.decode()


def test_the_api_shows_it(digits: str, user_in: Callable[[str], Any]) -> None:
    s3.delete(bucket=digits, key=ONE)
    _night()
    secret = secret_of(user_in("viewer"), ["read"])
    caller = Client(headers={"Authorization": f"Bearer {secret}"})
    items = caller.get("/api/v1/versions?drifted=true").json()["items"]
    assert [(one["number"], one["drift"]) for one in items] == [(1, "gone")]
    assert caller.get("/api/v1/models/digits/versions/2").json()["drift"] is None


@pytest.mark.django_db
def test_today_finds_the_few_by_an_index() -> None:
    """The rows of versions are long: none is read that is as it was published."""
    rows = Version.objects.drifted().defer("report").select_related("model")
    if connection.vendor == "sqlite":  # others read a table whole while it is small
        assert "version_by_drift" in rows[:100].explain()


def test_a_prefix_with_other_capitals_is_another_store(digits: str) -> None:
    StoreComparison.objects.create(bucket=digits, prefix="Models")
    for key in ("models/stray.tar.gz", "Models/stray.tar.gz"):
        _put(digits, key, b"stray")
    for _ in range(2):
        _night()
        kept = sorted(StrayObject.objects.values_list("key", flat=True))
        assert kept == ["Models/stray.tar.gz", "models/stray.tar.gz"]
    assert Event.objects.filter(action="store.appeared").count() == 2
    assert not Event.objects.filter(action="store.cleared").exists()
