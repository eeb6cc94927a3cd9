"""The portal's real web server in a process of its own, and clients that behave badly."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests

from tests import migrated
from tests.servers import free_port, running, wait_for_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a good long password"
_USERS = f"""
from django.contrib.auth.models import Group, User
from accounts import roles
roles.ensure_roles()
for role in ("viewer", "operator"):
    User.objects.create_user(role, password={PASSWORD!r}).groups.add(Group.objects.get(name=role))
gone = User.objects.create_user("gone", password={PASSWORD!r})
gone.groups.add(Group.objects.get(name="operator"))
"""


class WebServer:
    """A server on ``port`` with its log, its temporary folder, and the users of each role."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.temporary = folder / "uploads"
        self.temporary.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = os.environ | {
            "SECRET_KEY": "only for tests, and as long as it has to be: 0123456789abcdef",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "UPLOAD_TEMP_DIR": str(self.temporary),
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)
        # One made database serves all the servers of a run.
        made = folder.parent / f"web-server-{os.getpid()}.sqlite3"
        if made.exists():
            shutil.copyfile(made, folder / "db.sqlite3")
            return
        migrated.copy_to(folder / "db.sqlite3")
        self.manage("migrate", "-v0")
        self.manage("shell", "--no-imports", "-c", _USERS)
        with (
            closing(sqlite3.connect(folder / "db.sqlite3")) as database,
            closing(sqlite3.connect(made)) as copy,
        ):
            database.backup(copy)

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py; returns what it prints."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.environment,
            check=True,
            timeout=120,
            capture_output=True,
            text=True,
        )
        return done.stdout

    @property
    def command(self) -> list[str]:
        bind = f"127.0.0.1:{self.port}"
        return [sys.executable, "-m", "mmeportal.server", "--bind", bind, "--threads", "4"]

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        with (
            (self.folder / "log").open("ab") as log,
            running(
                self.command, env=self.environment, cwd=ROOT, stdout=log, stderr=log
            ) as process,
        ):
            wait_for_port(self.port, process)
            self.process = process
            yield process

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def processes(self) -> list[int]:
        """The pids of the processes that serve."""
        assert self.process is not None
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def memory_mb(self) -> float:
        """The most memory that a serving process has had, in MB, that nothing else shares."""
        return max(
            int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
            for pid in self.processes()
        ) / 1024  # fmt: skip

    def visitor(self, name: str = "") -> requests.Session:
        """Somebody with cookies, logged in as ``name``."""
        session = requests.Session()
        session.trust_env = False
        if name:
            form = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": ""}
            form["csrfmiddlewaretoken"] = token_of(session, f"{self.url}/login/")
            answer = session.post(f"{self.url}/login/", form, timeout=30, allow_redirects=False)
            assert answer.status_code == 302, answer.text
        return session

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def says(self, request: bytes) -> bytes:
        """The whole of what the server says to ``request`` before it closes."""
        with self.connect() as client:
            client.sendall(request)
            return rest(client)

    def is_well(self, seconds: float = 30) -> bool:
        return requests.get(f"{self.url}/healthz", timeout=seconds).status_code == 200


class WithCalls(WebServer):
    """A server with one process for calls, and one for all else."""

    @property
    def command(self) -> list[str]:
        return [*super().command, "--processes", "1", "--call-processes", "1"]


def token_of(session: requests.Session, url: str) -> str:
    page = session.get(url, timeout=30).text
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found, page
    return found[1]


def rest(client: socket.socket) -> bytes:
    """All that comes until the other side closes, or resets, the connection."""
    came = b""
    while True:
        try:
            data = client.recv(65536)
        except ConnectionResetError:
            return came
        if not data:
            return came
        came += data


def head(session: requests.Session, path: str, **headers: object) -> bytes:
    """The header of a POST with the cookies of ``session``."""
    cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {cookies}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ended(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(30)
