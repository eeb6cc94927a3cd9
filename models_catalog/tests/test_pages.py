"""The catalog's pages, as each role sees them."""

import gzip
import html
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from botocore.stub import Stubber
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts import roles
from core import aws
from models_catalog import services
from models_catalog.models import RegisteredModel, Version, valid_name
from tests.artifacts import constant_archive
from tests.html import one_line

NEW = "models_catalog:new"


@pytest.fixture
def version(db: None) -> Version:
    """A version that was published."""
    model = RegisteredModel.objects.create(name="digits", description="Hand-written digits.")
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


@pytest.mark.not_quick
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


@pytest.mark.not_quick
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


def test_anonymous_clients_are_sent_to_the_log_in(client: Client, version: Version) -> None:
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
    assert not RegisteredModel.objects.exists()


def _named(client_of: Callable[[str], Client], file_name: str) -> str:
    """What the form says to an archive of this name, sent as a browser sends it."""
    text = "--b\r\nContent-Disposition: form-data; name="
    body = f'{text}"archive"; filename="{file_name}"\r\n\r\nx\r\n--b--\r\n'
    client = client_of("operator")
    kind = "multipart/form-data; boundary=b"
    answer = client.generic("POST", reverse(NEW), body.encode(), content_type=kind)
    page = answer.content.decode().split('id="upload-words"')[0]  # what the script may say
    return html.unescape(page)


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


def test_a_free_name_is_one_and_fits_the_rule(db: None) -> None:
    for name in ("digits", "digits-2", "a" * 59 + "-bcd"):
        RegisteredModel.objects.create(name=name)
    assert services.free_name("digits") == "digits-3"
    long = services.free_name("a" * 58 + "--bcd")
    assert long == "a" * 58 + "-2"
    valid_name(long)


def test_a_name_that_is_taken_is_told_before_anything_travels(
    client_of: Callable[[str], Client], version: Version
) -> None:
    client = client_of("operator")
    url = reverse("models_catalog:check-name")
    assert "There is a model digits already" in client.get(url, {"name": "digits"}).content.decode()
    assert 'data-free="digits-2"' in client.get(url, {"name": "digits"}).content.decode()
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
    assert not RegisteredModel.objects.exists()


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
        patch.setattr(aws, "PAGE", aws.Timeouts(0.5, 1))
        aws.s3.cache_clear()
        answer = operator.post(reverse(NEW), _form(path))
    aws.s3.cache_clear()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "The store did not take the archive" in answer.content.decode()
    assert not RegisteredModel.objects.exists()
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
    assert not RegisteredModel.objects.exists()


@pytest.mark.not_quick
def test_a_settled_page_does_not_poll(client_of: Callable[[str], Client], version: Version) -> None:
    client = client_of("viewer")
    for url in (version.get_absolute_url(), "/models/digits/"):
        page = client.get(url).content.decode()
        assert 'hx-trigger="every 1s"' not in page


def test_a_rejected_version_says_why(client_of: Callable[[str], Client], version: Version) -> None:
    version.state, version.reason, version.report = "rejected", "It lacks synset.txt.", {}
    version.save()
    page = client_of("viewer").get(version.get_absolute_url()).content.decode()
    assert "It lacks synset.txt." in page
    assert "Nothing was published." in page


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
    page = one_line(client_of(role).get(version.get_absolute_url()))
    assert ("Landlock" in page) is bool(told)
    assert ("Missing: network, processes." in page) is bool(told)


SERVED = {
    "packing": "stored",
    "sha256": "aaaa11" + "0" * 58,
    "published_sha256": "bbbb22" + "0" * 58,
    "published_size": 260_000,
    "content_sha256": "cccc33" + "0" * 58,
    "original_key": "originals/digits_v1-aaaa11000000.tar.gz",
}
ARCHIVE = {
    "files": [
        {"name": "digits-symbol.json", "bytes": 10, "packed": True, "read": True},
        {"name": "README", "bytes": 20, "packed": True, "read": False},
        {"name": "<b>log", "bytes": 5 << 20, "packed": False, "read": False},
    ],
    "unpacked_bytes": 30,
    "packed_bytes": 30,
    "notes": [{"code": "left_out", "message": "1 file <of> 5 MB is left out."}],
}
PACKING = {
    "choice": "auto",
    "stored_bytes": 260_000,
    "compressed_bytes": 240_000,
    "exact": False,
    "stored_s": 0.1,
    "compressed_s": 0.75,
    "sampled_bytes": 8 << 20,
    "tar_bytes": 24 << 20,
}


