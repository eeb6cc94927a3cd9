"""Signatures: AWS's own test vectors, and what must not be taken."""

import calendar
import dataclasses
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localaws.keys import Key, KeyRing, KeysMissing, own_keys
from localaws.signature import Request, SignatureError, SignatureFault, read_claim, verify
from localaws.tests.servers import ROOT

KEY = Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = calendar.timegm((2015, 8, 30, 12, 36, 0))
HOST = "127.0.0.1:4566"


def check(request: Request, body: bytes = b"", key: Key = KEY, **options: Any) -> Key:
    return verify(request, body, read_claim(request), KeyRing([key]), **options)


def fault(request: Request, body: bytes = b"", key: Key = KEY, **options: Any) -> SignatureFault:
    with pytest.raises(SignatureError) as caught:
        check(request, body, key, **options)
    return caught.value.fault


# --- vectors -------------------------------------------------------------------------------------


def test_the_example_of_aws_documentation() -> None:
    """ "Complete Signature Version 4 signing process" in AWS's General Reference."""
    headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, Signature="
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ]
    request = Request("GET", "/?Action=ListUsers&Version=2010-05-08", headers)
    assert check(request, now=MOMENT) is KEY
    assert fault(request, b"another body", now=MOMENT) is SignatureFault.MISMATCH


