"""Stores: what is tried before one is added, what keeps two apart, and when one can be retired."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from core import aws
from core.errors import CONFLICT
from core.sentences import Sentence
from models_catalog import importing, s3, store_rights, stores
from models_catalog.models import Store, Version
from models_catalog.refusals import CatalogRefused
from models_catalog.store_rights import Right, RightOutcome, StorePlace
from models_catalog.tests.test_aliases import make_model
from tests.bearer import secret_of

PAGES = "/models/new/stores/"
API = "/api/v1/stores"


@pytest.fixture
def admin(user_in: Callable[[str], User], store: str) -> User:
    return user_in("admin")


def _bucket(name: str) -> str:
    aws.s3().create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"}
    )
    return name


@pytest.fixture
def other(store: str) -> str:
    """Another bucket, new and empty."""
    return _bucket(f"{store}-other")


def _add(actor: User | None, bucket: str, prefix: str = "team-a", **more: Any) -> Store:
    return stores.add(
        **({"name": "team-a", "bucket": bucket, "prefix": prefix} | more), actor=actor
    )


def _outcomes(store: Store, place: StorePlace = StorePlace.STORE) -> dict[Right, RightOutcome]:
    return {one.right: one.outcome for one in store_rights.known(store) if one.place == place}


def _refusing(monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    """Have the client that tests stores be denied these."""
    client = aws.s3(store_rights._TIMEOUTS, aws.BucketFacts("ap-northeast-2", "", ""))

    def refuse(**_given: Any) -> Any:
        said = {"Code": "AccessDenied", "Message": "a policy denies it"}
        raise ClientError({"Error": said}, "Operation")  # type: ignore[typeddict-item]

    for method in methods:
        monkeypatch.setattr(client, method, refuse)


def test_each_right_is_tried_and_nothing_is_left(admin: User, other: str) -> None:
    made = _add(admin, other, encryption="sse-s3")
    assert _outcomes(made) == dict.fromkeys(Right, RightOutcome.ALLOWED)
    assert set(_outcomes(made, StorePlace.STAGING).values()) == {RightOutcome.ALLOWED}
    assert {one.place for one in store_rights.known(made)} == set(StorePlace)
    assert not list(s3.listing(bucket=other, prefix=""))
    assert Event.objects.get(action="store.added").subject_name == "team-a"
    assert [one.name for one in stores.listed()] == ["default", "team-a"]


def test_without_a_needed_right_nothing_is_added(
    admin: User, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refusing(monkeypatch, "create_multipart_upload", "copy_object")
    with pytest.raises(stores.StoreRefused) as refused:
        _add(admin, other)
    lacking = [one.right for one in store_rights.lacking(refused.value.found)]
    assert lacking == [Right.COPY, Right.MULTIPART]
    assert "a policy denies it" in refused.value.errors[0]
    assert not Store.objects.exists()


def test_where_nothing_may_be_deleted_it_is_added_and_the_probe_is_no_archive(
    admin: User, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = aws.s3(store_rights._TIMEOUTS, aws.BucketFacts("ap-northeast-2", "", "")).delete_object

    def delete(**given: Any) -> Any:
        if given["Key"].startswith("team-a/"):
            said = {"Code": "AccessDenied", "Message": "no"}
            raise ClientError({"Error": said}, "DeleteObject")  # type: ignore[typeddict-item]
        return real(**given)

    client = aws.s3(store_rights._TIMEOUTS, aws.BucketFacts("ap-northeast-2", "", ""))
    monkeypatch.setattr(client, "delete_object", delete)
    made = _add(admin, other)
    assert _outcomes(made)[Right.DELETE] == RightOutcome.REFUSED
    left = list(s3.listing(bucket=other, prefix=""))
    assert {found.key.rpartition("/")[2] for found in left} == set(store_rights.KEYS)
    assert not importing.unknown(left, other)
    # The same again: no more objects, and the answer is the same.
    tested = stores.test(name="team-a", actor=admin)
    assert _outcomes(tested) == _outcomes(made)
    assert len(list(s3.listing(bucket=other, prefix=""))) == len(left)
    said = Event.objects.get(action="store.tested_refused")
    assert said.parameters["rights"] == "store/delete"


def test_a_bucket_that_is_not_there_is_refused_and_one_that_does_not_answer_is_unknown(
    admin: User, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(stores.StoreRefused) as refused:
        _add(admin, "no-such-bucket-of-anybody")
    why = "There is no bucket no-such-bucket-of-anybody, "
    assert str(refused.value).startswith(f"The store was not added. {why}")
    found = refused.value.found
    assert found[0].outcome == RightOutcome.REFUSED
    assert {one.outcome for one in found[1:]} == {RightOutcome.UNKNOWN}
    (said,) = refused.value.errors  # once, and nothing of the setting for the default store
    assert said.startswith(f"Store, List: {why}")

    def slow(**_given: Any) -> Any:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "ListObjectsV2")

    client = aws.s3(store_rights._TIMEOUTS, aws.BucketFacts("ap-northeast-2", "", ""))
    monkeypatch.setattr(client, "list_objects_v2", slow)
    found = store_rights.tried(Store(bucket=other, prefix="x", region="ap-northeast-2"))
    assert {one.outcome for one in found} == {RightOutcome.UNKNOWN}


def test_a_server_that_ignores_the_condition_is_told_of(
    admin: User, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws.s3(store_rights._TIMEOUTS, aws.BucketFacts("ap-northeast-2", "", ""))
    real = client.put_object

    def put(IfNoneMatch: str = "", **given: Any) -> Any:  # as boto3 has it
        return real(**given)

    monkeypatch.setattr(client, "put_object", put)
    made = _add(admin, other)
    assert _outcomes(made)[Right.PUT_NEW] == RightOutcome.UNKNOWN


def test_two_tests_of_a_store_at_once_find_the_same(
    admin: User, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One deletes its object, which has the key of the other's, before that has done with it."""
    tested = Store(bucket=other, prefix="x", region="ap-northeast-2", encryption="sse-s3")
    deleted: list[str] = []

    def overtaken(self: Any, below: str) -> Any:
        if below not in deleted:
            deleted.append(below)
            self._delete(below)

    for name in ("_put_new", "_get", "_copy"):
        with monkeypatch.context() as patch:
            deleted.clear()
            real = getattr(store_rights._Trial, name)
            patch.setattr(
                store_rights._Trial,
                name,
                lambda self, below, real=real: overtaken(self, below) or real(self, below),
            )
            found = store_rights.tried(tested)
        assert [one for one in found if one.outcome != RightOutcome.ALLOWED] == [], name


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"prefix": "models"}, "prefix"),
        ({"prefix": "models/deeper"}, "prefix"),
        ({"prefix": "staging"}, "prefix"),
        ({"prefix": "aliases/x"}, "prefix"),
        ({"prefix": "/"}, "prefix"),
        ({"prefix": "a//b"}, "prefix"),
        ({"prefix": "old"}, "prefix"),
        ({"name": "default"}, "name"),
        ({"name": "Team"}, "name"),
        ({"region": "nowhere"}, "region"),
        ({"region": "eu-west-1"}, "region"),
        ({"encryption": "sse-kms"}, "encryption"),
        ({"encryption": "no"}, "encryption"),
        ({"kms_key_id": "key"}, "kms_key_id"),
    ],
)
def test_what_cannot_be_a_store_is_refused_by_its_field(
    admin: User, store: str, given: dict[str, str], field: str
) -> None:
    make_model("digits", 1, bucket=store, prefix="old", key="old/digits_v1.tar.gz")
    with pytest.raises(ValidationError) as refused:
        _add(admin, store, **given)
    assert list(refused.value.message_dict) == [field]


