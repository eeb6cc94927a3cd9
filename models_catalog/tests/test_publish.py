"""From an upload to a published version, with the real S3 server and the real preflight."""

import contextlib
import gzip
import hashlib
import io
import json
import re
import sys
import tarfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.stub import ANY, Stubber
from django.core.exceptions import ValidationError
from django.utils import timezone

from activity.models import Event
from core import aws, errors
from core.lease import LeaseLost
from core.tests.test_refusals import error_of
from models_catalog import packing, publication, s3, services, validation
from models_catalog.forms import UploadForm
from models_catalog.models import Version, name_taken
from tests.artifacts import constant_archive, constant_network, pack
from tests.together import together

Upload = Callable[..., Version]
Keys = Callable[[], set[str]]
GOOD = {
    "ok": True,
    "error": None,
    "artifact": {
        "parameters": 1,
        "parameter_bytes": 4,
        "inputs": [{"name": "data", "shape": [1, 3]}],
        "labels": ["a"],
        "label_count": 1,
    },
    "load_ms": 1,
    "first_ms": 1,
    "warm_ms": 1,
    "memory_mb": 1,
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
def quick_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip run 2 where a test is about what run 1 reads."""
    monkeypatch.setattr(validation, "run", lambda path, beat: GOOD)


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

    publication.check_version(version_pk=version.pk)

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
    assert version.labels == ["cat", "dog"]
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
        publication.check_version(version_pk=version.pk)
    published = {key for key in keys() if key.startswith("models/")}
    assert published == {"models/digits_v1.tar.gz", "models/digits_v2.tar.gz"}


def test_an_archive_that_leads_outside_is_neither_packed_nor_loaded_nor_stored(
    archives: Path, upload: Upload, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "pack", lambda *args, **kwargs: pytest.fail("it was packed"))
    files = constant_network(labels=["a"], answer=0)
    path = pack(archives / "a.tar.gz", files, prefix="../../")
    version = upload(path)
    publication.check_version(version_pk=version.pk)
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
    publication.check_version(version_pk=version.pk)
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
    publication.check_version(version_pk=first.pk)
    assert Version.objects.get().state == "rejected"
    assert upload(_archive(archives)).number == 2


def test_bytes_that_changed_in_staging_are_not_published(
    archives: Path, upload: Upload, keys: Keys, store: str, quick_validation: None
) -> None:
    version = upload(_archive(archives))
    aws.s3().put_object(Bucket=store, Key=version.staging_key, Body=b"something else")
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "SHA-256" in version.reason
    assert keys() == set()


def test_an_object_that_is_there_is_never_overwritten(
    archives: Path, upload: Upload, store: str, quick_validation: None
) -> None:
    aws.s3().put_object(Bucket=store, Key="models/digits_v1.tar.gz", Body=b"theirs")
    version = upload(_archive(archives))
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "never overwritten" in version.reason
    body = aws.s3().get_object(Bucket=store, Key="models/digits_v1.tar.gz")["Body"].read()
    assert body == b"theirs"
    # Nothing of it is served, and its page does not say so; what was found in it is kept.
    assert (version.published_sha256, version.published_size, version.packing) == ("", None, "")
    assert "as served" not in [whose for whose, _ in version.checksums]
    assert version.labels == ["a"]


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it."""


def _renewable(version: Version) -> None:
    """Let the dead worker's lease run out."""
    past = timezone.now() - timedelta(seconds=1)
    Version.objects.filter(pk=version.pk).update(check_after=past, leased_until=past)


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
            publication.check_version(version_pk=version.pk)
    _renewable(version)

    publication.check_version(version_pk=version.pk)

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
        publication.check_version(version_pk=version.pk)  # the second worker, in the middle
        return GOOD

    monkeypatch.setattr(validation, "run", run)
    publication.check_version(version_pk=version.pk)
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
        Version.objects.filter(pk=version.pk).update(leased_until=timezone.now())
        return GOOD

    monkeypatch.setattr(validation, "run", run)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "checking"
    assert "models/digits_v1.tar.gz" not in keys()


def test_a_broken_preflight_is_tried_again_and_not_the_archives_fault(
    archives: Path, upload: Upload, settings: Any
) -> None:
    version = upload(_archive(archives))
    settings.PREFLIGHT_COMMAND = ["/nowhere/python"]
    publication.check_version(version_pk=version.pk)
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
    publication.check_version(version_pk=version.pk)
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
    for _ in range(publication.MAX_ATTEMPTS + 2):
        _renewable(version)
        publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts, version.reason) == ("checking", 0, "")
    assert version.check_after > timezone.now()
    assert "Waiting for an admin" in version.step
    assert "does not hold: files" in version.step

    settings.PREFLIGHT_COMMAND = real
    _renewable(version)
    publication.check_version(version_pk=version.pk)
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
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts) == ("checking", 1)
    assert version.check_after > timezone.now()
    assert str(error) in version.step
    Version.objects.update(attempts=publication.MAX_ATTEMPTS - 1)
    _renewable(version)
    publication.check_version(version_pk=version.pk)
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
    for _ in range(publication.MAX_ATTEMPTS):
        with pytest.raises(_Killed):
            publication.check_version(version_pk=version.pk)
        _renewable(version)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "the worker came to its end" in version.reason


