"""One POST: TLS for the host's own name, time limits, bounded answers, no redirects."""

import os
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from notices import addresses, sending
from notices.tests.receiver import Receiver, receiving


def _post(url: str) -> sending.Answer:
    return sending.post(addresses.parse(url), {}, b"{}")


@pytest.fixture
def tls(tmp_path: Path, settings: Any, _loopback: None) -> ssl.SSLContext:
    """A certificate of localhost that the setting WEBHOOK_CA_BUNDLE trusts."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    settings.WEBHOOK_CA_BUNDLE = str(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_tls_is_verified_for_the_name_and_not_for_the_address(tls: ssl.SSLContext) -> None:
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)  # type: ignore[assignment]
    with receiving(tls=tls) as receiver:
        named = receiver.url.replace("127.0.0.1", "localhost")
        assert _post(named).problem is None
        assert names == ["localhost"]
        assert receiver.got[0].headers["Host"].startswith("localhost:")
        # The same machine, for which the certificate is not.
        assert "certificate" in str(_post(receiver.url).problem)
        assert len(receiver.got) == 1


def test_a_certificate_of_nobody_is_refused(tls: ssl.SSLContext, settings: Any) -> None:
    settings.WEBHOOK_CA_BUNDLE = None
    with receiving(tls=tls) as receiver:
        answer = _post(receiver.url.replace("127.0.0.1", "localhost"))
        assert "certificate" in str(answer.problem)
        assert receiver.got == []


def test_a_redirect_is_a_failure(receiver: Receiver) -> None:
    receiver.says(302, Location="http://169.254.169.254/latest/meta-data/")
    answer = _post(receiver.url)
    assert (answer.status, len(receiver.got)) == (302, 1)
    assert "redirect" in str(answer.problem)


def test_only_the_beginning_of_an_answer_is_read(receiver: Receiver) -> None:
    receiver.says(200, b"\x00\xff" + b"a" * 5_000_000)
    answer = _post(receiver.url)
    assert answer.problem is None
    assert answer.text == "\ufffd\ufffd" + "a" * 1022


def test_a_receiver_that_drips_is_given_up_in_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TOTAL_S", 0.5)
    receiver.drip_s = 0.05
    began = time.monotonic()
    answer = _post(receiver.url)
    assert answer.problem is not None
    assert time.monotonic() - began < 3


@pytest.mark.usefixtures("_loopback")
def test_nobody_listens() -> None:
    answer = _post("http://127.0.0.1:1025/")
    assert answer.status is None
    assert "refused" in str(answer.problem)


def test_no_proxy_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert _post(receiver.url).problem is None
