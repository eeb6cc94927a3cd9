"""/ping tells the truth, and SIGTERM lets running requests finish."""

import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import health
import pytest
from serving import REPOSITORY, Answer, Server, start_server, wait_until

pytestmark = pytest.mark.xdist_group("container-host")

Unpacked = Callable[..., Path]


def test_ping_is_503_while_the_entrypoint_sees_trouble(server: Server) -> None:
    """The entrypoint is held still, so that the test can play its part."""
    assert server.call("GET", "/ping").json == {"status": "Healthy"}
    mark = server.home / "mme" / "tmp" / "healthy"
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        mark.unlink()
        answer = server.call("GET", "/ping")
        assert answer.status == 503
        assert answer.json == {"status": "Unhealthy"}
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    wait_until(lambda: server.call("GET", "/ping").status == 200, what="health")


def test_trouble_is_told_once_and_its_end_too(tmp_path: Path) -> None:
    state = health.Health(tmp_path)
    assert state.update(None) is None
    assert (tmp_path / "healthy").exists()
    assert state.update("the host is dead") == "the host is dead"
    assert state.update("the host is dead") is None
    assert not (tmp_path / "healthy").exists()
    assert state.update(None) == ""
    assert (tmp_path / "healthy").exists()


def test_a_full_disk_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = health.Health(tmp_path)
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 1 << 60)  # more than any disk has
    trouble = state.update(None)
    assert trouble is not None
    assert "is full" in trouble


def test_the_plug_in_is_built_from_its_sources() -> None:
    folder = REPOSITORY / "container" / "plugin"
    spec = importlib.util.spec_from_file_location("build", folder / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    with zipfile.ZipFile(build.JAR) as jar:
        assert jar.read(build.DIGEST).decode() == build.digest(), f"run {folder / 'build.py'}"
        assert {"mme/Ping.class", "mme/LoadFailed.class"} <= set(jar.namelist())


def busy(server: Server) -> bool:
    with (server.home / "mme" / "tmp" / "busy").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def forked(server: Server) -> list[int]:
    """The processes that the model host has forked."""
    wait_until(lambda: bool(server.events("model_host_ready")), 60, "the model host")
    host = str(server.events("model_host_ready")[-1]["pid"])
    stats = {pid: (Path("/proc") / str(pid) / "stat").read_text() for pid in server.processes()}
    return [pid for pid, stat in stats.items() if stat.rpartition(")")[2].split()[1] == host]


def slow_request() -> bytes:
    """A request that keeps a worker busy for a good part of a second, with reading its JSON."""
    return json.dumps({"instances": [[[[0.123456789] * 8] * 8] * 3] * 250}).encode()


def test_a_request_whose_worker_is_killed_is_answered(server: Server, unpacked: Unpacked) -> None:
    assert server.load("doomed", unpacked()).status == 200
    (worker,) = forked(server)
    answers: list[Answer] = []
    caller = threading.Thread(
        target=lambda: answers.append(server.invoke("doomed", slow_request(), "application/json"))
    )
    caller.start()
    wait_until(lambda: busy(server), 10, "a busy worker")
    os.kill(worker, signal.SIGKILL)
    caller.join(timeout=20)
    assert [answer.status for answer in answers] == [500]
    assert answers[0].json["message"] == "Worker died."
    assert server.events("worker_killed")[-1]["model"] == "doomed"
    server.unload("doomed")


def test_a_running_request_is_answered_before_the_end(tmp_path: Path, unpacked: Unpacked) -> None:
    body = slow_request()
    answers: list[Answer] = []
    with start_server(tmp_path) as server:
        assert server.load("slow", unpacked()).status == 200
        (worker,) = forked(server)
        caller = threading.Thread(
            target=lambda: answers.append(server.invoke("slow", body, "application/json"))
        )
        caller.start()
        wait_until(lambda: busy(server), 10, "a busy worker")
        os.kill(worker, signal.SIGSTOP)  # the answer takes as long as we like
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: (tmp_path / "mme/tmp/draining").exists(), 5, "the drain")
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.5)
        os.kill(worker, signal.SIGCONT)

        assert server.process.wait(timeout=10) == 0
        caller.join(timeout=5)
    assert [answer.status for answer in answers] == [200]
    assert len(answers[0].json) == 250
