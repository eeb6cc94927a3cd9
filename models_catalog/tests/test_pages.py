"""The catalog's pages, as each role sees them."""

import html
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mmeportal import aws
from models_catalog.models import Model, Version
from tests.artifacts import constant_archive

NEW = "models_catalog:new"


@pytest.fixture
def version(db: None) -> Version:
    """A version that was published."""
    model = Model.objects.create(name="digits", description="Hand-written digits.")
    return Version.objects.create(
        model=model,
        number=1,
        bucket="b",
        prefix="models",
        key="models/digits_v1.tar.gz",
        file_name="digits.tar.gz",
        size=1000,
        sha256="0" * 64,
        state="ready",
        parameters=61706,
        input_shape="data: 1 × 1 × 28 × 28",
        report={
            "ok": True,
            "load_ms": 12.0,
            "infer_ms": 1.0,
            "memory_mb": 80,
            "artifact": {
                "inputs": [{"name": "data", "shape": [1, 1, 28, 28]}],
                "outputs": [],
                "parameters": 61706,
                "parameter_bytes": 246824,
                "labels": ["zero", "one"],
                "label_count": 2,
                "layers": {"Convolution": 2, "FullyConnected": 1},
                "files": [{"name": "digits-symbol.json", "bytes": 10}],
                "unpacked_bytes": 300000,
            },
        },
    )


def _form(path: Path, **fields: str) -> dict[str, Any]:
    file = SimpleUploadedFile(path.name, path.read_bytes())
    return {"name": "digits", "description": "d", "note": "n", "archive": file, **fields}


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_role_reads_the_catalog(
    client_of: Callable[[str], Client], version: Version, role: str
) -> None:
    client = client_of(role)
    for url in ("/models/", version.model.get_absolute_url(), version.get_absolute_url()):
        page = client.get(url)
        assert page.status_code == 200
        assert "digits" in page.content.decode()
    page = client.get(version.get_absolute_url()).content.decode()
    for shown in ("61,706", "1 × 1 × 28 × 28", "Convolution", "zero", "digits_v1.tar.gz"):
        assert shown in page


@pytest.mark.parametrize(("role", "allowed"), [("viewer", 0), ("operator", 1), ("admin", 1)])
def test_only_operators_and_admins_see_and_reach_the_upload(
    client_of: Callable[[str], Client], version: Version, role: str, allowed: int
) -> None:
    client = client_of(role)
    urls = [reverse(NEW), reverse("models_catalog:upload", args=["digits"])]
    for url in urls:
        assert client.get(url).status_code == (200 if allowed else 403)
        if not allowed:
            assert client.post(url).status_code == 403
    pages = client.get("/models/").content + client.get("/models/digits/").content
    for url in urls:
        assert (f'href="{url}"'.encode() in pages) == bool(allowed)


def test_strangers_are_sent_to_the_log_in(client: Client, version: Version) -> None:
    for url in ("/", "/models/", version.get_absolute_url(), reverse(NEW)):
        assert client.get(url).headers["Location"].startswith("/login/")


def test_an_upload_without_a_csrf_token_is_refused(
    user_in: Callable[[str], Any], archives: Path, store: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_in("operator"))
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    assert client.post(reverse(NEW), _form(path)).status_code == 403
    assert not Version.objects.exists()


def test_an_upload_becomes_the_first_version(
    client_of: Callable[[str], Client], archives: Path, store: str
) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    answer = client_of("operator").post(reverse(NEW), _form(path))
    version = Version.objects.get()
    assert answer.headers["Location"] == "/models/digits/v1/"
    assert (version.note, version.model.description) == ("n", "d")
    assert version.created_by is not None
    assert version.created_by.username == "operator-user"
    page = Client()
    page.force_login(version.created_by)
    assert 'hx-trigger="every 1s"' in page.get(version.get_absolute_url()).content.decode()


