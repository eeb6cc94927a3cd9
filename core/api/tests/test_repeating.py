"""The same request with the same Idempotency-Key runs once: by the real web server."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from mmeportal.tests.web_server import WebServer
from tests.servers import wait_until

_MAKE = """
from django.contrib.auth.models import Permission, User
from accounts import tokens
User.objects.get(username="operator").user_permissions.add(
    Permission.objects.get(codename="view_group", content_type__app_label="auth"))
for name in ("operator", "viewer"):
    user = User.objects.get(username=name)
    print(tokens.make(user=user, name="t", scopes=["read"])[1])
"""


class Things:
    """The server of all tests, and what its operations did in one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = WebServer(folder, REPEATABLE_FOLDER=str(folder))
        self.server.environment["DJANGO_SETTINGS_MODULE"] = "core.api.tests.repeatable_settings"
        made = self.server.manage("shell", "--no-imports", "-c", _MAKE)
        self.tokens = dict(zip(("operator", "viewer"), made.split(), strict=True))
        self.pause = folder / "pause"
        self.paused = folder / "paused"
        self.processes = 0
        self.tests = 0

    def begin(self) -> None:
        """Have all processes there, and nothing of the test before: each has its own keys."""
        self.tests += 1
        for path in (self.folder / "runs", self.pause, self.paused):
            path.unlink(missing_ok=True)
        self.processes = self.processes or len(self.server.processes())
        wait_until(lambda: len(self.server.processes()) >= self.processes)
        wait_until(self.server.is_well)

    def post(
        self, path: str = "things", key: str = "k-1", who: str = "operator", **more: Any
    ) -> requests.Response:
        if not {"json", "data"} & set(more):
            more["json"] = {"name": "a"}
        if isinstance(key, str):
            key = f"{self.tests}-{key}"
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Connection": "close"}
        headers |= {"Idempotency-Key": key} | more.pop("headers", {})
        url = f"{self.server.url}/api/try/{path}"
        return requests.post(url, headers=headers, timeout=60, **more)

    @property
    def runs(self) -> list[str]:
        path = self.folder / "runs"
        return path.read_text().split() if path.exists() else []

    @property
    def made(self) -> set[int]:
        """The ids of the things that there are, also those of tests before."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database:
            rows = database.execute("SELECT id FROM auth_group WHERE name LIKE 'a %'")
            return {pk for (pk,) in rows}

    def kill_the_paused(self) -> None:
        """SIGKILL the process that stands between its commit and its answer."""
        wait_until(lambda: self.paused.exists() and self.paused.read_text())
        os.kill(int(self.paused.read_text()), signal.SIGKILL)
        self.pause.unlink()


@pytest.fixture(scope="module")
def all_things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Things]:
    found = Things(tmp_path_factory.mktemp("things"))
    with found.server.running():
        yield found


@pytest.fixture
def things(all_things: Things) -> Things:
    all_things.begin()
    return all_things


def _same(one: requests.Response, other: requests.Response) -> bool:
    names = ("Content-Type", "Content-Language", "Location")
    return (one.status_code, one.content, *(one.headers.get(name) for name in names)) == (
        other.status_code, other.content, *(other.headers.get(name) for name in names)
    )  # fmt: skip


def _code(answer: requests.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_a_repetition_gets_the_same_answer_byte_for_byte(things: Things) -> None:
    first = things.post()
    assert first.status_code == 201, first.text
    assert first.headers["Location"].startswith("/things/")
    for _ in range(4):  # by either process
        again = things.post()
        assert _same(first, again)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert things.runs == ["made"]

    refused = things.post(key="k-2", json={"name": "a", "odd": 1})
    assert _code(refused) == (422, "invalid")
    assert _same(refused, things.post(key="k-2", json={"name": "a", "odd": 1}))

    # Each of these is another request.
    assert not _same(first, things.post(key="k-3"))
    assert not _same(first, things.post(who="viewer"))
    assert not _same(first, things.post("calls"))
    assert things.runs == ["made", "made", "made", "called"]

    assert _code(things.post(json={"name": "b"})) == (422, "key-reused")
    form = {"Content-Type": "application/x-json"}
    assert _code(things.post(data=b'{"name": "a"}', headers=form)) == (422, "key-reused")
    for bad in ("x" * 256, "a b", "ключ".encode()):
        assert _code(things.post(key=bad)) == (400, "bad-key")  # type: ignore[arg-type]
    assert len(things.runs) == 4


def test_two_at_once_run_once(things: Things) -> None:
    things.pause.touch()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(things.post)
        wait_until(things.paused.exists)
        second = pool.submit(things.post)
        third = pool.submit(things.post)
        assert not second.done()
        things.pause.unlink()
        answers = [one.result() for one in (first, second, third)]
    assert answers[0].status_code == 201
    assert all(_same(answers[0], one) for one in answers)
    assert things.runs == ["made"]


def test_a_second_one_is_told_to_come_again_while_the_first_is_at_work(things: Things) -> None:
    """It waits for three leases: the first one prolongs its own meanwhile."""
    things.pause.touch()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(things.post)
        wait_until(things.paused.exists)
        second = things.post()
        things.pause.unlink()
        assert _code(second) == (409, "repeat-in-progress")
        assert int(second.headers["Retry-After"]) >= 1
        assert _same(first.result(), things.post())
    assert things.runs == ["made"]


def test_many_at_once_leave_threads_for_others(things: Things) -> None:
    """Two processes of four threads: two of each may wait, and others are answered."""
    things.pause.touch()
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(things.post)
        wait_until(things.paused.exists)
        more = [pool.submit(things.post) for _ in range(10)]
        told = [one.result() for one in more]
        things.pause.unlink()
        assert {_code(one) for one in told} == {(409, "repeat-in-progress")}
        assert first.result().status_code == 201
    assert things.runs == ["made"]


def _killed(things: Things, path: str) -> None:
    things.pause.touch()
    with ThreadPoolExecutor(1) as pool:
        first: Future[requests.Response] = pool.submit(things.post, path)
        things.kill_the_paused()
        with pytest.raises(requests.ConnectionError):
            first.result()


def test_a_create_that_was_cut_off_finds_its_row(things: Things) -> None:
    before = things.made
    _killed(things, "things")
    again = things.post()  # waits until the lease is over
    assert again.status_code == 201
    assert things.runs == ["made", "resumed"]
    assert _same(again, things.post())
    assert things.runs == ["made", "resumed"]
    assert things.made - before == {again.json()["id"]}


def test_a_call_that_was_cut_off_runs_again(things: Things) -> None:
    _killed(things, "calls")
    assert things.post("calls").status_code == 201
    assert things.runs == ["called", "called"]


def test_only_one_of_many_takes_over(things: Things) -> None:
    _killed(things, "calls")
    with ThreadPoolExecutor(4) as pool:
        answers = [one.result() for one in [pool.submit(things.post, "calls") for _ in range(4)]]
    done = [one for one in answers if one.status_code == 201]
    assert done
    assert all(_same(done[0], one) for one in done)
    assert {one.status_code for one in answers} <= {201, 409}
    assert things.runs == ["called", "called"]


def test_a_large_body_is_hashed_from_the_disk_and_read_again(things: Things) -> None:
    path = things.folder / "large"
    with path.open("wb") as file:
        subprocess.run(["head", "-c", str(200 << 20), "/dev/urandom"], stdout=file, check=True)
    before = things.server.memory_mb()
    answers = []
    for _ in range(2):
        with path.open("rb") as file:
            answers.append(things.post("files", data=file))
    assert answers[0].status_code == 201, answers[0].text
    assert answers[0].json()["id"] == 200 << 20
    assert _same(*answers)
    assert things.runs == ["read"]
    assert things.server.memory_mb() < before + 40
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with path.open("rb") as file:
        assert _code(things.post("files", data=file)) == (422, "key-reused")
