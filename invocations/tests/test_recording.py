"""Rows after the answer: what a call was outlives its process, and is a row once."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, connections
from django.test import Client
from django.utils import timezone
from PIL import Image

from core import remembered
from core.errors import Denied
from core.tests.locked import locked_by_another_program
from endpoints.models import Endpoint
from invocations import journal, pictures_kept, recording, runtime, services, under_way
from invocations.inserting import insert
from invocations.models import Invocation, Picture
from invocations.payload import Payload
from invocations.recording import Recorded, Recorder
from invocations.tests.conftest import Objects
from invocations.tests.test_invocations_api import CALLS, LIST, Model, png
from invocations.tests.test_invoke_threads import wait_until
from models_catalog import aliases
from models_catalog.models import Version
from tests.bearer import secret_of

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.fixture
def version(make_version: Callable[..., Version]) -> Version:
    return make_version()


@pytest.fixture
def secret(user_in: Callable[[str], User]) -> str:
    return secret_of(user_in("viewer"), ("read", "invoke"))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    fake = Model()
    monkeypatch.setattr(runtime, "invoke", fake.invoke)
    return fake


@pytest.fixture
def ask(serving: Endpoint, version: Version, model: Model, secret: str) -> Callable[..., Any]:
    client = Client()

    def send(method: str = "POST", path: str = f"{CALLS}?model=digits:1", body: bytes = b"") -> Any:
        given = {"Authorization": f"Bearer {secret}"}
        return client.generic(method, path, body, "image/png", headers=given)

    return send


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorder]:
    """Rows are written by the thread, as in a web process."""
    made = Recorder(tmp_path / "journal")
    monkeypatch.setattr(recording, "recorder", lambda: made)
    yield made
    made.settle()


# Answers a call by the API, and stands still before its row is written.
_ANSWERS = """
import sys, threading
import django
django.setup()
from django.test import Client
from invocations import recording, runtime
from invocations.tests.test_invocations_api import CALLS, Model, png
runtime.invoke = Model().invoke
recording._write_rows = lambda batch: threading.Event().wait()
answer = Client().generic(
    "POST", CALLS + "?model=digits:1", png(), "image/png",
    headers={"Authorization": "Bearer " + sys.argv[1], "Host": "127.0.0.1"},
)
print(answer.status_code, answer.content.decode(), flush=True)
threading.Event().wait()
"""
# Makes a call, and stands still before its answer.
_CALLS = _ANSWERS.replace(
    "runtime.invoke = Model().invoke",
    "def invoke(**call):\n    print('called', flush=True)\n    threading.Event().wait()\n"
    "runtime.invoke = invoke",
)


def _killed(program: str, *arguments: str) -> str:
    """The first line that the program printed, before it was killed."""
    name = connection.settings_dict["NAME"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ
        | {
            "DATABASE_URL": f"sqlite:///{name}",
            "SECRET_KEY": django_settings.SECRET_KEY,
            "JOURNAL_DIR": django_settings.JOURNAL_DIR,
        },
        cwd=django_settings.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            line = next(line for line in lines if not line.startswith("{"))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    return line


def test_what_was_answered_before_a_kill_is_a_row_after_the_sweep_once(
    ask: Callable[..., Any], secret: str
) -> None:
    status, _, body = _killed(_ANSWERS, secret).partition(" ")
    said = json.loads(body)
    assert (status, said["asked"]) == ("200", "digits:1")
    assert not Invocation.objects.exists()
    services.sweep()
    assert json.loads(ask("GET", f"{LIST}/{said['id']}").content) == said
    services.sweep()
    recording.replay()
    assert [row.uid for row in Invocation.objects.all()] == [said["id"]]


def test_a_call_that_was_killed_before_its_answer_has_failed(
    ask: Callable[..., Any], secret: str
) -> None:
    assert _killed(_CALLS, secret) == "called\n"
    services.sweep()
    row = Invocation.objects.get()
    assert (row.state, row.picture_name) == ("failed", "picture")
    assert "was stopped" in row.error
    services.sweep()
    assert Invocation.objects.count() == 1


def test_a_row_that_was_written_before_the_kill_is_not_written_again(
    serving: Endpoint, version: Version
) -> None:
    row = Invocation.objects.create(
        endpoint=serving, version=version, target_model="t", state="done", latency_ms=1.0
    )
    given: dict[str, Any] = {"state": "done", "latency_ms": 2.0}
    assert not recording._replayed(str(row.uid), given)
    assert Invocation.objects.get().latency_ms == 1.0


def test_the_answer_of_a_call_that_had_a_row_with_a_lease_is_written_into_it(
    serving: Endpoint, version: Version
) -> None:
    row = Invocation.objects.create(
        endpoint=serving,
        version=version,
        target_model="t",
        leased_until=timezone.now() + timedelta(seconds=20),
    )
    assert recording._replayed(str(row.uid), {"state": "done", "latency_ms": 2.0})
    again = Invocation.objects.get()
    assert (again.state, again.latency_ms, again.leased_until) == ("done", 2.0, None)
    assert not recording._replayed(str(row.uid), {})  # its lease says what becomes of it


def test_a_call_of_somebody_who_is_gone_is_kept_and_of_an_endpoint_that_is_gone_is_not(
    serving: Endpoint, version: Version
) -> None:
    values = {
        "endpoint_id": serving.pk,
        "version_id": version.pk,
        "target_model": "t",
        "created_by_id": 999_999,
        "created_at": "2026-01-02T03:04:05+00:00",
        "state": "done",
    }
    assert recording._replayed("a" * 32, dict(values))
    row = Invocation.objects.get()
    assert (row.created_by, row.created_at.year) == (None, 2026)
    assert not recording._replayed("b" * 32, values | {"endpoint_id": 999_999})


@pytest.mark.not_quick
def test_who_asks_right_after_the_answer_finds_the_call(
    ask: Callable[..., Any], writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, write_rows = threading.Event(), recording._write_rows

    def slow(batch: list[Recorded]) -> None:
        assert gate.wait(20)
        write_rows(batch)

    monkeypatch.setattr(recording, "_write_rows", slow)
    said = json.loads(ask(body=png()).content)
    assert not Invocation.objects.exists()
    threading.Timer(0.2, gate.set).start()
    assert json.loads(ask("GET", f"{LIST}/{said['id']}").content) == said
    assert [row["id"] for row in json.loads(ask("GET", LIST).content)["items"]] == [said["id"]]
    assert ask("GET", f"{LIST}/{'0' * 32}").status_code == 404


@pytest.mark.not_quick
def test_many_calls_are_rows_and_leave_the_journal(
    ask: Callable[..., Any], writer: Recorder
) -> None:
    said = [json.loads(ask(body=png()).content)["id"] for _turn in range(20)]
    writer.settle()
    assert {row.uid for row in Invocation.objects.all()} == set(said)
    assert Picture.objects.count() == 1
    writer.close()
    assert writer._journal is not None
    assert not writer._journal.path.exists()


@pytest.mark.usefixtures("remembering")
def test_no_answer_waits_for_a_locked_database(
    ask: Callable[..., Any], writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "BETWEEN_TRIES_S", 0.05)
    ask(body=png())  # what is looked up is remembered
    writer.settle()
    connections.close_all()
    with locked_by_another_program():
        answer = ask(body=png())
        assert answer.status_code == 200
        assert Invocation.objects.count() == 1
    writer.settle()
    assert Invocation.objects.count() == 2


def test_without_a_journal_the_row_is_written_before_the_answer(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "file").write_text("")
    made = Recorder(tmp_path / "file" / "journal")
    monkeypatch.setattr(recording, "recorder", lambda: made)
    seen: list[int] = []
    invoke = runtime.invoke

    def noted(**call: Any) -> Any:
        seen.append(Invocation.objects.filter(state="running").count())
        return invoke(**call)

    monkeypatch.setattr(runtime, "invoke", noted)
    assert ask(body=png()).status_code == 200
    made.settle()  # its thread writes the picture, else into the database of the next test
    assert seen == [1]
    assert Invocation.objects.get().state == "done"
    assert "rows are written before the answers" in caplog.text


def test_the_journal_has_no_bytes_of_a_picture(
    ask: Callable[..., Any], writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_write_rows", lambda batch: None)
    ask(body=png())
    assert writer._journal is not None
    text = writer._journal.path.read_bytes()
    assert b"created_at" in text
    assert b"PNG" not in text
    for name in ("thumbnail", "data", "preview"):
        assert name.encode() not in text


@pytest.mark.not_quick
def test_a_version_is_remembered_for_a_second_and_what_may_move_never(
    ask: Callable[..., Any],
    model: Model,
    make_version: Callable[..., Version],
    version: Version,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr("core.remembered.time.monotonic", lambda: now[0])
    assert ask(body=png()).status_code == 200
    ask(path=f"{CALLS}?model=digits", body=png())
    made = make_version(number=2)
    ask(path=f"{CALLS}?model=digits", body=png())
    assert model.asked[-1]["target_model"] == made.target_model
    for number in (1, 2):
        aliases.move(model="digits", name="live", number=number, actor=None)
        for named in ("digits", "digits@live"):
            ask(path=f"{CALLS}?model={named}", body=png())
            assert model.asked[-1]["target_model"] == f"digits_v{number}.tar.gz"
    Version.objects.filter(pk=version.pk).update(state=Version.State.REJECTED)
    assert ask(body=png()).status_code == 200  # as it was a moment ago
    now[0] += remembered.KEEP_S
    assert ask(body=png()).status_code == 409


def test_what_was_remembered_is_looked_up_again_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("core.remembered.time.monotonic", lambda: now[0])
    kept: remembered.Remembered[str, int] = remembered.Remembered(most=2)
    assert [kept.get("a", lambda: None), kept.get("a", lambda: 1), kept.get("a", lambda: 2)] == [
        None,
        1,
        1,
    ]
    now[0] += remembered.KEEP_S
    assert kept.get("a", lambda: 3) == 3
    assert [kept.get(key, lambda: 4) for key in "bc"] == [4, 4]
    assert kept.get("a", lambda: 5) == 5  # the oldest was forgotten


# --- pictures --------------------------------------------------------------------------------


def _large() -> bytes:
    return png() + bytes(pictures_kept.INLINE_BYTES)


@pytest.mark.not_quick
def test_large_pictures_lie_in_the_store_and_go_before_their_rows(
    ask: Callable[..., Any], model: Model, objects: Objects
) -> None:
    ask(body=_large())
    picture = Picture.objects.get()
    assert (bytes(picture.data), list(objects.kept)) == (b"", [picture.key])
    assert picture.key.startswith("pictures/")
    assert pictures_kept.content(picture) == _large()
    ask(body=_large())
    assert len(objects.kept) == 1
    Picture.objects.update(used_at=timezone.now() - timedelta(hours=25))
    services.sweep()
    assert not objects.kept
    assert not Picture.objects.exists()


def test_a_picture_that_the_store_does_not_take_is_not_kept_and_its_call_is(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, objects: Objects
) -> None:
    from core.errors import Throttled
    from core.sentences import phrase

    def away(**_: Any) -> None:
        raise Throttled(phrase("S3 is away"))

    monkeypatch.setattr(objects, "upload", away)
    assert ask(body=_large()).status_code == 200
    assert Invocation.objects.get().state == "done"
    assert not Picture.objects.exists()


def test_a_picture_that_is_sent_again_keeps_what_was_made_of_it(db: None) -> None:
    def sent(name: str, at: datetime, **made: Any) -> None:
        told = {"sha256": "a" * 64, "content_type": "image/png", "data": b"1"}
        pictures_kept.keep_all([Picture(name=name, used_at=at, **told, **made)], {})

    later = NOW + timedelta(seconds=1)
    sent("one.png", NOW, thumbnail=b"small", preview=b"large")
    sent("two.png", later, thumbnail=b"")
    sent("other.png", NOW, thumbnail=b"new", preview=None)
    row = Picture.objects.get()
    assert (row.name, row.used_at) == ("other.png", NOW)
    assert (bytes(row.thumbnail), row.preview) == (b"new", None)
    sent("two.png", later, thumbnail=b"")
    row.refresh_from_db()
    assert (row.name, row.used_at, bytes(row.thumbnail)) == ("two.png", later, b"new")
    assert (row.bucket, row.key, row.scaled_code) == ("", "", None)


def test_pictures_that_the_release_before_kept_in_rows_are_read(db: None) -> None:
    picture = Picture.objects.create(
        sha256="a" * 64, name="a", content_type="image/png", data=_large(), thumbnail=b"t"
    )
    assert pictures_kept.content(picture) == _large()
    sent = pictures_kept.payload_of(picture)
    assert isinstance(sent, Payload)
    assert sent.data == _large()


def test_a_row_whose_connection_is_lost_over_its_commit_is_there_once(
    serving: Endpoint, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try finds what the first one wrote; who waits for the call is answered."""
    real = Invocation.save

    def lost(row: Invocation, **how: Any) -> None:
        monkeypatch.setattr(Invocation, "save", real)
        real(Invocation(**{name: getattr(row, name) for name in columns}), **how)
        raise OperationalError("server closed the connection unexpectedly")

    columns = [one.attname for one in Invocation._meta.concrete_fields]
    monkeypatch.setattr(recording, "BETWEEN_TRIES_S", 0)
    monkeypatch.setattr(Invocation, "save", lost)
    recorded = Recorded(Invocation(endpoint=serving, version=version, target_model="t"))
    recorded.write_now()
    recorded.finish(state=Invocation.State.DONE)
    assert Invocation.objects.get().state == Invocation.State.DONE