def test_the_presigned_example_of_s3s_documentation() -> None:
    """ "Authenticating Requests: Using Query Parameters" in the API Reference of S3."""
    target = (
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    key = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    request = Request("GET", target, [("host", "examplebucket.s3.amazonaws.com")])
    signed = calendar.timegm((2013, 5, 24, 0, 0, 0))
    assert check(request, key=key, now=signed + 86_400) is key
    assert fault(request, key=key, now=signed + 86_401) is SignatureFault.MISMATCH
    assert fault(request, key=key, now=signed - 301) is SignatureFault.MISMATCH
    longer = dataclasses.replace(request, target=target.replace("86400", "86401"))
    assert fault(longer, key=key, now=signed) is SignatureFault.MISMATCH


@pytest.fixture(scope="module")
def vectors(pytestconfig: pytest.Config) -> Path:
    """AWS's test suite, out of botocore's source distribution, which the lock file's hash pins.

    It is downloaded once and kept in pytest's cache. Without a package index the test is skipped,
    which NO_SKIPS=1 makes a failure.
    """
    kept = Path(pytestconfig.rootpath) / ".pytest_cache" / f"botocore-{botocore.__version__}"
    archive = kept / f"botocore-{botocore.__version__}.tar.gz"
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    pinned = re.search(
        rf"^botocore=={re.escape(botocore.__version__)} \\\n((?: +--hash.*\n)+)", lock, re.M
    )
    assert pinned is not None, "requirements/dev.txt pins another botocore than is installed"
    hashes = re.findall(r"sha256:([0-9a-f]{64})", pinned[1])
    if not archive.exists():
        kept.mkdir(parents=True, exist_ok=True)
        wanted = kept / f"wanted-{os.getpid()}.txt"
        lines = " ".join(f"--hash=sha256:{one}" for one in hashes)
        wanted.write_text(f"botocore=={botocore.__version__} {lines}\n")
        command = [*(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")]
        command.append("--no-build-isolation")  # else pip installs setuptools for what it reads
        command += ["--no-binary", ":all:", "--dest", str(kept), "-r", str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        wanted.unlink()
        if done.returncode:
            pytest.skip(f"botocore's source distribution could not be had: {done.stderr[-300:]}")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in hashes
    return archive


def test_aws_test_suite(vectors: Path) -> None:
    with tarfile.open(vectors) as tar:
        files = {
            member.name: tar.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in tar
            if "/aws4_testsuite/" in member.name and member.isfile()
        }
    cases = [name.removesuffix(".req") for name in files if name.endswith(".req")]
    assert len(cases) >= 30
    for case in cases:
        request, body, key = _vector(files, case)
        assert check(request, body, key, now=MOMENT) is key, case
        assert fault(request, body + b" ", key, now=MOMENT) is SignatureFault.MISMATCH, case
        assert fault(request, body, key, now=MOMENT + 301) is SignatureFault.MISMATCH, case
        assert fault(request, body, key, now=MOMENT - 301) is SignatureFault.MISMATCH, case
        other = dataclasses.replace(key, secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ")
        assert fault(request, body, other, now=MOMENT) is SignatureFault.MISMATCH, case


def _vector(files: dict[str, str], case: str) -> tuple[Request, bytes, Key]:
    head, _, body = files[f"{case}.req"].partition("\n\n")
    first, *lines = head.split("\n")
    method, _, rest = first.partition(" ")
    headers: list[tuple[str, str]] = []
    for line in filter(None, lines):
        if line.startswith(" "):  # the header's value goes on
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip()}"))
        else:
            name, _, value = line.partition(":")
            headers.append((name.lower(), value))
    headers.append(("authorization", files[f"{case}.authz"].strip()))
    token = next((value for name, value in headers if name == "x-amz-security-token"), None)
    if token is None and "x-amz-security-token" in headers[-1][1]:  # the signer is to add it
        found = re.search("^x-amz-security-token:(.*)$", files[f"{case}.creq"], re.M)
        assert found is not None
        token = found[1]
        headers.append(("x-amz-security-token", token))
    request = Request(method, rest.rpartition(" ")[0], headers)
    return request, body.encode(), dataclasses.replace(KEY, token=token)


# --- requests of botocore's own ------------------------------------------------------------------


def signed(
    body: bytes = b"{}",
    key: Key = KEY,
    service: str = "sagemaker",
    path: str = "/",
    auth: Any = SigV4Auth,
    method: str = "POST",
    **headers: str,
) -> Request:
    url = f"http://{HOST}{path}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method=method, url=url, data=body, headers=named)
    auth(Credentials(key.access_key, key.secret, key.token), service, "us-east-1").add_auth(request)
    pairs = [(name.lower(), value) for name, value in request.headers.items()]
    return Request(method, request.url.removeprefix(f"http://{HOST}"), [*pairs, ("host", HOST)])


def changed(request: Request, name: str, value: str | None, *more: tuple[str, str]) -> Request:
    headers = [pair for pair in request.headers if pair[0] != name]
    given = [] if value is None else [(name, value)]
    return dataclasses.replace(request, headers=[*headers, *given, *more])


def test_what_a_client_signs_is_taken() -> None:
    assert check(signed(), b"{}") is KEY
    assert check(signed(b""), b"") is KEY
    request = signed(b"a=b", path="/a%20b/../c?y=2&x=%2F", X_Amz_Target="SageMaker.ListModels")
    assert check(request, b"a=b") is KEY
    assert check(signed(X_Amzn_SageMaker_Custom_Attributes="caf\u00e9"), b"{}") is KEY


def test_a_header_in_utf_8_is_taken() -> None:
    request = signed(X_Amzn_SageMaker_Custom_Attributes="\u732b")
    wire = "\u732b".encode().decode("latin-1")  # as it comes over the wire
    assert check(changed(request, "x-amzn-sagemaker-custom-attributes", wire), b"{}") is KEY


@pytest.mark.parametrize(
    "change",
    [
        lambda request: dataclasses.replace(request, method="PUT"),
        lambda request: dataclasses.replace(request, target="/other"),
        lambda request: dataclasses.replace(request, target="/?x=y"),
        lambda request: changed(request, "x-amz-target", "SageMaker.DeleteModel"),
        lambda request: changed(request, "host", "evil.example"),
        lambda request: changed(request, "x-amz-more", "not signed"),
        lambda request: changed(request, "x-amz-date", time.strftime("%Y%m%dT000000Z")),
        lambda request: changed(request, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        lambda request: changed(request, "content-type", "text/plain"),
    ],
)
def test_what_was_changed_after_signing_is_not_taken(change: Any) -> None:
    request = signed(X_Amz_Target="SageMaker.ListModels", Content_Type="application/json")
    assert check(request, b"{}") is KEY
    assert fault(change(request), b"{}") is SignatureFault.MISMATCH


def test_the_body_is_held_against_its_hash() -> None:
    assert fault(signed(b"{}"), b"{ }") is SignatureFault.MISMATCH
    given = signed(b"{}", X_Amz_Content_SHA256=hashlib.sha256(b"other").hexdigest())
    assert fault(given, b"{}") is SignatureFault.MISMATCH
    assert check(signed(b"{}", X_Amz_Content_SHA256=hashlib.sha256(b"{}").hexdigest()), b"{}")
    # Only S3 lets a client leave its body unsigned.
    assert (
        fault(signed(b"{}", X_Amz_Content_SHA256="UNSIGNED-PAYLOAD"), b"{}")
        is SignatureFault.MISMATCH
    )
    assert check(signed(b"{}", service="s3", X_Amz_Content_SHA256="UNSIGNED-PAYLOAD"), b"any")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic QUtJREVYQU1QTEU6eA==",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sagemaker/aws4_request",
        "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20150830/sagemaker/aws4_request, "
        "SignedHeaders=host, Signature=00",
    ],
)
def test_half_a_signature_is_not_taken(authorization: str) -> None:
    request = changed(signed(), "authorization", authorization)
    assert fault(request, b"{}") is SignatureFault.INCOMPLETE


def test_no_signature_and_two_of_them_are_not_taken() -> None:
    assert fault(changed(signed(), "authorization", None), b"{}") is SignatureFault.MISSING
    presigned = signed(b"", method="GET", auth=SigV4QueryAuth)
    both = dataclasses.replace(signed(b"", method="GET"), target=presigned.target)
    assert fault(both) is SignatureFault.INCOMPLETE
    again = changed(signed(), "none", None, ("x-amz-date", "20150830T123600Z"))
    assert fault(again, b"{}") is SignatureFault.INCOMPLETE


@pytest.mark.parametrize("value", ["", "0" * 64, "x" * 64, "\u00e9"])
def test_a_forged_signature_is_not_taken(value: str) -> None:
    request = signed()
    header = dict(request.headers)["authorization"]
    forged = header[: header.index("Signature=")] + f"Signature={value}"
    expected = SignatureFault.MISMATCH if value else SignatureFault.INCOMPLETE
    assert fault(changed(request, "authorization", forged), b"{}") is expected


def test_a_key_that_nobody_gave_out_is_not_taken() -> None:
    request = signed(key=Key("AKIDOTHER", KEY.secret))
    assert fault(request, b"{}") is SignatureFault.UNKNOWN_KEY


def test_times_may_be_off_by_five_minutes() -> None:
    request = signed()
    now = time.time()
    assert check(request, b"{}", now=now + 298) is KEY
    assert check(request, b"{}", now=now - 298) is KEY
    assert fault(request, b"{}", now=now + 303) is SignatureFault.MISMATCH
    assert fault(request, b"{}", now=now - 303) is SignatureFault.MISMATCH
    with pytest.raises(
        SignatureError, match=r"^Signature expired: .* is now earlier than .* - 5 min"
    ):
        check(request, b"{}", now=now + 303)
    with pytest.raises(SignatureError, match=r"^Signature not yet current: "):
        check(request, b"{}", now=now - 303)


def test_the_day_of_the_scope_is_that_of_the_date() -> None:
    request = signed()
    header = dict(request.headers)["authorization"]
    yesterday = re.sub(r"/\d{8}/", "/20150830/", header)
    with pytest.raises(SignatureError, match="Date in Credential scope does not match"):
        check(changed(request, "authorization", yesterday), b"{}")


def test_a_signature_for_another_service_is_not_taken() -> None:
    assert check(signed(), b"{}", service="sagemaker") is KEY
    with pytest.raises(SignatureError, match="scoped to correct service: 'localaws'"):
        check(signed(), b"{}", service="localaws")


@pytest.mark.parametrize("auth", [SigV4Auth, SigV4QueryAuth])
def test_a_session_needs_its_token_and_ends(auth: Any) -> None:
    now = time.time()
    session = Key("ASIASESSION", "secret", "token-of-it", now + 100)
    request = signed(b"", key=session, auth=auth, method="GET")
    assert check(request, key=session) is session
    assert fault(request, key=session, now=now + 101) is SignatureFault.EXPIRED
    for other in ("another", None):
        wrong = dataclasses.replace(session, token=other)
        refused = signed(b"", key=wrong, auth=auth, method="GET")
        assert fault(refused, key=session) is SignatureFault.UNKNOWN_KEY
    # A token with a key that is no session's.
    refused = signed(b"", key=dataclasses.replace(KEY, token="any"), auth=auth, method="GET")
    assert fault(refused) is SignatureFault.UNKNOWN_KEY


@pytest.mark.parametrize(("auth", "service"), [(SigV4QueryAuth, "sts"), (S3SigV4QueryAuth, "s3")])
def test_a_presigned_url_is_taken_until_it_expires(auth: Any, service: str) -> None:
    request = signed(b"", service=service, auth=auth, method="GET", path="/?Action=Get&b=%2F")
    now = time.time()
    assert check(request, now=now) is KEY
    assert check(request, now=now + 3_500) is KEY
    assert fault(request, now=now + 3_605) is SignatureFault.MISMATCH
    for old, new in (("Action=Get", "Action=Put"), ("Expires=3600", "Expires=3601")):
        assert old in request.target
        other = dataclasses.replace(request, target=request.target.replace(old, new))
        assert fault(other) is SignatureFault.MISMATCH
    for never in ("0", "604801", "-1", "1e3", "\u0663"):
        target = request.target.replace("Expires=3600", f"Expires={never}")
        assert fault(dataclasses.replace(request, target=target)) is SignatureFault.INCOMPLETE


# --- keys ----------------------------------------------------------------------------------------


def test_keys_come_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the stack\nAKONE secret-one\n\nAKTWO secret-two\n")
    own = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "secret-env"}
    found = own_keys(file, own)
    assert [key.access_key for key in found] == ["AKONE", "AKTWO", "AKENV"]
    assert "secret" not in repr(found)
    assert own_keys(None, {}) == []
    file.write_text("AKONE\n")
    with pytest.raises(KeysMissing, match="line 1 is not ID SECRET"):
        own_keys(file, {})
    with pytest.raises(KeysMissing, match="cannot be read"):
        own_keys(tmp_path / "none", {})


def test_the_oldest_sessions_go_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localaws.keys._MAX_SESSIONS", 2)
    ring = KeyRing([KEY])
    for name in ("A", "B", "C"):
        ring.add_session(Key(name, "s", "t", 1.0))
    assert [name in ring for name in ("A", "B", "C", KEY.access_key)] == [False, True, True, True]
