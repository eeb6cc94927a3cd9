"""Attacks on the port of localaws: web pages, rebound names, other users, endless bodies."""

import contextlib
import datetime as dt
import gzip
import json
import os
import random
import resource
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from waitress.adjustments import Adjustments

from localaws import guard
from localaws.container_environment import NAMES
from localaws.guard import MAX_BYTES, Guard, InvalidHostName, addresses, channel_class, normal_host
from localaws.keys import Key, KeyRing
from localaws.tests import processes
from localaws.tests.conftest import Hosting, Start, tiny_containers
from localaws.tests.servers import KEY, REGION, ROLE, ROOT, SECRET, LocalAwsProcess, wait_for

JSON = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def raw(local: LocalAwsProcess, head: str, body: bytes = b"", seconds: float = 20) -> str:
    """What comes back for bytes as they are, until the server closes or has said all."""
    with socket.create_connection(("127.0.0.1", local.port), timeout=seconds) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        return answer_of(connection)


def answer_of(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536) or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.decode("latin-1").split("\r\n"):
        if line.lower().startswith("content-length:"):
            while len(body) < int(line.partition(":")[2]):
                body += connection.recv(65_536) or b" " * int(line.partition(":")[2])
    return (head + b"\r\n\r\n" + body).decode("latin-1")


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


def sign(
    local: LocalAwsProcess,
    body: bytes = b"",
    *,
    service: str = "sagemaker",
    path: str = "/",
    method: str = "POST",
    key: Credentials | None = None,
    auth: Any = SigV4Auth,
    **headers: str,
) -> AWSRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, f"{local.url}{path}", data=body, headers=named)
    auth(key or Credentials(KEY, SECRET), service, REGION).add_auth(request)
    return request


