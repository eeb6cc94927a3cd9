"""From an upload to a published version, with the real S3 server and the real preflight."""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from activity.models import Event
from mmeportal import aws
from models_catalog import packing, s3, services, validation
from models_catalog.models import Version
from tests.artifacts import constant_archive, constant_network, pack

Upload = Callable[..., Version]
Keys = Callable[[], set[str]]
GOOD = {
    "ok": True,
    "error": None,
    "artifact": {"parameters": 1, "inputs": [{"name": "data", "shape": [1, 3]}]},
}
READ = {
    "ok": True,
    "error": None,
    "archive": {"files": [], "unpacked_bytes": 0, "packed_bytes": 0, "notes": []},
}


def _unzipped(upload: Path, tar: Path, beat: Callable[[], None]) -> dict[str, Any]:
    tar.write_bytes(gzip.decompress(upload.read_bytes()))
    return READ


@pytest.fixture
def quick_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the container where a test is about what happens around it."""
    monkeypatch.setattr(validation, "pack", _unzipped)
    monkeypatch.setattr(validation, "run", lambda path, beat: GOOD)


def _archive(folder: Path, name: str = "a.tar.gz", answer: int = 0) -> Path:
    return constant_archive(folder / name, labels=["cat", "dog"], answer=answer)


def _object(store: str, key: str) -> bytes:
    return aws.s3().get_object(Bucket=store, Key=key)["Body"].read()


def test_a_good_archive_is_validated_and_published(
    archives: Path, upload: Upload, keys: Keys, store: str
) -> None:
    path = _archive(archives, answer=1)
    version = upload(path, note="first")
    assert version.state == "uploaded"
    assert all(key.startswith("staging/") for key in keys())

    services.check_version(version_pk=version.pk)

    version.refresh_from_db()
    assert (version.state, version.reason) == ("ready", "")
    assert version.target_model == "digits_v1.tar.gz"
    assert keys() == {"models/digits_v1.tar.gz", version.original_key}
    assert version.original_key.startswith("originals/digits_v1-")
    assert _object(store, version.original_key) == path.read_bytes()
    assert version.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    served = _object(store, version.key)
    assert served != path.read_bytes()
    assert version.published_sha256 == hashlib.sha256(served).hexdigest()
    assert version.published_size == len(served)
    plain = gzip.decompress(served)
    assert version.content_sha256 == hashlib.sha256(plain).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        names = tar.getnames()
    assert names == sorted(constant_network(labels=[], answer=0))
    assert [file["name"] for file in version.files if file["packed"]] == names
    assert (version.parameters, version.input_shape) == (2 * 192 + 2, "data: 1 × 3 × 8 × 8")
    inside = version.artifact
    assert inside["labels"] == ["cat", "dog"]
    assert inside["inputs"] == [{"name": "data", "shape": [1, 3, 8, 8]}]
    assert inside["parameters"] == 2 * 192 + 2
    assert version.report["sample"]["predictions"][0]["label"] == "dog"
    actions = Event.objects.about("version", version.pk).values_list("action", flat=True)
    assert list(actions) == ["version.published", "version.uploaded"]


def test_versions_are_numbered_and_never_share_a_key(
    archives: Path, upload: Upload, keys: Keys, quick_validation: None
) -> None:
    for answer in (0, 1):
        version = upload(_archive(archives, answer=answer))
        services.check_version(version_pk=version.pk)
    published = {key for key in keys() if key.startswith("models/")}
    assert published == {"models/digits_v1.tar.gz", "models/digits_v2.tar.gz"}


def test_an_archive_that_leads_outside_is_neither_packed_nor_loaded_nor_stored(
    archives: Path, upload: Upload, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "pack", lambda *args, **kwargs: pytest.fail("it was packed"))
    files = constant_network(labels=["a"], answer=0)
    path = pack(archives / "a.tar.gz", files, prefix="../../")
    version = upload(path)
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "outside the archive" in version.reason
    assert keys() == set()


def test_an_archive_that_lacks_a_file_is_rejected_by_the_container_with_its_reason(
    archives: Path, upload: Upload, keys: Keys
) -> None:
    files = constant_network(labels=["a"], answer=0)
    del files["synset.txt"]
    version = upload(pack(archives / "a.tar.gz", files))
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "synset.txt" in version.reason
    assert keys() == set()
    event = Event.objects.about("version", version.pk).first()
    assert event is not None
    assert event.level == "error"


def test_a_number_that_was_rejected_is_not_given_again(archives: Path, upload: Upload) -> None:
    bad = archives / "b.tar.gz"
    bad.write_bytes(b"no archive")
    first = upload(bad)
    services.check_version(version_pk=first.pk)
    assert Version.objects.get().state == "rejected"
    assert upload(_archive(archives)).number == 2


def test_bytes_that_changed_in_staging_are_not_published(
    archives: Path, upload: Upload, keys: Keys, store: str, quick_validation: None
) -> None:
    version = upload(_archive(archives))
    aws.s3().put_object(Bucket=store, Key=version.staging_key, Body=b"something else")
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "SHA-256" in version.reason
    assert keys() == set()


def test_an_object_that_is_there_is_never_overwritten(
    archives: Path, upload: Upload, store: str, quick_validation: None
) -> None:
    aws.s3().put_object(Bucket=store, Key="models/digits_v1.tar.gz", Body=b"theirs")
    version = upload(_archive(archives))
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "never overwritten" in version.reason
    body = aws.s3().get_object(Bucket=store, Key="models/digits_v1.tar.gz")["Body"].read()
    assert body == b"theirs"


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it."""


