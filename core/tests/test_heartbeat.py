"""Heartbeats of a real worker and a real beat in a real Redis, and what tells that one is dead."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from core import heartbeat
from tests.servers import free_port, redis_server, running, wait_until

ROOT = Path(settings.BASE_DIR)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    with redis_server(port, tmp_path):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    monkeypatch.setattr(settings, "REDIS_URL", url)
    with heartbeat.connect() as connected:
        yield connected


@pytest.fixture
def environment(url: str) -> dict[str, str]:
    return os.environ | {
        "SECRET_KEY": settings.SECRET_KEY,
        "REDIS_URL": url,
        # Neither needs a database to report: there is none.
        "DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def _program(name: str) -> list[str]:
    lines = (line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines())
    commands = {key: command for key, _, command in lines}
    return ["sh", "-c", f"exec {commands[name]}"]


def _check(kind: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "core.heartbeat", "check", kind]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("kind", ["worker", "beat"])
def test_the_programs_of_the_procfile_report_and_their_check_says_so(
    kind: str, client: "redis.Redis", environment: dict[str, str], tmp_path: Path
) -> None:
    before = _check(kind, environment)
    assert before.returncode == 1
    assert f"The {kind} of this host has not reported" in before.stderr
    log = (tmp_path / "log").open("wb")
    with log, running(_program(kind), cwd=ROOT, env=environment, stdout=log, stderr=log):
        wait_until(lambda: heartbeat.read(client, kind), (tmp_path / "log").read_text)
        found = heartbeat.read_all(client, kind)
        assert [beat.host for beat in found] == [socket.gethostname()]
        assert abs(found[0].ahead_s) < 1
        assert not found[0].late
        after = _check(kind, environment)
        assert (after.returncode, after.stderr) == (0, "")


def test_a_worker_whose_loop_hangs_falls_silent(
    client: "redis.Redis", environment: dict[str, str], tmp_path: Path
) -> None:
    name = heartbeat.key("worker")
    log = (tmp_path / "log").open("wb")
    with (
        log,
        running(_program("worker"), cwd=ROOT, env=environment, stdout=log, stderr=log) as worker,
    ):
        wait_until(lambda: heartbeat.read(client, "worker"), "the first heartbeat")
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            # As if half a minute had passed: nobody but the worker sets the expiry again.
            client.pexpire(name, int((heartbeat.KEPT_S - heartbeat.LATE_S) * 1000))
            answer = wait_until(
                lambda: (found := _check("worker", environment)).returncode and found, "a refusal"
            )
            told = re.search(r"reported (\d+) s ago", answer.stderr)
            assert told, answer.stderr
            assert heartbeat.LATE_S <= int(told[1]) <= heartbeat.KEPT_S
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        wait_until(lambda: client.pttl(name) > 50_000, "the worker to report again")


def test_the_age_is_by_redis_and_the_clocks_difference_is_told(client: "redis.Redis") -> None:
    behind = '{"at": %f, "pid": 1, "started": 0}' % (time.time() - 100)
    client.set(heartbeat.key("worker", "other"), behind, px=55_000)
    (found,) = heartbeat.read_all(client, "worker")
    assert found.host == "other"
    assert 4.5 < found.age_s < 15
    assert -100 < found.ahead_s < -85


def test_what_is_no_heartbeat_is_none(client: "redis.Redis") -> None:
    for value in ("", "[]", "{}", '{"at": "x"}', "\x00"):
        client.set(heartbeat.key("beat", "h"), value, px=50_000)
        assert heartbeat.read_all(client, "beat") == []
    client.set(heartbeat.key("beat", "h"), '{"at": 1}')  # nobody's: it would never run out
    assert heartbeat.read_all(client, "beat") == []


def test_a_redis_that_is_away_is_told(environment: dict[str, str]) -> None:
    away = environment | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    answer = _check("beat", away)
    assert answer.returncode == 1
    assert "Redis does not answer" in answer.stderr
    assert _check("elephant", away).returncode == 2


def test_the_command_is_the_one_of_the_procfile() -> None:
    words = shlex.split(_program("beat")[2])
    assert words[words.index("--scheduler") + 1] == "core.celery_heartbeat:Scheduler"
