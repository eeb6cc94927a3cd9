"""Models and versions by the API: push, register, delete, download, dismiss; and repetitions."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts import roles
from core import aws
from core.api.problems import CONTENT_TYPE
from core.errors import Denied, Invalid, StorageFull, Throttled
from core.models import RepeatableCall
from models_catalog import api, attention, s3, services
from models_catalog.models import RegisteredModel, Version
from tests.bearer import secret_of

V1 = "/api/v1"
PUSH = f"{V1}/models/digits/versions"
ARCHIVE = b"\x1f\x8b the bytes of an archive"


@pytest.fixture
def token_of(user_in: Callable[[str], Any]) -> Callable[..., Client]:
    """A client with a token of a role: ``token_of("operator", "read", "upload")``."""
    users: dict[str, Any] = {}

    def make(role: str, *scopes: str) -> Client:
        user = users.get(role) or users.setdefault(role, user_in(role))
        secret = secret_of(user, scopes)
        bearer = {"Authorization": f"Bearer {secret}"}
        return Client(headers=bearer, raise_request_exception=False)

    return make


@pytest.fixture
def operator(token_of: Callable[..., Client]) -> Client:
    """Somebody whose token may read and upload."""
    return token_of(roles.OPERATOR, "read", "upload")


def push(client: Client, path: str = PUSH, body: bytes = ARCHIVE, **headers: str) -> Any:
    kind = headers.pop("Content_Type", "application/gzip")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, body, content_type=kind, headers=sent)


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == CONTENT_TYPE, answer.content
    return answer.status_code, json.loads(answer.content)["type"].rpartition("/")[2]


def digest(algorithm: str, body: bytes = ARCHIVE) -> str:
    found = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64.b64encode(found).decode()}:"


def version_of(**more: Any) -> Version:
    model, _ = RegisteredModel.objects.get_or_create(name="digits")
    given: dict[str, Any] = {
        "number": 1, "bucket": "store", "key": "models/digits_v1.tar.gz", "size": 5,
        "file_name": "digits.tar.gz", "sha256": "0" * 64, "state": Version.State.READY, **more,
    }  # fmt: skip
    return Version.objects.create(model=model, **given)


# --- push ------------------------------------------------------------------------------


def test_a_push_makes_the_model_and_its_version(
    operator: Client, keys: Callable[[], set[str]], store: str
) -> None:
    answer = push(
        operator,
        f"{PUSH}?note=First&packing=stored&description=Numbers&file_name=d.tgz",
        Content_Digest=digest("sha-256"),
    )
    assert answer.status_code == 202, answer.content
    assert answer.headers["Location"] == f"{PUSH}/1"
    found = json.loads(answer.content)
    assert (found["model"], found["number"], found["state"]) == ("digits", 1, "uploaded")
    assert (found["sha256"], found["size"]) == (hashlib.sha256(ARCHIVE).hexdigest(), len(ARCHIVE))
    assert (found["note"], found["file_name"]) == ("First", "d.tgz")
    assert (found["created_by"], found["step"]) == ("operator-user", "Waiting for a worker")
    row = Version.objects.get()
    assert row.packing_choice == "stored"
    assert row.model.description == "Numbers"
    assert keys() == {row.staging_key}
    staged = aws.s3().get_object(Bucket=store, Key=row.staging_key)["Body"].read()
    assert staged == ARCHIVE
    assert row.staging_key not in answer.content.decode()  # nobody outside needs to know it
    assert json.loads(operator.get(answer.headers["Location"]).content) == found


def test_a_second_push_is_the_next_version_and_says_which_has_the_same_bytes(
    operator: Client, store: str
) -> None:
    push(operator)
    found = json.loads(push(operator, f"{V1}/models/others/versions").content)
    assert found["file_name"] == "others.tar.gz"
    assert found["same_as"] == [{"model": "digits", "number": 1, "likeness": "same_bytes"}]
    assert push(operator, body=b"other").headers["Location"] == f"{PUSH}/2"


@pytest.mark.parametrize("header", ["Content_Digest", "Repr_Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_another_digest_keeps_nothing(
    operator: Client, keys: Callable[[], set[str]], header: str, algorithm: str
) -> None:
    answer = push(operator, **{header: digest(algorithm, b"other")})
    assert code(answer) == (422, "digest-mismatch")
    said = json.loads(answer.content)["detail"]
    assert hashlib.new(algorithm.replace("-", ""), ARCHIVE).hexdigest() in said
    assert not keys()
    assert not RegisteredModel.objects.exists()
    assert push(operator, **{header: digest(algorithm)}).status_code == 202


def test_all_digests_that_are_sent_count(operator: Client, keys: Callable[[], set[str]]) -> None:
    both = f"{digest('sha-256')}, {digest('sha-512', b'other')}"
    assert code(push(operator, Content_Digest=both)) == (422, "digest-mismatch")
    two = {"Content_Digest": digest("sha-256"), "Repr_Digest": digest("sha-256", b"other")}
    assert code(push(operator, **two)) == (422, "digest-mismatch")
    assert not keys()
    # An algorithm that the portal does not know says nothing.
    known = f"unixsum=:AAA=:, {digest('sha-256')}"
    assert push(operator, Content_Digest=known).status_code == 202


@pytest.mark.parametrize(
    "value", ["sha-256", "sha-256=abc", "sha-256=:!:", "sha-256=:AAAA:", "sha-256=:A:", "=::", "x"]
)
def test_a_digest_that_cannot_be_read_is_refused(
    operator: Client, keys: Callable[[], set[str]], value: str
) -> None:
    answer = push(operator, Content_Digest=value)
    assert code(answer) == (422, "invalid")
    assert list(json.loads(answer.content)["errors"]) == ["Content-Digest"]
    assert not keys()


def test_the_same_key_twice_makes_one_version(operator: Client, store: str) -> None:
    first = push(operator, Idempotency_Key="k")
    again = push(operator, Idempotency_Key="k")
    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(push(operator, body=b"other", Idempotency_Key="k")) == (422, "key-reused")
    assert code(push(operator, f"{PUSH}?note=x", Idempotency_Key="k")) == (422, "key-reused")
    assert Version.objects.count() == 1


def test_a_push_that_was_cut_off_after_its_row_finds_it(
    operator: Client, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: Version) -> None:
        raise RuntimeError("between the commit and the answer")

    with monkeypatch.context() as cutting:
        cutting.setattr(api, "_detail", cut)
        assert push(operator, Idempotency_Key="k").status_code == 500
    assert Version.objects.count() == 1
    answer = push(operator, Idempotency_Key="k")
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{PUSH}/1")
    assert Version.objects.count() == 1
    again = push(operator, Idempotency_Key="k")
    assert again.content == answer.content
    found = json.loads(answer.content)
    assert found == json.loads(operator.get(f"{PUSH}/1").content)


def test_a_push_that_was_cut_off_before_its_row_runs_again(
    operator: Client, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(**_: Any) -> None:
        raise RuntimeError("while it is stored")

    with monkeypatch.context() as cutting:
        cutting.setattr(s3, "upload", cut)
        assert push(operator, Idempotency_Key="k").status_code == 500
    assert push(operator, Idempotency_Key="k").status_code == 202
    assert Version.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"{V1}/models/Not%20a%20name/versions", ARCHIVE, "name"),
        (f"{V1}/models/new/versions", ARCHIVE, "name"),
        (f"{PUSH}?file_name=digits.zip", ARCHIVE, "file_name"),
        (f"{PUSH}?file_name={'x' * 300}.tar.gz", ARCHIVE, "file_name"),
        (f"{PUSH}?note={'x' * 501}", ARCHIVE, "note"),
        (f"{PUSH}?packing=zip", ARCHIVE, "packing"),
        (PUSH, b"", "body"),
    ],
)
def test_what_cannot_be_is_refused_by_field_before_it_is_stored(
    operator: Client, keys: Callable[[], set[str]], path: str, body: bytes, field: str
) -> None:
    answer = push(operator, path, body)
    assert code(answer) == (422, "invalid")
    assert list(json.loads(answer.content)["errors"]) == [field]
    assert not keys()
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": "Text/Plain"},
        {"Content_Type": "application/json"},
        {"Content_Encoding": "gzip"},
    ],
)
def test_what_is_no_archive_is_415(
    operator: Client, keys: Callable[[], set[str]], headers: dict[str, str]
) -> None:
    assert code(push(operator, **headers)) == (415, "unsupported-media-type")
    assert not keys()


def test_curls_own_content_type_does_not_matter(operator: Client, store: str) -> None:
    form = "application/x-www-form-urlencoded"
    assert push(operator, Content_Type=form).status_code == 202
    assert Version.objects.get().size == len(ARCHIVE)


def test_an_archive_that_is_too_large_is_413(
    operator: Client, keys: Callable[[], set[str]], settings: Any
) -> None:
    settings.MAX_ARCHIVE_MB = 1
    assert push(operator, body=b"x" * (1 << 20)).status_code == 202
    answer = push(operator, body=b"x" * ((1 << 20) + 1))
    assert code(answer) == (413, "too-large")
    assert "MAX_ARCHIVE_MB" in json.loads(answer.content)["detail"]
    assert len(keys()) == 1


@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [
        (StorageFull("Full."), 507, "no-space"),
        (Throttled("Slow down."), 503, "unavailable"),
        (Denied("No."), 502, "aws-denied"),
        (Invalid("Odd."), 502, "aws-failed"),
    ],
)
def test_what_the_store_does_not_take_is_a_problem_and_makes_nothing(
    operator: Client,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    problem: str,
) -> None:
    def upload(**_: Any) -> None:
        raise error

    monkeypatch.setattr(s3, "upload", upload)
    answer = push(operator)
    assert code(answer) == (status, problem)
    assert "othing was kept" in json.loads(answer.content)["detail"]
    assert ("Retry-After" in answer.headers) is (status in (503, 507))
    assert not RegisteredModel.objects.exists()


def test_who_may_not_push_keeps_nothing(
    token_of: Callable[..., Client], keys: Callable[[], set[str]]
) -> None:
    for client, problem in (
        (token_of(roles.OPERATOR, "read"), (403, "scope-missing")),
        (token_of(roles.VIEWER, "read"), (403, "scope-missing")),
        (Client(), (401, "not-authenticated")),
    ):
        assert code(push(client)) == problem
    assert not keys()
    assert not RegisteredModel.objects.exists()


# --- models ----------------------------------------------------------------------------


def _register(client: Client, name: str = "cats", **headers: str) -> Any:
    body = json.dumps({"name": name, "description": "Cats."})
    return client.post(f"{V1}/models", body, content_type="application/json", headers=headers)


def test_a_model_is_registered_once(operator: Client) -> None:
    answer = _register(operator)
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{V1}/models/cats")
    assert json.loads(answer.content) == json.loads(operator.get(f"{V1}/models/cats").content)
    again = _register(operator)
    assert code(again) == (422, "invalid")
    assert "cats already" in json.loads(again.content)["errors"]["name"][0]
    for wrong in ("", "Cats", "new", "a\0b", "x" * 64):
        refused = _register(operator, wrong)
        assert code(refused) == (422, "invalid")
        assert list(json.loads(refused.content)["errors"]) == ["name"]


def test_a_registration_that_was_cut_off_finds_its_model(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: object) -> None:
        raise RuntimeError("between the commit and the answer")

    with monkeypatch.context() as cutting:
        cutting.setattr(api, "_models_shown", cut)
        assert _register(operator, **{"Idempotency-Key": "k"}).status_code == 500
    answer = _register(operator, **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{V1}/models/cats")
    assert json.loads(answer.content)["name"] == "cats"
    assert RepeatableCall.objects.get().status == 201


def test_a_model_is_deleted_only_as_it_was_read(
    token_of: Callable[..., Client], store: str
) -> None:
    version_of(state=Version.State.REJECTED, bucket=store, staging_key="staging/x")
    admin = token_of(roles.ADMIN, "read", "admin")
    read = admin.get(f"{V1}/models/digits").headers["ETag"]
    version_of(number=2, key="k2", state=Version.State.REJECTED, bucket=store, staging_key="s/y")
    lost = admin.delete(f"{V1}/models/digits", headers={"If-Match": read})
    assert code(lost) == (412, "changed-meanwhile")
    assert Version.objects.count() == 2
    read = admin.get(f"{V1}/models/digits").headers["ETag"]
    done = admin.delete(f"{V1}/models/digits", headers={"If-Match": read})
    assert (done.status_code, done.content) == (204, b"")
    assert not RegisteredModel.objects.exists()
    assert code(admin.delete(f"{V1}/models/digits")) == (404, "not-found")


def test_a_model_of_which_something_was_published_stays(token_of: Callable[..., Client]) -> None:
    version_of()
    answer = token_of(roles.ADMIN, "admin").delete(f"{V1}/models/digits")
    assert code(answer) == (409, "conflict")
    assert Version.objects.exists()


def test_a_token_to_upload_deletes_nothing(operator: Client) -> None:
    RegisteredModel.objects.create(name="digits")
    assert code(operator.delete(f"{V1}/models/digits")) == (403, "scope-missing")
    assert RegisteredModel.objects.exists()


# --- a version -------------------------------------------------------------------------


def test_a_download_is_led_to_the_store(operator: Client, store: str) -> None:
    aws.s3().put_object(Bucket=store, Key="models/digits_v1.tar.gz", Body=ARCHIVE)
    aws.s3().put_object(Bucket=store, Key="originals/digits_v1", Body=b"original")
    version_of(bucket=store, original_key="originals/digits_v1")
    import requests

    for query, bytes_ in (("", ARCHIVE), ("?original=true", b"original")):
        answer = operator.get(f"{PUSH}/1/archive{query}")
        assert (answer.status_code, answer.content) == (302, b"")
        assert "Content-Type" not in answer.headers
        assert "no-store" in answer.headers["Cache-Control"]
        assert "mme_" not in answer.headers["Location"]
        assert requests.get(answer.headers["Location"], timeout=30).content == bytes_


def test_there_is_nothing_to_download_of_what_is_not_published_or_kept(
    operator: Client, token_of: Callable[..., Client]
) -> None:
    version_of()
    version_of(number=2, key="k2", state=Version.State.CHECKING)
    assert code(operator.get(f"{PUSH}/1/archive?original=true")) == (404, "not-found")
    assert code(operator.get(f"{PUSH}/2/archive")) == (409, "model-not-ready")
    assert code(operator.get(f"{PUSH}/3/archive")) == (404, "not-found")
    viewer = token_of(roles.VIEWER, "read")
    assert code(viewer.get(f"{PUSH}/1/archive")) == (403, "not-allowed")


def test_a_rejected_version_is_dismissed(operator: Client) -> None:
    version_of(state=Version.State.REJECTED, reason="No.")
    assert attention.needing_somebody().count() == 1
    old = {"If-Match": '"of an earlier state"'}
    assert code(operator.post(f"{PUSH}/1/dismiss", headers=old)) == (412, "changed-meanwhile")
    assert attention.needing_somebody().count() == 1
    tag = operator.get(f"{PUSH}/1").headers["ETag"]
    for _ in range(2):
        answer = operator.post(f"{PUSH}/1/dismiss", headers={"If-Match": tag})
        assert (answer.status_code, answer.content) == (204, b"")
        assert not attention.needing_somebody().exists()
    assert code(operator.post(f"{PUSH}/2/dismiss")) == (404, "not-found")


def test_the_page_and_the_api_say_the_same_of_a_full_store(
    client_of: Callable[[str], Client], operator: Client, store: str, monkeypatch: Any
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    def upload(**_: Any) -> None:
        raise StorageFull("Full.")

    monkeypatch.setattr(s3, "upload", upload)
    said = json.loads(push(operator).content)["detail"]
    file = SimpleUploadedFile("d.tar.gz", ARCHIVE)
    page = client_of(roles.ADMIN).post("/models/new/", {"name": "digits", "archive": file})
    assert page.status_code == 507
    assert said in page.content.decode()
    assert services.NotStored(said, code="no-space").code == "no-space"
