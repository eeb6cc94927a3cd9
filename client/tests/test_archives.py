"""``mme push``, ``models``, ``show``, ``download``: a portal says what the test wants."""

import base64
import gzip
import hashlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.tests.conftest import CLIENT, Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, fake_portal, problem
from mme_client import Portal, RefusedArchive, Rejected, models
from mme_client.cli import archives
from mme_client.cli.hashing import Hashing

Mme = Callable[..., Ran]
BYTES = b"\x1f\x8b an archive" * 100
SHA256 = hashlib.sha256(BYTES).hexdigest()
_BASE = {
    "model": "digits", "number": 3, "state": "uploaded", "step": "", "reason": None,
    "reason_code": None, "note": "", "file_name": "digits_v3.tar.gz", "size": len(BYTES),
    "sha256": SHA256, "published_size": None, "published_sha256": "", "content_sha256": "",
    "packing": "", "target_model": "digits_v3.tar.gz", "uri": "s3://b/models/digits_v3.tar.gz",
    "created_at": "2026-11-27T03:00:00Z", "created_by": "operator", "settled_at": None,
    "parameters": None, "input_shape": "", "validation": None, "same_as": [],
}  # fmt: skip


def version(**changes: Any) -> dict[str, Any]:
    return {**_BASE, **changes}


def listed(*items: dict[str, Any]) -> Says:
    return Says(document={"items": list(items), "next": None})


UPLOADED = Says(202, version())
CHECKING = Says(document=version(state="checking", step="The container loads it."))
READY = Says(document=version(state="ready", published_sha256=SHA256))
REJECTED = Says(document=version(state="rejected", reason="It has no network."))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "digits_v3.tar.gz"
    path.write_bytes(BYTES)
    return path


def test_a_push_names_the_model_by_its_file_and_sends_the_digest(
    mme: Mme, fake: FakePortal, archive: Path
) -> None:
    fake.answers = [listed(), UPLOADED]
    ran = mme("push", str(archive), "--note", "more data", url=fake.url, token="mme_x")
    assert ran.code == 0, ran.err
    assert ran.out == "digits:3  waits for its validation\n"
    find, push = fake.requests
    assert find.target == f"/api/v1/versions?sha256={SHA256}"
    assert push.target.startswith("/api/v1/models/digits/versions?")
    assert "note=more+data" in push.target
    assert "file_name=digits_v3.tar.gz" in push.target
    assert push.body == BYTES
    digest = base64.b64encode(hashlib.sha256(BYTES).digest()).decode()
    assert push.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_bytes_that_are_there_are_named_and_not_sent(
    mme: Mme, fake: FakePortal, archive: Path
) -> None:
    refused = version(model="digits", number=2, state="rejected")
    fake.answers = [listed(refused, version(model="cat", number=1, state="ready"))]
    ran = mme("push", str(archive), url=fake.url, token="mme_x")
    assert ran.code == 0
    assert ran.out == "cat:1  ready\n"
    assert "there already: cat:1. --again sends them all the same." in ran.err
    assert "note" not in ran.err
    assert len(fake.requests) == 1
    ran = mme("push", str(archive), "--note", "hi")
    assert "Its note and metadata stay as they are: mme describe cat:1" in ran.err
    assert mme("push", str(archive), "--quiet").out == "cat:1\n"

    fake.answers = [listed(refused), UPLOADED]
    assert mme("push", str(archive), "--quiet").out == "digits:3\n", "a refused one does not count"
    fake.answers = [UPLOADED]
    assert mme("push", str(archive), "--again", "--quiet").out == "digits:3\n"


def test_bytes_in_another_store_are_sent_to_the_one_that_is_asked_for(
    mme: Mme, fake: FakePortal, archive: Path
) -> None:
    there = listed(version(model="cat", number=1, state="ready"))
    cat = EXAMPLES["models_get"]["200"] | {"name": "cat", "store": "default"}
    fake.answers = [there, Says(document=cat), UPLOADED]
    ran = mme("push", str(archive), "--store", "team-a", "-q", url=fake.url, token="mme_x")
    assert (ran.code, ran.out) == (0, "digits:3\n"), ran.err
    assert "store=team-a" in fake.requests[2].target
    fake.answers = [there, Says(document=cat | {"store": "team-a"})]
    assert mme("push", str(archive), "--store", "team-a", "-q").out == "cat:1\n"


