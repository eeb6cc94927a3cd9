"""``mme login``, ``whoami``, ``status``, ``token`` against the portal's own web server."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.conftest import Ran, RealPortal
from client.tests.fake_portal import FakePortal, Says, problem
from mme_client import Portal
from mme_client.cli import config

Mme = Callable[..., Ran]


def test_whoami_says_who_and_what_they_may(mme: Mme, real: RealPortal) -> None:
    ran = mme("whoami", url=real.url, token=real.tokens["operator"])
    assert ran.code == 0, ran.err
    assert "operator" in ran.out
    assert "read, upload, invoke, operate" in ran.out
    assert ran.err == "", "the versions fit, and nothing is hinted at"

    ran = mme("whoami", "--json")
    assert json.loads(ran.out)["token"]["name"] == "the tests"
    assert mme("whoami", "--quiet").out == "operator\n"


def test_status_is_what_the_api_answers(mme: Mme, real: RealPortal) -> None:
    ran = mme("status", "--json", url=real.url, token=real.tokens["viewer"])
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["version"] == "0.1.0"
    ran = mme("status")
    assert "ap-northeast-2" in ran.out


def test_today_is_what_the_page_shows(mme: Mme, real: RealPortal) -> None:
    ran = mme("today", "--json", url=real.url, token=real.tokens["viewer"])
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["endpoints"]["all"], found["calls"]["all"]) == (0, 0)
    assert "calls today" in mme("today").out


def test_login_keeps_the_token_for_its_owner_alone(
    mme: Mme, real: RealPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(real.tokens["viewer"] + "\n"))
    ran = mme("login", real.url, "--token", "-")
    assert ran.code == 0, ran.err
    assert ran.out == f"viewer at {real.url}\n"
    assert config.file().stat().st_mode & 0o777 == 0o600

    assert mme("whoami", "--quiet").out == "viewer\n"
    # A kept token goes to its own portal alone.
    monkeypatch.setenv("MME_URL", "http://127.0.0.1:9")
    assert config.load() == config.Login("http://127.0.0.1:9", "")


def test_login_keeps_nothing_that_the_portal_does_not_know(
    mme: Mme, real: RealPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("mme_wrong\n"))
    ran = mme("login", real.url, "--token", "-")
    assert ran.code == 4
    assert "mme_wrong" not in ran.err + ran.out
    assert not config.file().exists()


def test_login_takes_what_is_pasted_and_opens_the_token_page(
    mme: Mme, real: RealPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: real.tokens["viewer"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    ran = mme("login", real.url)
    assert ran.code == 0, ran.err
    assert opened == [f"{real.url}/tokens/"]
    page = real.server.visitor("viewer").get(opened[0], timeout=30)
    assert "mme login" in page.text, "the page says what its token is pasted into"


@pytest.mark.parametrize(
    "arguments", [("login", "http://h", "--token", "mme_abc"), ("login",), ("whoami",)]
)
def test_what_lacks_its_portal_or_shows_its_token_is_wrong_use(
    mme: Mme, arguments: tuple[str, ...]
) -> None:
    ran = mme(*arguments)
    assert ran.code == 2
    assert "mme_abc" not in ran.err


def test_a_kept_token_that_others_may_read_is_not_used(mme: Mme, real: RealPortal) -> None:
    path = config.keep(config.Login(real.url, real.tokens["viewer"]))
    path.chmod(0o644)
    ran = mme("whoami")
    assert ran.code == 1
    assert f"chmod 600 {path}" in ran.err


def test_tokens_are_made_listed_and_revoked(mme: Mme, real: RealPortal) -> None:
    ran = mme(
        "token", "create", "nightly", "--scope", "read", "--days", "3",
        url=real.url, token=real.tokens["operator"],
    )  # fmt: skip
    assert ran.code == 0, ran.err
    secret = ran.out.strip()
    assert secret.startswith("mme_")
    assert secret not in ran.err
    with Portal(real.url, secret) as portal:
        assert portal.me().scopes == ["read"]

    assert "nightly" in mme("token", "list").out
    listed = json.loads(mme("token", "list", "--json").out)["items"]
    assert {one["name"] for one in listed} >= {"nightly", "the tests"}
    ran = mme("token", "revoke", "nightly", "--json")
    assert json.loads(ran.out)["state"] == "revoked"
    assert "nightly" not in mme("token", "list").out
    assert "nightly" in mme("token", "list", "--all").out
    assert mme("token", "revoke", "no-such-token").code == 3


def test_a_scope_that_the_role_does_not_allow_is_refused_by_name(
    mme: Mme, real: RealPortal
) -> None:
    ran = mme("token", "create", "x", "--scope", "admin", url=real.url, token=real.tokens["viewer"])
    assert ran.code in (2, 4)
    assert "admin" in ran.err


def test_both_versions_are_told(mme: Mme, real: RealPortal) -> None:
    ran = mme("--version", url=real.url)
    assert ran.out == f"mme 0.1.0\nportal 0.1.0 at {real.url}\n"
    ran = mme("--version", url="http://127.0.0.1:9")
    assert ran.code == 0
    assert "not reached" in ran.out


@pytest.mark.parametrize(("version", "warned"), [("0.1.7", False), ("0.2.0", True), ("1.0", True)])
def test_versions_that_do_not_fit_are_warned_of(
    mme: Mme, fake: FakePortal, version: str, warned: bool
) -> None:
    fake.version = version
    fake.answers = [Says(document={"name": "somebody"})]
    ran = mme("whoami", url=fake.url, token="mme_x")
    assert ran.code == 0
    assert (version in ran.err) == warned
    assert version not in mme("whoami", "--quiet").err


def test_sentences_of_the_portal_are_in_the_readers_language(
    mme_process: Mme, real: RealPortal
) -> None:
    variables = {"MME_URL": real.url, "MME_TOKEN": "mme_wrong", "LANG": "ko_KR.UTF-8"}
    ran = mme_process("whoami", **variables)
    assert ran.code == 4
    assert "토큰" in ran.err


def test_what_others_wrote_does_not_steer_the_terminal(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"name": "\x1b]0;title\x07[red]me", "role": "viewer"})]
    ran = mme("whoami", url=fake.url, token="mme_x")
    assert "\x1b" not in ran.out
    assert "[red]me" in ran.out


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (problem("not-found", 404), 3),
        (problem("scope-missing", 403), 4),
        (problem("bad-token", 401), 4),
        (problem("conflict", 409), 1),
        (problem("invalid", 422), 2),
        (problem("internal", 500), 1),
        (Says(302, headers={"Location": "https://elsewhere/"}), 7),
        (Says(200, body=b"<html>", headers={"Content-Type": "text/html"}), 7),
        (Says(404, body=b"<html>", headers={"Content-Type": "text/html"}), 7),
    ],
)
def test_each_failure_has_its_exit_code(mme: Mme, fake: FakePortal, says: Says, code: int) -> None:
    fake.answers = [says]
    ran = mme("whoami", url=fake.url, token="mme_x")
    assert ran.code == code, ran.err
    assert ran.out == ""
    if says.document:
        assert says.document["detail"] in ran.err
        assert "the-request" in ran.err
    fake.answers = [says]
    ran = mme("whoami", "--json")
    assert ran.code == code
    assert [json.loads(line) for line in ran.out.splitlines()] == [says.document] * (ran.out != "")
    assert (ran.out != "") == bool(says.document), "a program gets the problem's code"


def test_what_is_wrong_is_said_once(mme: Mme, fake: FakePortal) -> None:
    taken = "There is an endpoint demo already."
    says = problem("conflict", 409)
    says.document |= {"errors": {"name": [taken]}, "detail": f"{taken} Try again."}
    fake.answers = [says]
    ran = mme("deploy", "demo", url=fake.url, token="mme_x")
    assert ran.err.count(taken) == 1
    says = problem("invalid", 422)
    says.document |= {"errors": {"name": ["Too long."]}, "detail": "`errors` has it."}
    fake.answers = [says]
    ran = mme("deploy", "demo")
    assert "name: Too long." in ran.err
    assert "`errors`" not in ran.err


def test_a_portal_that_is_not_there_is_7_and_a_time_limit_6(mme: Mme, fake: FakePortal) -> None:
    ran = mme("whoami", url="http://127.0.0.1:9", token="mme_x")
    assert ran.code == 7
    assert "HTTPConnection" not in ran.err
    assert "Does the portal run, and is its address right?" in ran.err
    fake.answers = [problem("unavailable", 503, Retry_After="20")]
    ran = mme("whoami", "--timeout", "0.2", url=fake.url)
    assert ran.code == 6, ran.err
    assert "This is unavailable." in ran.err


def test_the_folder_of_the_token_is_the_users_own(tmp_path: Path) -> None:
    path = config.keep(config.Login("http://h", "t"))
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_today_says_the_command_of_what_one_may_do(mme: Mme, fake: FakePortal) -> None:
    command = "mme endpoint postpone demo"
    item = {"text": "demo ends.", "more": "", "page": "/endpoints/1/", "command": command}
    need = {"summary": "1 endpoint ends soon", "error": False, "items": [item]}
    fake.answers = [Says(document={"needs": [need], "endpoints": None, "calls": None})]
    assert command in mme("today", url=fake.url, token="t").out
    assert command not in mme("today", "--quiet").out


def test_somebody_without_a_home_has_no_log_in_and_keeps_no_uploads(
    mme: Mme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose user has a number alone."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert config.uploads_file() is None
    ran = mme("whoami")
    assert ran.code == 1
    assert "Set HOME or XDG_CONFIG_HOME" in ran.err


@pytest.mark.parametrize("kept", ["", "{", "[]", "null", '"x"', '{"url": "http://x"}', "\udcff"])
def test_a_kept_login_that_is_damaged_is_said_with_what_to_do(
    mme: Mme, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    config.keep(config.Login("http://127.0.0.1:9", "mme_x"))
    config.file().write_bytes(kept.encode(errors="surrogateescape"))
    ran = mme("whoami")
    assert ran.code == 1
    assert ran.err == (
        f"{config.file()}: It is not as mme login wrote it. Write it anew: mme login URL.\n"
    )
    monkeypatch.setattr("mme_client.cli.words.language", lambda: "ko")
    assert "mme login이 쓴 내용이 아닙니다." in mme("whoami").err


def test_a_kept_login_that_cannot_be_used_is_said_in_korean(
    mme: Mme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mme_client.cli.words.language", lambda: "ko")
    config.keep(config.Login("http://127.0.0.1:9", "mme_x"))
    config.file().chmod(0o644)
    assert "다른 사용자가 읽을 수 있습니다." in mme("whoami").err
    config.file().unlink()
    config.file().mkdir()
    assert mme("whoami").err == f"{config.file()}: 폴더입니다. 파일을 지정하세요.\n"


@pytest.mark.parametrize("url", ["http://[::1", "[::1", "http://a b", "http://127.0.0.1:99999"])
def test_what_is_no_address_is_wrong_use(
    mme: Mme, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("mme_x\n"))
    ran = mme("login", url, "--token", "-")
    assert (ran.code, ran.out) == (2, "")
    assert "is no address of a portal" in ran.err or "mme login URL." in ran.err
    ran = mme("whoami", url=url, token="mme_x")
    assert (ran.code, ran.out) == (2, "")
    assert "is no address of a portal" in ran.err
