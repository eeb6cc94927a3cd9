"""The mirror of aliases in S3: it says what the alias says, whatever is killed or changed."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.conf import settings as configured

from core import aws, clock, errors
from models_catalog import alias_mirror, aliases, s3
from models_catalog.models import AliasMirror, Version
from models_catalog.tests.test_aliases import make_model, point

KEY = "aliases/digits/live.json"


class _Killed(BaseException):
    """As a SIGKILL: no handler of the code that runs may do anything about it."""


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The mirrors that were queued; nothing is run."""
    queued: list[int] = []
    monkeypatch.setattr(alias_mirror, "enqueue_on_commit", lambda _task, pk: queued.append(pk))
    return queued


@pytest.fixture
def digits(db: None, store: str, jobs: list[int]) -> str:
    """A model with three versions in the bucket, whose name this is."""
    make_model(bucket=store)
    return store


def _run() -> None:
    """What the sweep does, until nothing is due."""
    while (row := AliasMirror.objects.due().first()) is not None:
        alias_mirror.mirror(mirror_pk=row.pk)


def _mirrored(bucket: str, key: str = KEY) -> dict[str, Any] | None:
    found = s3.read(bucket=bucket, key=key)
    return json.loads(found.data) if found else None


def _over(**changes: Any) -> None:
    """Let the lease of a killed worker run out, and the pause after a failure be over."""
    now = clock.now()
    AliasMirror.objects.update(check_after=now, leased_until=now, **changes)


def test_a_move_is_mirrored_and_says_what_to_call(digits: str, jobs: list[int]) -> None:
    point(2)
    assert jobs == [AliasMirror.objects.get().pk]
    _run()
    version = Version.objects.get(number=2)
    said = _mirrored(digits)
    assert said is not None
    assert said.pop("moved_at").startswith("20")
    assert said == {
        "model": "digits",
        "alias": "live",
        "version": 2,
        "target_model": "digits_v2.tar.gz",
        "store": f"s3://{digits}/models/",
        "uri": version.uri,
        "sha256": version.sha256,
    }
    row = AliasMirror.objects.get()
    assert row.written == row.wanted
    point(3)
    _run()
    assert (_mirrored(digits) or {})["version"] == 3


def test_the_mirror_goes_with_its_alias(digits: str) -> None:
    point(2)
    _run()
    aliases.remove(model="digits", name="live", actor=None)
    _run()
    assert _mirrored(digits) is None
    assert not AliasMirror.objects.exists()
    point(1)
    _run()
    assert (_mirrored(digits) or {})["version"] == 1


def test_no_store_reaches_it(digits: str) -> None:
    """A TargetModel is a key below the store's prefix; nothing of the portal lies there."""
    point(2)
    _run()
    below = [found.key for found in s3.listing(bucket=digits, prefix=f"{configured.MODEL_PREFIX}/")]
    assert below == []


def test_a_store_around_it_gets_none(digits: str) -> None:
    Version.objects.filter(number=1).update(prefix="aliases", key="aliases/digits_v1.tar.gz")
    point(2)
    row = AliasMirror.objects.get()
    alias_mirror.mirror(mirror_pk=row.pk)
    row.refresh_from_db()
    assert _mirrored(digits) is None
    assert "ALIASES_PREFIX" in str(row.said)
    assert row.check_after > clock.now()