def test_two_stores_never_contain_one_another(admin: User, other: str) -> None:
    _add(admin, other, "team/a")
    for number, prefix in enumerate(("team", "team/a", "team/a/deeper")):
        with pytest.raises(ValidationError) as refused:
            _add(admin, other, prefix, name=f"b{number}")
        assert refused.value.error_dict["prefix"][0].code == CONFLICT
    _add(admin, other, "team/ab", name="b")
    with pytest.raises(ValidationError, match="already"):
        _add(admin, other, "else", name="b")


def test_only_an_empty_store_is_retired(admin: User, other: str) -> None:
    _add(admin, other)
    make_model("digits", 1, bucket=other, prefix="team-a", key="team-a/digits_v1.tar.gz")
    with pytest.raises(CatalogRefused, match="not deleted: 1"):
        stores.retire(name="team-a", actor=admin)
    Version.objects.update(state=Version.State.DELETED)
    assert stores.retire(name="team-a", actor=admin).retired_at is not None
    stores.retire(name="team-a", actor=admin)
    assert Event.objects.filter(action="store.retired").count() == 1
    with pytest.raises(ValidationError, match="lies in the store"):
        _add(admin, other, name="again")
    assert stores.restore(name="team-a", actor=admin).retired_at is None
    with pytest.raises(CatalogRefused, match="settings"):
        stores.retire(name="default", actor=admin)
    with pytest.raises(CatalogRefused, match="no store"):
        stores.retire(name="nowhere", actor=admin)