@pytest.fixture
def served(version: Version) -> Version:
    """The same version as the portal publishes it now."""
    for name, value in SERVED.items():
        setattr(version, name, value)
    version.report["archive"] = ARCHIVE
    version.report["packing"] = PACKING
    version.report["artifact"] |= {
        "notes": [{"code": "epochs", "message": "Epoch 17 is the highest."}],
        "output": {
            "name": "prob", "index": 0, "kind": "multilabel", "chosen": "probes",
            "others": ["features"],
        },
    }  # fmt: skip
    version.save()
    return version


def test_the_page_says_what_is_served(client_of: Callable[[str], Client], served: Version) -> None:
    page = one_line(client_of("viewer").get(served.get_absolute_url()))
    for digits in (served.sha256, served.published_sha256, served.content_sha256):
        assert f'data-copy="{digits}"' in page
    text = html.unescape(page)
    for shown in (
        "left out",
        "extra, nothing reads it",
        "<b>log",
        "1 file <of> 5 MB is left out.",
        "Epoch 17 is the highest.",
        "a probability for each label by itself",
        "found out by trying it with several inputs",
        "Not used: features",
        "about 234.4\xa0KB",
        "253.9\xa0KB",
        "Each cold start saves about 650 ms of unpacking.",
        "Compression saves 7.7 % of the room.",
        "Automatic was chosen at the upload.",
        "on 8.0\xa0MB of the content and scaled to its 24.0\xa0MB",
        "The file that is served was loaded and tried by the container that serves it.",
        "Objects that reached the store by other ways are served too, and were not validated.",
    ):
        assert shown in text, shown
    assert "<b>log" not in page


def test_a_time_too_short_to_say_is_no_zero(
    client_of: Callable[[str], Client], served: Version
) -> None:
    served.report["packing"]["stored_s"] = 0.000_02
    served.save()
    page = client_of("viewer").get(served.get_absolute_url()).content.decode()
    assert "unpacked in &lt; 0.1 ms" in page


def test_the_lists_say_that_other_objects_were_not_validated(
    client_of: Callable[[str], Client], served: Version
) -> None:
    page = client_of("viewer").get("/models/").content.decode()
    assert "Objects that reached the store by other ways are served too" in page


def test_what_was_published_before_says_that_it_is_as_it_was_uploaded(
    client_of: Callable[[str], Client], version: Version
) -> None:
    version.published_sha256, version.published_size = version.sha256, version.size
    version.save()
    page = client_of("viewer").get(version.get_absolute_url()).content.decode()
    assert "It is published as it was uploaded" in page
    assert "as uploaded and as served" in page
    assert "digits-symbol.json" in page
    assert 'id="packing"' not in page


def test_versions_that_are_there_at_the_upgrade_are_recorded_as_uploaded(
    version: Version,
) -> None:
    from importlib import import_module

    from django.apps import apps

    coming = Version.objects.create(model=version.model, number=2, key="k", size=5, sha256="1" * 64)
    import_module("models_catalog.migrations.0005_published_before").fill_published(apps, None)
    version.refresh_from_db()
    coming.refresh_from_db()
    assert (version.published_sha256, version.published_size) == (version.sha256, version.size)
    assert (version.packing, version.as_uploaded) == ("", True)
    assert (coming.published_sha256, coming.published_size) == ("", None)


@pytest.mark.parametrize(
    "query", ["aaaa11", "BBBB220000", "sha256:cccc33", " " + "cccc33" + "0" * 58]
)
def test_a_version_is_found_by_each_of_its_checksums(
    client_of: Callable[[str], Client], served: Version, query: str
) -> None:
    page = client_of("viewer").get("/models/", {"q": query}).content.decode()
    assert "Versions with this checksum" in page
    assert f'href="{served.get_absolute_url()}"' in page


@pytest.mark.parametrize(
    "query", ["aaaa1", "aaaa12", "a" * 65, "nothing", "%", "_%_", "'", "\0", "🦆"]
)
def test_what_is_no_checksum_or_another_one_finds_nothing(
    client_of: Callable[[str], Client], served: Version, query: str
) -> None:
    answer = client_of("viewer").get("/models/", {"q": query})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "Versions with this checksum" not in page
    # Nothing is left of a NUL, and that is no search.
    assert ("No model has this" in page) is (query != "\0")


