"""The tus operations: what they answer, what they keep, and whose an upload is."""

import base64
import hashlib
import io
import random
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError
from django.contrib.auth.models import User
from django.test import Client

from core import aws, clock
from core.errors import AwsError, Denied
from models_catalog import arriving, s3, services, uploads
from models_catalog.models import RegisteredModel, Upload, Version
from tests.bearer import secret_of
from tests.together import together

OCTETS = "application/offset+octet-stream"
URL = "/api/v1/uploads/"
BYTES = bytes(range(256)) * 40


class Caller:
    """A program with a token of one user."""

    def __init__(self, user: User) -> None:
        self.user = user
        secret = secret_of(user, ["read", "upload"])
        self.client = Client(
            headers={"Authorization": f"Bearer {secret}", "Tus-Resumable": "1.0.0"}
        )

    def begin(self, length: int = len(BYTES), **metadata: str) -> Any:
        told = {"model": "digits", "filename": "digits.tar.gz", **metadata}
        pairs = [f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in told.items()]
        headers = {"Upload-Length": str(length), "Upload-Metadata": ",".join(pairs)}
        return self.client.post(URL, headers=headers)

    def address(self, **metadata: str) -> str:
        answer = self.begin(**metadata)
        assert answer.status_code == 201, answer.content
        return str(answer.headers["Location"])

    def send(self, url: str, data: bytes, offset: int, **headers: str) -> Any:
        more = {"Upload-Offset": str(offset)} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.client.patch(url, data, content_type=OCTETS, headers=more)

    def offset(self, url: str) -> int:
        return int(self.client.head(url).headers["Upload-Offset"])


@pytest.fixture
def caller(user_in: Callable[..., User], store: str) -> Caller:
    return Caller(user_in("operator"))


def code(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition("/")[2]


def test_an_upload_in_two_requests_becomes_a_version(caller: Caller, keys: Any) -> None:
    url = caller.address(note="two", meta="accuracy=0.93\nrun=7")
    first = caller.send(url, BYTES[:5000], 0)
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "5000")
    assert "Location" not in first.headers
    head = caller.client.head(url)
    assert head.headers["Upload-Offset"] == "5000"
    assert head.headers["Upload-Length"] == str(len(BYTES))
    assert head.headers["Tus-Resumable"] == "1.0.0"
    assert head.headers["Cache-Control"] == "no-store"
    assert all(key.startswith("staging/") for key in keys())
    last = caller.send(url, BYTES[5000:], 5000)
    assert last.status_code == 204, last.content
    assert last.headers["Location"] == "/api/v1/models/digits/versions/1"
    version = Version.objects.get()
    assert (version.size, version.sha256) == (len(BYTES), hashlib.sha256(BYTES).hexdigest())
    assert (version.note, version.metadata) == ("two", {"accuracy": 0.93, "run": 7})
    assert version.created_by == caller.user
    assert caller.client.get(url).json()["made"] == {"model": "digits", "number": 1}
    assert keys() == {version.staging_key}


