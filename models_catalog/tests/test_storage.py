"""What the archives take up, and what a quota refuses: by services, the page and the API."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from accounts.models import PeopleGroup
from activity.models import Event
from core import clock
from models_catalog import copying, s3, secrecy, services, storage, uploads
from models_catalog.models import (
    RegisteredModel,
    StorageQuota,
    Store,
    StoreGroup,
    Upload,
    Version,
)
from models_catalog.refusals import CatalogRefused
from models_catalog.tests.test_aliases import make_model
from tests.bearer import secret_of

PAGE = "/models/new/storage/"
SET = "/models/new/storage/quota/"
API = "/api/v1/storage"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte of these tests has 100 bytes; no job is queued."""
    monkeypatch.setattr(storage, "_GB", 100)
    for module in (services, copying):
        monkeypatch.setattr(module, "enqueue_on_commit", lambda *_: None)


@pytest.fixture
def anna(user_in: Callable[[str], User], store: str) -> User:
    return user_in("operator")


def _version(name: str, user: User | None, **more: Any) -> Version:
    make_model(name, 1, created_by=user, **({"size": 60, "published_size": 70} | more))
    return Version.objects.get(model__name=name)


def _push(user: User | None, count: int, name: str = "fresh") -> Version:
    return services.push_version(
        name=name, description="", note="", file=BytesIO(b"x" * count), size=count,
        file_name="a.tar.gz", packing_choice="", digests=(), actor=user,
    )  # fmt: skip


def _begin(user: User, length: int, name: str = "begun") -> Upload:
    return uploads.create(
        owner=user, length=length, name=name, new=None, file_name="a.tar.gz", note="",
        description="", packing_choice="", meta=(),
    )  # fmt: skip


def _used(user: User) -> int:
    return storage.of_user(user).used