def send(request: AWSRequest, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer."""
    named = dict(request.headers.items()) | {k.replace("_", "-"): v for k, v in headers.items()}
    named.setdefault("Content-Type", "application/octet-stream")
    wire = urllib.request.Request(request.url, body or None, named, method=request.method)
    try:
        with urllib.request.urlopen(wire, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode("latin-1")


def list_models(local: LocalAwsProcess, **more: str) -> tuple[int, dict[str, str], str]:
    request = sign(local, b"{}", X_Amz_Target="SageMaker.ListModels", Content_Type=JSON)
    return send(request, b"{}", **more)


# --- web pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/moto-api/reset", "/_localaws/faults", "/any/thing"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:4566"])
def test_a_preflight_is_not_answered(local: LocalAwsProcess, path: str, origin: str) -> None:
    answer = raw(
        local,
        f"OPTIONS {path} HTTP/1.1\nHost: 127.0.0.1:{local.port}\nOrigin: {origin}\n"
        "Access-Control-Request-Method: POST\nAccess-Control-Request-Headers: x-amz-target",
    )
    assert status(answer) == 403
    assert "access-control-" not in answer.lower()


def test_options_without_an_origin_are_not_handed_to_moto(local: LocalAwsProcess) -> None:
    answer = raw(local, f"OPTIONS / HTTP/1.1\nHost: 127.0.0.1:{local.port}")
    assert status(answer) == 405
    assert "access-control-" not in answer.lower()


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("Origin", "http://evil.example", False),
        ("Origin", "", False),
        ("Sec-Fetch-Site", "cross-site", False),
        ("Sec-Fetch-Site", "same-site", False),
        ("Sec-Fetch-Site", "same-origin", False),
        ("Sec-Fetch-Site", "none", True),
        ("Referer", "http://evil.example/", True),
    ],
)
def test_even_a_signed_request_of_a_page_is_refused(
    local: LocalAwsProcess, name: str, value: str, taken: bool
) -> None:
    code, _, _ = list_models(local, **{name: value})
    assert code == (200 if taken else 403)


def test_a_simple_request_of_a_page_orders_no_faults_and_resets_nothing(
    hosting: Hosting, name: str
) -> None:
    local = hosting.process
    logs = local.client("logs")
    logs.create_log_group(logGroupName=f"/kept/{name}")
    plan = b'{"faults": [{"action": "error", "operation": "*", "times": 0}]}'
    page = f"Host: 127.0.0.1:{local.port}\nContent-Type: text/plain\nContent-Length: {len(plan)}"
    for extra in ("", "\nOrigin: http://evil.example\nSec-Fetch-Mode: no-cors"):
        for path in ("/_localaws/faults", "/moto-api/reset", "/moto-api/seed?a=1"):
            assert status(raw(local, f"POST {path} HTTP/1.1\n{page}{extra}", plan)) == 403
    assert local.admin("faults")["faults"] == []
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/kept/{name}")["logGroups"]
    assert len(groups) == 1


def test_no_answer_of_motos_lets_a_page_read_it(local: LocalAwsProcess) -> None:
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    request = sign(local, body, service="sts", Content_Type=FORM)
    code, headers, text = send(request, body)
    assert code == 200, text
    assert "GetCallerIdentityResult" in text
    assert not [name for name in headers if name.lower().startswith("access-control-")]


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("127.0.0.1:{port}", True),
        ("localhost:{port}", True),
        ("LocalHost:{port}", True),
        ("evil.example", False),
        ("evil.example:{port}", False),
        ("127.0.0.1.evil.example:{port}", False),
        ("127.0.0.1", False),  # another port
        ("127.0.0.1:1", False),
        ("localhost.:{port}", False),
        ("user@127.0.0.1:{port}", False),
        ("127.0.0.1:{port}@evil.example", False),
        ("127.0.0.1:{port}, evil.example", False),
        ("127.1:{port}", False),
        ("2130706433:{port}", False),
        ("[::1]:{port}", False),  # it is not bound to that
        ("", False),
        ("127.0.0.1:{port}/", False),
        ("127.0.0.1:{port}\xa0", False),
    ],
)
def test_only_names_that_it_was_told_are_answered(
    local: LocalAwsProcess, host: str, taken: bool
) -> None:
    named = host.format(port=local.port)
    answer = raw(local, f"GET /_localaws/health HTTP/1.1\nHost: {named}")
    assert status(answer) == (200 if taken else 403), answer


def test_a_host_that_is_missing_or_given_twice_is_refused(local: LocalAwsProcess) -> None:
    ours = f"Host: 127.0.0.1:{local.port}"
    for head in (
        "GET /_localaws/health HTTP/1.0",
        "GET /_localaws/health HTTP/1.1",
        f"GET /_localaws/health HTTP/1.1\n{ours}\nHost: evil.example",
        f"GET /_localaws/health HTTP/1.1\nHost: evil.example\n{ours}",
        f"GET /_localaws/health HTTP/1.1\n{ours}\n evil.example",
        f"GET http://evil.example/_localaws/health HTTP/1.1\n{ours}",
        f"GET http://127.0.0.1:{local.port}@evil.example/_localaws/health HTTP/1.1\n{ours}",
        f"GET http://127.0.0.1:{local.port}/_localaws/health HTTP/1.1\nHost: evil.example",
    ):
        assert status(raw(local, head)) in (400, 403), head
    ok = f"GET http://127.0.0.1:{local.port}/_localaws/health HTTP/1.1\n{ours}"
    assert status(raw(local, ok)) == 200


def test_other_names_are_answered_where_it_is_told(start: Start) -> None:
    local = start("--answer-to", "localaws, 10.1.2.3:81")
    for host, code in (
        (f"localaws:{local.port}", 200),
        ("10.1.2.3:81", 200),
        ("localaws", 403),
        ("localaws:81", 403),
    ):
        assert status(raw(local, f"GET /_localaws/health HTTP/1.1\nHost: {host}")) == code, host


def test_addresses_in_all_their_forms() -> None:
    assert addresses("0.0.0.0", 4566, ["localaws"]) == {
        "127.0.0.1:4566",
        "localhost:4566",
        "localaws:4566",
    }
    assert "[::1]:81" in addresses("::1", 81, [])
    assert normal_host("[0:0::1]:81") == "[::1]:81"
    assert normal_host("Name") == "name:80"
    for wrong in ("[::g]:1", "::1", "a b", "a:b", "a/", "*", "a:123456"):
        assert normal_host(wrong) is None, wrong
    with pytest.raises(InvalidHostName):
        addresses("127.0.0.1", 1, ["http://a"])


# --- whoever has no key --------------------------------------------------------------------------


def test_an_unsigned_request_gets_awss_error_of_its_protocol(local: LocalAwsProcess) -> None:
    host = f"Host: 127.0.0.1:{local.port}\nContent-Length: 0"
    control = raw(local, f"POST / HTTP/1.1\n{host}\nX-Amz-Target: SageMaker.ListModels")
    assert status(control) == 400
    assert json.loads(control.partition("\r\n\r\n")[2]) == {
        "__type": "MissingAuthenticationTokenException",
        "message": "Missing Authentication Token",
    }
    call = raw(local, f"POST /endpoints/demo/invocations HTTP/1.1\n{host}")
    assert status(call) == 403
    assert "x-amzn-errortype: missingauthenticationtokenexception" in call.lower()
    query = raw(local, f"POST / HTTP/1.1\n{host}\nContent-Type: {FORM}")
    assert status(query) == 403
    assert "<Code>MissingAuthenticationToken</Code>" in query
    cbor = raw(local, f"POST /service/x/operation/y HTTP/1.1\n{host}\nSmithy-Protocol: rpc-v2-cbor")
    assert "MissingAuthenticationTokenException" in cbor


CALLS = {
    "sagemaker": lambda client: client.list_models(),
    "sagemaker-runtime": lambda client: client.invoke_endpoint(EndpointName="any", Body=b"x"),
    "logs": lambda client: client.describe_log_groups(),
    "ecr": lambda client: client.describe_repositories(),
    "cloudwatch": lambda client: client.list_metrics(),
    "sts": lambda client: client.get_caller_identity(),
    "iam": lambda client: client.list_roles(),
}
QUERY = ("sts", "iam")


def client(local: LocalAwsProcess, service: str, *keys: str | None) -> Any:
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    config = Config(retries={"total_max_attempts": 1})
    given = dict(zip(names, keys, strict=False))
    return boto3.client(service, endpoint_url=local.url, region_name=REGION, config=config, **given)


def code_of(service: str, a_client: Any) -> str:
    with pytest.raises(ClientError) as caught:
        CALLS[service](a_client)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("service", CALLS)
def test_every_service_refuses_a_wrong_key_as_aws_does(
    local: LocalAwsProcess, service: str
) -> None:
    query = service in QUERY
    unknown = code_of(service, client(local, service, "AKNOBODY", SECRET))
    assert unknown == ("InvalidClientTokenId" if query else "UnrecognizedClientException")
    forged = code_of(service, client(local, service, KEY, SECRET + "x"))
    assert forged == ("SignatureDoesNotMatch" if query else "InvalidSignatureException")
    token = code_of(service, client(local, service, KEY, SECRET, "no-token"))
    assert token == unknown


@pytest.mark.parametrize("service", CALLS)
def test_every_service_refuses_what_was_signed_ten_minutes_ago(
    local: LocalAwsProcess, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: late)
    expected = "SignatureDoesNotMatch" if service in QUERY else "InvalidSignatureException"
    assert code_of(service, client(local, service, KEY, SECRET)) == expected


def test_sessions_of_its_own_sts_are_taken_until_they_end(hosting: Hosting) -> None:
    local = hosting.process
    sts = local.client("sts")
    given = [
        sts.assume_role(RoleArn=ROLE, RoleSessionName="session"),
        sts.get_session_token(),
        sts.get_session_token(),
        sts.get_federation_token(Name="somebody"),
    ]
    keys = [answer["Credentials"] for answer in given]
    for one in keys:
        session = (one["AccessKeyId"], one["SecretAccessKey"], one["SessionToken"])
        for service in ("sagemaker", "logs", "sts"):
            CALLS[service](client(local, service, *session))
        assert code_of("sagemaker", client(local, "sagemaker", *session[:2])) == (
            "UnrecognizedClientException"
        )
    # moto gives the same ones to everybody: they are written in its source.
    assert len({one["SecretAccessKey"] for one in keys}) == len(keys)
    assert len({one["AccessKeyId"] for one in keys}) == len(keys)
    assert not [one for one in keys if "EXAMPLE" in one["SecretAccessKey"]]
    role = client(
        local,
        "sts",
        *(keys[0][n] for n in ("AccessKeyId", "SecretAccessKey")),
        keys[0]["SessionToken"],
    ).get_caller_identity()
    assert role["Arn"].endswith("assumed-role/mme-execution/session")


def test_a_session_that_is_over_is_called_expired(local: LocalAwsProcess) -> None:
    body = b"Action=GetSessionToken&Version=2011-06-15&DurationSeconds=1"
    code, _, text = send(sign(local, body, service="sts", Content_Type=FORM), body)
    assert code == 200, text
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    session = [text.partition(f"<{name}>")[2].partition("<")[0] for name in names]

    def over() -> bool:
        try:
            CALLS["sagemaker"](client(local, "sagemaker", *session))
        except ClientError as error:
            return error.response["Error"]["Code"] == "ExpiredTokenException"
        return False

    wait_for(over, 10, "the end of the session")
    assert code_of("sts", client(local, "sts", *session)) == "ExpiredToken"


def test_nobody_gets_keys_for_a_token_that_nobody_checks(local: LocalAwsProcess) -> None:
    """Unsigned on AWS, where an identity provider has checked the caller; here nobody has."""
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        local.client("sts").assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="session", WebIdentityToken="any-token"
        )


def test_a_presigned_request_is_taken(local: LocalAwsProcess) -> None:
    path = "/?Action=GetCallerIdentity&Version=2011-06-15"
    request = sign(local, service="sts", path=path, method="GET", auth=SigV4QueryAuth)
    code, _, text = send(request)
    assert (code, "GetCallerIdentityResult" in text) == (200, True), text
    forged = AWSRequest("GET", request.url.replace("GetCallerIdentity", "GetSessionToken"))
    code, _, text = send(forged)
    assert (code, "SignatureDoesNotMatch" in text) == (403, True), text


# --- the admin address ---------------------------------------------------------------------------


def test_only_a_bare_health_answer_is_open(local: LocalAwsProcess) -> None:
    with urllib.request.urlopen(f"{local.url}/_localaws/health", timeout=10) as answer:
        assert json.load(answer) == {"status": "ok"}
    host = f"Host: 127.0.0.1:{local.port}"
    for line in (
        *("GET /_localaws/status", "GET /_localaws/endpoints", "GET /_localaws/endpoints/demo"),
        *("GET /_localaws/faults", "DELETE /_localaws/faults", "POST /_localaws/health"),
        *("GET //_localaws/faults", "GET /%5flocalaws/faults", "GET /moto-api", "GET /moto-api/"),
        *("GET /moto-api/data.json", "GET /latest/meta-data/", "GET /favicon.ico"),
    ):
        answer = raw(local, f"{line} HTTP/1.1\n{host}")
        assert status(answer) == 403, line
        assert "data folder" in answer
        assert ".." not in answer
    guess = raw(local, f"GET /_localaws/status HTTP/1.1\n{host}\nX-Localaws-Token: \xe9x")
    assert status(guess) == 403


def test_the_admin_address_takes_the_token_or_a_signature(local: LocalAwsProcess) -> None:
    assert local.admin("status")["account"] == "123456789012"
    path = "/_localaws/status"
    code, _, text = send(sign(local, service="localaws", path=path, method="GET"))
    assert (code, json.loads(text)["status"]) == (200, "ok")
    for request in (
        sign(local, service="sagemaker", path=path, method="GET"),
        sign(local, service="localaws", path="/_localaws/endpoints", method="GET"),
        sign(local, service="localaws", path=path, method="GET", key=Credentials(KEY, "wrong")),
    ):
        request.url = f"{local.url}{path}"
        assert send(request)[0] == 403
    file = local.data / "admin-token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert local.data.stat().st_mode & 0o777 == 0o700


# --- without signatures --------------------------------------------------------------------------


def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "localaws", "--data", str(tmp_path), "--container-command"]
    done = subprocess.run([*command, "x"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "there is no key to verify requests with" in done.stderr


def test_without_signatures_it_says_so_and_pages_are_refused_all_the_same(
    unsigned: LocalAwsProcess,
) -> None:
    local = unsigned
    assert "SIGNATURES ARE NOT VERIFIED" in local.log.read_text()
    host = f"Host: 127.0.0.1:{local.port}"
    health = raw(local, f"GET /_localaws/health HTTP/1.1\n{host}")
    assert "not verified" in health
    order = f"POST / HTTP/1.1\n{host}\nX-Amz-Target: SageMaker.ListModels\nContent-Length: 2"
    assert status(raw(local, order, b"{}")) == 200
    assert status(raw(local, f"{order}\nOrigin: http://evil.example", b"{}")) == 403
    assert status(raw(local, order.replace(host, "Host: evil.example"), b"{}")) == 403
    assert status(raw(local, f"GET /_localaws/faults HTTP/1.1\n{host}")) == 403
    assert CALLS["sagemaker"](client(local, "sagemaker", "any", "any"))["Models"] == []


# --- bodies and connections ----------------------------------------------------------------------


def claimed(key: str = KEY, service: str = "sagemaker") -> str:
    """An Authorization header whose signature nobody has looked at yet."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return (
        f"X-Amz-Date: {now}\nAuthorization: AWS4-HMAC-SHA256 Credential={key}/{now[:8]}/{REGION}/"
        f"{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    )


TARGETS = {
    "InvokeEndpoint": ("/endpoints/demo/invocations", "", 6_291_456, "sagemaker"),
    "CreateModel": ("/", "X-Amz-Target: SageMaker.CreateModel\n", 2 << 20, "sagemaker"),
    "PutLogEvents": ("/", "X-Amz-Target: Logs_20140328.PutLogEvents\n", 2 << 20, "logs"),
    "PutMetricData": ("/", f"Content-Type: {FORM}\n", 2 << 20, "monitoring"),
    "faults": ("/_localaws/faults", "", 1 << 20, "localaws"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_body_that_is_too_long_is_refused_before_it_is_sent(
    local: LocalAwsProcess, target: str
) -> None:
    path, header, limit, service = TARGETS[target]
    host = f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{local.port}\n{header}"
    known, unknown = claimed(service=service), claimed("AKNOBODY", service)
    too_long = raw(local, f"{host}{known}\nContent-Length: {limit + 1}")
    assert status(too_long) == 413
    assert str(limit) in too_long
    # Whoever has no key may send nothing at all.
    for signed in (unknown, "X-None: 1"):
        refused = raw(local, f"{host}{signed}\nContent-Length: {limit}")
        assert status(refused) in (400, 403), refused
    # Not even after it was told to go on.
    refused = raw(local, f"{host}X-None: 1\nExpect: 100-continue\nContent-Length: 10")
    assert status(refused) in (400, 403)


@pytest.mark.parametrize("target", TARGETS)
def test_a_body_without_a_length_ends_at_the_limit(local: LocalAwsProcess, target: str) -> None:
    path, header, limit, service = TARGETS[target]
    head = (
        f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{local.port}\n{header}{claimed(service=service)}\n"
        "Transfer-Encoding: chunked\n\n"
    )
    with socket.create_connection(("127.0.0.1", local.port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(limit // 0x10000 + 1):
            connection.sendall(chunk)
        assert status(answer_of(connection)) == 413


def test_a_small_body_that_unpacks_to_much_is_refused(local: LocalAwsProcess) -> None:
    cloudwatch = local.client("cloudwatch")
    many = [{"MetricName": f"m{number}", "Value": 1.0} for number in range(500)]
    cloudwatch.put_metric_data(Namespace="packed", MetricData=many)  # botocore compresses that
    assert len(cloudwatch.list_metrics(Namespace="packed")["Metrics"]) == 500
    body = gzip.compress(b"Action=PutMetricData&Namespace=" + b"x" * 100_000_000)
    assert len(body) < 200_000
    request = sign(local, body, service="monitoring", Content_Type=FORM, Content_Encoding="gzip")
    code, _, text = send(request, body)
    assert (code, "RequestEntityTooLarge" in text) == (413, True)


def test_what_follows_a_refused_head_is_not_another_request(local: LocalAwsProcess) -> None:
    host = f"Host: 127.0.0.1:{local.port}"
    inner = f"GET /_localaws/health HTTP/1.1\r\n{host}\r\n\r\n".encode()
    head = f"POST / HTTP/1.1\n{host}\nContent-Length: {len(inner)}"
    with socket.create_connection(("127.0.0.1", local.port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + inner)
        received = b""
        while data := connection.recv(65_536):
            received += data
    assert received.count(b"HTTP/1.1 ") == 1
    assert b'"status": "ok"' not in received


def test_a_client_that_sends_on_still_gets_its_refusal(local: LocalAwsProcess) -> None:
    """With the largest socket buffers there are, 20 MB do not fit into them."""
    runtime = client(local, "sagemaker-runtime", KEY, SECRET)
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName="any", Body=b"x" * 20_000_000)
    assert caught.value.response["Error"]["Code"] == "413"


@contextlib.contextmanager
def many_files(count: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limits[1] >= count, "the hard limit on open files is too low for this test"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], count), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


_SHORT = {"CHANNEL_TIMEOUT": 1}  # seconds, in place of 10


def test_the_timeout_of_silent_connections_is_the_documented_one() -> None:
    manual = (ROOT / "docs" / "localaws.md").read_text()
    assert f"has {guard.CHANNEL_TIMEOUT} s for its headers" in manual


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[LocalAwsProcess]:
    with tiny_containers(tmp_path_factory.mktemp("short"), s3_url, constants=_SHORT) as process:
        yield process


@pytest.mark.timeout(120)
def test_a_thousand_half_sent_requests_do_not_silence_it(impatient: LocalAwsProcess) -> None:
    local = impatient
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{local.port}\r\n"
    body = f"{head}X-Amz-Target: SageMaker.ListModels\r\n"
    body += claimed().replace("\n", "\r\n") + "\r\nContent-Length: 100\r\n\r\n{"
    with many_files(3000), contextlib.ExitStack() as stack:
        held = []
        for number in range(1100):
            connection = socket.create_connection(("127.0.0.1", local.port), timeout=30)
            held.append(stack.enter_context(connection))
            connection.sendall((body if number % 2 else head + "X-a: ").encode())
        assert local.client("sagemaker").list_models()["Models"] == []
        assert (
            status(raw(local, f"GET /_localaws/health HTTP/1.1\nHost: localhost:{local.port}"))
            == 200
        )

        def closed(connection: socket.socket) -> bool:
            with contextlib.suppress(ConnectionError):
                return connection.recv(1) == b""
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(closed, held))


def test_a_client_that_keeps_its_connection_need_not_hurry(impatient: LocalAwsProcess) -> None:
    """boto3 reuses idle connections: those whose last request was signed stay open."""
    local = impatient
    body = b"{}"
    request = sign(local, body, X_Amz_Target="SageMaker.ListModels", Content_Type=JSON)
    head = "POST / HTTP/1.1\n" + "\n".join(f"{k}: {v}" for k, v in request.headers.items())
    head += f"\nHost: 127.0.0.1:{local.port}\nContent-Length: 2"
    wire = head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body
    unknown = f"GET /_localaws/health HTTP/1.1\r\nHost: 127.0.0.1:{local.port}\r\n\r\n".encode()
    with (
        socket.create_connection(("127.0.0.1", local.port), timeout=40) as ours,
        socket.create_connection(("127.0.0.1", local.port), timeout=40) as theirs,
    ):
        ours.sendall(wire)
        assert status(answer_of(ours)) == 200
        theirs.sendall(unknown)
        assert status(answer_of(theirs)) == 200
        assert theirs.recv(1) == b"", "an idle connection of an unknown client is closed"
        ours.sendall(wire)
        assert status(answer_of(ours)) == 200


@pytest.mark.not_quick
def test_no_mangled_head_breaks_the_guard() -> None:
    """Bytes changed at random: each head is an error of waitress's or has a verdict."""
    ring = KeyRing([Key(KEY, SECRET)])
    guard = Guard(addresses("127.0.0.1", 4566, []), ring, "token-of-the-admin")
    parser_class = channel_class(guard).parser_class
    adjustments = Adjustments(max_request_body_size=4 * MAX_BYTES)
    url, headers = "http://127.0.0.1:4566/?a=b", {"X-Amz-Target": "a.b"}
    request = AWSRequest("POST", url, data=b"{}", headers=headers)
    SigV4Auth(Credentials(KEY, SECRET), "sagemaker", REGION).add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    lines = ["POST /?a=b HTTP/1.1", "Host: 127.0.0.1:4566", *lines, "Content-Length: 2", "", "{}"]
    sound = "\r\n".join(lines).encode()
    parser = parser_class(adjustments)
    assert parser.received(sound) == len(sound.partition(b"\r\n\r\n")[0]) + 4
    assert parser.verdict.refusal is None
    assert guard.verify(parser.verdict, b"{}") is None
    chance = random.Random(7)
    refused = 0
    for _ in range(3000):
        mangled = bytearray(sound)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(mangled))
            match chance.randrange(3):
                case 0:
                    mangled[place] = chance.randrange(256)
                case 1:
                    del mangled[place : place + chance.randrange(30)]
                case 2:
                    mangled[place:place] = mangled[chance.randrange(len(mangled)) :][:20]
        parser = parser_class(adjustments)
        parser.received(bytes(mangled))
        verdict = parser.verdict
        if parser.error is not None or verdict is None:
            continue
        if verdict.refusal is not None or guard.verify(verdict, b"{}") is not None:
            refused += 1
            continue
        # Taken is what says the same: a changed User-Agent, another case of a header's name.
        assert verdict.request.method == "POST"
        assert verdict.request.target.endswith("?a=b")
        assert verdict.request.header("x-amz-target") == "a.b"
    assert refused > 1000


# --- the container's process ---------------------------------------------------------------------

EVIL = {
    "PYTHONWARNINGS": "all:0:antigravity.x:0:0",
    "BROWSER": '/bin/sh -c "touch {file}" %s',
}


def test_the_environment_of_a_model_runs_nothing(
    hosting: Hosting, name: str, tmp_path: Path
) -> None:
    """As seen: warnings that import antigravity, which opens a browser, which is a shell."""
    file = tmp_path / "ran"
    evil = {key: value.format(file=file) for key, value in EVIL.items()}
    with pytest.raises(ClientError) as caught:
        hosting.create(name, wait=False, Environment=evil)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "plain process" in error["Message"]
    assert hosting.sagemaker.list_models(NameContains=name)["Models"] == []
    assert not file.exists()


@pytest.mark.parametrize(
    "variable",
    [
        *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT", "LD_PRELOAD", "LD_AUDIT"),
        *("LD_LIBRARY_PATH", "JAVA_HOME", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"),
        *("MXNET_LIBRARY_PATH", "MXNET_HOME", "BROWSER", "PATH", "BASH_ENV", "ENV", "HOME"),
        *("TMPDIR", "GCONV_PATH", "OPENSSL_CONF", "AWS_ACCESS_KEY_ID", "MMS_CONFIG_FILE", "IFS"),
        *("LOG_LOCATION", "CLASSPATH", "GIT_SSH_COMMAND", "sagemaker_program", "SAGEMAKER", "_"),
    ],
)
def test_a_variable_that_is_on_no_list_is_refused(
    hosting: Hosting, name: str, variable: str
) -> None:
    with pytest.raises(ClientError, match="ValidationException") as caught:
        hosting.create(name, wait=False, Environment={variable: "x"})
    assert repr(variable) in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "options",
    [
        "-XX:OnOutOfMemoryError=sh",
        "-Xmx64m -XX:OnError='touch /tmp/x'",
        "-javaagent:/tmp/a.jar",
        "-agentpath:/tmp/a.so",
        "-agentlib:jdwp=transport=dt_socket,server=y",
        "-Xbootclasspath/a:/tmp/a.jar",
        "-cp /tmp",
        "-XX:Flags=/tmp/f",
        "-XX:VMOptionsFile=/tmp/f",
        "-XX:+HeapDumpOnOutOfMemoryError",
        "-XX:HeapDumpPath=/tmp/x",
        "-XX:ErrorFile=/tmp/x",
        "-XX:LogFile=/tmp/x",
        "-Xlog:gc:file=/tmp/x",
        "-Xloggc:/tmp/x",
        "-Djava.library.path=/tmp",
        "@/tmp/arguments",
        "--module-path=/tmp",
        "-jar /tmp/a.jar",
        "-Xmx64m\n-javaagent:/tmp/a.jar",
        "Evil",
        "'",
    ],
)
def test_options_for_the_jvm_that_could_run_or_write_something_are_refused(
    hosting: Hosting, name: str, options: str
) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        hosting.create(name, wait=False, Environment={"SAGEMAKER_MODEL_SERVER_VMARGS": options})


def test_what_the_container_documents_is_taken(hosting: Hosting, name: str, tmp_path: Path) -> None:
    given = dict.fromkeys(NAMES, "1") | {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_MODEL_SERVER_VMARGS": "-Xmx512m -XX:+UseG1GC -XX:MaxRAMPercentage=50.0",
        # localaws itself says where a container is to be.
        "SAGEMAKER_BIND_TO_PORT": "1",
        "MME_HOME": "/tmp/elsewhere",
        "MME_BIND_HOST": "0.0.0.0",
    }
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, Environment=given)
    (one,) = hosting.process.instances(name)
    found = processes.environment(one["pid"])
    assert found["SAGEMAKER_PROGRAM"] == "inference.py"
    assert found["OMP_NUM_THREADS"] == "1"
    for place in ("SAGEMAKER_BIND_TO_PORT", "MME_BIND_HOST"):
        assert found.get(place) != given[place]
    assert found["MME_HOME"] != "/tmp/elsewhere"
    hosting.delete(name)


def test_an_image_is_no_option_of_the_engine(hosting: Hosting, name: str) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        hosting.create(name, wait=False, Image="--volume=/:/host")


def test_the_containers_process_knows_nothing_of_localaws(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PYTHONPATH", "PYTHONWARNINGS", "LD_LIBRARY_PATH", "MXNET_LIBRARY_PATH"):
        monkeypatch.setenv(variable, "/marked")
    monkeypatch.setenv("SOME_SECRET", "marked")
    monkeypatch.setenv("LOCALAWS_ANSWER_TO", "marked.example")
    local = start()
    hosting = Hosting(local, "knows-nothing")
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create("e")
    (one,) = local.instances("e")
    inside = processes.environment(one["pid"])
    declared = " ".join(f"{key}={value}" for key, value in inside.items())
    for secret in ("marked", KEY, SECRET, local.token, "AWS_", "PYTHON"):
        assert secret not in declared, secret


def test_an_endpoint_of_before_runs_nothing_either(start: Start, tmp_path: Path) -> None:
    """What an older localaws has stored is held against the list when it is started."""
    local = start("--startup-timeout", "5")
    hosting = Hosting(local, "of-before")
    hosting.create("old")
    local.stop()
    file = tmp_path / "ran"
    evil = {key: value.format(file=file) for key, value in EVIL.items()}
    with contextlib.closing(sqlite3.connect(local.data / "state.sqlite3")) as db, db:
        ((text,),) = db.execute("SELECT body FROM resource WHERE kind = 'endpoint'").fetchall()
        body = json.loads(text)
        body["variants"][0]["container"]["Environment"] = evil
        db.execute("UPDATE resource SET body = ? WHERE kind = 'endpoint'", (json.dumps(body),))
    local.start()
    wait_for(lambda: "PYTHONWARNINGS" in local.log.read_text(), 30, "the refusal in the log")
    assert not file.exists()
    assert local.instances("old") == []
