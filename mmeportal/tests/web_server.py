"""The portal's real web server in a process of its own, and clients that behave badly."""

import json
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
from typing import Any

import requests

from tests import migrated
from tests.servers import free_port, running, wait_for_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a good long password"
#: What each token of the operator may do.
SCOPES = ("read", "read upload", "read operate")
#: Makes the tables, and users with a session each; prints the cookies of each session, and tokens.
_USERS = f"""
import json
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from django.utils.crypto import get_random_string
from accounts import roles, tokens
call_command("migrate", verbosity=0)
roles.ensure_roles()
password = make_password({PASSWORD!r})
cookies = {{}}
for name, role in (("viewer", "viewer"), ("operator", "operator"), ("gone", "operator")):
    user = User.objects.create(username=name, password=password)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookies[name] = {{
        settings.SESSION_COOKIE_NAME: session,
        settings.CSRF_COOKIE_NAME: get_random_string(32),
    }}
operator = User.objects.get(username="operator")
made = {{one: tokens.make(user=operator, name=one, scopes=one.split())[1] for one in {SCOPES!r}}}
print(json.dumps([cookies, made]))
"""


class WebServer:
    """A server on ``port`` with its log, its temporary folder, and the users of each role."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "db.sqlite3"
        self.temporary = folder / "uploads"
        self.temporary.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = os.environ | {
            "SECRET_KEY": "only for tests, and as long as it has to be: 0123456789abcdef",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "UPLOAD_TEMP_DIR": str(self.temporary),
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)
        # One made database serves all the servers of a run.
        made = folder.parent / f"web-server-{os.getpid()}.sqlite3"
        told = made.with_suffix(".json")
        if not made.exists():
            migrated.copy_to(self.database)
            told.write_text(self.manage("shell", "--no-imports", "-c", _USERS))
            _copy(self.database, made)
        else:
            shutil.copyfile(made, self.database)
        #: The cookies of a session of each user; tokens of the operator, by what they may do.
        self.cookies: dict[str, dict[str, str]]
        self.tokens: dict[str, str]
        self.cookies, self.tokens = json.loads(told.read_text())

    def begin_with(self, database: Path) -> None:
        """Have what is in another database, before it runs."""
        _copy(database, self.database)

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

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What is in its database, without half a portal's start for `manage.py shell`."""
        with closing(sqlite3.connect(self.database, timeout=60)) as database:
            return database.execute(sql).fetchall()

    def visitor(self, name: str = "", *, logs_in: bool = False) -> requests.Session:
        """Somebody with cookies, logged in as ``name``.

        ``logs_in``: by the form; else with a session that is there, as to hash a password takes
        half a second of a processor.
        """
        session = requests.Session()
        session.trust_env = False
        if name and not logs_in:
            session.cookies.update(self.cookies[name])
        elif name:
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


def _copy(database: Path, to: Path) -> None:
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


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