def test_what_is_served_kept_and_begun_counts_and_nothing_else(anna: User) -> None:
    _version("served", anna)
    _version("kept", anna, original_key="originals/1")
    _version("under-way", anna, published_size=None, state=Version.State.CHECKING)
    _version("retired", anna, state=Version.State.RETIRED)
    assert _used(anna) == 70 + (70 + 60) + 60 + 70
    _version("rejected", anna, state=Version.State.REJECTED, reason="why")
    _version("deleted", anna, state=Version.State.DELETED)
    _version("found", anna, as_found=True)
    _version("of-another", None)
    assert _used(anna) == 330
    _begin(anna, 50)
    expired = _begin(anna, 1000, "expired")
    Upload.objects.filter(pk=expired.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert _used(anna) == 380
    assert storage.store().used == 380 + 2 * 70


def test_an_archive_that_would_pass_the_quota_is_refused_before_it_is_stored(
    anna: User, settings: Any, keys: Callable[[], set[str]]
) -> None:
    settings.USER_QUOTA_GB = 2
    assert _push(anna, 120).size == 120
    before = keys()
    with pytest.raises(services.NotStored) as refused:
        _push(anna, 81)
    assert refused.value.code == "over-quota"
    for part in ("81", "200", "80"):
        assert f"{part}\xa0bytes" in str(refused.value)
    assert keys() == before
    assert Version.objects.count() == 1
    assert _push(anna, 80).size == 80
    assert storage.of_user(anna).left == 0


def test_a_file_that_is_longer_than_was_said_does_not_pass_the_quota(
    anna: User, settings: Any, keys: Callable[[], set[str]]
) -> None:
    settings.USER_QUOTA_GB = 1
    with pytest.raises(services.NotStored):
        services.upload_version(
            name="fresh",
            note="",
            file=BytesIO(b"x" * 101),
            file_name="a.tar.gz",
            actor=anna,
            size=1,
        )
    assert keys() == set()
    assert not Version.objects.exists()


def test_begun_uploads_do_not_share_one_rest_and_end_as_versions_that_count_once(
    anna: User, settings: Any
) -> None:
    settings.USER_QUOTA_GB = 1
    begun = _begin(anna, 60)
    with pytest.raises(services.NotStored) as refused:
        _begin(anna, 60, "other")
    assert refused.value.code == "over-quota"
    assert Upload.objects.count() == 1
    data = b"x" * 60
    uploads.receive(upload=begun, offset=0, size=60, file=BytesIO(data), checksum=None)
    assert Version.objects.get().size == 60
    assert _used(anna) == 60
    _begin(anna, 40, "other")


def test_the_stores_quota_counts_for_everybody(anna: User, settings: Any) -> None:
    settings.STORE_QUOTA_GB = 1
    _version("found", None, as_found=True)
    for who in (anna, None):
        with pytest.raises(services.NotStored, match="the store's quota"):
            _push(who, 31)
    assert _push(anna, 30).size == 30


def test_copies_are_made_all_or_none(anna: User, settings: Any, store: str) -> None:
    source = _version("source", None, bucket=store, prefix="models")
    s3.replace(bucket=store, key=source.key, data=b"x", found=None)
    settings.USER_QUOTA_GB = 2
    with pytest.raises(CatalogRefused) as refused:
        copying.start(model="source", number=1, to="copy_{n}", times=3, actor=anna)
    assert refused.value.code == "over-quota"
    assert Version.objects.count() == 1
    assert len(copying.start(model="source", number=1, to="copy_{n}", times=2, actor=anna)) == 2
    assert storage.of_user(anna).percent in (60, 70)


def test_one_person_has_another_quota_until_the_usual_one_is_set(
    anna: User, user_in: Callable[[str], User], settings: Any
) -> None:
    settings.USER_QUOTA_GB = 1
    admin = user_in("admin")
    name = anna.get_username()

    def quota(gigabytes: int | None) -> int | None:
        found = storage.set_quota(username=name, gigabytes=gigabytes, actor=admin)
        assert storage.of_user(anna).quota == found.usage.quota
        return found.usage.quota

    assert [quota(3), quota(3), quota(0), quota(None), quota(None)] == [300, 300, None, 100, 100]
    events = Event.objects.filter(action__startswith="quota.").order_by("pk")
    assert [event.action for event in events] == ["quota.set", "quota.lifted", "quota.usual"]
    assert "3" in str(events[0].sentence)
    for wrong in (-1, storage.MOST_GB + 1):
        with pytest.raises(ValidationError):
            storage.set_quota(username=name, gigabytes=wrong, actor=admin)
    assert not StorageQuota.objects.exists()


def test_the_page_says_who_takes_up_how_much(
    client_of: Callable[[str], Client], settings: Any, anna: User
) -> None:
    client = client_of("viewer")
    assert "There is no archive in the store yet" in client.get(PAGE).content.decode()
    settings.USER_QUOTA_GB = 1
    _version("digits", anna)
    page = client.get(PAGE).content.decode()
    assert anna.get_username() in page
    assert "70 %" in page
    assert 'href="/models/digits/"' in page
    assert SET not in page  # for admins
    assert client.post(SET, {"person": anna.get_username(), "gigabytes": 5}).status_code == 403
    uploader = Client()
    uploader.force_login(anna)
    assert "30\xa0bytes of your quota" in uploader.get("/models/new/").content.decode()


def test_an_admin_sets_a_quota_on_the_page(client_of: Callable[[str], Client], anna: User) -> None:
    client = client_of("admin")
    name = anna.get_username()
    assert SET in client.get(PAGE).content.decode()
    assert client.post(SET, {"person": name, "gigabytes": "5"}).status_code == 302
    assert StorageQuota.objects.get().gigabytes == 5
    assert client.post(SET, {"person": name, "gigabytes": ""}).status_code == 302
    assert not StorageQuota.objects.exists()
    wrong = client.post(SET, {"person": "nobody", "gigabytes": "5"})
    assert wrong.status_code == 422
    assert "There is no user nobody." in wrong.content.decode()


def test_the_form_of_the_page_refuses_what_would_pass_the_quota(
    client_of: Callable[[str], Client], store: str, settings: Any
) -> None:
    settings.USER_QUOTA_GB = 1
    file = SimpleUploadedFile("a.tar.gz", b"x" * 101)
    answer = client_of("operator").post("/models/new/", {"name": "fresh", "archive": file})
    assert answer.status_code == 507
    assert "of your quota of" in answer.content.decode()
    assert not Version.objects.exists()


def test_what_is_in_each_store_is_said_to_who_may_see_it(
    anna: User, client_of: Callable[[str], Client]
) -> None:
    _version("digits", anna)
    place = Store.objects.create(name="team-a", bucket="a", prefix="m", region="ap-northeast-2")
    version = _version("cats", anna, published_size=10)
    RegisteredModel.objects.filter(pk=version.model_id).update(store=place)
    assert [(one.name, one.versions) for one in storage.overview(user=anna).stores] == [
        ("default", 1),
        ("team-a", 1),
    ]
    client = client_of("viewer")
    assert "?store=team-a" in client.get("/models/new/storage/").content.decode()
    group = PeopleGroup.objects.create(name="others")
    StoreGroup.objects.create(store=place, group=group)
    secrecy.forget()
    assert "team-a" not in client.get("/models/new/storage/").content.decode()


def _client(user: User, *scopes: str) -> Client:
    secret = secret_of(user, scopes)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_the_api_says_what_is_taken_up_and_sets_quotas(
    anna: User, user_in: Callable[[str], User]
) -> None:
    _version("digits", anna)
    name = anna.get_username()
    found = _client(anna, "read").get(API).json()
    assert found["store"] == {"used": 70, "quota": None}
    assert found["mine"] == {"used": 70, "quota": None}
    assert found["largest"] == [{"name": "digits", "versions": 1, "used": 70}]
    assert found["stores"] == [{"name": "default", "versions": 1, "used": 70}]
    admin = _client(user_in("admin"), "read", "admin")

    def put(of: str, gigabytes: Any) -> Any:
        url = f"{API}/people/{of}"
        return admin.put(url, {"gigabytes": gigabytes}, content_type="application/json")

    expected = {"name": name, "versions": 1, "used": 70, "quota": 200, "own_quota": True}
    assert put(name, 2).json() == expected
    assert admin.get(API).json()["people"] == [expected]
    assert put(name, None).json()["own_quota"] is False
    assert put("nobody", 2).status_code == 404
    assert put(name, -1).status_code == 422


def test_the_api_refuses_an_upload_that_would_pass_the_quota(anna: User, settings: Any) -> None:
    settings.USER_QUOTA_GB = 1
    client = _client(anna, "read", "upload")
    answer = client.post(
        "/api/v1/models/fresh/versions", b"x" * 101, content_type="application/gzip"
    )
    assert answer.status_code == 507
    assert answer.json()["type"].endswith("/over-quota")
    told = f"model {base64.b64encode(b'fresh').decode()}"
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "101", "Upload-Metadata": told}
    answer = client.post("/api/v1/uploads/", headers=headers)
    assert answer.status_code == 507
    assert answer.json()["type"].endswith("/over-quota")
    assert not Upload.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_fill_the_last_rest_one_alone_passes(
    user_in: Callable[[str], User], settings: Any
) -> None:
    settings.STORE_QUOTA_GB = 1  # of 100 bytes
    people = [user_in("operator"), user_in("admin")]
    begin = threading.Barrier(2)

    def fill(person: User) -> bool:
        try:
            begin.wait(30)
            with storage.room_for(60, user=person):
                Upload.objects.create(
                    owner=person, expires_at=clock.now() + timedelta(hours=1), length=60,
                    bucket="b", name=f"of-{person.pk}", file_name="a.tar.gz",
                )  # fmt: skip
        except storage.OverQuota:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(fill, people)) == [False, True]
    assert storage.store().used == 60


def test_the_row_that_both_wait_for_is_locked_before_anything_is_counted(
    anna: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite has one writer at a time anyway; PostgreSQL waits at this row.
    settings.STORE_QUOTA_GB = 1
    done: list[str] = []
    lock, count = storage._wait_for_others, storage.store
    monkeypatch.setattr(storage, "_wait_for_others", lambda: (done.append("lock"), lock()))
    monkeypatch.setattr(storage, "store", lambda: (done.append("count"), count())[1])
    with storage.room_for(10, user=anna):
        assert done == ["lock", "count"]
