"""How the server starts and ends, as one process among others on a machine."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from container.tests.serving import (
    ENTRYPOINT,
    Server,
    alive,
    container_python,
    descendants,
    free_port,
    start_server,
    wait_until,
)

pytestmark = pytest.mark.xdist_group("container-process")

Unpacked = Callable[..., Path]


def test_whatever_ends_it_leaves_nothing_and_it_starts_again(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    """Killed; its model server killed; stopped: at one home, of a long path, and one socket."""
    home = tmp_path / ("deep" * 20) / ("deeper" * 20)
    with TemporaryDirectory() as elsewhere, TemporaryDirectory() as folder:
        path = Path(folder) / "mms.sock"
        settings = {"MME_HOME": str(home), "TMPDIR": elsewhere, "MME_BIND_SOCKET": str(path)}
        with start_server(tmp_path, **settings) as server:
            assert server.load("one", unpacked()).status == 200
            pids = server.processes()
            server.process.kill()
            server.process.wait(timeout=5)
            wait_until(lambda: not any(alive(pid) for pid in pids), 10, "the end of all processes")
        assert path.is_socket(), "the next one takes over what is left of this one"

        with start_server(tmp_path, **settings) as server:
            assert server.models() == []
            assert server.load("one", unpacked()).status == 200
            assert server.invoke("one", picture, "image/jpeg").status == 200
            assert os.listdir(elsewhere)
            _refuses_a_second_one(server, tmp_path / "second")
            pids = server.processes()
            (started,) = server.events("server_started")
            assert "java" in os.readlink(f"/proc/{started['pid']}/exe")
            os.kill(started["pid"], signal.SIGKILL)
            assert server.process.wait(timeout=15) == 1
            assert [pid for pid in pids if alive(pid)] == []
            assert server.events("server_died")
            assert os.listdir(elsewhere) == []

        with start_server(tmp_path, **settings) as server:
            assert server.load("one", unpacked()).status == 200
            assert server.invoke("one", picture, "image/jpeg").status == 200
            assert os.listdir(elsewhere)
        assert os.listdir(elsewhere) == []
        assert not path.exists()


def _refuses_a_second_one(server: Server, home: Path) -> None:
    """A socket at which a server listens is not taken over."""
    second = subprocess.run(
        [container_python(), str(ENTRYPOINT), "serve"],
        env=server.environment | {"MME_HOME": str(home)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert f"Another server listens at {server.address}." in second.stdout
    assert not home.exists()
    assert server.call("GET", "/ping").status == 200


def test_it_ends_with_its_parent(server: Server, tmp_path: Path) -> None:
    """The parent is killed outright, as localaws may be."""
    with TemporaryDirectory() as folder:
        environment = server.environment | {
            "MME_BIND_SOCKET": f"{folder}/mms.sock",
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
        assert server.call("GET", "/ping").status == 200, "a server beside it goes on"


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
    """Whoever may enter it can control the server."""
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
    server: Server, unpacked: Unpacked
) -> None:
    assert server.load("portless", unpacked()).status == 200
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


def test_without_java_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [container_python(), str(ENTRYPOINT), "serve"],
        env={"PATH": "/nowhere", "MME_HOME": str(tmp_path), "JAVA_HOME": str(tmp_path),
             "SAGEMAKER_BIND_TO_PORT": str(free_port())},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "set JAVA_HOME to a Java 17 runtime" in done.stdout