def test_wait_shows_the_steps_and_ends_with_the_version(
    mme: Mme, fake: FakePortal, archive: Path
) -> None:
    fake.answers = [listed(), UPLOADED, CHECKING, READY]
    ran = mme("push", str(archive), "--wait", "--json", url=fake.url, token="mme_x")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["state"] == "ready"
    assert "The container loads it." in ran.err
    assert fake.requests[-1].target == "/api/v1/models/digits/versions/3?wait=30"


def test_a_refusal_of_the_validation_is_5_with_its_reason(
    mme: Mme, fake: FakePortal, archive: Path
) -> None:
    fake.answers = [listed(), UPLOADED, REJECTED]
    ran = mme("push", str(archive), "--wait", url=fake.url, token="mme_x")
    assert (ran.code, ran.out) == (5, "")
    assert "It has no network." in ran.err
    fake.answers = [listed(), UPLOADED, REJECTED]
    ran = mme("push", str(archive), "--wait", "--json")
    assert (ran.code, json.loads(ran.out)["state"]) == (5, "rejected")


@pytest.mark.parametrize(("code", "status"), [("too-large", 413), ("digest-mismatch", 422)])
def test_bytes_that_the_portal_does_not_take_are_5(
    mme: Mme, fake: FakePortal, archive: Path, code: str, status: int
) -> None:
    fake.answers = [listed(), problem(code, status)]
    ran = mme("push", str(archive), url=fake.url, token="mme_x")
    assert ran.code == 5
    assert f"This is {code}." in ran.err


def test_a_validation_that_takes_too_long_is_6_and_goes_on(
    mme: Mme, fake: FakePortal, archive: Path
) -> None:
    fake.answers = [listed(), UPLOADED, CHECKING]
    ran = mme("push", str(archive), "--wait", "--timeout", "1", url=fake.url, token="mme_x")
    assert ran.code == 6
    assert "mme show digits:3" in ran.err