def test_a_long_look_keeps_its_lease(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "LEASE", timedelta(seconds=1))
    version = upload(_archive(archives))

    def slow(upload: Path, tar: Path, beat: Callable[[], None]) -> dict[str, Any]:
        until = timezone.now() + 3 * publication.LEASE
        while timezone.now() < until:  # as long as a real one, which beats at each second
            beat()
        return _unzipped(upload, tar, beat)

    monkeypatch.setattr(validation, "pack", slow)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts) == ("ready", 1)


def test_what_no_page_can_hold_is_not_kept(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ["nul \0", "surrogate \udce9", "fine é"]
    artifact = {**GOOD["artifact"], "labels": labels}  # type: ignore[dict-item]
    monkeypatch.setattr(validation, "run", lambda path, beat: {**GOOD, "artifact": artifact})
    version = upload(_archive(archives))
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.labels == ["nul \N{REPLACEMENT CHARACTER}", "surrogate ?", "fine é"]


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
                with pytest.raises(ValidationError, match=re.escape(name_taken("same"))):
                    upload(file_name="a.tar.gz")
    assert Version.objects.count() == 1
    assert len(keys()) == 1  # nothing of the second upload is left in staging


def test_a_name_is_taken_by_one_sentence_whoever_notices(db: None) -> None:
    register = partial(services.register_model, description="", actor=None)
    register(name="same")
    with pytest.raises(ValidationError) as by_the_database:
        register(name="same")
    assert by_the_database.value.message_dict == {"name": [name_taken("same")]}
    form = UploadForm({"name": "same", "packing": "auto"})
    assert form.errors["name"] == [name_taken("same")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("new", [True, None])
def test_of_several_who_upload_one_new_model_at_once_each_is_told_the_same(
    archives: Path, store: str, keys: Keys, new: bool | None
) -> None:
    """Who means a new model is refused; who does not gets the next number, each its own."""
    data = _archive(archives).read_bytes()

    def upload() -> Any:
        try:
            return services.upload_version(
                name="race",
                new=new,
                note="",
                file=io.BytesIO(data),
                file_name="a.tar.gz",
                actor=None,
            ).number
        except ValidationError as error:
            return error.message_dict

    outcomes = together([upload] * 4)
    if new:
        assert outcomes.count({"name": [name_taken("race")]}) == 3
        assert outcomes.count(1) == 1
    else:
        assert sorted(outcomes) == [1, 2, 3, 4]
    assert len(keys()) == Version.objects.count()  # nothing of the losers is left in staging


def test_uploads_that_were_cut_off_are_cleared_from_staging_later(
    archives: Path, upload: Upload, keys: Keys, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = upload(_archive(archives))
    aws.s3().put_object(Bucket=store, Key="staging/orphan.tar.gz", Body=b"half")
    publication.clear_staging()
    assert "staging/orphan.tar.gz" in keys()
    monkeypatch.setattr(publication, "STAGING_KEPT", -publication.STAGING_KEPT)
    publication.clear_staging()
    assert keys() == {version.staging_key}


@pytest.mark.parametrize("state", ["ready", "rejected"])
def test_what_a_settled_version_left_in_staging_is_cleared_at_once(
    archives: Path, upload: Upload, keys: Keys, state: str
) -> None:
    version, other = upload(_archive(archives)), upload(_archive(archives))
    Version.objects.filter(pk=version.pk).update(state=state)  # and the worker died
    publication.clear_staging()
    assert keys() == {other.staging_key}


def _published(version: Version) -> Version:
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.reason) == ("ready", "")
    return version


def test_extra_files_are_left_out_of_what_is_served_and_stay_in_the_original(
    archives: Path, upload: Upload, store: str, quick_load: None
) -> None:
    files = constant_network(labels=["a", "b"], answer=0) | {
        "README.txt": b"read me",
        "training.log": bytes(2 << 20),
        "MAR-INF/MANIFEST.json": b"{}",
    }
    version = _published(upload(pack(archives / "a.tar.gz", files)))
    with tarfile.open(fileobj=io.BytesIO(_object(store, version.key))) as tar:
        served = tar.getnames()
    assert served == sorted(constant_network(labels=[], answer=0))
    with tarfile.open(fileobj=io.BytesIO(_object(store, version.original_key))) as tar:
        assert sorted(tar.getnames()) == sorted(files)
    assert {file["name"] for file in version.files} == set(files)
    assert {file["name"] for file in version.files if file["packed"]} == set(served)
    assert {file["name"] for file in version.files if file["read"]} == set(served)


def test_the_same_content_in_another_packing_is_recognised(
    archives: Path, upload: Upload, client_of: Any, quick_load: None
) -> None:
    files = constant_network(labels=["a", "b"], answer=0)
    first = _published(upload(pack(archives / "a.tar.gz", files)))
    backwards = dict(reversed(files.items()))
    second = _published(upload(pack(archives / "b.tar.gz", backwards, prefix="./"), name="other"))
    assert second.sha256 != first.sha256
    assert second.content_sha256 == first.content_sha256
    assert second.published_sha256 == first.published_sha256
    event = Event.objects.about("version", second.pk).first()
    assert event is not None
    assert event.sentence.endswith("It has the same content as digits v1.")
    page = client_of("viewer").get(second.get_absolute_url()).content.decode()
    assert "It has the same content as this version, packed in another way:" in page
    assert '<a href="/models/digits/v1/">digits v1</a>' in page


def test_the_same_bytes_are_recognised_before_they_are_validated(
    archives: Path, upload: Upload, client_of: Any, quick_validation: None
) -> None:
    path = _archive(archives)
    _published(upload(path))
    with gzip.open(path) as plain:
        repacked = archives / "b.tar.gz"
        repacked.write_bytes(gzip.compress(plain.read(), 1))
    _published(upload(repacked, name="repacked"))
    again = upload(path, name="again")
    page = client_of("viewer").get(again.get_absolute_url()).content.decode()
    assert "It has the same bytes as this version:" in page
    assert '<a href="/models/digits/v1/">digits v1</a>' in page
    _published(again)
    event = Event.objects.about("version", again.pk).first()
    assert event is not None
    assert event.sentence.endswith("It has the same bytes as digits v1.")


@pytest.mark.parametrize("choice", ["stored", "compressed"])
def test_the_packing_that_was_chosen_is_what_is_served(
    archives: Path, upload: Upload, store: str, settings: Any, quick_validation: None, choice: str
) -> None:
    settings.PACKING = choice
    version = _published(upload(_archive(archives)))
    served = _object(store, version.key)
    assert version.packing == choice
    facts = version.report["packing"]
    assert facts["choice"] == choice
    assert facts[f"{choice}_bytes"] == len(served) == version.published_size
    assert facts["compressed_bytes"] < facts["stored_bytes"]
    tar = gzip.decompress(served)
    assert version.content_sha256 == hashlib.sha256(tar).hexdigest()


def test_a_network_that_changes_the_file_it_is_loaded_from_is_refused(
    archives: Path,
    upload: Upload,
    keys: Keys,
    quick_validation: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(path: Path, beat: Callable[[], None]) -> dict[str, Any]:
        assert path.stat().st_mode & 0o777 == 0o400
        path.chmod(0o600)
        with path.open("ab") as file:
            file.write(b"x")
        return GOOD

    monkeypatch.setattr(validation, "run", run)
    version = upload(_archive(archives))
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "was changed" in version.reason
    assert keys() == set()


def test_only_accepted_uploads_are_kept_and_only_if_it_is_wanted(
    archives: Path, upload: Upload, keys: Keys, settings: Any, quick_validation: None
) -> None:
    settings.KEEP_ORIGINALS = False
    version = _published(upload(_archive(archives)))
    assert version.original_key == ""
    assert keys() == {"models/digits_v1.tar.gz"}


def test_originals_are_never_copied_into_a_store(
    archives: Path, upload: Upload, keys: Keys, settings: Any, quick_validation: None
) -> None:
    settings.MODEL_PREFIX = "originals/old-store"
    _published(upload(_archive(archives)))
    settings.MODEL_PREFIX, settings.ORIGINALS_PREFIX = "models", "originals/old-store"
    version = _published(upload(_archive(archives), name="other"))
    assert version.original_key == ""
    event = Event.objects.about("version", version.pk).first()
    assert event is not None
    assert "lies inside the store originals/old-store" in event.sentence
    assert event.level == "warning"


def test_a_store_that_does_not_allow_originals_does_not_hold_a_version_back(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: Any) -> None:
        raise errors.Denied("no right to s3:PutObject")

    monkeypatch.setattr(s3, "copy", denied)
    version = _published(upload(_archive(archives)))
    assert version.original_key == ""
    event = Event.objects.about("version", version.pk).first()
    assert event is not None
    assert "could not be kept: no right to s3:PutObject" in event.sentence


@pytest.mark.parametrize("answer", [errors.Denied("no answer"), errors.Throttled("no answer")])
def test_an_original_that_was_kept_has_its_row_though_the_answer_was_lost(
    archives: Path,
    upload: Upload,
    keys: Keys,
    quick_validation: None,
    monkeypatch: pytest.MonkeyPatch,
    answer: errors.AwsError,
) -> None:
    copy = s3.copy

    def lost(**what: Any) -> None:
        copy(**what)
        raise answer

    monkeypatch.setattr(s3, "copy", lost)
    version = upload(_archive(archives))
    Version.objects.update(attempts=publication.MAX_ATTEMPTS - 1)
    version = _published(version)
    assert keys() == {version.key, version.original_key}
    event = Event.objects.about("version", version.pk).first()
    assert event is not None
    assert event.level == "success"


def test_an_original_that_each_killed_worker_kept_has_its_row(
    archives: Path,
    upload: Upload,
    keys: Keys,
    quick_validation: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = s3.copy

    def killed(**what: Any) -> None:
        copy(**what)
        raise _Killed

    version = upload(_archive(archives))
    Version.objects.update(attempts=publication.MAX_ATTEMPTS - 1)
    with monkeypatch.context() as patch:
        patch.setattr(s3, "copy", killed)
        with pytest.raises(_Killed):
            publication.check_version(version_pk=version.pk)
    _renewable(version)
    version = _published(version)
    publication.clear_staging()
    assert keys() == {version.key, version.original_key}


def test_what_aws_refuses_a_validation_is_told_in_whole(
    archives: Path, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = aws.from_client_error(error_of("no right to decrypt"), "reading the upload")

    def denied(**_: Any) -> None:
        raise refusal

    version = upload(_archive(archives))
    monkeypatch.setattr(s3, "download", denied)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "checking"
    assert refusal.todo in version.step


def test_a_store_that_is_away_while_the_original_is_copied_is_tried_again(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise errors.Throttled("away")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "copy", away)
        version = upload(_archive(archives))
        publication.check_version(version_pk=version.pk)
        version.refresh_from_db()
        assert (version.state, version.attempts) == ("checking", 1)
    monkeypatch.setattr(validation, "pack", lambda *args, **kwargs: pytest.fail("once is enough"))
    _renewable(version)
    assert _published(version).original_key


@pytest.mark.parametrize("failure", [_Killed, KeyError])
def test_what_is_in_the_store_is_never_called_rejected(
    archives: Path,
    upload: Upload,
    keys: Keys,
    quick_validation: None,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[BaseException],
) -> None:
    def broken(**_: Any) -> None:
        raise failure("x")

    monkeypatch.setattr(s3, "copy", broken)
    version = upload(_archive(archives))
    for _ in range(publication.MAX_ATTEMPTS):
        with contextlib.suppress(_Killed):
            publication.check_version(version_pk=version.pk)
        _renewable(version)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert (version.state, version.original_key) == ("ready", "")
    assert version.key in keys()
    event = Event.objects.about("version", version.pk).first()
    assert event is not None
    assert "could not be kept" in event.sentence


def test_what_may_be_in_the_store_is_not_rejected_while_the_store_cannot_be_asked(
    archives: Path, upload: Upload, quick_validation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise errors.Throttled("away")

    version = upload(_archive(archives))
    with monkeypatch.context() as patch:
        patch.setattr(s3, "copy", away)
        publication.check_version(version_pk=version.pk)
        patch.setattr(s3, "exists", away)
        Version.objects.filter(pk=version.pk).update(attempts=publication.MAX_ATTEMPTS - 1)
        for _ in range(3):
            _renewable(version)
            publication.check_version(version_pk=version.pk)
            version.refresh_from_db()
            assert version.state == "checking"
            assert "away" in version.step
            assert version.check_after > timezone.now()
    _renewable(version)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "ready"


def test_what_another_attempt_published_is_not_taken_for_the_own_where_it_differs(
    archives: Path,
    upload: Upload,
    store: str,
    quick_validation: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(**_: Any) -> None:
        raise _Killed

    version = upload(_archive(archives))
    with monkeypatch.context() as patch:
        patch.setattr(s3, "publish", killed)
        with pytest.raises(_Killed):
            publication.check_version(version_pk=version.pk)
    aws.s3().put_object(Bucket=store, Key=version.key, Body=b"theirs")
    _renewable(version)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "never overwritten" in version.reason
    assert _object(store, version.key) == b"theirs"


def test_a_large_file_is_published_in_parts_and_beats_before_each(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)  # S3 takes no smaller ones
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (12 << 12))
    beats: list[None] = []
    s3.publish(bucket=store, key="models/x", path=path, beat=lambda: beats.append(None))
    assert len(beats) == 1 + 3 + 1
    assert _object(store, "models/x") == path.read_bytes()
    with pytest.raises(errors.AlreadyExists):
        s3.publish(bucket=store, key="models/x", path=path, beat=lambda: None)


def test_an_upload_whose_lease_is_lost_leaves_nothing_at_the_key(
    store: str, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(bytes(12 << 20))
    beats: list[None] = []

    def beat() -> None:
        beats.append(None)
        if len(beats) == 3:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        s3.publish(bucket=store, key="models/x", path=path, beat=beat)
    assert keys() == set()


def test_parts_that_nobody_completes_are_given_up_after_a_day(
    db: None, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws.s3()
    keys = ("models/x", "originals/x", "staging/x", "elsewhere/x")
    for key in keys:
        upload = client.create_multipart_upload(Bucket=store, Key=key)["UploadId"]
        client.upload_part(Bucket=store, Key=key, UploadId=upload, PartNumber=1, Body=b"part")

    def left() -> set[str]:
        return {one["Key"] for one in client.list_multipart_uploads(Bucket=store)["Uploads"]}

    publication.clear_parts()
    assert left() == set(keys), "they may be under way"
    monkeypatch.setattr(publication, "STAGING_KEPT", timedelta(seconds=-5))
    with monkeypatch.context() as patch:
        patch.setattr(s3, "unfinished", _denied)
        publication.clear_parts()  # the bucket's own rule does it
    publication.clear_parts()
    assert left() == {"elsewhere/x"}


def _denied(**_: Any) -> None:
    raise errors.Denied("no right to s3:ListBucketMultipartUploads")


@pytest.mark.parametrize("size", [1 << 10, 12 << 20], ids=["at once", "in parts"])
def test_the_store_refuses_a_write_where_something_is_even_if_nobody_looked(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    monkeypatch.setattr(s3, "exists", lambda **_: False)
    aws.s3().put_object(Bucket=store, Key="models/x", Body=b"theirs")
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    with pytest.raises(errors.AlreadyExists):
        s3.publish(bucket=store, key="models/x", path=path, beat=lambda: None)
    assert _object(store, "models/x") == b"theirs"


def test_a_large_upload_is_kept_by_copies_of_its_parts(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20)
    monkeypatch.setattr(aws, "COPY", parts)
    body = bytes(range(256)) * (12 << 12)
    aws.s3().put_object(Bucket=store, Key="staging/x", Body=body)
    calls: list[str] = []
    aws.s3().meta.events.register(
        "before-call.s3", lambda model, **_: calls.append(model.name), unique_id="calls"
    )
    s3.copy(bucket=store, source_key="staging/x", key="originals/x", beat=lambda: None)
    aws.s3().meta.events.unregister("before-call.s3", unique_id="calls")
    assert calls.count("UploadPartCopy") == 3
    assert not {"GetObject", "PutObject", "UploadPart"} & set(calls)  # no byte travels
    assert _object(store, "originals/x") == body
    with pytest.raises(errors.NotFound):
        s3.copy(bucket=store, source_key="staging/none", key="originals/y", beat=lambda: None)


@pytest.mark.parametrize("size", [1 << 10, 12 << 20], ids=["at once", "in parts"])
def test_the_write_itself_is_conditional(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Not all servers look at the condition; that it is sent is what S3's own refusal needs."""
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    monkeypatch.setattr(s3, "exists", lambda **_: False)
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    aws.s3.cache_clear()
    stub = Stubber(aws.s3())
    refused = partial(
        stub.add_client_error, service_error_code="PreconditionFailed", http_status_code=412
    )
    where = {"Bucket": "b", "Key": "models/x"}
    if size <= 5 << 20:
        refused("put_object", expected_params=where | {"Body": ANY, "IfNoneMatch": "*"})
    else:
        upload = where | {"UploadId": "u"}
        stub.add_response(
            "create_multipart_upload",
            {"UploadId": "u"},
            where | {"ChecksumAlgorithm": "CRC32"},
        )
        for number in (1, 2, 3):
            stub.add_response(
                "upload_part",
                {"ETag": f"e{number}", "ChecksumCRC32": f"c{number}"},
                upload | {"PartNumber": number, "Body": ANY},
            )
        parts = [
            {"PartNumber": number, "ETag": f"e{number}", "ChecksumCRC32": f"c{number}"}
            for number in (1, 2, 3)
        ]
        refused(
            "complete_multipart_upload",
            expected_params=upload | {"MultipartUpload": {"Parts": parts}, "IfNoneMatch": "*"},
        )
        stub.add_response("abort_multipart_upload", {}, upload)
    with stub, pytest.raises(errors.AlreadyExists):
        s3.publish(bucket="b", key="models/x", path=path, beat=lambda: None)
    stub.assert_no_pending_responses()
    aws.s3.cache_clear()


def test_the_docs_allow_what_originals_need_and_no_more() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "aws.md").read_text()
    policy = json.loads(page.split("<!-- policy: portal -->")[1].split("```")[1][4:])
    actions = {
        statement["Resource"].removeprefix("arn:aws:s3:::BUCKET/"): set(statement["Action"])
        for statement in policy["Statement"]
        if str(statement["Resource"]).startswith("arn:aws:s3:::BUCKET/")
    }
    kept = {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}
    assert actions["ORIGINALS/*"] == actions["PREFIX/*"] == kept
    for folder in ("STAGING/*", "TESTSETS/*", "PICTURES/*"):
        assert actions[folder] == kept | {"s3:DeleteObject"}
    assert actions["ALIASES/*"] == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
    (lists,) = [one for one in policy["Statement"] if one["Action"] == "s3:ListBucket"]
    listed = {"PREFIX/*", "STAGING/*", "ALIASES/*", "PICTURES/*", "TESTSETS/*"}
    assert set(lists["Condition"]["StringLike"]["s3:prefix"]) == listed
    rules = json.loads(page.split("<!-- lifecycle -->")[1].split("```")[1][4:])["Rules"]
    assert [rule["Filter"] for rule in rules] == [{}, {"Prefix": "ORIGINALS/"}]
    with Stubber(aws.s3()) as stub:  # which holds them against S3's own description
        stub.add_response("put_bucket_lifecycle_configuration", {})
        aws.s3().put_bucket_lifecycle_configuration(
            Bucket="b", LifecycleConfiguration={"Rules": rules}
        )
