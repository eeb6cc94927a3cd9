"""What the client's tests share: a fake portal, a real one, and ways to run ``mme``."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.tests.fake_portal import FakePortal, fake_portal
from mme_client import transport
from mmeportal.tests.web_server import WebServer

CLIENT = Path(__file__).parents[1]
_TOKENS = """
from django.contrib.auth.models import User
from accounts import tokens
from core.api.caller import Scope
for name in ("viewer", "operator"):
    user = User.objects.get(username=name)
    scopes = [one for one in Scope if one in tokens.scopes_of(user)]
    print(tokens.make(user=user, name="the tests", scopes=scopes, days=30)[1])
"""


@dataclass
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str


@dataclass
class RealPortal:
    """The portal's own web server with an empty database, and tokens by role."""

    server: WebServer
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(autouse=True)
def _no_login_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("MME_URL", "MME_TOKEN", "MME_CA_BUNDLE", "SSL_CERT_FILE", "LANGUAGE", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once, but where the portal says when (Retry-After)."""
    monkeypatch.setattr(transport, "_FIRST_PAUSE_S", 0.002)


@pytest.fixture
def fake() -> Iterator[FakePortal]:
    """A portal that says what the test wants."""
    with fake_portal() as made:
        yield made


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, s3_address: str) -> Iterator[RealPortal]:
    """The portal's web server, with its own database."""
    server = WebServer(
        tmp_path_factory.mktemp("web"), AWS_ENDPOINT_URL_S3=s3_address, MODEL_BUCKET="client-tests"
    )
    made = server.manage("shell", "--no-imports", "-c", _TOKENS).split()
    with server.running():
        yield RealPortal(server, dict(zip(("viewer", "operator"), made, strict=True)))


@pytest.fixture
def mme(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run ``mme`` in this process: ``mme("whoami", url=…, token=…)``."""
    from mme_client.cli.main import run

    def ran(*arguments: str, url: str = "", token: str = "") -> Ran:
        for name, value in (("MME_URL", url), ("MME_TOKEN", token)):
            if value:
                monkeypatch.setenv(name, value)
        code = run(arguments)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return ran


@pytest.fixture
def mme_process() -> Callable[..., Ran]:
    """Run ``mme`` in a process of its own: ``mme_process("--help", LANG="ko_KR.UTF-8")``."""

    def ran(*arguments: str, **variables: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-c", "from mme_client.cli.main import main; main()", *arguments],
            env=os.environ | {"PYTHONPATH": str(CLIENT / "src")} | variables,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    return ran