def test_objects_that_no_row_names_are_deleted_after_a_day(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models_catalog import s3

    monkeypatch.setattr(pictures_kept, "s3", s3)
    for key in ("pictures/lost", "pictures/kept", "test-sets/digits/lost", "models/other"):
        s3.upload(bucket=store, key=key, file=io.BytesIO(b"x"))
    Picture.objects.create(
        sha256="a" * 64, name="a", data=b"", thumbnail=b"", bucket=store, key="pictures/kept"
    )

    def left() -> set[str]:
        return {found.key for found in listing(bucket=store, prefix="")}

    def away(*, bucket: str, prefix: str) -> Any:
        if prefix == "pictures/":
            raise Denied("No.")
        return listing(bucket=bucket, prefix=prefix)

    listing = s3.listing
    pictures_kept.sweep_objects()
    assert len(left()) == 4
    monkeypatch.setattr(pictures_kept, "_ORPHANED_AFTER", timedelta(hours=-1))
    monkeypatch.setattr(s3, "listing", away)
    with pytest.raises(Denied):
        pictures_kept.sweep_objects()
    assert left() == {"pictures/lost", "pictures/kept", "models/other"}
    monkeypatch.setattr(s3, "listing", listing)
    pictures_kept.sweep_objects()
    assert left() == {"pictures/kept", "models/other"}


def test_a_row_that_is_inserted_with_others_is_as_django_writes_it(
    serving: Endpoint, version: Version, user_in: Callable[[str], User]
) -> None:
    def row(**given: Any) -> Invocation:
        return Invocation(
            endpoint=serving,
            version=version,
            target_model="a_v1.tar.gz",
            created_at=NOW,
            seen_at=NOW,
            check_after=NOW,
            **given,
        )

    full = {
        "created_by": user_in("viewer"),
        "state": Invocation.State.DONE,
        "predictions": [{"label": "“7”", "probability": 0.25}],
        "timings": {"call_ms": 3.25},
        "cold": True,
        "put_out": {"names": ["a"], "count": 1},
        "thumbnail": b"\x00\xff",
        "sent_as": {"content_type": "image/png", "turned": False},
        "scaled_code": None,
        "latency_ms": 5.5,
    }
    for given in ({}, full):
        ours, theirs = row(**given), row(**given)
        insert([ours])
        theirs.save(force_insert=True)
        rows = Invocation.objects.filter(uid__in=[ours.uid, theirs.uid]).order_by("pk").values()
        first, second = ({**each, "id": 0, "uid": ""} for each in rows)
        assert first == second
    with pytest.raises(IntegrityError):
        insert([ours])


def _coloured(colour: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(data, "PNG")
    return data.getvalue()


def _recorded(serving: Endpoint, version: Version, **more: Any) -> Recorded:
    row = Invocation(
        endpoint=serving, version=version, target_model="x", created_at=timezone.now(), asked="",
        asked_variant="", **more,
    )  # fmt: skip
    return Recorded(row)


def _of_nobody(serving: Endpoint, version: Version) -> Recorded:
    """A call that the database refuses: who made it was deleted meanwhile."""
    gone = User.objects.create_user("gone")
    made = _recorded(serving, version, created_by=gone)
    made.begin()
    User.objects.filter(pk=gone.pk).delete()
    return made


def test_a_call_that_the_database_refuses_costs_no_other_its_row_or_picture(
    ask: Callable[..., Any],
    writer: Recorder,
    serving: Endpoint,
    version: Version,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_write, writes = threading.Event(), recording._write_rows

    def wait(batch: list[Recorded]) -> None:
        assert may_write.wait(20)
        writes(batch)

    monkeypatch.setattr(recording, "_write_rows", wait)
    uids = {json.loads(ask(body=_coloured(one)).content)["id"] for one in ("red", "green", "blue")}
    refused = _of_nobody(serving, version)
    refused.finish(state="done")
    refused.row.created_by_id = 0  # not even without its person
    writer.hand_over(refused)
    may_write.set()
    writer.settle()
    assert set(Invocation.objects.values_list("uid", flat=True)) >= uids
    assert Picture.objects.count() == 3


def test_a_call_that_the_database_refuses_costs_no_other_its_lease(
    serving: Endpoint, version: Version
) -> None:
    refused, other = _of_nobody(serving, version), _recorded(serving, version)
    refused.row.created_by_id = 0
    other.write_now()
    Invocation.objects.update(leased_until=timezone.now())
    before = Invocation.objects.get(uid=other.uid).leased_until
    beats = under_way.UnderWay(every_s=0.02)
    for call in (refused, other):
        beats.add(call)
    try:
        wait_until(lambda: Invocation.objects.get(uid=other.uid).leased_until > before)
    finally:
        for call in (refused, other):
            beats.discard(call)
        wait_until(lambda: not beats._beating)


def test_a_line_that_becomes_no_row_stops_no_replay(
    serving: Endpoint, version: Version, settings: Any, tmp_path: Path
) -> None:
    """An end without its beginning: the process was killed while it wrote the first line."""
    settings.JOURNAL_DIR = str(tmp_path / "of the dead")
    made = journal.Journal(Path(settings.JOURNAL_DIR))
    made.write("e" * 32, {"state": "done", "error": ""})
    good = _recorded(serving, version)
    begins = good._columns(recording._BEGINS)
    made.write(good.uid, begins | {"created_at": good.row.created_at.isoformat()})
    os.close(made._file)
    services.sweep()
    assert Invocation.objects.get().uid == good.uid
    assert list(Path(settings.JOURNAL_DIR).iterdir()) == []


def test_the_thread_goes_on_where_the_journal_cannot_be_written_anew(
    ask: Callable[..., Any], writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "EMPTIED_ABOVE", 100)
    monkeypatch.setattr(journal, "ANEW_ABOVE", 1000)
    writer.note("f" * 32, {"state": "running"})  # a call under way, whose line is kept
    assert writer._journal is not None
    shutil.rmtree(writer._journal.path.parent)  # or the disk is full
    for _ in range(6):
        assert ask(body=png()).status_code == 200
        writer.settle()
    assert Invocation.objects.count() == 6


def test_a_picture_that_is_forgotten_while_the_store_takes_it_is_not_kept(
    ask: Callable[..., Any], objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, upload, forgotten = pictures_kept.Storing(), objects.upload, threading.Event()

    def slowly(**given: Any) -> None:
        assert forgotten.wait(20)
        upload(**given)

    monkeypatch.setattr(pictures_kept, "storing", lambda: storing)
    monkeypatch.setattr(objects, "upload", slowly)
    uid = json.loads(ask(body=_large()).content)["id"]
    assert ask("DELETE", f"{LIST}/{uid}/picture").status_code == 200
    forgotten.set()
    wait_until(lambda: not storing._unwritten)
    assert not Picture.objects.exists()
    assert not objects.kept
    ask(body=_large())  # sent once more, it is kept
    wait_until(lambda: Picture.objects.exists())
    assert len(objects.kept) == 1
