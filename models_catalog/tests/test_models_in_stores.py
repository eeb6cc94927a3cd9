"""A model belongs to a store for good: what is uploaded, copied, imported and swept goes by it."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from core import clock
from models_catalog import copying, drift, importing, s3, services, staged, stores, uploads
from models_catalog.models import (
    RegisteredModel,
    Store,
    StoreComparison,
    Upload,
    Version,
)
from models_catalog.refusals import CatalogRefused
from models_catalog.tests.test_stores import _bucket
from tests.bearer import secret_of

API = "/api/v1"


@pytest.fixture(autouse=True)
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (services, copying, importing, uploads):
        monkeypatch.setattr(module, "enqueue_on_commit", lambda *_: None)


@pytest.fixture
def anna(user_in: Callable[[str], User], store: str) -> User:
    return user_in("operator")


@pytest.fixture
def team_a(db: None, store: str) -> Store:
    """A store in a bucket of its own."""
    return Store.objects.create(
        name="team-a", bucket=_bucket(f"{store}-team-a"), prefix="mme", region="ap-northeast-2"
    )


def _push(user: User, name: str = "digits", **more: Any) -> Version:
    given = {"description": "", "note": "", "file_name": "a.tar.gz", "packing_choice": ""}
    return services.push_version(
        **given, name=name, file=BytesIO(b"abc"), size=3, digests=(), actor=user, **more
    )


def _begin(user: User, name: str = "digits", **more: Any) -> Upload:
    given = {"new": None, "file_name": "a.tar.gz", "note": "", "description": "", "meta": ()}
    return uploads.create(owner=user, length=3, name=name, packing_choice="", **given, **more)


def _client(user: User, *scopes: str) -> Client:
    made = secret_of(user, ["read", *scopes])
    return Client(headers={"Authorization": f"Bearer {made}"})


def test_a_push_goes_to_its_models_store_and_stays_there(anna: User, team_a: Store) -> None:
    first = _push(anna, store="team-a")
    assert (first.bucket, first.key) == (team_a.bucket, "mme/digits_v1.tar.gz")
    assert s3.exists(bucket=team_a.bucket, key=first.staging_key)
    assert _push(anna).key == "mme/digits_v2.tar.gz"
    with pytest.raises(ValidationError, match="cannot be moved"):
        _push(anna, store="default")
    assert _push(anna, "other").uri.endswith("/models/other_v1.tar.gz")
    with pytest.raises(ValidationError, match="no store"):
        _push(anna, "third", store="nowhere")


def test_an_upload_that_goes_on_goes_to_the_store(anna: User, team_a: Store) -> None:
    begun = _begin(anna, store="team-a")
    assert begun.bucket == team_a.bucket
    done = uploads.receive(upload=begun, offset=0, size=3, file=BytesIO(b"abc"), checksum=None)
    assert done.version is not None
    assert done.version.uri == f"s3://{team_a.bucket}/mme/digits_v1.tar.gz"


def test_a_model_that_another_made_elsewhere_meanwhile_is_not_mixed_up(
    anna: User, team_a: Store
) -> None:
    begun = _begin(anna, store="team-a")
    _push(anna)
    with pytest.raises(ValidationError, match="in the store default"):
        uploads.receive(upload=begun, offset=0, size=3, file=BytesIO(b"abc"), checksum=None)
    assert Version.objects.count() == 1


def test_what_is_to_come_is_said_by_store(anna: User, team_a: Store, store: str) -> None:
    _push(anna, store="team-a")
    [known, cats] = services.planned(names=["digits", "cats"], store="team-a")
    assert [known.key, cats.key] == ["mme/digits_v2.tar.gz", "mme/cats_v1.tar.gz"]
    assert services.planned(names=["cats"])[0].key == "models/cats_v1.tar.gz"


def test_a_retired_store_takes_nothing_and_one_in_use_is_not_retired(
    anna: User, team_a: Store
) -> None:
    begun = _begin(anna, store="team-a")
    with pytest.raises(CatalogRefused, match="on their way to it: 1"):
        stores.retire(name="team-a", actor=None)
    begun.delete()
    services.register_model(name="kept", description="", store=team_a, actor=anna)
    stores.retire(name="team-a", actor=None)
    for attempt in (
        lambda: _push(anna, store="team-a"),
        lambda: _push(anna, "kept"),
        lambda: _begin(anna, "kept"),
        lambda: importing.start(keys=(), store="team-a", actor=anna),
    ):
        with pytest.raises(ValidationError, match="is retired"):
            attempt()
    assert not Version.objects.exists()
    assert [one.name for one in stores.offered()] == ["default"]


def test_copies_stay_in_the_store_of_their_source(anna: User, team_a: Store) -> None:
    source = _push(anna, store="team-a")
    Version.objects.update(state=Version.State.READY)
    [copy] = copying.start(model="digits", number=1, to="copy_{n}", times=1, actor=anna)
    assert copy.model.store == team_a
    assert (copy.bucket, copy.prefix) == (source.bucket, "mme")
    assert services.next_version(copy.model).key == "mme/copy_1_v2.tar.gz"


def test_what_lies_in_a_store_is_imported_from_there(anna: User, team_a: Store) -> None:
    s3.upload(bucket=team_a.bucket, key="mme/zoo.tar.gz", file=BytesIO(b"abc"))
    assert not importing.found()
    [found] = importing.found("team-a")
    assert found.uri == f"s3://{team_a.bucket}/mme/zoo.tar.gz"
    [made] = importing.start(keys=["zoo.tar.gz"], store="team-a", actor=anna)
    assert (made.uri, made.model.store) == (found.uri, team_a)


def test_every_store_is_compared_and_swept(
    anna: User, team_a: Store, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift.prepare()
    assert set(StoreComparison.objects.values_list("bucket", flat=True)) == {store, team_a.bucket}
    for bucket in (store, team_a.bucket):
        s3.upload(bucket=bucket, key="staging/left.tar.gz", file=BytesIO(b"abc"))
        s3.upload(bucket=bucket, key="staging/uploads/gone/0", file=BytesIO(b"abc"))
    names = {one.key for one in staged.unowned(before=clock.now() + uploads.KEPT)}
    assert f"s3://{team_a.bucket}/staging/left.tar.gz" in names
    for name in names:
        assert staged.find(name) is not None
    staged.delete(f"s3://{team_a.bucket}/staging/left.tar.gz")
    staged.delete("s3://another-bucket/staging/left.tar.gz")  # of no store: nothing is done
    assert not s3.exists(bucket=team_a.bucket, key="staging/left.tar.gz")
    assert s3.exists(bucket=store, key="staging/left.tar.gz")
    uploads.clear()
    for bucket in (store, team_a.bucket):
        assert not s3.exists(bucket=bucket, key="staging/uploads/gone/0")


def test_a_bucket_that_fails_keeps_no_other_from_being_swept(team_a: Store, store: str) -> None:
    Store.objects.create(
        name="gone", bucket="aaa-no-such-bucket", prefix="x", region="ap-northeast-2"
    )
    s3.upload(bucket=team_a.bucket, key="staging/uploads/gone/0", file=BytesIO(b"abc"))
    with pytest.raises(Exception, match="no such bucket"):
        uploads.clear()
    assert not s3.exists(bucket=team_a.bucket, key="staging/uploads/gone/0")


def test_the_api_chooses_filters_and_shows_the_store(anna: User, team_a: Store) -> None:
    client = _client(anna, "upload")
    made = client.post(f"{API}/models", {"name": "a", "store": "team-a"}, "application/json")
    assert made.json()["store"] == "team-a"
    client.post(f"{API}/models", {"name": "b"}, "application/json")
    refused = client.post(f"{API}/models", {"name": "c", "store": "no"}, "application/json")
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["store"])
    for name, found in (("team-a", ["a"]), ("default", ["b"]), ("no", [])):
        items = client.get(f"{API}/models?store={name}").json()["items"]
        assert [one["name"] for one in items] == found
    pushed = client.post(
        f"{API}/models/d/versions?store=team-a", b"abc", content_type="application/gzip"
    )
    assert pushed.json()["uri"] == f"s3://{team_a.bucket}/mme/d_v1.tar.gz"
    moved = client.post(
        f"{API}/models/d/versions?store=default", b"abc", content_type="application/gzip"
    )
    assert moved.status_code == 409
    s3.upload(bucket=team_a.bucket, key="mme/zoo.tar.gz", file=BytesIO(b"abc"))
    found = client.post(f"{API}/imports/preview?store=team-a").json()["items"]
    assert [one["target_model"] for one in found] == ["zoo.tar.gz"]


def test_pages_ask_for_a_store_only_where_there_are_several(
    client_of: Callable[[str], Client], store: str
) -> None:
    client = client_of("operator")
    pages = ("/models/new/", "/models/", "/models/new/import/")
    RegisteredModel.objects.create(name="digits")
    for page in pages:
        assert b"team-a" not in client.get(page).content, page
        assert b'name="store"' not in client.get(page).content, page
    made = Store.objects.create(
        name="team-a", bucket=_bucket(f"{store}-team-a"), prefix="mme", region="ap-northeast-2"
    )
    for page in pages:
        assert b"team-a" in client.get(page).content, page
    RegisteredModel.objects.create(name="cats", store=made)
    found = client.get("/models/?store=team-a").content
    assert b"cats" in found
    assert b"digits" not in found
    assert b"/models/new/stores/team-a/" in client.get("/models/cats/").content
    planned = client.post("/models/new/plan/", {"name": "dogs", "store": "team-a"}).json()
    assert planned["plans"][0]["key"] == "mme/dogs_v1.tar.gz"
    assert client.post("/models/new/plan/", {"name": "dogs", "store": "no"}).status_code == 422
    s3.upload(bucket=made.bucket, key="mme/zoo.tar.gz", file=BytesIO(b"abc"))
    assert b"zoo.tar.gz" in client.get("/models/new/import/?store=team-a").content
    assert b"zoo.tar.gz" not in client.get("/models/new/import/").content
