"""Copies of a version: previewed, made, refused, cut off; by services, pages and the API."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from core import clock, errors
from models_catalog import copying, publication, retiring, s3, services, tasks
from models_catalog.models import RegisteredModel, Version
from models_catalog.refusals import CatalogRefused
from models_catalog.tests.test_aliases import make_model, point
from tests.bearer import secret_of

BYTES = b"the archive" * 1000
OTHER = b"another one" * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
TO = "demo-subfolder/squeezenet_v1.0_{n}"
PAGE = "/models/squeezenet/v1/copy/"
API = "/api/v1/models/squeezenet/versions/1/copies"


class _Killed(BaseException):
    """As a SIGKILL: no handler of the code that runs may do anything about it."""


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The jobs that were queued; nothing is run."""
    queued: list[tuple[str, int]] = []
    for module in (copying, retiring, publication):
        monkeypatch.setattr(module, "enqueue_on_commit", lambda *job: queued.append(job))
    monkeypatch.setattr("models_catalog.alias_mirror.enqueue_on_commit", lambda *_: None)
    return queued


@pytest.fixture
def source(db: None, store: str, settings: Any) -> Version:
    """A ready version with its object, in the bucket."""
    make_model(
        "squeezenet", 1, bucket=store, prefix="models", published_sha256=SHA256,
        published_size=len(BYTES), content_sha256="c" * 64, packing="stored",
        report={"ok": True, "artifact": {"labels": ["cat"]}}, parameters=7,
        input_shape="data: 1 × 3", metadata={"accuracy": 0.9},
    )  # fmt: skip
    s3.replace(bucket=store, key="models/squeezenet_v1.tar.gz", data=BYTES, found=None)
    return Version.objects.select_related("model").get()


def _start(to: str = TO, times: int = 2, **more: Any) -> list[Version]:
    return copying.start(model="squeezenet", number=1, to=to, times=times, actor=None, **more)


def _copy_all() -> None:
    for pk in Version.objects.filter(state="copying").values_list("pk", flat=True):
        copying.copy(version_pk=pk)


def _keys(bucket: str) -> list[str]:
    return sorted(found.key for found in s3.listing(bucket=bucket, prefix=""))


def _object(version: Version) -> bytes:
    return b"".join(s3.download(bucket=version.bucket, key=version.key))


def _refused(to: str = TO, times: int = 2) -> str:
    before = list(Version.objects.values_list("pk", flat=True)), _actions()
    with pytest.raises(CatalogRefused) as refused:
        _start(to, times)
    assert (list(Version.objects.values_list("pk", flat=True)), _actions()) == before
    return str(refused.value)


def _actions() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("action", flat=True))


def test_copies_are_models_of_their_own(source: Version, jobs: list[tuple[str, int]]) -> None:
    made = _start(times=10)
    assert [str(one) for one in made[::9]] == ["squeezenet_v1.0_1 v1", "squeezenet_v1.0_10 v1"]
    assert {one.state for one in made} == {"copying"}
    assert jobs == [("models_catalog.tasks.copy", one.pk) for one in made]
    assert _keys(source.bucket) == [source.key], "jobs make them"
    _copy_all()
    assert len(_keys(source.bucket)) == 11
    copy = Version.objects.select_related("model").get(pk=made[2].pk)
    assert copy.target_model == "demo-subfolder/squeezenet_v1.0_3.tar.gz"
    assert copy.key == f"models/{copy.target_model}"
    assert _object(copy) == BYTES
    same = ("published_sha256", "published_size", "content_sha256", "packing", "report", "metadata",
            "parameters", "input_shape", "sha256", "size")  # fmt: skip
    assert [getattr(copy, one) for one in same] == [getattr(source, one) for one in same]
    assert (copy.state, copy.copied_from, copy.original_key) == ("ready", source, "")
    assert copy.settled_at
    assert source.copies.count() == 10
    assert _actions().count("version.copied") == 10
    said = Event.objects.get(action="version.copied", subject_id=copy.pk).sentence
    assert said == (
        "Copied squeezenet v1: squeezenet_v1.0_3 v1 can be called as "
        "demo-subfolder/squeezenet_v1.0_3.tar.gz."
    )
    copying.copy(version_pk=copy.pk)  # a message that came twice
    assert _actions().count("version.copied") == 10