def test_nothing_is_repacked_into_a_store_that_is_retired(admin: User, other: str) -> None:
    _add(admin, other)
    model = make_model("zoo", 1, bucket=other, prefix="team-a", key="team-a/zoo.tar.gz")
    reason = Sentence(importing.NOT_CANONICAL)
    rejected = {"state": Version.State.REJECTED, "reason_code": reason.as_json()}
    model.versions.update(as_found=True, reason=reason.english(), **rejected)
    model.store = Store.objects.get(name="team-a")
    model.save()
    s3.replace(bucket=other, key="team-a/zoo.tar.gz", data=b"as it was found", found=None)
    stores.retire(name="team-a", actor=admin)
    with pytest.raises(CatalogRefused, match="is retired, and takes nothing new"):
        importing.repack(model="zoo", number=1, actor=admin)
    assert not list(s3.listing(bucket=other, prefix="staging/"))
    assert model.versions.count() == 1
    stores.restore(name="team-a", actor=admin)
    assert importing.repack(model="zoo", number=1, actor=admin).number == 2


def test_the_default_store_stays_where_the_settings_say(
    admin: User, store: str, settings: Any
) -> None:
    assert stores.get("default").url == f"s3://{store}/models/"
    tested = stores.test(name="default", actor=admin)
    assert _outcomes(tested)[Right.PUT] == RightOutcome.ALLOWED
    settings.MODEL_PREFIX = "moved"
    assert stores.get("default").url == f"s3://{store}/moved/"
    assert stores.get("default").tested_at == tested.tested_at
    assert Store.objects.get().bucket == ""


def test_what_is_written_in_a_store_is_encrypted_as_it_wants(
    admin: User, other: str, store: str
) -> None:
    _add(admin, other, encryption="sse-kms")
    for bucket in (other, store):
        s3.replace(bucket=bucket, key="team-a/x", data=b"{}", found=None)
    heads = [aws.s3().head_object(Bucket=bucket, Key="team-a/x") for bucket in (other, store)]
    assert [head.get("ServerSideEncryption") for head in heads] == ["aws:kms", None]


def test_the_pages_add_test_and_retire(client_of: Callable[[str], Client], other: str) -> None:
    client = client_of("admin")
    assert b"default" in client.get(PAGES).content
    given = {"name": "team-a", "bucket": other, "prefix": "team-a", "region": "ap-northeast-2"}
    refused = client.post(f"{PAGES}new/", {**given, "prefix": "staging"})
    assert refused.status_code == 422
    assert b"STAGING_PREFIX" in refused.content
    refused = client.post(f"{PAGES}new/", {**given, "bucket": "no-such-bucket-of-anybody"})
    assert refused.status_code == 422
    assert b"There is no bucket no-such-bucket-of-anybody" in refused.content
    made = client.post(f"{PAGES}new/", given)
    assert made.url == f"{PAGES}team-a/"
    assert client.post(f"{PAGES}team-a/test/").url == f"{PAGES}team-a/"
    shown = client.get(f"{PAGES}team-a/").content.decode()
    assert f"s3://{other}/team-a/" in shown
    assert "It is empty." in shown
    client.post(f"{PAGES}team-a/retire/")
    assert Store.objects.get(name="team-a").retired_at is not None
    client.post(f"{PAGES}team-a/restore/")
    assert Store.objects.get(name="team-a").retired_at is None
    assert client.get(f"{PAGES}nowhere/").status_code == 404


def test_the_api_says_what_is_missing(admin: User, other: str) -> None:
    made = secret_of(admin, ["read", "admin"])
    client = Client(headers={"Authorization": f"Bearer {made}"})
    body = {"name": "team-a", "bucket": "no-such-bucket-of-anybody", "prefix": "team-a"}
    refused = client.post(API, body, "application/json")
    assert refused.status_code == 422
    assert "Store, List" in refused.json()["errors"]["rights"][0]
    added = client.post(API, body | {"bucket": other}, "application/json")
    assert added.status_code == 201, added.content
    assert added.json()["uses"] == []
    assert client.post(API, body | {"bucket": other}, "application/json").status_code == 409
    assert [one["name"] for one in client.get(API).json()["items"]] == ["default", "team-a"]
    assert client.post(f"{API}/team-a/test").json()["rights"][0]["outcome"] == "allowed"
    assert client.post(f"{API}/default/retire").status_code == 409
    assert client.get(f"{API}/nowhere").status_code == 404