def test_what_was_typed_is_kept_where_the_form_is_wrong(
    client_of: Callable[[str], Client], archives: Path, store: str
) -> None:
    path = archives / "a.zip"
    path.write_bytes(b"PK")
    answer = client_of("operator").post(reverse(NEW), _form(path, note="my note"))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "not named *.tar.gz" in page
    assert "my note" in page
    assert not Model.objects.exists()


def _named(client_of: Callable[[str], Client], file_name: str) -> str:
    """What the form says to an archive of this name, sent as a browser sends it."""
    text = "--b\r\nContent-Disposition: form-data; name="
    body = f'{text}"archive"; filename="{file_name}"\r\n\r\nx\r\n--b--\r\n'
    client = client_of("operator")
    kind = "multipart/form-data; boundary=b"
    answer = client.generic("POST", reverse(NEW), body.encode(), content_type=kind)
    return html.unescape(answer.content.decode())


@pytest.mark.parametrize("stem", ["a" * 300, "ü" * 300, "模" * 290, "%41" * 100, "🦆a" * 150])
def test_a_long_name_is_refused_for_being_long(
    client_of: Callable[[str], Client], stem: str
) -> None:
    name = f"{stem}.tar.gz"
    page = _named(client_of, name)
    assert f"has {len(name)} letters, and may have 255" in page
    assert "not named" not in page


@pytest.mark.parametrize(
    "name",
    [
        "模" * 248 + ".tar.gz",  # 255 letters, 751 bytes
        "x" * 300 + "/model.tar.gz",  # browsers that send paths
        "C:\\" + "x" * 300 + "\\model.TGZ",
    ],
)
def test_a_name_that_is_long_enough_to_cut_but_allowed_is_not_refused(
    client_of: Callable[[str], Client], name: str
) -> None:
    page = _named(client_of, name)
    assert "not named" not in page
    assert "may have 255" not in page


def test_a_long_name_that_is_no_archive_is_called_so(client_of: Callable[[str], Client]) -> None:
    assert f"{'a' * 60}…{'a' * 26}.zip is not named *.tar.gz" in _named(
        client_of, "a" * 300 + ".zip"
    )


def test_a_name_that_is_taken_is_told_before_anything_travels(
    client_of: Callable[[str], Client], version: Version
) -> None:
    client = client_of("operator")
    url = reverse("models_catalog:check-name")
    assert "There is a model digits already" in client.get(url, {"name": "digits"}).content.decode()
    assert "small letters" in client.get(url, {"name": "Über"}).content.decode()
    assert "reserved" in client.get(url, {"name": "new"}).content.decode()
    assert "<li>" not in client.get(url, {"name": "new-one"}).content.decode()


def test_an_upload_over_the_limit_is_refused_by_its_length(
    client_of: Callable[[str], Client], store: str, settings: Any
) -> None:
    settings.MAX_ARCHIVE_MB = 1
    body = SimpleUploadedFile("a.tar.gz", b"\x1f\x8b" + bytes(3 << 20))
    answer = client_of("operator").post(reverse(NEW), {"name": "big", "archive": body})
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.content.decode()