def _renewable(version: Version) -> None:
    """Let the dead worker's lease run out."""
    Version.objects.filter(pk=version.pk).update(check_after=timezone.now())


@pytest.mark.parametrize(
    "place",
    [
        (s3, "download"),
        (validation, "pack"),
        (packing, "pack"),
        (packing, "sha256"),
        (validation, "run"),
        (s3, "publish"),
        (s3, "copy"),
        (s3, "delete"),
    ],
    ids=lambda place: f"{place[0].__name__.rpartition('.')[2]}.{place[1]}",
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_check_killed_anywhere_is_picked_up_and_done_once(
    archives: Path,
    upload: Upload,
    keys: Keys,
    quick_validation: None,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
    when: str,
) -> None:
    path = _archive(archives)
    version = upload(path)
    holder, name = place
    real = getattr(holder, name)

    def killed(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            real(*args, **kwargs)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(holder, name, killed)
        with pytest.raises(_Killed):
            services.check_version(version_pk=version.pk)
    _renewable(version)

    services.check_version(version_pk=version.pk)

    version.refresh_from_db()
    assert version.state == "ready"
    # What is left in staging where it was killed before the last step, a sweep deletes.
    kept = {key for key in keys() if not key.startswith("staging/")}
    assert kept == {"models/digits_v1.tar.gz", version.original_key}
    assert hashlib.sha256(_object(store, version.key)).hexdigest() == version.published_sha256
    assert _object(store, version.original_key) == path.read_bytes()
    published = Event.objects.filter(action="version.published", subject_id=version.pk)
    assert published.count() == 1


def test_two_workers_do_not_check_the_same_version(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = upload(_archive(archives))
    calls = []

    def run(path: Path, beat: Callable[[], None]) -> dict[str, Any]:
        calls.append(path)
        services.check_version(version_pk=version.pk)  # the second worker, in the middle
        return GOOD

    monkeypatch.setattr(validation, "run", run)
    services.check_version(version_pk=version.pk)
    assert len(calls) == 1


def test_a_worker_that_lost_its_lease_writes_nothing(
    archives: Path,
    upload: Upload,
    keys: Keys,
    quick_validation: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = upload(_archive(archives))

    def run(path: Path, beat: Callable[[], None]) -> dict[str, Any]:
        Version.objects.filter(pk=version.pk).update(check_after=timezone.now())
        return GOOD

    monkeypatch.setattr(validation, "run", run)
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "checking"
    assert "models/digits_v1.tar.gz" not in keys()


def test_a_broken_preflight_is_tried_again_and_not_the_archives_fault(
    archives: Path, upload: Upload, settings: Any
) -> None:
    version = upload(_archive(archives))
    settings.PREFLIGHT_COMMAND = ["/nowhere/python"]
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "checking"
    assert version.attempts == 1
    assert version.check_after > timezone.now()
    assert "/nowhere/python" in version.step


def test_a_network_that_crashes_mxnet_is_refused_at_once_and_not_tried_twenty_times(
    archives: Path, upload: Upload, keys: Keys
) -> None:
    files = constant_network(labels=["cat", "dog"], answer=1)
    symbol = json.loads(files["tiny-symbol.json"])
    symbol["nodes"].append(
        {"op": "_Native", "name": "evil", "attrs": {"info": "4096"}, "inputs": []}
    )
    symbol["node_row_ptr"].append(6)
    symbol["heads"].append([5, 0, 0])
    files["tiny-symbol.json"] = json.dumps(symbol).encode()
    version = upload(pack(archives / "a.tar.gz", files))
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts) == ("rejected", 1)
    assert "Traceback" not in version.reason
    assert keys() == set()


def test_a_version_waits_while_the_sandbox_is_incomplete_and_is_checked_when_it_is_mended(
    archives: Path, upload: Upload, settings: Any, tmp_path: Path
) -> None:
    real = settings.PREFLIGHT_COMMAND
    script = tmp_path / "preflight.py"
    script.write_text("import sys; print('The sandbox does not hold: files.', file=sys.stderr)\n"
                      "sys.exit(4)\n")  # fmt: skip
    settings.PREFLIGHT_COMMAND = [sys.executable, str(script)]
    version = upload(_archive(archives))
    for _ in range(services.MAX_ATTEMPTS + 2):
        _renewable(version)
        services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts, version.reason) == ("checking", 0, "")
    assert version.check_after > timezone.now()
    assert "Waiting for an admin" in version.step
    assert "does not hold: files" in version.step

    settings.PREFLIGHT_COMMAND = real
    _renewable(version)
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "ready"
    assert version.report["sandbox"]["missing"] == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("x")])
