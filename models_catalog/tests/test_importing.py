"""What lies in the store already: found, named, validated where it lies, refused, repacked."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.test import Client

from activity.models import Event
from core import clock
from models_catalog import (
    importing,
    packing,
    publication,
    retiring,
    s3,
    services,
    tasks,
    validation,
)
from models_catalog.models import RegisteredModel, Version
from models_catalog.refusals import CatalogRefused
from models_catalog.tests.test_aliases import make_model
from models_catalog.tests.test_publish import GOOD, _unzipped
from tests.artifacts import constant_archive
from tests.bearer import secret_of

PAGE = "/models/new/import/"
API = "/api/v1/imports"


class _Killed(BaseException):
    """As a SIGKILL: no handler of the code that runs may do anything about it."""


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The jobs that were queued; nothing is run."""
    queued: list[tuple[str, int]] = []
    for module in (importing, publication, retiring, services):
        monkeypatch.setattr(module, "enqueue_on_commit", lambda *job: queued.append(job))
    return queued


@pytest.fixture
def put(db: None, store: str) -> Callable[..., str]:
    """Put an object below the store's prefix, past the portal: ``put("a.tar.gz", data)``."""

    def do(target: str, data: bytes = b"data") -> str:
        key = f"models/{target}"
        s3.replace(bucket=store, key=key, data=data, found=s3.read(bucket=store, key=key))
        return key

    return do


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the container where a test is about what happens around it."""
    monkeypatch.setattr(validation, "pack", _unzipped)
    monkeypatch.setattr(validation, "run", lambda path, beat: GOOD)


def _canonical(folder: Path, choice: str = "stored", content: bytes = b"tar" * 5000) -> bytes:
    tar, archive = folder / "plain.tar", folder / "canonical.tar.gz"
    tar.write_bytes(content)
    packing.pack(tar, archive, choice=choice, beat=lambda: None)
    return archive.read_bytes()


def _start(*keys: str) -> list[Version]:
    return importing.start(keys=keys, actor=None)


def _problems() -> dict[str, str]:
    return {one.target_model: one.problem for one in importing.found()}


def _names() -> dict[str, str]:
    return {one.target_model: one.name for one in importing.found()}


def _object(version: Version) -> bytes:
    return b"".join(s3.download(bucket=version.bucket, key=version.key))


def test_only_what_no_version_knows_is_found(put: Callable[..., str], store: str) -> None:
    make_model("digits", 2, bucket=store)
    for target in ("digits_v1.tar.gz", "digits_v2.tar.gz", "team/zoo.tar.gz"):
        put(target)
    s3.replace(bucket=store, key="staging/one.tar.gz", data=b"x", found=None)
    assert _problems() == {"team/zoo.tar.gz": ""}
    (found,) = importing.found()
    assert (found.name, found.key, found.size) == ("zoo", "models/team/zoo.tar.gz", 4)


def test_names_are_made_to_fit_and_are_free(put: Callable[..., str]) -> None:
    RegisteredModel.objects.create(name="zoo")
    long = "x" * 70
    for target in ("a/zoo.tar.gz", "b/zoo.tar.gz", "Big Net (1).tar.gz", f"{long}.tar.gz",
                   "_net_.tar.gz", "new.tar.gz"):  # fmt: skip
        put(target)
    assert _names() == {
        "Big Net (1).tar.gz": "big-net-1",
        "_net_.tar.gz": "net",
        "new.tar.gz": "new-2",
        "a/zoo.tar.gz": "zoo-2",
        "b/zoo.tar.gz": "zoo-3",
        f"{long}.tar.gz": "x" * 63,
    }


def test_what_cannot_be_imported_says_why(
    put: Callable[..., str], store: str, settings: Any
) -> None:
    settings.MAX_ARCHIVE_MB = 1
    make_model("digits", 1, bucket=store, state="deleted")
    for target in ("notes.txt", "net.tgz", "digits_v1.tar.gz", "모델.tar.gz", "___.tar.gz"):
        put(target)
    put("empty.tar.gz", b"")
    put("large.tar.gz", b"x" * ((1 << 20) + 1))
    wanted = {
        "notes.txt": "is no TargetModel",
        "net.tgz": "is no TargetModel",
        "digits_v1.tar.gz": "at the key of digits v1, which was deleted",
        "모델.tar.gz": "is no TargetModel",
        "___.tar.gz": "Use 1 to 63 small letters",
        "empty.tar.gz": "It is empty",
        "large.tar.gz": "is larger than 1 MB",
    }
    said = _problems()
    assert set(said) == set(wanted)
    for target, part in wanted.items():
        assert part in said[target], target
    assert _start() == []
    with pytest.raises(ValidationError) as wrong:
        _start("notes.txt", "elsewhere.tar.gz")
    assert len(wrong.value.message_dict["keys"]) == 2
    assert not RegisteredModel.objects.exclude(name="digits").exists()


@pytest.mark.parametrize("choice", ["stored", "compressed"])
def test_a_canonical_archive_is_registered_where_it_lies(
    put: Callable[..., str], tmp_path: Path, jobs: list[tuple[str, int]], quick: None, choice: str,
    store: str, settings: Any,
) -> None:  # fmt: skip
    settings.KEEP_ORIGINALS = True
    data = _canonical(tmp_path, choice)
    put("team/zoo.tar.gz", data)
    before = s3.find(bucket=store, key="models/team/zoo.tar.gz")
    (version,) = _start("team/zoo.tar.gz")
    assert jobs == [("models_catalog.tasks.check", version.pk)]
    assert (version.state, version.as_found) == ("uploaded", True)
    assert importing.found() == [], "its row knows it"
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    digest = hashlib.sha256(data).hexdigest()
    assert version.state == "ready", str(version.said)
    assert (version.sha256, version.published_sha256, version.packing) == (digest, digest, choice)
    assert (version.size, version.published_size) == (len(data), len(data))
    assert version.target_model == "team/zoo.tar.gz"
    assert s3.find(bucket=store, key="models/team/zoo.tar.gz") == before
    assert [one.key for one in s3.listing(bucket=store, prefix="")] == ["models/team/zoo.tar.gz"]
    actions = list(Event.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["model.registered", "version.found", "version.registered"]


def test_the_portals_own_archives_are_canonical_and_others_are_not(
    put: Callable[..., str], archives: Path, upload: Callable[..., Version], store: str
) -> None:
    """With the real preflight: what the portal published, found again after its rows were lost."""
    path = constant_archive(archives / "a.tar.gz", labels=["cat", "dog"], answer=0)
    published = upload(path)
    publication.check_version(version_pk=published.pk)
    published.refresh_from_db()
    assert published.state == "ready", str(published.said)
    data = _object(published)
    Version.objects.all().delete()
    RegisteredModel.objects.all().delete()
    put("as-packed-by-tar.tar.gz", path.read_bytes())
    put("broken.tar.gz", data[: len(data) // 2])
    assert _names() == {
        "as-packed-by-tar.tar.gz": "as-packed-by-tar",
        "broken.tar.gz": "broken",
        "digits_v1.tar.gz": "digits_v1",
    }
    for version in _start():
        publication.check_version(version_pk=version.pk)
    states = {one.model.name: (one.state, one.reason_kind) for one in Version.objects.all()}
    assert states["digits_v1"] == ("ready", "")
    assert states["as-packed-by-tar"] == ("rejected", "rejected.not_canonical")
    assert states["broken"][0] == "rejected"
    made = importing.repack(model="as-packed-by-tar", number=1, actor=None)
    assert (made.number, made.as_found) == (2, False)
    publication.check_version(version_pk=made.pk)
    made.refresh_from_db()
    assert (made.state, made.target_model) == ("ready", "as-packed-by-tar_v2.tar.gz")
    with pytest.raises(CatalogRefused, match="or there is a copy"):
        importing.repack(model="as-packed-by-tar", number=1, actor=None)
    assert _object(made) == data
    assert not list(s3.listing(bucket=store, prefix="staging/"))


def test_what_is_not_canonical_stays_where_it_is(put: Callable[..., str], quick: None) -> None:
    data = gzip.compress(b"tar" * 5000)
    put("zoo.tar.gz", data)
    (version,) = _start()
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.reason_kind) == ("rejected", importing.NOT_CANONICAL)
    assert version.sha256 == hashlib.sha256(data).hexdigest()
    assert version.published_sha256 == ""
    assert _object(version) == data
    services.delete_model(name="zoo", actor=None)
    assert _problems() == {"zoo.tar.gz": ""}, "it can be imported again"


def _refused_as_it_is(put: Callable[..., str]) -> Version:
    put("zoo.tar.gz", gzip.compress(b"tar" * 5000))
    (version,) = _start()
    publication.check_version(version_pk=version.pk)
    return version


def test_of_two_canonical_copies_that_are_asked_for_at_once_one_is_made(
    put: Callable[..., str], quick: None, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused_as_it_is(put)
    real = s3.copy

    def overtaken(**asked: Any) -> Any:
        monkeypatch.setattr(s3, "copy", real)
        importing.repack(model="zoo", number=1, actor=None)
        return real(**asked)

    monkeypatch.setattr(s3, "copy", overtaken)
    with pytest.raises(CatalogRefused, match="there is a copy"):
        importing.repack(model="zoo", number=1, actor=None)
    made = Version.objects.get(number=2)
    assert [one.key for one in s3.listing(bucket=store, prefix="staging/")] == [made.staging_key]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [True, False])
def test_what_is_staged_for_a_copy_stays_where_the_database_is_lost_over_its_commit(
    put: Callable[..., str],
    quick: None,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    _refused_as_it_is(put)
    commit, real = connection._commit, services.next_version

    def lost() -> None:
        if committed:
            commit()
        raise OperationalError("server closed the connection unexpectedly")

    def then_lost(model: RegisteredModel) -> Version:
        monkeypatch.setattr(connection, "_commit", lost)
        return real(model)

    monkeypatch.setattr(services, "next_version", then_lost)
    with pytest.raises(OperationalError):
        importing.repack(model="zoo", number=1, actor=None)
    monkeypatch.setattr(connection, "_commit", commit)
    named = [one.staging_key for one in Version.objects.filter(number=2)]
    assert len(named) == committed
    assert set(named) <= {one.key for one in s3.listing(bucket=store, prefix="staging/")}


def test_an_object_that_is_gone_or_changed_meanwhile_is_not_registered(
    put: Callable[..., str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _canonical(tmp_path)
    put("a.tar.gz", data)
    put("b.tar.gz", data)
    one, two = _start()
    s3.delete(bucket=one.bucket, key=one.key)
    publication.check_version(version_pk=one.pk)

    def change(path: Path, beat: object) -> dict[str, Any]:
        put("b.tar.gz", data + b"more")
        return GOOD

    monkeypatch.setattr(validation, "run", change)
    publication.check_version(version_pk=two.pk)
    for version, code in ((one, "rejected.found_gone"), (two, "rejected.found_changed")):
        version.refresh_from_db()
        assert (version.state, version.reason_kind) == ("rejected", code)
        assert not importing.repackable(version)
        with pytest.raises(CatalogRefused):
            importing.repack(model=version.model.name, number=1, actor=None)


@pytest.mark.parametrize("where", ["pack", "run", "record"])
def test_a_killed_import_is_taken_up(
    put: Callable[..., str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch,
    jobs: list[tuple[str, int]], where: str,
) -> None:  # fmt: skip
    put("zoo.tar.gz", _canonical(tmp_path))
    (version,) = _start()
    jobs.clear()

    def kill(*_: Any, **__: Any) -> Any:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(publication if where == "record" else validation, where, kill)
        with pytest.raises(_Killed):
            publication.check_version(version_pk=version.pk)
    Version.objects.update(leased_until=clock.now(), check_after=clock.now())
    tasks.sweep()
    assert jobs == [("models_catalog.tasks.check", version.pk)]
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "ready"
    assert Event.objects.filter(action="version.registered").count() == 1


def test_who_is_a_moment_late_is_told(
    put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.tar.gz")
    put("b.tar.gz")
    found = importing.found

    def late(store: str) -> Any:
        there = found(store)
        RegisteredModel.objects.create(name="b")
        return there

    monkeypatch.setattr(importing, "found", late)
    with pytest.raises(CatalogRefused, match="Somebody took a name or a key meanwhile"):
        _start()
    assert not Version.objects.exists()


def test_the_page_shows_imports_and_offers_a_canonical_copy(
    put: Callable[..., str], tmp_path: Path, quick: None, client_of: Callable[[str], Client],
    jobs: list[tuple[str, int]],
) -> None:  # fmt: skip
    operator = client_of("operator")
    assert "The portal knows all that lies in the store" in operator.get(PAGE).content.decode()
    put("team/zoo.tar.gz", gzip.compress(b"tar" * 5000))
    put("notes.txt")
    page = operator.get(PAGE).content.decode()
    assert 'value="team/zoo.tar.gz"' in page
    assert 'value="notes.txt"' not in page
    assert "is no TargetModel" in page
    assert operator.post(PAGE).status_code == 422
    assert operator.post(PAGE, {"key": ["notes.txt"]}).status_code == 422
    page = operator.post(PAGE, {"key": ["team/zoo.tar.gz"]}, follow=True).content.decode()
    assert "1 archive is being validated." in page
    assert "hx-get" in page
    (version,) = Version.objects.all()
    publication.check_version(version_pk=version.pk)
    page = operator.get(f"{PAGE}live/").content.decode()
    assert "It is not packed as the portal packs" in page
    assert "hx-get" not in page
    page = operator.get(version.get_absolute_url()).content.decode()
    assert "Found: it lay in the store already" in page
    assert "Make a canonical copy" in page
    jobs.clear()
    answer = operator.post("/models/zoo/v1/repack/")
    assert answer.headers["Location"] == "/models/zoo/v2/"
    assert len(jobs) == 1
    viewer = client_of("viewer")
    assert viewer.get(PAGE).status_code == 403
    assert viewer.post("/models/zoo/v1/repack/").status_code == 403


def test_by_the_api(
    put: Callable[..., str], tmp_path: Path, quick: None, user_in: Callable[[str], Any]
) -> None:
    secret = secret_of(user_in("operator"), ["read", "upload"])
    caller = Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})
    put("team/zoo.tar.gz", gzip.compress(b"tar" * 5000))
    put("notes.txt")
    json = {"content_type": "application/json"}
    items = caller.post(f"{API}/preview", {}, **json).json()["items"]
    assert [(one["target_model"], one["model"]) for one in items] == [
        ("notes.txt", None),
        ("team/zoo.tar.gz", "zoo"),
    ]
    refused = caller.post(API, {"keys": ["notes.txt"]}, **json)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["keys"])
    keyed = {"headers": {"Idempotency-Key": "one"}}
    begun = caller.post(API, {}, **json, **keyed)
    assert begun.status_code == 202
    assert [(one["model"], one["as_found"]) for one in begun.json()["items"]] == [("zoo", True)]
    assert caller.post(API, {}, **json, **keyed).json() == begun.json()
    assert caller.post(API, {}, **json).json() == {"items": []}
    publication.check_version(version_pk=Version.objects.get().pk)
    (shown,) = caller.get(API).json()["items"]
    assert (shown["state"], shown["reason_code"]) == ("rejected", "rejected.not_canonical")
    repacked = caller.post("/api/v1/models/zoo/versions/1/repack")
    assert repacked.status_code == 202
    assert repacked.headers["Location"].endswith("/models/zoo/versions/2")
    assert repacked.json()["state"] == "uploaded"
    again = caller.post("/api/v1/models/zoo/versions/2/repack")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert caller.post("/api/v1/models/zoo/versions/9/repack").status_code == 404