def test_a_dead_store_is_told_and_nothing_is_kept(
    client_of: Callable[[str], Client],
    archives: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    aws.s3.cache_clear()
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    answer = client_of("operator").post(reverse(NEW), _form(path))
    aws.s3.cache_clear()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "Nothing was kept" in answer.content.decode()
    assert not Model.objects.exists()


def test_a_store_that_hangs_is_told_and_nothing_is_kept(
    client_of: Callable[[str], Client],
    archives: Path,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    operator = client_of("operator")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        monkeypatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{silent.getsockname()[1]}")
        patch.setattr(aws, "PAGE", aws.Patience(0.5, 1))
        aws.s3.cache_clear()
        answer = operator.post(reverse(NEW), _form(path))
    aws.s3.cache_clear()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "The store did not take the archive" in answer.content.decode()
    assert not Model.objects.exists()
    assert operator.post(reverse(NEW), _form(path)).status_code == 302


@pytest.mark.parametrize(
    ("code", "http", "status", "said"),
    [
        ("NoSuchUpload", 404, 503, "The store gave the upload up, as one does whose disk is full"),
        ("InternalError", 500, 503, "or its disk is full"),
        ("XMinioStorageFull", 507, 507, "The store has no room left"),
        ("AccessDenied", 403, 502, "could not be stored"),
    ],
)
def test_what_a_store_without_room_answers_is_told(
    client_of: Callable[[str], Client],
    archives: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    http: int,
    status: int,
    said: str,
) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    aws.s3.cache_clear()
    with Stubber(aws.s3(aws.PAGE)) as stub:
        stub.add_client_error("put_object", code, code, http)
        answer = client_of("operator").post(reverse(NEW), _form(path))
    aws.s3.cache_clear()
    assert answer.status_code == status
    assert said in answer.content.decode()
    assert not Model.objects.exists()


def test_a_settled_page_does_not_poll(client_of: Callable[[str], Client], version: Version) -> None:
    client = client_of("viewer")
    for url in (version.get_absolute_url(), "/models/digits/"):
        assert "hx-trigger" not in client.get(url).content.decode()


def test_a_rejected_version_says_why(client_of: Callable[[str], Client], version: Version) -> None:
    version.state, version.reason, version.report = "rejected", "It lacks synset.txt.", {}
    version.save()
    page = client_of("viewer").get(version.get_absolute_url()).content.decode()
    assert "It lacks synset.txt." in page
    assert "Nothing of it reached the store" in page


def test_an_empty_catalog_says_what_to_do(client_of: Callable[[str], Client]) -> None:
    assert "Upload the first model" in client_of("operator").get("/models/").content.decode()


@pytest.mark.parametrize(
    ("role", "told"), [("viewer", False), ("operator", False), ("admin", True)]
)
def test_admins_see_what_held_the_check_and_what_did_not(
    client_of: Callable[[str], Client], version: Version, role: str, told: int
) -> None:
    version.report["sandbox"] = {
        "files": "Landlock", "network": "", "processes": "", "limits": "rlimits",
        "missing": ["network", "processes"],
    }  # fmt: skip
    version.save()
    page = client_of(role).get(version.get_absolute_url()).content.decode()
    assert ("Landlock" in page) is bool(told)
    assert ("Missing: network, processes." in page) is bool(told)


def _arrived(client: Client, **question: object) -> Any:
    asked = {
        "model": "digits", "after": 0, "size": 1000, "sha256": "0" * 64,
        "file_name": "digits.tar.gz", **question,
    }  # fmt: skip
    return client.get(reverse("models_catalog:arrived"), asked)


def test_only_ones_own_newer_upload_of_the_same_bytes_is_found(
    client_of: Callable[[str], Client], version: Version
) -> None:
    client = client_of("operator")
    assert _arrived(client).json() == {"version": None}, "somebody else's"
    version.created_by_id = int(client.session["_auth_user_id"])
    version.save()
    found = _arrived(client).json()["version"]
    assert found == {"name": "digits v1", "url": version.get_absolute_url(), "state": "ready"}
    assert _arrived(client, sha256="").json()["version"] == found, "by size and name"
    for other in (
        {"sha256": "1" * 64}, {"size": 999}, {"model": "letters"}, {"after": version.pk},
        {"sha256": "", "file_name": "other.tar.gz"},
    ):  # fmt: skip
        assert _arrived(client, **other).json() == {"version": None}, other


def test_a_malformed_question_after_an_upload_is_refused(
    client_of: Callable[[str], Client], version: Version
) -> None:
    client = client_of("operator")
    for bad in ({"size": "x"}, {"after": -1}, {"sha256": "zz"}, {"model": ""}):
        assert _arrived(client, **bad).status_code == 400, bad
    assert _arrived(client_of("viewer")).status_code == 403
