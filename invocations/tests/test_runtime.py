"""InvokeEndpoint: what goes over the wire, and each error as one of the portal."""

import json
import re
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from core import aws, errors, request_id
from invocations import runtime, services

CALL = {
    "endpoint_name": "demo",
    "target_model": "digits_v1.tar.gz",
    "body": b"picture",
    "content_type": "image/png",
}


class SageMaker(BaseHTTPRequestHandler):
    """Answers as it is told to, and keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    sent: ClassVar[list[tuple[str, Any, bytes]]] = []
    status = 200
    body = b'{"predictions": []}'
    answered: ClassVar[dict[str, str]] = {}
    connections: ClassVar[set[Any]] = set()
    ahead = timedelta(0)
    breaks_off = False
    last: ClassVar[Any] = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sent.append((self.path, self.headers, body))
        self.connections.add(self.client_address)
        type(self).last = self.connection
        now = datetime.now(UTC) + self.ahead
        signed = datetime.fromisoformat(self.headers["X-Amz-Date"])
        skewed = abs(now - signed) > timedelta(minutes=5)
        said = b'{"message": "Signature expired"}' if skewed else self.body
        self.send_response_only(403 if skewed else self.status)
        for name, value in ({} if skewed else self.answered).items():
            self.send_header(name, value)
        self.send_header("Date", format_datetime(now, usegmt=True))
        if not self.breaks_off:
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
        if self.breaks_off:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stub(monkeypatch):
    """SageMaker's runtime as a server of this process; its attributes say what it answers."""
    monkeypatch.setattr(aws, "_ahead_s", 0.0)
    kind = type("Told", (SageMaker,), {"sent": [], "connections": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        server.block_on_close = False  # a connection that is kept alive would hold it
        kind.server, kind.url = server, f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", kind.url)
        aws.sagemaker_runtime.cache_clear()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield kind
        aws.sagemaker_runtime().close()
        aws.sagemaker_runtime.cache_clear()
        server.shutdown()
        thread.join()


def fail(stub, code, status, text, **fields):
    stub.status = status
    stub.answered = {"x-amzn-ErrorType": code, "x-amzn-RequestId": "r-failed"}
    stub.body = json.dumps({"message": text, "Message": text} | fields).encode()


def test_the_answer_comes_with_what_sagemaker_adds(stub):
    stub.answered = {
        "Content-Type": "application/json",
        "x-Amzn-Invoked-Production-Variant": "AllTraffic",
        "X-Amzn-SageMaker-Custom-Attributes": "cold=1;load_ms=12.3",
        "x-amzn-RequestId": "r-1",
    }
    answer = runtime.invoke(**CALL)
    assert answer == runtime.Answer(
        stub.body, "application/json", "cold=1;load_ms=12.3", "r-1", "AllTraffic"
    )
    path, headers, body = stub.sent[0]
    assert (path, body) == ("/endpoints/demo/invocations", b"picture")
    assert headers["X-Amzn-SageMaker-Target-Model"] == "digits_v1.tar.gz"
    assert (headers["Content-Type"], headers["Accept"]) == ("image/png", "application/json")


def test_it_is_signed_and_named_as_the_client_does(stub):
    with request_id.bound("f00d"):
        runtime.invoke(**CALL)
        aws.sagemaker_runtime().invoke_endpoint(
            EndpointName="demo",
            TargetModel="digits_v1.tar.gz",
            Body=b"picture",
            ContentType="image/png",
            Accept="application/json",
        )
    (path, ours, _body), (their_path, theirs, _same) = stub.sent
    assert path == their_path
    for headers in (ours, theirs):
        assert "/sagemaker/aws4_request, SignedHeaders=" in headers["Authorization"]
        assert headers["User-Agent"].endswith(" request-id/f00d")
    signed = ours["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"content-type", "host", "x-amz-date", "x-amzn-sagemaker-target-model"} <= set(signed)


def test_calls_share_a_connection(stub):
    for _turn in range(3):
        runtime.invoke(**CALL)
    assert len(stub.connections) == 1


def test_a_call_that_was_refused_for_the_clock_is_signed_again(stub):
    stub.ahead = timedelta(minutes=20)
    assert runtime.invoke(**CALL).body == stub.body
    assert len(stub.sent) == 2


def test_a_server_that_is_not_there_is_an_error_of_the_portal(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{port}")
    aws.sagemaker_runtime.cache_clear()
    with pytest.raises(errors.Throttled, match="did not answer"):
        runtime.invoke(**CALL)
    aws.sagemaker_runtime.cache_clear()


def test_a_server_that_ends_its_connections_gets_another_one(stub):
    stub.protocol_version = "HTTP/1.0"
    for _turn in range(2):
        assert runtime.invoke(**CALL).body == stub.body
    assert len(stub.connections) == 2


def test_a_connection_that_ended_while_it_was_kept_is_not_used(stub):
    runtime.invoke(**CALL)
    stub.last.shutdown(socket.SHUT_RDWR)
    runtime.invoke(**CALL)
    assert len(stub.connections) == 2


def test_an_answer_that_breaks_off_is_an_error_of_the_portal(stub):
    stub.answered = {"Transfer-Encoding": "chunked"}
    stub.body = b"ffff\r\nbroken off"
    stub.breaks_off = True
    with pytest.raises(errors.Throttled, match="Connection was closed"):
        runtime.invoke(**CALL)
    stub.breaks_off, stub.answered = False, {}
    assert runtime.invoke(**CALL).body == stub.body


def test_a_header_that_would_begin_another_is_not_sent(stub):
    with pytest.raises(errors.Throttled, match="line end"):
        runtime.invoke(**CALL | {"custom_attributes": "a\r\nX-Amz-Target: b"})
    assert stub.sent == []


@pytest.mark.not_quick
def test_without_credentials_nothing_is_sent(stub, monkeypatch):
    monkeypatch.setattr(aws.sagemaker_runtime()._request_signer, "_credentials", None)
    with pytest.raises(errors.Denied, match="credentials"):
        runtime.invoke(**CALL)
    assert stub.sent == []


def test_a_proxy_gets_the_whole_address(stub, monkeypatch):
    proxy = stub.url
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://sagemaker.test:81/prefix")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    aws.sagemaker_runtime.cache_clear()
    assert runtime.invoke(**CALL).body == stub.body
    path, headers, body = stub.sent[0]
    assert path == "http://sagemaker.test:81/prefix/endpoints/demo/invocations"
    assert (headers["Host"], body) == ("sagemaker.test:81", b"picture")
    assert headers["Authorization"]


@pytest.fixture
def certificate(tmp_path):
    """A certificate of 127.0.0.1 that no system trusts, and its key beside it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return tmp_path / "cert.pem"


def test_a_certificate_is_verified(stub, certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    stub.server.socket = context.wrap_socket(stub.server.socket, server_side=True)
    secure = stub.url.replace("http:", "https:")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", secure)
    aws.sagemaker_runtime.cache_clear()
    with pytest.raises(errors.Throttled, match="SSL validation failed"):
        runtime.invoke(**CALL)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    aws.sagemaker_runtime.cache_clear()
    for _turn in range(2):
        assert runtime.invoke(**CALL).body == stub.body
    assert (len(stub.sent), len(stub.connections)) == (2, 1)


@pytest.mark.parametrize(
    ("code", "status", "text", "expected", "says"),
    [
        ("ModelNotReadyException", 429, "Model is not ready", errors.NotReady, "still loading"),
        (
            "ValidationError",
            400,
            "Failed to download model data (bucket: b, key: models/digits_v1.tar.gz)",
            errors.NotFound,
            "could not fetch the archive digits_v1.tar.gz",
        ),
        (
            "ValidationError",
            400,
            "Endpoint demo of account 123456789012 not found.",
            errors.NotFound,
            "has no endpoint demo",
        ),
        ("ValidationError", 400, "something else", errors.Invalid, "something else"),
        ("ServiceUnavailable", 503, "try later", errors.Throttled, "just now"),
        ("InternalDependencyException", 530, "try later", errors.Throttled, "just now"),
        ("ThrottlingException", 400, "Rate exceeded", errors.Throttled, "Rate exceeded"),
        ("AccessDeniedException", 403, "not authorized", errors.Denied, "not authorized"),
    ],
)
def test_errors_are_sentences_of_the_portal(stub, code, status, text, expected, says):
    fail(stub, code, status, text)
    with pytest.raises(errors.AwsError) as caught:
        runtime.invoke(**CALL)
    assert type(caught.value) is expected
    assert says in str(caught.value)


def test_a_model_error_carries_the_containers_status_and_words(stub):
    fail(
        stub,
        "ModelError",
        424,
        "Received client error (400) from model",
        OriginalStatusCode=400,
        OriginalMessage="not a picture",
    )
    with pytest.raises(errors.ModelFailed) as caught:
        runtime.invoke(**CALL)
    assert (caught.value.status, str(caught.value)) == (400, "not a picture")


def test_more_than_sagemaker_takes_is_not_sent(stub):
    with pytest.raises(errors.Invalid, match="6,291,456"):
        runtime.invoke(**CALL | {"body": bytes(runtime.MAX_PAYLOAD_BYTES + 1)})


def test_sagemakers_id_of_a_request_that_failed_is_known(stub):
    fail(stub, "ModelError", 424, "Prediction failed")
    with pytest.raises(errors.ModelFailed) as raised:
        runtime.invoke(**CALL)
    assert services._request_id(raised.value) == "r-failed"
    assert services._request_id(errors.Throttled("AWS did not answer.")) == ""


def test_each_call_has_a_line_with_its_target_its_endpoint_and_what_came_of_it(stub, caplog):
    caplog.set_level("DEBUG", logger="invocations.runtime")
    stub.answered = {"x-amzn-RequestId": "r-1"}
    runtime.invoke(**CALL)
    fail(stub, "ModelError", 424, "It failed.", OriginalStatusCode=500, OriginalMessage="no memory")
    with pytest.raises(errors.ModelFailed):
        runtime.invoke(**CALL)
    said = [
        (line.levelname, re.sub(r"\d+ ms", "9 ms", line.getMessage()))
        for line in caplog.records
        if line.name == "invocations.runtime"
    ]
    begins = "Call of digits_v1.tar.gz on demo, 9 ms: "
    assert said == [
        ("DEBUG", begins + "answered, AWS's request id r-1"),
        ("INFO", begins + "ModelFailed: no memory"),
    ]