def test_a_model_is_found_by_a_part_of_its_name(
    client_of: Callable[[str], Client], served: Version
) -> None:
    RegisteredModel.objects.create(name="faces")
    page = client_of("viewer").get("/models/", {"q": "DIG"}).content.decode()
    assert 'href="/models/digits/"' in page
    assert 'href="/models/faces/"' not in page


@pytest.mark.not_quick
def test_a_search_costs_as_many_queries_as_it_has_tables(
    client_of: Callable[[str], Client],
    served: Version,
    django_assert_max_num_queries: Any,
) -> None:
    client = client_of("viewer")
    for number in range(2, 12):
        Version.objects.create(
            model=served.model, number=number, key=str(number), size=1, sha256=served.sha256
        )
    client.get("/models/")
    with django_assert_max_num_queries(10):
        assert client.get("/models/", {"q": "aaaa11"}).content.count(b"aaaa11") > 10


@pytest.mark.not_quick
@pytest.mark.parametrize(("role", "allowed"), [("viewer", 0), ("operator", 1), ("admin", 1)])
def test_only_who_may_upload_may_download(
    client_of: Callable[[str], Client], served: Version, role: str, allowed: int
) -> None:
    client = client_of(role)
    page = client.get(served.get_absolute_url()).content.decode()
    for name in ("download", "download-original"):
        url = reverse(f"models_catalog:{name}", args=["digits", 1])
        assert (f'href="{url}"' in page) == bool(allowed)
        assert client.get(url).status_code == (302 if allowed else 403)
        assert client.post(url).status_code in {403, 405}


def test_a_download_leads_to_the_object_in_s3_for_a_minute(
    client_of: Callable[[str], Client], served: Version, store: str
) -> None:
    client = client_of("operator")
    for name, key, called in (
        ("download", served.key, "digits_v1.tar.gz"),
        ("download-original", served.original_key, "digits_v1-as-uploaded.tar.gz"),
    ):
        aws.s3().put_object(Bucket=store, Key=key, Body=key.encode())
        Version.objects.update(bucket=store)
        answer = client.get(reverse(f"models_catalog:{name}", args=["digits", 1]))
        assert answer.status_code == 302
        assert "no-store" in answer.headers["Cache-Control"]
        address = answer.headers["Location"]
        assert parse_qs(urlsplit(address).query)["X-Amz-Expires"] == ["60"]
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in address
        got = requests.get(address, timeout=30)
        assert got.content == key.encode()
        assert called in got.headers["Content-Disposition"]
        forged = requests.get(address.replace("digits_v1", "digits_v2", 1), timeout=30)
        assert forged.status_code == 403


@pytest.mark.not_quick
def test_a_download_is_not_unpacked_on_its_way(
    client_of: Callable[[str], Client], served: Version, store: str
) -> None:
    """Whoever put an object that was imported may have put it with a Content-Encoding of gzip."""
    data = gzip.compress(b"a tar")
    aws.s3().put_object(Bucket=store, Key=served.key, Body=data, ContentEncoding="gzip")
    Version.objects.update(bucket=store)
    answer = client_of("operator").get(reverse("models_catalog:download", args=["digits", 1]))
    assert requests.get(answer.headers["Location"], timeout=30).content == data