def test_what_nobody_foresaw_is_said_on_the_page_and_tried_again_then_given_up(
    archives: Path, upload: Upload, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(validation, "pack", broken)
    version = upload(_archive(archives))
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts) == ("checking", 1)
    assert version.check_after > timezone.now()
    assert str(error) in version.step
    Version.objects.update(attempts=services.MAX_ATTEMPTS - 1)
    _renewable(version)
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert str(error) in version.reason


def test_a_check_that_kills_its_worker_each_time_ends(
    archives: Path, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any, **kwargs: Any) -> None:
        raise _Killed

    monkeypatch.setattr(validation, "pack", killed)
    version = upload(_archive(archives))
    for _ in range(services.MAX_ATTEMPTS):
        with pytest.raises(_Killed):
            services.check_version(version_pk=version.pk)
        _renewable(version)
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "the worker came to its end" in version.reason


def test_a_long_look_keeps_its_lease(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LEASE", timedelta(seconds=1))
    version = upload(_archive(archives))

    def slow(upload: Path, tar: Path, beat: Callable[[], None]) -> dict[str, Any]:
        until = timezone.now() + 3 * services.LEASE
        while timezone.now() < until:  # as long as a real one, which beats at each second
            beat()
        return _unzipped(upload, tar, beat)

    monkeypatch.setattr(validation, "pack", slow)
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts) == ("ready", 1)


def test_what_no_page_can_hold_is_not_kept(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ["nul \0", "surrogate \udce9", "fine é"]
    artifact = {**GOOD["artifact"], "labels": labels}  # type: ignore[dict-item]
    monkeypatch.setattr(validation, "run", lambda path, beat: {**GOOD, "artifact": artifact})
    version = upload(_archive(archives))
    services.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.artifact["labels"] == ["nul \N{REPLACEMENT CHARACTER}", "surrogate ?", "fine é"]


def test_two_new_models_of_one_name_do_not_become_one(
    archives: Path, db: None, store: str, keys: Keys
) -> None:
    path = _archive(archives)
    for turn in range(2):
        with path.open("rb") as file:
            upload = partial(
                services.upload_version, name="same", new=True, note="", file=file, actor=None
            )
            if turn == 0:
                upload(file_name="a.tar.gz")
            else:
                with pytest.raises(ValidationError, match="in the meantime"):
                    upload(file_name="a.tar.gz")
    assert Version.objects.count() == 1
    assert len(keys()) == 1  # nothing of the second upload is left in staging


def test_uploads_that_were_cut_off_are_cleared_from_staging_later(
    archives: Path, upload: Upload, keys: Keys, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = upload(_archive(archives))
    aws.s3().put_object(Bucket=store, Key="staging/orphan.tar.gz", Body=b"half")
    services.clear_staging()
    assert "staging/orphan.tar.gz" in keys()
    monkeypatch.setattr(services, "STAGING_KEPT", -services.STAGING_KEPT)
    services.clear_staging()
    assert keys() == {version.staging_key}