def test_bytes_of_s3_do_not_come_through_the_portal(
    source: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(**_what: object) -> None:
        raise AssertionError("downloaded")

    monkeypatch.setattr(s3, "download", never)
    _start()
    _copy_all()
    assert Version.objects.filter(state="ready").count() == 3


def test_large_objects_are_copied_in_parts_and_read_for_their_checksum(
    source: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boto3.s3.transfer import TransferConfig

    from core import aws

    large = BYTES * 500  # S3 takes no part below 5 MiB but the last
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    monkeypatch.setattr(aws, "COPY", parts)
    s3.replace(
        bucket=source.bucket, key=source.key, data=large,
        found=s3.read(bucket=source.bucket, key=source.key),
    )  # fmt: skip
    digest = hashlib.sha256(large).hexdigest()
    Version.objects.update(published_sha256=digest, published_size=len(large))
    made = _start()
    _copy_all()
    for one in made:
        one.refresh_from_db()
        assert one.state == "ready", one.doing
        assert _object(one) == large


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("", "Write where the copies go"),
        ("x" * 600, "Write where the copies go"),
        ("squeeze_{n}.tar.gz", "Leave the ending .tar.gz out"),
        ("../other/{n}", "parts of letters, digits"),
        ("demo/../../other_{n}", "parts of letters, digits"),
        ("/demo/zoo_{n}", "parts of letters, digits"),
        ("demo//zoo_{n}", "parts of letters, digits"),
        ("demo/zoo_{n}/", "parts of letters, digits"),
        ("demo/zoo {n}", "parts of letters, digits"),
        ("demo/zoo_{m}", "parts of letters, digits"),
        ("demo/zoo_{n}\0", "parts of letters, digits"),
        ("squeezenet_v1.tar.gz/zoo_{n}", "parts of letters, digits"),
        ("demo_{n}/zoo", "Write {n} into the last part"),
        ("demo/Zoo_{n}", "small letters"),
        ("demo/" + "x" * 63 + "{n}", "small letters"),
        ("staging/zoo_{n}", "Keys below staging/"),
        ("aliases/zoo_{n}", "Keys below aliases/"),
    ],
)
def test_a_place_that_is_none_is_refused(source: Version, to: str, said: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        _start(to)
    assert said in wrong.value.message_dict["to"][0]
    assert RegisteredModel.objects.count() == 1


@pytest.mark.parametrize("times", [0, 101])
def test_there_is_a_most_of_copies(source: Version, times: int) -> None:
    with pytest.raises(ValidationError, match="between 1 and 100"):
        _start(times=times)


def test_a_clash_is_refused_before_anything_is_made_and_says_which(source: Version) -> None:
    RegisteredModel.objects.create(name="squeezenet_v1.0_2")
    said = _refused(times=3)
    assert "squeezenet_v1.0_2.tar.gz: There is a model squeezenet_v1.0_2 already." in said
    assert "Nothing was made; 1 of 3 copies are in conflict." in said


def test_an_object_of_nobody_is_not_overwritten(source: Version) -> None:
    key = "models/demo-subfolder/squeezenet_v1.0_1.tar.gz"
    s3.replace(bucket=source.bucket, key=key, data=b"other", found=None)
    assert "There is an object at this key already" in _refused()


def test_the_keys_of_other_models_are_theirs(source: Version) -> None:
    model = make_model("digits", 1, bucket=source.bucket)
    model.versions.update(key="models/demo/zoo_1.tar.gz")
    assert "digits v1 is stored at this key" in _refused("demo/zoo_{n}")
    assert "kept for a version of the model digits" in _refused("digits_v{n}")
    _start("demo/digits_v{n}")  # in a folder no upload is stored


def test_an_upload_passes_by_a_key_that_a_copy_has(source: Version, settings: Any) -> None:
    _start("digits_v{n}")
    model = RegisteredModel.objects.create(name="digits")
    version = services.next_version(model)
    assert (version.number, version.key) == (3, "models/digits_v3.tar.gz")


def test_who_is_a_moment_late_is_told_which(
    source: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes a name between the look and the write."""
    plan, calls = copying.plan, 0

    def planned(**what: Any) -> Any:
        nonlocal calls
        calls += 1
        found = plan(**what)
        if calls == 1:
            RegisteredModel.objects.create(name="squeezenet_v1.0_2")
        return found

    monkeypatch.setattr(copying, "plan", planned)
    with pytest.raises(CatalogRefused, match=r"There is a model squeezenet_v1.0_2 already"):
        _start()
    assert not RegisteredModel.objects.filter(name="squeezenet_v1.0_1").exists()


@pytest.mark.parametrize("state", ["checking", "rejected", "retired", "deleted", "copying"])
def test_what_is_not_ready_is_not_copied(source: Version, state: str) -> None:
    Version.objects.update(state=state)
    assert "is not ready, so it cannot be copied" in _refused()


def test_a_source_may_be_retired_and_not_deleted_meanwhile(source: Version) -> None:
    made = _start()
    with pytest.raises(CatalogRefused, match=r"Copies of squeezenet v1 are being made"):
        retiring.delete(model="squeezenet", number=1, actor=None)
    retiring.retire(model="squeezenet", number=1, actor=None)
    _copy_all()
    assert {Version.objects.get(pk=one.pk).state for one in made} == {"ready"}


def test_copies_and_source_are_deleted_for_themselves(source: Version) -> None:
    one, two = _start()
    _copy_all()
    retiring.delete(model="squeezenet_v1.0_1", number=1, actor=None)
    retiring.remove(version_pk=one.pk)
    assert _object(source) == BYTES
    retiring.delete(model="squeezenet", number=1, actor=None)
    retiring.remove(version_pk=source.pk)
    assert _keys(source.bucket) == ["models/demo-subfolder/squeezenet_v1.0_2.tar.gz"]
    two.refresh_from_db()
    assert (two.state, two.copied_from_id) == ("ready", source.pk)


@pytest.mark.parametrize("after", ["claim", "copy", "digest"])
def test_a_killed_copy_is_taken_up(
    source: Version, jobs: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    (made,) = _start(times=1)
    jobs.clear()
    copy_new = s3.copy_new

    def kill(**what: Any) -> None:
        if after != "claim":
            copy_new(**what)
        raise _Killed

    def kill_later(*_: Any, **__: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        if after == "digest":
            patch.setattr(copying, "record", kill_later)
        else:
            patch.setattr(s3, "copy_new", kill)
        with pytest.raises(_Killed):
            copying.copy(version_pk=made.pk)
    made.refresh_from_db()
    assert made.state == "copying"
    tasks.sweep()
    assert jobs == [], "its lease has not run out"
    publication.check_version(version_pk=made.pk)  # takes no version that is being copied
    Version.objects.filter(pk=made.pk).update(leased_until=clock.now(), check_after=clock.now())
    publication.check_version(version_pk=made.pk)
    tasks.sweep()
    assert jobs == [("models_catalog.tasks.copy", made.pk)]
    _copy_all()
    made.refresh_from_db()
    assert (made.state, made.published_sha256) == ("ready", SHA256)
    assert _object(made) == BYTES


def test_an_object_that_came_meanwhile_is_not_overwritten(source: Version) -> None:
    (made,) = _start(times=1)
    s3.replace(bucket=made.bucket, key=made.key, data=b"other", found=None)
    _copy_all()
    made.refresh_from_db()
    assert made.state == "rejected"
    assert "keys are never overwritten" in str(made.said)
    assert _object(made) == b"other"
    services.delete_model(name="squeezenet_v1.0_1", actor=None)  # which frees its name
    assert _object(made) == b"other"


def test_a_source_that_is_another_object_by_now_is_not_served(source: Version) -> None:
    found = s3.read(bucket=source.bucket, key=source.key)
    s3.replace(bucket=source.bucket, key=source.key, data=b"other", found=found)
    (made,) = _start(times=1)
    _copy_all()
    made.refresh_from_db()
    assert (made.state, made.published_sha256) == ("rejected", "")
    assert "its SHA-256 differs" in str(made.said)
    assert _keys(source.bucket) == [source.key]


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("before", ["delete", "stored_sha256"])
def test_a_copy_that_differs_is_deleted_though_its_worker_was_killed(
    source: Version, monkeypatch: pytest.MonkeyPatch, before: str, in_parts: bool
) -> None:
    """The next attempt knows by the mark that the object is its own."""
    from boto3.s3.transfer import TransferConfig

    from core import aws

    if in_parts:
        monkeypatch.setattr(aws, "COPY", TransferConfig(multipart_threshold=1))
    found = s3.read(bucket=source.bucket, key=source.key)
    s3.replace(bucket=source.bucket, key=source.key, data=OTHER, found=found)
    (made,) = _start(times=1)

    def kill(*_: Any, **__: Any) -> None:
        raise _Killed

    copy_new = s3.copy_new
    with monkeypatch.context() as patch:
        if before == "delete":
            patch.setattr(s3, "delete", kill)
        else:  # S3 did not say the checksum
            patch.setattr(s3, "copy_new", lambda **what: copy_new(**what) and "")
            patch.setattr(publication, "stored_sha256", kill)
        with pytest.raises(_Killed):
            copying.copy(version_pk=made.pk)
    assert _object(made) == OTHER
    Version.objects.filter(pk=made.pk).update(leased_until=clock.now(), check_after=clock.now())
    _copy_all()
    made.refresh_from_db()
    assert made.state == "rejected"
    assert "its SHA-256 differs" in str(made.said)
    assert _keys(source.bucket) == [source.key]


def test_after_the_last_attempt_nothing_of_a_copy_is_left(
    source: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = _start()
    # Of one S3 copies the object, and its answer is lost; at the other's key lies somebody else's.
    s3.replace(bucket=two.bucket, key=two.key, data=b"other", found=None)
    copy_new = s3.copy_new

    def lost(**what: Any) -> str:
        if what["key"] == one.key:
            copy_new(**what)
        raise errors.Busy("S3 does not answer.")

    monkeypatch.setattr(s3, "copy_new", lost)
    Version.objects.filter(state="copying").update(attempts=19)
    with monkeypatch.context() as patch:
        patch.setattr(s3, "opened", lambda **_: lost(key=""))
        _copy_all()
    one.refresh_from_db()
    assert one.state == "copying", "it waits until S3 says whether something is there"
    Version.objects.filter(state="copying").update(check_after=clock.now())
    monkeypatch.setattr(s3, "copy_new", lambda **_: lost(key=""))
    _copy_all()
    one.refresh_from_db()
    assert one.state == "rejected"
    assert _keys(source.bucket) == [two.key, source.key]


def test_a_worker_that_was_stopped_leaves_nothing_where_another_one_refused_the_copy(
    source: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = _start(times=1)
    copy_new = s3.copy_new

    def late(**what: Any) -> str:
        """Meanwhile another worker has taken over, and refused it; then S3 copies."""
        Version.objects.filter(pk=made.pk).update(state="rejected", leased_until=None)
        return copy_new(**what)

    monkeypatch.setattr(s3, "copy_new", late)
    copying.copy(version_pk=made.pk)
    made.refresh_from_db()
    assert made.state == "rejected"
    assert _keys(source.bucket) == [source.key]


def test_a_source_that_is_gone_is_said(source: Version) -> None:
    (made,) = _start(times=1)
    s3.delete(bucket=source.bucket, key=source.key)
    _copy_all()
    made.refresh_from_db()
    assert made.state == "rejected"
    assert "is not in the store any more" in str(made.said)


def test_what_s3_does_not_do_is_said_and_tried_again(
    source: Version, monkeypatch: pytest.MonkeyPatch, client_of: Callable[[str], Client]
) -> None:
    (made,) = _start(times=1)

    def denied(**_what: object) -> None:
        raise errors.Denied("S3 does not allow it.")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "copy_new", denied)
        _copy_all()
        made.refresh_from_db()
        assert made.state == "copying"
        assert made.check_after > clock.now() + timedelta(seconds=1)
        page = client_of("viewer").get(made.get_absolute_url()).content.decode()
        assert "S3 does not allow it." in page
        Version.objects.filter(pk=made.pk).update(check_after=clock.now(), attempts=19)
        _copy_all()
    made.refresh_from_db()
    assert made.state == "rejected"
    assert "could not be made in 20 attempts" in str(made.said)


def test_a_page_previews_makes_and_shows_progress(
    source: Version, client_of: Callable[[str], Client]
) -> None:
    operator = client_of("operator")
    assert PAGE in operator.get(source.get_absolute_url()).content.decode()
    page = operator.get(PAGE, {"to": TO, "times": 2}).content.decode()
    assert "models/demo-subfolder/squeezenet_v1.0_2.tar.gz" in page
    assert "Make 2 copies" in page
    assert Version.objects.count() == 1
    page = operator.post(PAGE, {"to": TO, "times": 2}, follow=True).content.decode()
    assert "2 copies were requested." in page
    assert "2 copies, 2 are being made" in page
    assert "copies/" in page
    _copy_all()
    page = client_of("viewer").get("/models/squeezenet/v1/copies/").content.decode()
    assert "2 copies" in page
    assert "hx-get" not in page
    assert "/models/squeezenet_v1.0_1/v1/" in page
    page = operator.get("/models/squeezenet_v1.0_1/v1/").content.decode()
    assert "Copy of" in page
    assert source.get_absolute_url() in page
    assert "It has the same bytes" not in page


def test_a_page_says_a_clash(source: Version, client_of: Callable[[str], Client]) -> None:
    operator = client_of("operator")
    RegisteredModel.objects.create(name="squeezenet_v1.0_2")
    page = operator.get(PAGE, {"to": TO, "times": 2}).content.decode()
    assert "There is a model squeezenet_v1.0_2 already." in page
    assert "Make 2 copies" not in page
    answer = operator.post(PAGE, {"to": TO, "times": 2})
    assert answer.status_code == 409
    assert "There is a model squeezenet_v1.0_2 already." in answer.content.decode()
    assert operator.post(PAGE, {"to": "../x", "times": 1}).status_code == 422
    viewer = client_of("viewer")
    assert viewer.get(PAGE).status_code == 403
    assert viewer.post(PAGE, {"to": TO, "times": 2}).status_code == 403
    assert RegisteredModel.objects.count() == 2


@pytest.fixture
def api(user_in: Callable[[str], Any]) -> Callable[..., Client]:
    """A client with a token of an operator, with these scopes."""
    user = user_in("operator")

    def make(*scopes: str) -> Client:
        secret = secret_of(user, list(scopes))
        return Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})

    return make


def test_by_the_api(source: Version, api: Callable[..., Client]) -> None:
    caller = api("read", "upload")
    asked = {"data": {"to": TO, "times": 2}, "content_type": "application/json"}
    planned = caller.post(f"{API}/preview", **asked).json()["items"]
    assert [one["problem"] for one in planned] == [None, None]
    assert planned[1]["model"] == "squeezenet_v1.0_2"
    keyed = {"headers": {"Idempotency-Key": "one"}}
    answer = caller.post(API, **asked, **keyed)
    assert (answer.status_code, len(answer.json()["items"])) == (202, 2)
    assert answer.json()["items"][0]["copied_from"] == "squeezenet:1"
    assert caller.post(API, **asked, **keyed).json() == answer.json()
    refused = caller.post(API, **asked)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert "squeezenet_v1.0_1 already" in refused.json()["detail"]
    assert [one["state"] for one in caller.get(API).json()["items"]] == ["copying", "copying"]
    wrong = {"data": {"to": "../x"}, "content_type": "application/json"}
    for path in (API, f"{API}/preview"):
        answer = caller.post(path, **wrong)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["to"])
    Version.objects.filter(pk=source.pk).update(state="retired")
    answer = caller.post(API, **asked)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/model-not-ready")
    assert caller.post(API.replace("/1/", "/9/"), **asked).status_code == 404
    assert api("read").post(API, **asked).status_code == 403


def test_an_alias_may_point_at_a_copy(source: Version) -> None:
    (made,) = _start("digits", times=1)
    _copy_all()
    assert point(1).version == made


def test_an_upload_of_these_bytes_is_sent_to_the_source(source: Version) -> None:
    _start()
    _copy_all()
    other = Version.objects.create(
        model=RegisteredModel.objects.create(name="again"), number=1, bucket="b", key="k", size=1,
        sha256=source.sha256,
    )  # fmt: skip
    assert Version.objects.twins(other).first() == source
