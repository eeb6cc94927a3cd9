"""``mme uploads``: against a portal that answers as the real one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mme_client
from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Request, Says, problem
from mme_client import errors, resuming
from mme_client.transport import Transport

Mme = Callable[..., Ran]
LIST = EXAMPLES["uploads_list"]["200"]
UPLOAD = LIST["items"][0]


def test_the_unfinished_uploads_are_listed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=LIST)] * 3
    ran = mme("uploads", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert UPLOAD["id"] in ran.out
    assert UPLOAD["file_name"] in ran.out
    assert f"{UPLOAD['offset']} bytes of 1000 bytes" in ran.out
    assert json.loads(mme("uploads", "--json").out) == LIST
    assert mme("uploads", "--quiet").out == f"{UPLOAD['id']}\n"
    assert {one.target for one in fake.requests} == {"/api/v1/uploads/"}


def test_one_is_cancelled(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=UPLOAD), Says(204)]
    ran = mme("uploads", "cancel", UPLOAD["id"], url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert f"Cancelled: {UPLOAD['file_name']}." in ran.err
    assert [f"{one.method} {one.target}" for one in fake.requests] == [
        f"GET /api/v1/uploads/{UPLOAD['id']}", f"DELETE /api/v1/uploads/{UPLOAD['id']}",
    ]  # fmt: skip
    assert fake.requests[1].headers["Tus-Resumable"] == "1.0.0"
    fake.answers = [problem("not-found", 404)]
    assert mme("uploads", "cancel", "gone").code == 3
    assert mme("uploads", "cancel").code == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("unavailable", 503),
        ("no-space", 507),
        ("aws-failed", 502),
        ("too-many-requests", 429),
        ("token-expired", 401),
    ],
)
def test_what_passes_forgets_no_unfinished_upload(
    fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    """The next push goes on where this one was refused."""
    monkeypatch.setattr(resuming, "FIRST_BYTES", 1 << 20)
    monkeypatch.setattr(resuming, "MOST_FAILURES", 2)
    monkeypatch.setattr(Transport, "pause", lambda *_: None)
    archive, kept = tmp_path / "digits_v1.tar.gz", tmp_path / "kept"
    archive.write_bytes(bytes(3 << 20))
    begun = {"id": "u1", "offset": 0, "made": None, "problem": None}
    patched: list[Request] = []

    def says(request: Request) -> Says:
        if request.method == "POST":
            return Says(201, begun)
        if request.method == "PATCH":
            patched.append(request)
            if len(patched) == 1:
                return Says(204, headers={"Upload-Offset": str(1 << 20)})
        return problem(code, status)

    fake.answers = [says]
    with pytest.raises(errors.ProblemError) as raised:
        mme_client.Portal(fake.url, "t").models.push(archive, kept=kept)
    assert raised.value.code == code
    assert "/uploads/u1" in kept.read_text()


def test_an_upload_that_is_refused_for_good_is_forgotten(fake: FakePortal, tmp_path: Path) -> None:
    archive, kept = tmp_path / "digits_v1.tar.gz", tmp_path / "kept"
    archive.write_bytes(bytes(3 << 20))
    begun = {"id": "u1", "offset": 0, "made": None, "problem": None}
    fake.answers = [Says(201, begun), problem("conflict", 409)]
    with pytest.raises(errors.ProblemError):
        mme_client.Portal(fake.url, "t").models.push(archive, kept=kept)
    assert "/uploads/u1" not in kept.read_text()


def test_an_upload_needs_no_file_of_its_own(fake: FakePortal, tmp_path: Path) -> None:
    """Jobs of CI often have a disk that is read-only."""
    archive = tmp_path / "digits_v3.tar.gz"
    archive.write_bytes(b"x" * ((1 << 20) + 1))
    begun = {"id": "u", "offset": 0, "made": None, "problem": None}
    made = begun | {"offset": archive.stat().st_size, "made": {"model": "digits", "number": 3}}
    fake.answers = [
        Says(201, begun), Says(204, headers={"Upload-Offset": str(made["offset"])}),
        Says(document=made), Says(document=EXAMPLES["versions_get"]["200"]),
    ]  # fmt: skip
    with mme_client.Portal(fake.url, "t") as portal:
        version = portal.models.push(archive, "digits", kept="/proc/none/uploads.json")
    assert version.number
    assert [one.method for one in fake.requests] == ["POST", "PATCH", "GET", "GET"]
