"""Requests made of anything, signed rightly: no error of the server's, no lost object."""

import contextlib
import hashlib
import http.client
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localaws.keys import Key, KeyRing
from localaws.s3.object_store import ObjectAttributes, ObjectStore
from localaws.s3.operations import OPERATIONS, Service
from localaws.s3.server import Server
from localaws.tests.servers import KEY, REGION, SECRET
from localaws.tests.test_s3_streams import CRC, TEXT, Signer, signed_chunks

KEPT = b"as it was"
_WORDS = sorted({word for one in OPERATIONS for word in one.needs | one.may})
_WORDS += ["acl", "policy", "versioning", "legal-hold", "retention", "torrent", "restore", "select"]
_WORDS += ["versionId", "attributes", "cors", "lifecycle", "website", "tagging2", "Tagging", ""]
_HEADERS = sorted({header for one in OPERATIONS for header in one.headers})
_HEADERS += ["range", "if-match", "if-none-match", "if-modified-since", "if-range", "content-md5"]
_HEADERS += ["x-amz-acl", "x-amz-mfa", "x-amz-object-lock-mode", "x-amz-meta-a", "x-amz-trailer"]
_HEADERS += ["x-amz-grant-read", "x-amz-new-thing", "content-encoding", "expires"]
_VALUES = ["", "*", "2", "url", "bytes=0-1", "bytes=-0", "0", "-1", "9" * 30, "/", "true"]
_VALUES += ["bucket/kept", "bucket%2Fkept", "/bucket/kept?versionId=1", "a\u00e9", "REPLACE"]
_VALUES += ["sha1", "AES256"]
_BODIES = [b"", b"x", b"<Delete/>", b"<Tagging><TagSet/></Tagging>", b"\x00\xff", b"<a" * 99]
_BODIES += [b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartU"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ObjectStore]]:
    store = ObjectStore(tmp_path_factory.mktemp("requests") / "objects")
    store.create_bucket("bucket")
    listener = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    server = Server(
        store, Service(store, REGION), KeyRing([Key(KEY, SECRET)]), frozenset({host}), listener
    )
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield host, store
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    store.close()


@pytest.mark.not_quick
@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"]),
    path=st.sampled_from(["/", "/bucket", "/bucket/", "/bucket/kept", "/bucket/..//"]),
    query=st.dictionaries(st.sampled_from(_WORDS), st.sampled_from(_VALUES), max_size=3),
    headers=st.dictionaries(st.sampled_from(_HEADERS), st.sampled_from(_VALUES), max_size=3),
    body=st.sampled_from(_BODIES),
)
def test_whatever_is_asked_is_answered_and_leaves_other_objects_alone(
    served: tuple[str, ObjectStore],
    method: str,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
) -> None:
    host, store = served
    _keep(store)
    words = urlencode(query, quote_via=quote)
    target = path + (f"?{words}" if words else "")
    digest = hashlib.sha256(body).hexdigest()
    sent = {name: value.strip() for name, value in headers.items()}
    signed = Signer(host, target, sent | {"x-amz-content-sha256": digest}, method).headers
    connection = http.client.HTTPConnection(host, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in (signed | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
    assert answer.status < 500 or answer.status == 501, text
    assert b"SignatureDoesNotMatch" not in text
    if answer.status >= 300 or method in ("GET", "HEAD", "POST") or query:
        # What was refused, what reads, and what is about a part of the object replaces nothing.
        found, file = store.open("bucket", "kept")
        with file:
            assert (file.read(), found.description.etag) == (KEPT, "kept"), (answer.status, text)


@pytest.mark.not_quick
def test_a_signed_stream_with_bytes_changed_is_never_stored_otherwise(
    served: tuple[str, ObjectStore],
) -> None:
    """150 mutants of one request, head and body: what is stored is what was signed, or nothing."""
    host, store = served
    chance = random.Random(7)
    answers = set()
    for _ in range(150):
        _keep(store)
        signer = signed_chunks(host, "/bucket/kept", trailer=True)
        body = signer.chunk(TEXT[:30]) + signer.chunk(TEXT[30:]) + signer.chunk(b"")
        body += signer.trailer(CRC)
        lines = [f"{k}: {v}" for k, v in (signer.headers | {"Content-Length": len(body)}).items()]
        head = "\r\n".join(["PUT /bucket/kept HTTP/1.1", *lines, "", ""])
        raw = bytearray(head.encode() + body)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(raw))
            length = chance.choice((0, 1, chance.randint(1, 20)))
            raw[at : at + length] = bytes(chance.choices(b"\r\n :;0af\xff\0", k=length % 6))
        with socket.create_connection(tuple(host.split(":")), timeout=20) as connection:
            answer = b""
            with contextlib.suppress(ConnectionError):  # it may let go while we send
                connection.sendall(raw)
                connection.shutdown(socket.SHUT_WR)
                while data := connection.recv(65_536):
                    answer += data
        answers.add(answer[9:12])
        _, file = store.open("bucket", "kept")
        with file:
            stored = file.read()
        assert stored in (KEPT, TEXT), raw
        assert (stored == TEXT) == answer.startswith(b"HTTP/1.1 200"), answer
    assert answers <= {b"", b"200", b"400", b"403", b"411", b"501"}, answers
    assert b"403" in answers


def _keep(store: ObjectStore) -> None:
    if "bucket" not in [name for name, _ in store.buckets()]:
        store.create_bucket("bucket")
    path: Path = store.temporary()
    path.write_bytes(KEPT)
    store.commit("bucket", "kept", path, ObjectAttributes("kept"))