@pytest.mark.not_quick
def test_without_credentials_the_page_says_why_nothing_is_downloaded(
    client_of: Callable[[str], Client], served: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    aws.s3_for_browsers.cache_clear()
    try:
        answer = client_of("operator").get("/models/digits/v1/download/", follow=True)
    finally:
        aws.s3_for_browsers.cache_clear()
    assert answer.redirect_chain == [(served.get_absolute_url(), 302)]
    assert "digits v1 cannot be downloaded now." in answer.content.decode()
    assert "There are no AWS credentials." in answer.content.decode()


def test_there_is_nothing_to_download_of_a_version_that_is_not_published_or_kept(
    client_of: Callable[[str], Client], served: Version
) -> None:
    client = client_of("operator")
    Version.objects.update(original_key="")
    assert client.get("/models/digits/v1/download/original/").status_code == 404
    Version.objects.update(state="checking")
    assert client.get("/models/digits/v1/download/").status_code == 404
    assert client.get("/models/digits/v2/download/").status_code == 404


@pytest.mark.parametrize(
    ("portals", "browsers", "address"),
    [
        ("http://s3:9000", "http://127.0.0.1:9000", "http://127.0.0.1:9000/bucket/models/"),
        ("http://localhost:9000", None, "http://localhost:9000/bucket/models/"),
        ("", None, "https://bucket.s3.ap-northeast-2.amazonaws.com/models/"),
    ],
)
def test_browsers_are_given_the_address_that_they_reach(
    served: Version,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    portals: str,
    browsers: str | None,
    address: str,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    if portals:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", portals)
    settings.S3_BROWSER_URL = browsers
    for clients in (aws.s3, aws.s3_for_browsers):
        clients.cache_clear()
    served.bucket = "bucket"
    found = services.download_address(served, original=False)
    for clients in (aws.s3, aws.s3_for_browsers):
        clients.cache_clear()
    assert found is not None
    assert found.startswith(address)


def test_the_packing_is_chosen_in_the_form(
    client_of: Callable[[str], Client], archives: Path, store: str, settings: Any
) -> None:
    settings.PACKING = "stored"
    client = client_of("operator")
    assert '<option value="stored" selected>' in client.get(reverse(NEW)).content.decode()
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    client.post(reverse(NEW), _form(path, packing="compressed"))
    client.post(reverse(NEW), _form(path, name="other"))
    chosen = Version.objects.order_by("pk").values_list("packing_choice", flat=True)
    assert list(chosen) == ["compressed", "stored"]
    answer = client.post(reverse(NEW), _form(path, name="third", packing="zip"))
    assert answer.status_code == 422
    assert Version.objects.count() == 2


@pytest.mark.parametrize(
    ("step", "now"),
    [("", "Waiting for a worker"), (Version.PACKING, Version.PACKING), ("Tries again.", "Tries")],
)
def test_the_page_says_what_is_done_and_what_is_to_come(
    client_of: Callable[[str], Client], version: Version, step: str, now: str
) -> None:
    Version.objects.update(state="checking", step=step, report={})
    page = client_of("viewer").get(version.get_absolute_url()).content.decode()
    assert page.count('<li data-state="now"') == 1
    assert now in page.split('<li data-state="now"')[1].split("</li>")[0]
    for text in Version.STEPS:
        assert f">{text}</li>" in page


@pytest.mark.not_quick
def test_the_admin_site_shows_what_is_served_and_changes_nothing(
    client_of: Callable[[str], Client], served: Version
) -> None:
    client = client_of("superuser")
    found = client.get("/admin/models_catalog/version/", {"q": "cccc33"}).content.decode()
    assert "digits v1" in found
    url = f"/admin/models_catalog/version/{served.pk}/change/"
    page = client.get(url).content.decode()
    for shown in (served.published_sha256, served.content_sha256, served.original_key, "Stored"):
        assert shown in page
    assert client.post(url, {"packing": "compressed"}).status_code == 403
    assert client.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 403
    assert client.get("/admin/models_catalog/version/add/").status_code == 403
    assert client_of("operator").get(url).status_code in {302, 403}


def test_what_both_runs_notice_is_told_once(db: None) -> None:
    served = {"code": "epoch", "message": "The weights of epoch 17 are served."}
    version = Version(
        report={
            "archive": {"notes": [{"code": "epoch", "message": "The weights are of epoch 17."}]},
            "artifact": {"notes": [served, {"code": "batch", "message": "A batch of 1."}]},
        }
    )
    assert [note.said for note in version.notes] == [
        "The weights are of epoch 17.",
        "A batch of 1.",
    ]


@pytest.mark.not_quick
def test_the_list_by_name_has_camera_2_before_camera_10_on_each_page(
    client_of: Callable[[str], Client],
) -> None:
    for number in range(60, 0, -1):
        RegisteredModel.objects.create(name=f"camera_{number}")
    as_the_release_before_makes_them = RegisteredModel.objects.filter(name__contains="3")
    assert as_the_release_before_makes_them.update(name_key="")
    client = client_of(roles.VIEWER)

    def shown(question: str) -> list[str]:
        text = client.get(f"/models/?{question}").content.decode()
        return re.findall(r'href="/models/(camera_[0-9]+)/"', text)

    names = [f"camera_{number}" for number in range(1, 61)]
    assert shown("sort=name") + shown("sort=name&page=2") == names
    assert shown("sort=-name") + shown("sort=-name&page=2") == names[::-1]