def test_an_archive_from_standard_input_needs_its_model(
    mme: Mme, fake: FakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(BYTES)

    monkeypatch.setattr("sys.stdin", Stdin())
    assert mme("push", "-", url=fake.url, token="mme_x").code == 2
    Stdin.buffer.seek(0)
    fake.answers = [listed(), UPLOADED]
    assert mme("push", "-", "--model", "digits").code == 0
    assert fake.requests[-1].body == BYTES


def test_a_file_that_is_not_there_is_named(mme: Mme, fake: FakePortal) -> None:
    ran = mme("push", "nowhere.tar.gz", url=fake.url, token="mme_x")
    assert ran.code == 1
    assert "nowhere.tar.gz" in ran.err


def test_a_broken_upload_is_sent_again_from_its_beginning(fake: FakePortal, archive: Path) -> None:
    fake.answers = [Says(drop=True), UPLOADED]
    told: list[tuple[int, int]] = []
    with Portal(fake.url, "mme_x") as portal:
        found = portal.models.push(archive, progress=lambda done, of: told.append((done, of)))
    assert found.name == "digits:3"
    assert [request.body for request in fake.requests] == [BYTES, BYTES]
    assert len({request.headers["Idempotency-Key"] for request in fake.requests}) == 1
    assert told[-1] == (len(BYTES), len(BYTES))


def test_an_archive_is_read_once_for_its_hash(
    mme: Mme, fake: FakePortal, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    hashing = Hashing._hash
    monkeypatch.setattr(Hashing, "_hash", lambda self: (read.append(self._path), hashing(self)))
    for module in (models, archives):
        monkeypatch.setattr(module, "sha256_of", lambda path: pytest.fail(f"{path} is read again"))
    fake.answers = [Says(document={"items": [], "next": None}), UPLOADED]
    ran = mme("push", str(archive), url=fake.url, token="mme_x")
    assert ran.code == 0, ran.err
    assert read == [str(archive)]
    digest = hashlib.sha256(BYTES)
    assert fake.requests[0].target.endswith(f"sha256={digest.hexdigest()}")
    sent = base64.b64encode(digest.digest()).decode()
    assert fake.requests[1].headers["Repr-Digest"] == f"sha-256=:{sent}:"


def test_what_is_wrong_with_the_file_is_raised_where_its_hash_is_asked(tmp_path: Path) -> None:
    switch_s = sys.getswitchinterval()
    for path, error in ((tmp_path / "nowhere", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error):
            Hashing(str(path)).hexdigest()
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (40 << 10))
    assert Hashing(str(large)).hexdigest() == hashlib.sha256(large.read_bytes()).hexdigest()
    assert sys.getswitchinterval() == switch_s


def test_the_library_raises_what_the_command_tells(fake: FakePortal, archive: Path) -> None:
    with Portal(fake.url, "mme_x") as portal:
        fake.answers = [UPLOADED, REJECTED]
        with pytest.raises(Rejected, match="no network") as refused:
            portal.models.push(archive).wait()
        assert refused.value.version.state == "rejected"
        fake.answers = [problem("too-large", 413)]
        with pytest.raises(RefusedArchive) as large:
            portal.models.push(archive)
        assert large.value.status == 413


def test_models_and_versions_are_listed_and_shown(mme: Mme, fake: FakePortal) -> None:
    model = {
        "name": "digits", "description": "Digits", "created_at": "2026-11-27T03:00:00Z",
        "created_by": None, "versions": 3, "newest": {"number": 3, "state": "ready"},
        "latest": {"number": 3, "target_model": "digits_v3.tar.gz", "size": 3_100_000,
                   "created_at": "2026-11-27T03:00:00Z", "created_by": "ann"},
        "aliases": [{"name": "live", "number": 2}], "last_call_at": None, "deletable": False,
    }  # fmt: skip
    fake.answers = [listed(model)]
    ran = mme("models", url=fake.url, token="mme_x")
    assert "digits:3" in ran.out
    assert "3.0 MB" in ran.out
    assert mme("models", "--quiet").out == "digits\n"
    assert json.loads(mme("models", "--json").out)["items"] == [model]
    assert "live:2" in mme("search", "digits").out

    fake.answers = [Says(document=model), listed(version(state="ready"), version(number=2))]
    ran = mme("show", "digits")
    assert "digits:3" in ran.out
    assert "digits:2" in ran.out
    fake.answers = [READY]
    assert SHA256 in mme("show", "digits:3").out
    assert mme("show", "digits:x").code == 2


@pytest.mark.parametrize("size", [100, models.PLAIN_BYTES + 1])
def test_an_archive_whose_name_is_no_text_is_pushed_too(
    fake: FakePortal, tmp_path: Path, size: int
) -> None:
    archive = tmp_path / os.fsdecode(b"caf\xe9_v1.tar.gz")  # as an old archive unpacks it
    archive.write_bytes(b"x" * size)
    made = {"id": "u", "offset": size, "made": {"model": "cafe", "number": 3}, "problem": None}
    fake.answers = [UPLOADED] if size == 100 else [Says(201, made), UPLOADED]
    with Portal(fake.url, "mme_x") as portal:
        assert portal.models.push(archive, "cafe").number == 3
    told = fake.requests[0].target + fake.requests[0].headers.get("Upload-Metadata", "")
    assert "caf%3F_v1.tar.gz" in told or base64.b64encode(b"caf?_v1.tar.gz").decode() in told


def test_a_download_is_compared_and_replaces_nothing(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with fake_portal() as store:
        store.answers = [Says(body=BYTES)]
        link = Says(302, headers={"Location": f"{store.url}/b/digits_v3.tar.gz?X-Amz-Signature=s"})
        fake.answers = [READY, READY, link]
        ran = mme("download", "digits:3", url=fake.url, token="mme_x")
        assert (ran.code, ran.out) == (0, "digits_v3.tar.gz\n"), ran.err
        assert Path("digits_v3.tar.gz").read_bytes() == BYTES
        (fetched,) = store.requests
        assert "Authorization" not in fetched.headers

        fake.answers = [READY]
        assert mme("download", "digits:3").code == 1, "it is there already"
        store.answers = [Says(body=b"something else")]
        fake.answers = [READY, READY, link]
        ran = mme("download", "digits:3", "--force")
        assert ran.code == 7
        assert Path("digits_v3.tar.gz").read_bytes() == BYTES
        assert sorted(path.name for path in tmp_path.iterdir()) == ["digits_v3.tar.gz"]


def test_a_download_is_what_lies_in_the_store_whatever_it_says_of_its_encoding(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some programs that put an archive into S3 say Content-Encoding: gzip of it."""
    monkeypatch.chdir(tmp_path)
    packed = gzip.compress(BYTES)
    found = Says(document=version(state="ready", sha256=hashlib.sha256(packed).hexdigest(),
                                  published_sha256=hashlib.sha256(packed).hexdigest()))  # fmt: skip
    with fake_portal() as store:
        store.answers = [Says(body=packed, headers={"Content-Encoding": "gzip"})]
        fake.answers = [found, found, Says(302, headers={"Location": f"{store.url}/x"})]
        ran = mme("download", "digits:3", url=fake.url, token="mme_x")
    assert ran.code == 0, ran.err
    assert Path("digits_v3.tar.gz").read_bytes() == packed


def test_a_store_that_does_not_answer_within_the_time_limit_is_timed_out(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with fake_portal() as store:
        store.answers = [Says(body=BYTES, after_s=1.5)]
        fake.answers = [READY, READY, Says(302, headers={"Location": f"{store.url}/x"})]
        ran = mme("download", "digits:3", "--timeout", "0.5", url=fake.url, token="mme_x")
    assert ran.code == 6, ran.err
    assert "The time that --timeout gives is over." in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_download_that_is_ended_leaves_nothing(
    fake: FakePortal, tmp_path: Path, number: signal.Signals
) -> None:
    # Below nohup SIGHUP is left out, as whoever started that wants it.
    as_usual = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    with fake_portal() as store:
        store.answers = [Says(body=BYTES, after_s=5)]
        fake.answers = [READY, READY, Says(302, headers={"Location": f"{store.url}/x"})]
        process = subprocess.Popen(
            [sys.executable, "-c", f"{as_usual}; from mme_client.cli.main import main; main()",
             "download", "digits:3"],
            env=os.environ | {"PYTHONPATH": str(CLIENT / "src"), "MME_URL": fake.url,
                              "MME_TOKEN": "mme_x"},
            cwd=tmp_path,
        )  # fmt: skip
        until = time.monotonic() + 20
        while not store.requests and time.monotonic() < until:
            time.sleep(0.02)
        assert list(tmp_path.iterdir()), "a part of it"
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert not list(tmp_path.iterdir())


def test_the_portal_chooses_no_folder(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    evil = Says(document=version(state="ready", file_name="../../evil", target_model="../evil"))
    with fake_portal() as store:
        store.answers = [Says(body=BYTES)]
        link = Says(302, headers={"Location": f"{store.url}/x"})
        fake.answers = [evil, evil, link]
        ran = mme("download", "digits:3", url=fake.url, token="mme_x")
    assert ran.out == "evil\n"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["evil"]


# --- on a terminal -------------------------------------------------------------------------


def on_a_terminal(
    arguments: list[str], url: str, *, end: Callable[[bytes], bool] | None = None, **more: str
) -> tuple[int, str]:
    """Run ``mme`` on a pseudo-terminal; Ctrl-C when ``end`` says so of what it has printed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from mme_client.cli.main import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": str(CLIENT / "src"), "MME_URL": url, "MME_TOKEN": "mme_x"}
        | {"TERM": "xterm-256color", "COLUMNS": "120"} | more,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        # A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(theirs)
    said = b""
    told = False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        said += piece
        if end is not None and not told and end(said):
            process.send_signal(signal.SIGINT)
            told = True
    code = process.wait(30)
    os.close(ours)
    return code, said.decode(errors="replace")


def test_a_terminal_sees_speed_and_colour_unless_it_wants_none(
    fake: FakePortal, tmp_path: Path
) -> None:
    large = tmp_path / "large_v1.tar.gz"
    large.write_bytes((BYTES * 5000)[: 1 << 20])  # more goes by several requests

    # Late, so that the bar is drawn while the answer is waited for.
    fake.answers = [listed(), Says(202, version(), after_s=1.0)]
    code, said = on_a_terminal(["push", str(large)], fake.url)
    assert code == 0, said
    assert re.search(r"[kMG]B/s", said), said
    model = {"name": "digits", "versions": 1}
    fake.answers = [listed(model)]
    _, said = on_a_terminal(["models"], fake.url)
    assert "\x1b[1m" in said
    _, said = on_a_terminal(["models"], fake.url, NO_COLOR="1")
    assert "\x1b[3" not in said


def test_ctrl_c_says_what_goes_on(fake: FakePortal, archive: Path) -> None:
    held = version(state="checking", step="The container loads it.")
    fake.answers = [listed(), UPLOADED, Says(document=held, after_s=0.2)]
    code, said = on_a_terminal(
        ["push", str(archive), "--wait"], fake.url, end=lambda said: b"container loads" in said
    )
    assert code == 130, said
    assert "Its validation goes on in the portal. See: mme show digits:3" in said
    assert "Traceback" not in said


def test_a_pipe_gets_no_colour(mme_process: Mme, fake: FakePortal) -> None:
    fake.answers = [listed({"name": "digits", "description": "x" * 300, "versions": 1})]
    ran = mme_process("models", MME_URL=fake.url, MME_TOKEN="mme_x", TERM="xterm-256color")
    assert ran.code == 0
    assert "\x1b" not in ran.out


def test_a_search_asks_for_what_it_was_told(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [listed()]
    found = mme("search", "digits blurred", "--quiet", url=fake.url, token="mme_x")
    assert (found.code, found.out) == (0, "")
    mme("search", "--state", "ready", "--alias", "live", "--called-in", "7", "--sort", "called")
    mme("search", "--never-called")
    assert [one.target.partition("?")[2] for one in fake.requests] == [
        "search=digits+blurred",
        "state=ready&alias=live&called_in_days=7&sort=called",
        "never_called=true",
    ]
    for wrong in (["--state", "broken"], ["--never-called", "--called-in", "7"], ["--sort", "x"]):
        assert mme("search", *wrong).code == 2
    assert len(fake.requests) == 3


def test_metadata_goes_with_a_push(mme: Mme, fake: FakePortal, archive: Path) -> None:
    told = Says(202, version(metadata={"accuracy": 0.93}))
    fake.answers = [listed(), told]
    pushed = ["push", str(archive), "--meta", "accuracy=0.93", "--meta", "data=a = b"]
    ran = mme(*pushed, "--quiet", url=fake.url, token="mme_x")
    assert ran.code == 0, ran.err
    assert fake.requests[-1].target.endswith("&meta=accuracy%3D0.93&meta=data%3Da+%3D+b")
    fake.answers = [Says(document=version(metadata={"accuracy": 0.93}))]
    assert re.search(r"accuracy +0\.93", mme("show", "digits:3").out)
    assert mme("push", str(archive), "--meta", "accuracy").code == 2


def test_a_download_into_a_folder_that_is_not_there_names_the_folder(
    mme: Mme, fake: FakePortal, tmp_path: Path
) -> None:
    fake.answers = [READY]
    folder = tmp_path / "none"
    ran = mme("download", "digits:3", "-o", str(folder / "x.tar.gz"), url=fake.url, token="mme_x")
    assert ran.code == 1
    assert ran.err.strip() == f"{folder}: There is no such file or folder."
