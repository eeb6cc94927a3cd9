"""How the server starts and ends, as one process among others on a machine."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from container.tests.serving import (
    ENTRYPOINT,
    alive,
    container_python,
    descendants,
    free_port,
    start_server,
    wait_until,
)

pytestmark = pytest.mark.xdist_group("container-process")

Unpacked = Callable[..., Path]


def test_sigterm_ends_everything_within_ten_seconds(tmp_path: Path, unpacked: Unpacked) -> None:
    with start_server(tmp_path) as server:
        assert server.load("one", unpacked()).status == 200
        assert server.load("two", unpacked()).status == 200
        pids = server.processes()
        assert len(pids) >= 4

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(timeout=10) == 0
        assert [pid for pid in pids if alive(pid)] == []
        assert list((server.home / "mme" / "tmp").iterdir()) == []


def test_it_ends_with_an_error_when_the_model_server_dies(
    tmp_path: Path, unpacked: Unpacked
) -> None:
    with start_server(tmp_path) as server:
        assert server.load("one", unpacked()).status == 200
        pids = server.processes()
        (java,) = [pid for pid in pids if "java" in os.readlink(f"/proc/{pid}/exe")]

        os.kill(java, signal.SIGKILL)

        assert server.process.wait(timeout=10) == 1
        assert [pid for pid in pids if alive(pid)] == []
        assert server.events("server_died")


def test_killing_the_entrypoint_leaves_nothing(tmp_path: Path, unpacked: Unpacked) -> None:
    with start_server(tmp_path) as server:
        assert server.load("one", unpacked()).status == 200
        pids = server.processes()

        server.process.kill()
        server.process.wait(timeout=5)

        wait_until(lambda: not any(alive(pid) for pid in pids), 10, "the end of all processes")


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed outright, as localaws may be."""
    with start_server(tmp_path) as reference:
        environment = reference.environment | {
            "MME_BIND_SOCKET": f"{reference.address}.other",
            "MME_HOME": str(tmp_path / "other"),
        }
        script = (
            "import subprocess, sys, time\n"
            f"p = subprocess.Popen([{container_python()!r}, {str(ENTRYPOINT)!r}, 'serve'])\n"
            "print(p.pid, flush=True)\n"
            "time.sleep(300)\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE
        )
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            wait_until(lambda: len(descendants(child)) >= 2, 20, "the child's model server")
            pids = descendants(child)
        finally:
            parent.kill()
            parent.wait(timeout=5)
            if parent.stdout is not None:
                parent.stdout.close()
        wait_until(lambda: not any(alive(pid) for pid in pids), 12, "the end of all processes")
        assert reference.call("GET", "/ping").status == 200, "a server beside it goes on"


def test_it_starts_again_after_it_was_killed(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    """Same home, same leftovers in it."""
    with start_server(tmp_path) as server:
        server.load("one", unpacked())
        server.process.kill()
        server.process.wait(timeout=5)
    with start_server(tmp_path) as server:
        assert server.models() == []
        assert server.load("one", unpacked()).status == 200
        assert server.invoke("one", picture, "image/jpeg").status == 200


@pytest.mark.parametrize("end", ["stop", "death"])
def test_a_home_with_a_long_path_works_and_leaves_nothing_elsewhere(
    tmp_path: Path, unpacked: Unpacked, picture: bytes, end: str
) -> None:
    home = tmp_path / ("deep" * 20) / ("deeper" * 20)
    with TemporaryDirectory() as elsewhere:
        with start_server(tmp_path, MME_HOME=str(home), TMPDIR=elsewhere) as server:
            assert server.load("one", unpacked()).status == 200
            assert server.invoke("one", picture, "image/jpeg").status == 200
            assert os.listdir(elsewhere)
            if end == "death":
                (started,) = server.events("server_started")
                os.kill(started["pid"], signal.SIGKILL)
                assert server.process.wait(timeout=15) == 1
        assert os.listdir(elsewhere) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "eighty"),
        ("MME_MEMORY_LIMIT_MB", "plenty"),
        ("OMP_NUM_THREADS", "0"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(tmp_path: Path, name: str, value: str) -> None:
    done = subprocess.run(
        [container_python(), str(ENTRYPOINT), "serve"],
        env={"PATH": os.environ["PATH"], name: value, "MME_HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{name} must be a whole number" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MME_BIND_SOCKET", "mms.sock", "must be an absolute path without '..'"),
        ("MME_BIND_SOCKET", "/tmp/../mms.sock", "must be an absolute path without '..'"),
        ("MME_BIND_SOCKET", "/tmp/a\nmanagement_address=http://0.0.0.0:1", "must be an absolute"),
        ("MME_BIND_SOCKET", "/tmp/" + "x" * 103, "at most 107 bytes"),
        ("MME_BIND_SOCKET", "/tmp/mms.sock", "for its user alone"),
        ("MME_MODELS_DIR", "models", "must be an absolute path without '..'"),
    ],
)
def test_a_socket_or_folder_that_will_not_do_is_told_in_a_sentence(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    done = subprocess.run(
        [container_python(), str(ENTRYPOINT), "serve"],
        env={"PATH": os.environ["PATH"], "MME_HOME": str(tmp_path), name: value},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert sentence in json.loads(done.stdout)["message"]
    assert "Traceback" not in done.stderr


def test_a_folder_that_others_may_enter_holds_no_socket(tmp_path: Path) -> None:
    """Who may enter it may give the server orders."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    done = subprocess.run(
        [container_python(), str(ENTRYPOINT), "serve"],
        env={"PATH": os.environ["PATH"], "MME_HOME": str(tmp_path / "mme"),
             "MME_BIND_SOCKET": str(shared / "s")},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"chmod 700 {shared}" in done.stdout


def test_a_plain_process_opens_no_port_and_its_folder_is_for_its_user_alone(
    tmp_path: Path, unpacked: Unpacked
) -> None:
    with start_server(tmp_path) as server:
        assert server.load("one", unpacked()).status == 200
        listening = [
            line
            for pid in server.processes()
            for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()
            + Path(f"/proc/{pid}/net/tcp6").read_text().splitlines()
            if line.split()[3] == "0A" and line.split()[9] in sockets_of(pid)
        ]
        assert listening == []
        assert stat.S_IMODE(Path(server.address).parent.stat().st_mode) == 0o700


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            links.append(os.readlink(entry))
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def test_a_stale_socket_is_taken_over_and_a_living_one_is_not(tmp_path: Path) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mms.sock"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        with start_server(tmp_path, MME_BIND_SOCKET=str(path)) as server:
            second = subprocess.run(
                [container_python(), str(ENTRYPOINT), "serve"],
                env=server.environment | {"MME_HOME": str(tmp_path / "second")},
                capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            assert second.returncode == 2
            assert f"Another server listens at {path}." in second.stdout
            assert server.call("GET", "/ping").status == 200
        assert not path.exists()


def test_without_java_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [container_python(), str(ENTRYPOINT), "serve"],
        env={"PATH": "/nowhere", "MME_HOME": str(tmp_path), "JAVA_HOME": str(tmp_path),
             "SAGEMAKER_BIND_TO_PORT": str(free_port())},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "set JAVA_HOME to a Java 17 runtime" in done.stdout