def test_many_stretches_are_joined_in_order(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STRETCH_BYTES", 1000)
    url = caller.address()
    assert caller.send(url, BYTES[:-1], 0).status_code == 204
    assert Upload.objects.get().stretches.count() == 11
    assert caller.send(url, BYTES[-1:], len(BYTES) - 1).status_code == 204
    assert Version.objects.get().sha256 == hashlib.sha256(BYTES).hexdigest()


@pytest.mark.parametrize(
    ("sizes", "sent"),
    [
        ([6, 5, 1], 0),  # S3 takes a small part at the end alone
        ([5, 2, 4, 7], 1),  # of two that are small one object is made
        ([1] * 12, None),  # most would be sent once more anyway
        ([9], None),
        ([11], 0),  # it is written as two objects
    ],
)
def test_s3_joins_what_came_in_stretches_that_are_large_enough(
    sizes: list[int], sent: int | None, caller: Caller, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(sum(sizes)).randbytes(sum(sizes) << 20)
    url = caller.address(length=len(data))
    joined: list[int] = []
    real, uploaded = s3.joiner, s3.upload
    monkeypatch.setattr(
        s3,
        "joiner",
        lambda *buckets: lambda found, key: (joined.append(len(found)), real(*buckets)(found, key)),
    )
    offset = 0
    for size in sizes[:-1]:
        assert caller.send(url, data[offset : offset + (size << 20)], offset).status_code == 204
        offset += size << 20
    sends: list[str] = []
    monkeypatch.setattr(
        s3, "upload", lambda **given: (sends.append(given["key"]), uploaded(**given))
    )
    assert caller.send(url, data[offset:], offset).status_code == 204
    version = Version.objects.get()
    assert (version.size, version.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    stored = b"".join(s3.download(bucket=version.bucket, key=version.staging_key))
    assert stored == data
    assert keys() == {version.staging_key}, "nothing else is left"
    if sent is None:
        assert joined == []
    else:
        assert len(joined) == 1
        assert len(sends) == sent, "what was too small"


def test_what_came_before_the_bucket_of_the_settings_changed_is_joined_in_the_new_one(
    caller: Caller, settings: Any
) -> None:
    data = random.Random(9).randbytes(11 << 20)
    url = caller.address(length=len(data))
    assert caller.send(url, data[: 6 << 20], 0).status_code == 204
    other = f"{settings.MODEL_BUCKET}-new"
    location = {"LocationConstraint": settings.AWS_REGION}
    aws.s3().create_bucket(Bucket=other, CreateBucketConfiguration=location)
    settings.MODEL_BUCKET = other
    assert caller.send(url, data[6 << 20 :], 6 << 20).status_code == 204
    version = Version.objects.get()
    assert version.bucket == other
    assert b"".join(s3.download(bucket=other, key=version.staging_key)) == data


@pytest.mark.parametrize("elsewhere", [set(), {0}, {1}, {2}])
def test_what_came_to_one_process_is_not_read_again_and_has_the_same_hash(
    elsewhere: set[int], caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``elsewhere``: the stretches that come to another process."""
    reads: list[str] = []
    real = s3.downloader

    def counted(bucket: str) -> Callable[[str], Iterator[bytes]]:
        download = real(bucket)

        def reading(key: str) -> Iterator[bytes]:
            reads.append(key)
            return download(key)

        return reading

    monkeypatch.setattr(s3, "downloader", counted)
    data = random.Random(3).randbytes(18 << 20)
    right = hashlib.sha256(data).hexdigest()
    url = caller.address(length=len(data), sha256=right)
    for number in range(3):
        begin = number * (6 << 20)
        with monkeypatch.context() as other:
            if number in elsewhere:
                other.setattr(arriving, "_known", OrderedDict())
            answer = caller.send(url, data[begin : begin + (6 << 20)], begin)
        assert answer.status_code == 204
    assert Version.objects.get().sha256 == right
    assert len(reads) == (3 if elsewhere else 0)


def test_what_came_to_one_process_is_refused_where_its_hash_is_another(
    caller: Caller, keys: Any
) -> None:
    data = random.Random(4).randbytes(12 << 20)
    url = caller.address(length=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert caller.send(url, data[: 6 << 20], 0).status_code == 204
    answer = caller.send(url, data[6 << 20 : -1] + b"!", 6 << 20)
    assert (answer.status_code, code(answer)) == (422, "digest-mismatch")
    assert (Version.objects.count(), keys()) == (0, set())


def test_only_so_many_uploads_are_remembered(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "_MOST", 2)
    monkeypatch.setattr(arriving, "_known", OrderedDict())
    rows = []
    for name in ("a", "b", "c"):
        url = caller.address(model=name)
        assert caller.send(url, BYTES[:10], 0).status_code == 204
        rows.append(Upload.objects.get(name=name))
    assert list(arriving._known) == [row.uid for row in rows[1:]]
    assert caller.client.delete(url).status_code == 204
    assert list(arriving._known) == [rows[1].uid], "a cancelled one is forgotten"


def test_what_s3_does_not_delete_is_told(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = aws.s3()
    kept = {"Errors": [{"Key": "b", "Code": "AccessDenied", "Message": "No."}]}
    monkeypatch.setattr(client, "delete_objects", Mock(return_value=kept))
    with pytest.raises(Denied):
        s3.delete_all(bucket=store, keys=["a", "b"])


def test_more_than_a_thousand_keys_are_deleted_by_several_requests(
    store: str, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MOST_DELETED", 2)
    names = [f"staging/{number}" for number in range(5)]
    for name in names:
        aws.s3().put_object(Bucket=store, Key=name, Body=b"")
    s3.delete_all(bucket=store, keys=[*names, "staging/not-there"])
    assert keys() == set()
    s3.delete_all(bucket=store, keys=[])


def test_a_join_that_fails_leaves_nothing_and_is_done_again(
    caller: Caller, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(7).randbytes(11 << 20)
    url = caller.address(length=len(data))
    assert caller.send(url, data[: 6 << 20], 0).status_code == 204
    client = aws.s3()
    with monkeypatch.context() as failing:
        refused = ClientError({"Error": {"Code": "InternalError"}}, "UploadPartCopy")
        failing.setattr(client, "upload_part_copy", Mock(side_effect=refused))
        assert caller.send(url, data[6 << 20 :], 6 << 20).status_code >= 500
    row = Upload.objects.get()
    assert row.complete
    assert row.version is None
    assert list(s3.unfinished(bucket=row.bucket, prefix="")) == []
    Upload.objects.update(check_after=clock.now())  # as if its pause had passed
    uploads.finish(upload_pk=row.pk)
    assert Version.objects.get().sha256 == hashlib.sha256(data).hexdigest()


def test_what_tus_is_offered_is_told_to_anybody(db: None, settings: Any) -> None:
    settings.MAX_ARCHIVE_MB = 10
    told = Client().options(URL)
    assert told.status_code == 204
    assert told.headers["Tus-Version"] == "1.0.0"
    assert told.headers["Tus-Extension"] == "creation,checksum,expiration,termination"
    assert told.headers["Tus-Max-Size"] == str(10 << 20)
    assert "sha1" in told.headers["Tus-Checksum-Algorithm"]


def test_what_can_be_refused_is_refused_before_a_byte_travels(
    caller: Caller, settings: Any
) -> None:
    RegisteredModel.objects.create(name="taken")
    for metadata, field in (
        ({"model": "taken", "new": "true"}, "name"),
        ({"model": "gone", "new": "false"}, "name"),
        ({"model": "No Name"}, "name"),
        ({"filename": "digits.zip"}, "file_name"),
        ({"meta": "no equals sign"}, "meta"),
        ({"packing": "odd"}, "packing"),
        ({"new": "perhaps"}, "new"),
        ({"note": "x" * 501}, "note"),
    ):
        answer = caller.begin(**metadata)
        assert answer.status_code == 422, metadata
        assert field in answer.json()["errors"], answer.json()
    settings.MAX_ARCHIVE_MB = 1
    assert caller.begin(length=(1 << 20) + 1).status_code == 413
    assert caller.begin(length=0).status_code == 422
    bare = caller.client.post(URL, headers={"Upload-Metadata": "model ZGln"})
    assert "Upload-Length" in bare.json()["errors"]
    assert Upload.objects.count() == 0


def test_a_wrong_offset_changes_nothing(caller: Caller) -> None:
    url = caller.address()
    caller.send(url, BYTES[:100], 0)
    for offset in (0, 99, 101, len(BYTES)):
        answer = caller.send(url, b"x", offset)
        assert (answer.status_code, code(answer)) == (409, "wrong-offset")
    assert caller.send(url, BYTES, 100).status_code == 409  # behind the end
    assert caller.offset(url) == 100


@pytest.mark.parametrize("algorithm", uploads.ALGORITHMS)
def test_bytes_with_another_checksum_are_not_kept(
    caller: Caller, algorithm: str, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STRETCH_BYTES", 1000)
    url = caller.address()
    right = base64.b64encode(hashlib.new(algorithm, BYTES[:3000]).digest()).decode()
    wrong = caller.send(url, BYTES[1:3001], 0, Upload_Checksum=f"{algorithm} {right}")
    assert (wrong.status_code, code(wrong)) == (460, "checksum-mismatch")
    assert caller.offset(url) == 0
    assert keys() == set()
    good = caller.send(url, BYTES[:3000], 0, Upload_Checksum=f"{algorithm} {right}")
    assert (good.status_code, caller.offset(url)) == (204, 3000)
    odd = caller.send(url, b"x", 3000, Upload_Checksum="crc99 AAAA")
    assert odd.status_code == 400


def test_two_requests_at_once_do_not_mix(caller: Caller) -> None:
    url = caller.address()
    row = Upload.objects.get()
    held = Upload.objects.claim(row.pk, lease=timedelta(seconds=15))
    assert held is not None
    answer = caller.send(url, BYTES[:10], 0)
    assert (answer.status_code, code(answer)) == (423, "upload-locked")
    assert answer.headers["Retry-After"]
    assert caller.client.delete(url).status_code == 423
    Upload.objects.release(held)
    assert caller.send(url, BYTES[:10], 0).status_code == 204


@pytest.mark.parametrize("checksum", [False, True])
def test_who_reads_the_new_offset_can_go_on_from_there(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, checksum: bool
) -> None:
    url = caller.address()
    # A killed process gives nothing back behind what it has written.
    monkeypatch.setattr(uploads, "_give_back", lambda lease: None)
    right = base64.b64encode(hashlib.sha1(BYTES[:10], usedforsecurity=False).digest()).decode()
    headers = {"Upload_Checksum": f"sha1 {right}"} if checksum else {}
    assert caller.send(url, BYTES[:10], 0, **headers).status_code == 204
    assert caller.send(url, BYTES[10:20], caller.offset(url)).status_code == 204


def test_who_lost_the_lease_writes_nothing(
    caller: Caller, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = caller.address()
    real = s3.put

    def slow(**arguments: Any) -> None:
        real(**arguments)
        # Another process took it over, and wrote these bytes first.
        Upload.objects.update(leased_until=clock.now() + timedelta(seconds=60), offset=10)

    monkeypatch.setattr(s3, "put", slow)
    assert caller.send(url, BYTES[:10], 0).status_code == 423
    assert keys() == set()
    assert caller.offset(url) == 10


def test_why_no_version_is_made_is_told_also_where_the_store_deletes_nothing(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = caller.address(sha256="0" * 64)

    def refused(**_: Any) -> None:
        raise Denied("The store lets nobody delete.")

    monkeypatch.setattr(s3, "delete", refused)
    answer = caller.send(url, BYTES, 0)
    assert (answer.status_code, code(answer)) == (422, "digest-mismatch")
    assert Upload.objects.get().problem is not None, "or the sweep tries it for a day"


def test_an_upload_is_its_owners_alone(caller: Caller, user_in: Callable[..., User]) -> None:
    url = caller.address()
    other = Caller(user_in("admin"))
    for answer in (
        other.client.get(url),
        other.client.head(url),
        other.send(url, b"x", 0),
        other.client.delete(url),
    ):
        assert answer.status_code == 404
    assert caller.offset(url) == 0


def test_a_cancelled_upload_is_gone(caller: Caller, keys: Any) -> None:
    url = caller.address()
    caller.send(url, BYTES[:10], 0)
    assert keys()
    assert caller.client.delete(url).status_code == 204
    assert keys() == set()
    assert caller.client.head(url).status_code == 404


def test_an_upload_expires_after_a_day(caller: Caller, keys: Any) -> None:
    url = caller.address()
    caller.send(url, BYTES[:10], 0)
    Upload.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    for answer in (caller.client.get(url), caller.send(url, BYTES[10:], 10)):
        assert (answer.status_code, code(answer)) == (410, "upload-expired")
    uploads.clear()
    assert keys() == set()
    assert caller.client.get(url).status_code == 404


def test_what_no_row_names_is_swept_and_what_one_does_is_kept(caller: Caller, keys: Any) -> None:
    url = caller.address()
    caller.send(url, BYTES[:10], 0)
    kept = keys()
    caller.address()
    gone = Upload.objects.order_by("-pk")[0]
    caller.send(f"{URL}{gone.uid}", BYTES[:10], 0)
    gone.delete()
    assert len(keys()) == 2
    uploads.clear()
    assert keys() == kept


def test_another_version_of_tus_is_refused(caller: Caller) -> None:
    url = caller.address()
    for headers in ({"Tus-Resumable": "0.2.2"}, {"Tus-Resumable": ""}):
        for answer in (
            caller.client.post(URL, headers=headers),
            caller.client.head(url, headers=headers),
            caller.client.patch(url, b"x", headers=headers, content_type=OCTETS),
            caller.client.delete(url, headers=headers),
        ):
            assert answer.status_code == 412
            assert answer.headers["Tus-Version"] == "1.0.0"
            assert answer.headers["Tus-Resumable"] == "1.0.0"
    answer = caller.client.patch(url, b"x", content_type="application/gzip")
    assert answer.status_code == 415


def test_a_store_that_fails_keeps_what_had_arrived(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STRETCH_BYTES", 1000)
    url = caller.address()
    real, calls = s3.put, []

    def failing(**arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise AwsError("the store is away")
        real(**arguments)

    monkeypatch.setattr(s3, "put", failing)
    answer = caller.send(url, BYTES[:5000], 0)
    assert answer.status_code == 502
    assert "What arrived before is kept" in answer.json()["detail"]
    assert caller.offset(url) == 2000
    assert caller.send(url, BYTES[2000:], 2000).status_code == 204
    assert Version.objects.get().sha256 == hashlib.sha256(BYTES).hexdigest()


def test_of_two_objects_that_are_written_at_once_none_is_kept_where_one_fails(
    caller: Caller, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(5).randbytes(12 << 20)
    url = caller.address(length=len(data), sha256=hashlib.sha256(data).hexdigest())
    client = aws.s3(aws.PAGE, aws.OF_SETTINGS, signs_bodies=False)
    real, sizes = client.put_object, []
    both = Barrier(2, timeout=30)

    def failing(**arguments: Any) -> Any:
        both.wait()  # they are under way together
        sizes.append(len(arguments["Body"]))
        if arguments["Body"] == data[6 << 20 :]:
            raise ClientError({"Error": {"Code": "InternalError"}}, "PutObject")
        return real(**arguments)

    with monkeypatch.context() as second:
        second.setattr(client, "put_object", failing)
        assert caller.send(url, data, 0).status_code >= 500
    assert sizes == [6 << 20, 6 << 20]
    assert (caller.offset(url), keys()) == (0, set())
    assert caller.send(url, data, 0).status_code == 204
    assert Version.objects.get().sha256 == hashlib.sha256(data).hexdigest()


def test_nobody_waits_as_long_as_a_job_for_what_is_deleted(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STRETCH_BYTES", 1000)
    real, asked = s3._client, []

    def client(bucket: str, timeouts: aws.Timeouts = aws.JOB, **options: Any) -> Any:
        asked.append(timeouts)
        return real(bucket, timeouts, **options)

    url = caller.address()
    wrong = base64.b64encode(bytes(20)).decode()
    monkeypatch.setattr(s3, "_client", client)
    assert caller.send(url, BYTES[:5000], 0, Upload_Checksum=f"sha1 {wrong}").status_code == 460
    assert asked == [aws.PAGE] * 6, "five stretches are written, and deleted by one request"
    assert caller.client.delete(url).status_code == 204
    assert set(asked) == {aws.PAGE}


def test_what_is_written_is_not_hashed_once_more_for_a_signature(caller: Caller) -> None:
    client = aws.s3(aws.PAGE, aws.OF_SETTINGS, signs_bodies=False)
    sent: list[Any] = []

    def note(request: Any, **_: Any) -> None:
        sent.append(request.headers)

    client.meta.events.register("before-send.s3.PutObject", note)
    try:
        assert caller.send(caller.address(), BYTES[:10], 0).status_code == 204
    finally:
        client.meta.events.unregister("before-send.s3.PutObject", note)
    (headers,) = sent
    assert headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
    crc32 = zlib.crc32(BYTES[:10]).to_bytes(4, "big")
    assert headers["x-amz-checksum-crc32"] == base64.b64encode(crc32)
    assert b"x-amz-checksum-crc32;x-amz-content-sha256" in headers["Authorization"]


@pytest.mark.parametrize("size", [1, 9, 10, 24, 25, 26, 33, 51])
def test_what_is_written_at_once_are_parts_of_like_sizes(size: int) -> None:
    file, left, sizes = io.BytesIO(bytes(size << 20)), size << 20, []
    while left and (pieces := uploads._next_pieces(file, uploads._share(left))):
        assert sum(map(len, pieces)) <= uploads.STRETCH_BYTES
        sizes += [len(piece) for piece in pieces]
        left -= sum(map(len, pieces))
    assert sum(sizes) == size << 20
    assert min(sizes) >= min(size << 20, s3.LEAST_PART_BYTES)
    assert max(sizes) - min(sizes) <= 8 << 20
    assert max(sizes) <= 13 << 20


def test_a_version_that_a_killed_process_did_not_make_is_made_once(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = caller.address()
    monkeypatch.setattr(uploads, "_finish_soon", lambda upload: None)  # it is killed here
    assert caller.send(url, BYTES, 0).status_code == 204
    assert caller.client.get(url).json()["made"] is None
    row = Upload.objects.get()
    for _ in range(2):
        uploads.finish(upload_pk=row.pk)
    assert Version.objects.count() == 1
    assert caller.client.get(url).json()["made"] == {"model": "digits", "number": 1}


def test_a_name_that_was_taken_meanwhile_is_said_and_nothing_is_kept(
    caller: Caller, keys: Any
) -> None:
    url = caller.address(new="true")
    RegisteredModel.objects.create(name="digits")
    answer = caller.send(url, BYTES, 0)
    assert answer.status_code == 422
    assert "There is a model digits already" in caller.client.get(url).json()["problem"]
    assert keys() == set()
    assert Version.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("new", ["true", ""])
def test_of_two_who_upload_one_new_name_at_once_each_gets_a_true_answer(
    store: str, user_in: Callable[..., User], keys: Any, new: str
) -> None:
    """Who means a new model is refused where the other was faster; who does not is version 2."""
    callers = [Caller(user_in(role)) for role in ("operator", "admin")]
    urls = [caller.address(new=new, note=caller.user.username) for caller in callers]
    works = [partial(one.send, url, BYTES, 0) for one, url in zip(callers, urls, strict=True)]
    answers = together(works)
    versions = {one.note: one for one in Version.objects.all()}
    for caller, url, answer in zip(callers, urls, answers, strict=True):
        told, mine = caller.client.get(url).json(), versions.get(caller.user.username)
        if mine is None:
            assert answer.status_code == 422
            assert "There is a model digits already" in told["problem"]
        else:
            where = f"/api/v1/models/digits/versions/{mine.number}"
            assert (answer.status_code, answer.headers["Location"]) == (204, where)
            assert told["made"] == {"model": "digits", "number": mine.number}
    assert sorted(one.number for one in versions.values()) == ([1] if new else [1, 2])
    assert keys() == {one.staging_key for one in versions.values()}


def test_a_process_that_was_overtaken_tells_of_the_version_that_another_one_made(
    caller: Caller, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still for longer than its lease, and then finds that the name is taken."""
    url, real = caller.address(new="true"), services.upload_version

    def overtaken(**given: Any) -> Version:
        monkeypatch.setattr(services, "upload_version", real)
        Upload.objects.update(leased_until=clock.now() - timedelta(seconds=1))
        uploads.finish(upload_pk=Upload.objects.get().pk)
        return real(**given)

    monkeypatch.setattr(services, "upload_version", overtaken)
    answer = caller.send(url, BYTES, 0)
    where = "/api/v1/models/digits/versions/1"
    assert (answer.status_code, answer.headers["Location"]) == (204, where)
    assert caller.client.get(url).json()["problem"] is None
    assert keys() == {Version.objects.get().staging_key}


def test_an_upload_that_is_cancelled_while_its_last_bytes_are_kept_is_not_found(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, real = caller.address(), uploads._keep

    def cancelled(*given: Any) -> bool:
        kept = real(*given)
        uploads.cancel(upload=Upload.objects.get())
        return kept

    monkeypatch.setattr(uploads, "_keep", cancelled)
    answer = caller.send(url, BYTES, 0)
    assert (answer.status_code, code(answer)) == (404, "not-found")


def test_a_whole_with_another_sha256_makes_nothing(caller: Caller, keys: Any) -> None:
    assert caller.begin(sha256="xyz").status_code == 422
    url = caller.address(sha256=hashlib.sha256(BYTES).hexdigest())
    other = BYTES[:-1] + b"!"
    answer = caller.send(url, other, 0)
    assert (answer.status_code, code(answer)) == (422, "digest-mismatch")
    assert "SHA" in caller.client.get(url).json()["problem"].upper()
    assert (Version.objects.count(), keys()) == (0, set())
    assert code(caller.send(url, b"x", len(BYTES))) == "conflict"
    url = caller.address(sha256=hashlib.sha256(BYTES).hexdigest())
    assert caller.send(url, BYTES, 0).status_code == 204


def test_a_large_upload_is_made_a_version_by_a_worker(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Any] = []
    monkeypatch.setattr(uploads, "AT_ONCE_BYTES", 10)
    monkeypatch.setattr(uploads, "WAIT_S", 0)
    monkeypatch.setattr(uploads, "enqueue_on_commit", lambda *task: queued.append(task))
    url = caller.address()
    assert caller.send(url, BYTES, 0).status_code == 204
    row = Upload.objects.get()
    assert queued == [("models_catalog.tasks.finish_upload", row.pk)]
    uploads.resume()
    assert len(queued) == 2
    uploads.finish_by_worker(upload_pk=row.pk)
    assert caller.client.head(url).headers["Location"] == "/api/v1/models/digits/versions/1"
    uploads.resume()
    assert len(queued) == 2


def test_a_session_needs_its_csrf_token(caller: Caller, user_in: Callable[..., User]) -> None:
    url = caller.address()
    client = Client(enforce_csrf_checks=True, headers={"Tus-Resumable": "1.0.0"})
    client.force_login(caller.user)
    assert client.head(url).status_code == 200
    answer = client.patch(url, b"x", content_type=OCTETS, headers={"Upload-Offset": "0"})
    assert (answer.status_code, code(answer)) == (403, "csrf")


def test_one_user_has_so_many_unfinished_uploads(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_UNFINISHED", 2)
    caller.address(), caller.address()
    answer = caller.begin()
    assert (answer.status_code, code(answer)) == (409, "conflict")


def test_of_two_uploads_that_begin_at_once_the_second_counts_the_first(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Upload.full_clean

    def overtaken(row: Upload, **how: Any) -> None:
        monkeypatch.setattr(Upload, "full_clean", real)
        caller.address()
        real(row, **how)

    monkeypatch.setattr(uploads, "MOST_UNFINISHED", 1)
    monkeypatch.setattr(Upload, "full_clean", overtaken)
    assert code(caller.begin()) == "conflict"
    assert Upload.objects.count() == 1


def test_the_list_has_ones_own_uploads_that_are_not_a_version(
    caller: Caller, user_in: Callable[..., User]
) -> None:
    other = Caller(user_in("admin"))
    other.address(model="theirs")
    done = caller.address(model="done")
    caller.send(done, BYTES, 0)
    begun = caller.address(model="begun")
    caller.send(begun, BYTES[:3000], 0)
    Upload.objects.filter(uid=caller.address(model="late").rpartition("/")[2]).update(
        expires_at=clock.now() - timedelta(seconds=1)
    )
    RegisteredModel.objects.create(name="taken")
    refused = caller.address(model="soon", new="true")
    RegisteredModel.objects.create(name="soon")
    caller.send(refused, BYTES, 0)
    found = caller.client.get(URL).json()
    assert found["next"] is None
    assert [(one["model"], one["offset"]) for one in found["items"]] == [
        ("soon", len(BYTES)), ("begun", 3000),
    ]  # fmt: skip
    assert "There is a model soon already" in found["items"][0]["problem"]
    assert found["items"][1]["problem"] is None
    page = caller.client.get(f"{URL}?limit=1").json()
    assert page["items"][0]["model"] == "soon"
    assert page["next"]