@pytest.mark.parametrize("step", ["read", "replace", "replaced", "settle"])
def test_a_kill_at_any_step_converges(
    digits: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    point(1)
    _run()
    point(2)

    def killed(*_: Any, **__: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        if step == "settle":
            patch.setattr(alias_mirror, "_settle", killed)
        elif step == "replaced":
            write = s3.replace

            def write_and_die(**arguments: Any) -> None:
                write(**arguments)
                raise _Killed

            patch.setattr(s3, "replace", write_and_die)
        else:
            patch.setattr(s3, step, killed)
        with pytest.raises(_Killed):
            alias_mirror.mirror(mirror_pk=AliasMirror.objects.get().pk)
    assert not AliasMirror.objects.due().exists()  # the dead worker's lease
    _over()
    _run()
    assert (_mirrored(digits) or {})["version"] == 2
    row = AliasMirror.objects.get()
    assert row.written == row.wanted


def test_a_kill_in_a_deletion_converges(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point(1)
    _run()
    aliases.remove(model="digits", name="live", actor=None)

    def killed(*_: Any, **__: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(alias_mirror, "_settle", killed)
        with pytest.raises(_Killed):
            alias_mirror.mirror(mirror_pk=AliasMirror.objects.get().pk)
    _over()
    _run()
    assert (_mirrored(digits), AliasMirror.objects.count()) == (None, 0)


def test_a_move_while_it_is_written_is_written_next(
    digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(1)
    write = s3.replace

    def write_beside_a_move(**arguments: Any) -> None:
        if not moved:
            moved.append(point(3))
        write(**arguments)

    moved: list[Any] = []
    monkeypatch.setattr(s3, "replace", write_beside_a_move)
    alias_mirror.mirror(mirror_pk=AliasMirror.objects.get().pk)
    assert (_mirrored(digits) or {})["version"] == 1
    assert AliasMirror.objects.due().exists()
    _run()
    assert (_mirrored(digits) or {})["version"] == 3


def test_a_worker_that_paused_writes_nothing_old(
    digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(1)
    _run()
    point(2)
    write = s3.replace

    def pause_there(**arguments: Any) -> None:
        monkeypatch.setattr(s3, "replace", write)
        _over()
        point(3)
        _run()
        write(**arguments)

    monkeypatch.setattr(s3, "replace", pause_there)
    alias_mirror.mirror(mirror_pk=AliasMirror.objects.get().pk)
    assert (_mirrored(digits) or {})["version"] == 3
    row = AliasMirror.objects.get()
    assert row.written == row.wanted


def test_what_fails_is_retried_and_said(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point(1)

    def fail(**_: Any) -> None:
        raise errors.Denied("No.")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "replace", fail)
        alias_mirror.mirror(mirror_pk=AliasMirror.objects.get().pk)
    row = AliasMirror.objects.get()
    assert (str(row.said), row.attempts) == ("No.", 1)
    assert not AliasMirror.objects.due().exists()
    _over()
    _run()
    row.refresh_from_db()
    assert (row.said, row.attempts, row.written) == (None, 0, row.wanted)


def test_an_object_that_somebody_changed_is_repaired_within_a_day(digits: str) -> None:
    point(2)
    _run()
    row = AliasMirror.objects.get()
    assert row.check_after < clock.now() + timedelta(days=1, seconds=1)
    aws.s3().put_object(Bucket=digits, Key=KEY, Body=b"{}")
    _over()
    _run()
    assert (_mirrored(digits) or {})["version"] == 2
    aws.s3().delete_object(Bucket=digits, Key=KEY)
    _over()
    _run()
    assert (_mirrored(digits) or {})["version"] == 2


def test_objects_of_no_alias_are_deleted_after_a_day(
    digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(2)
    _run()
    aws.s3().put_object(Bucket=digits, Key="aliases/cats/live.json", Body=b"{}")
    alias_mirror.clear()
    assert _mirrored(digits, "aliases/cats/live.json") == {}
    monkeypatch.setattr(alias_mirror, "ORPHANS_KEPT", timedelta(seconds=-5))
    alias_mirror.clear()
    assert _mirrored(digits, "aliases/cats/live.json") is None
    assert _mirrored(digits) is not None


def test_the_object_of_an_alias_that_is_made_while_they_are_listed_stays(
    digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.replace(bucket=digits, key=KEY, data=b"{}", found=None)
    listing = s3.listing
    monkeypatch.setattr(alias_mirror, "ORPHANS_KEPT", -timedelta(seconds=5))

    def slow(**where: Any) -> Any:
        found = list(listing(**where))
        point(2)
        _run()
        return found

    monkeypatch.setattr(s3, "listing", slow)
    alias_mirror._clear_bucket(digits)
    assert _mirrored(digits) is not None


def test_another_prefix_moves_the_object(digits: str, settings: Any) -> None:
    point(1)
    _run()
    settings.ALIASES_PREFIX = "names"
    point(2)
    _run()
    assert _mirrored(digits) is None
    assert (_mirrored(digits, "names/digits/live.json") or {})["version"] == 2


def _snippet() -> str:
    """The Python of docs/catalog.md that reads the mirror."""
    text = (Path(configured.BASE_DIR) / "docs/catalog.md").read_text(encoding="utf-8")
    return text.split("<!-- snippet: alias -->\n```python\n")[1].split("```")[0]


@pytest.fixture
def aws_environment(
    store: str, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[dict[str, Any]]]:
    """The environment of the snippet, and what it has called."""
    called: list[dict[str, Any]] = []

    class Runtime:
        def invoke_endpoint(self, **arguments: Any) -> dict[str, Any]:
            called.append(arguments)
            return {}

    real = boto3.client

    def client(service: str, **arguments: Any) -> Any:
        return Runtime() if service == "sagemaker-runtime" else real(service, **arguments)  # type: ignore[call-overload]

    monkeypatch.setenv("AWS_DEFAULT_REGION", configured.AWS_REGION)
    monkeypatch.setattr(boto3, "client", client)
    return lambda: called


def test_the_snippet_of_the_docs_calls_the_version_of_the_moment(
    digits: str, aws_environment: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    snippet = _snippet()
    assert len([line for line in snippet.splitlines() if line]) == 5
    (tmp_path / "digit.png").write_bytes(b"picture")
    source = snippet.replace("BUCKET", digits).replace("digit.png", str(tmp_path / "digit.png"))
    for number in (2, 3):
        point(number)
        _run()
        exec(compile(source, "docs/catalog.md", "exec"), {})
        assert aws_environment()[-1]["TargetModel"] == f"digits_v{number}.tar.gz"
