"""/ping tells the truth, and SIGTERM lets running requests finish."""

import importlib.util
import os
import signal
import subprocess
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from container import serving_state
from container.tests.serving import REPOSITORY, Server, start_server, wait_until
from container.tests.slow import hold

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
    state = serving_state.Health(tmp_path)
    assert state.update(None) is None
    assert (tmp_path / "healthy").exists()
    assert state.update("the host is dead") == "the host is dead"
    assert state.update("the host is dead") is None
    assert not (tmp_path / "healthy").exists()
    assert state.update(None) == ""
    assert (tmp_path / "healthy").exists()


def test_a_full_disk_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = serving_state.Health(tmp_path)
    monkeypatch.setattr(serving_state, "MIN_FREE_BYTES", 1 << 60)  # more than any disk has
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


def test_a_request_whose_worker_is_killed_is_answered(server: Server, unpacked: Unpacked) -> None:
    """As the kernel kills it; test_image.py has the kernel do so."""
    assert server.load("failing", unpacked()).status == 200
    caller, worker = hold(server, "failing")
    os.kill(worker, signal.SIGKILL)
    answer = caller.answer()
    assert answer.status == 507
    assert "was killed by signal 9 while it answered" in answer.json["message"]
    assert server.told("worker_killed", "failing")
    server.unload("failing")


def _with_a_small_disk(folder: Path) -> list[str] | None:
    """A disk of its own at ``folder``, small, seen by the server alone, and gone when it ends."""
    script = 'mount -t tmpfs -o size=16m mme "$0" && exec "$@"'
    users = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    own_mounts = ["unshare", "--mount", *users]
    if subprocess.run([*own_mounts, "true"], capture_output=True, check=False).returncode != 0:
        return None  # this machine lets nobody but root mount anything
    return [*own_mounts, "sh", "-c", script, str(folder)]


def test_ping_is_503_while_its_disk_is_full_and_at_the_end_which_running_requests_outlive(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    disk = tmp_path / "mme"
    disk.mkdir()
    small = _with_a_small_disk(disk)
    with start_server(tmp_path, within=small or ()) as server:
        seen = Path(f"/proc/{server.process.pid}/root{disk}")
        assert server.load("slow", unpacked()).status == 200
        if small:
            with pytest.raises(OSError, match="No space left"):
                (seen / "fill").write_bytes(bytes(64 << 20))
            wait_until(lambda: server.call("GET", "/ping").status == 503, 10, "a 503 of /ping")
            assert "is full" in server.said("unhealthy")["message"]
            assert server.invoke("slow", picture, "image/jpeg").status == 200

            (seen / "fill").unlink()
            wait_until(lambda: server.call("GET", "/ping").status == 200, 10, "health")
        assert server.load("other", unpacked()).status == 200
        assert server.invoke("other", picture, "image/jpeg").status == 200

        caller, worker = hold(server, "slow")  # it takes as long as we like
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: (seen / "tmp/draining").exists(), 5, "the drain")

        assert server.call("GET", "/ping").status == 503
        refused = server.invoke("other", picture, "image/jpeg")
        assert refused.status == 503
        assert "shutting down" in refused.json["message"]
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.5)
        os.kill(worker, signal.SIGCONT)

        assert server.process.wait(timeout=10) == 0
        answer = caller.answer()
    assert answer.status == 200
    assert len(answer.json) == 250
    if not small:
        pytest.skip("this machine lets nobody but root mount anything")


def count(server: Server, wanted: int, event: str) -> bool:
    """Whether the log tells of an event so many times."""
    return len(server.events(event)) == wanted


def test_ping_is_503_where_the_host_keeps_dying(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    with start_server(tmp_path) as server:
        for deaths in (1, 2, 3):
            counts = partial(count, server, deaths)
            wait_until(partial(counts, "model_host_ready"), 60, "the model host")
            assert server.said("model_host_ready")["kernels_prepared"] == (deaths == 1)
            if deaths == 1:
                assert server.load("before", unpacked()).status == 200
            assert server.call("GET", "/ping").status == 200
            os.kill(server.said("model_host_ready")["pid"], signal.SIGKILL)
            wait_until(partial(counts, "model_host_died"), 10, "the note of its death")
        wait_until(lambda: server.call("GET", "/ping").status == 503, 10, "a 503 of /ping")
        assert "has died 3 times" in server.said("unhealthy")["message"]
        assert server.invoke("before", picture, "image/jpeg").status == 200


_KEEPER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from container import entrypoint, launcher, mms_server
"""

_HANGING = f"""{_KEEPER}
def hanging(chosen, *, prepare_kernels):
    print("start, preparing" if prepare_kernels else "start", flush=True)
    return ["sleep", "60"]

mms_server.host_command = hanging
entrypoint.HostKeeper.START_SECONDS = 0.1
folder = Path(sys.argv[1])
keeper = entrypoint.HostKeeper(
    SimpleNamespace(home=folder, host_files=launcher.HostFiles(folder)), {{}}
)
deadline = time.monotonic() + 30
while keeper.problem() is None and time.monotonic() < deadline:
    waiting = keeper.starting.exists()
    keeper.check()
    if waiting and not keeper.starting.exists():
        print("nobody waits any more", flush=True)
    time.sleep(0.01)
print(keeper.problem(), flush=True)
"""


def what_it_says(program: str, python: str, folder: Path) -> list[str]:
    """What a program around the real HostKeeper prints, besides its log."""
    done = subprocess.run(
        [python, "-c", program, str(folder)], cwd=REPOSITORY,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if not line.startswith("{")]


def test_a_host_that_hangs_as_it_starts_is_killed(tmp_path: Path, python: str) -> None:
    assert what_it_says(_HANGING, python, tmp_path) == [
        "start, preparing",
        "nobody waits any more",
        "start",
        "start",
        "the model host has died 3 times in a row; see the log",
    ]


_FULL = f"""{_KEEPER}
from container import memory

def dying(chosen, *, prepare_kernels):
    print("start", flush=True)
    return ["true"]

def used(megabytes):
    memory.rooms = lambda: [memory.Room(1000 << 20, megabytes << 20, "test")]

mms_server.host_command = dying
folder = Path(sys.argv[1])
used(950)
keeper = entrypoint.HostKeeper(
    SimpleNamespace(home=folder, host_files=launcher.HostFiles(folder)), {{}}
)

def look_until(deaths):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and keeper.failures < deaths:
        keeper.check()
        time.sleep(0.01)

def look_on():
    for _ in range(20):
        keeper.again_at = min(keeper.again_at, time.monotonic())
        keeper.check()

look_until(1)
look_on()
print("there is room", flush=True)
used(890)
look_until(2)
used(950)
look_on()
print("time is up", flush=True)
keeper.ROOM_SECONDS = 0
look_until(3)
"""


def test_a_host_that_follows_a_dead_one_waits_for_its_memory(tmp_path: Path, python: str) -> None:
    assert what_it_says(_FULL, python, tmp_path) == [
        "start",
        "there is room",
        "start",
        "time is up",
        "start",
    ]
