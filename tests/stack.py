"""The whole stack as `make up` starts it, for the tests that drive it."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from stack import processes
from stack.credentials import aws_environment
from stack.layout import DEFAULT_PORTS, ROOT, Layout
from stack.parts import environment
from tests import jobs, migrated

_FIRST_START_S = 600


def free_ports() -> dict[str, str]:
    """Four ports by their variables, which stay free while a stack that had them is restarted.

    They are above those that the kernel gives to whoever asks for any port (up to 60999).
    """
    free: dict[int, None] = {}
    while len(free) < len(DEFAULT_PORTS):
        number = random.SystemRandom().randrange(61000, 65536)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", number))
            free[number] = None
    return {name: str(number) for name, number in zip(DEFAULT_PORTS, free, strict=True)}


class Stack:
    """One stack with a folder and ports of its own; what it prints is in ``output``.

    ``url``: the portal's address. ``admin_password``: of the user ``admin``. ``aws``: environment
    variables for AWS clients (what aws.env exports). ``local_dir``: its LOCAL_DIR.
    ``variables``: what it was started with. ``environment``: what the portal runs with, for
    `manage.py` commands beside it. ``checkout``: the code that it runs.
    ``options``: those of the command, besides its own.
    Without ``demo`` it starts from nothing, as a user's; with it, from a migrated database.
    """

    def __init__(
        self,
        folder: Path,
        demo: Path | None = None,
        *,
        checkout: Path = ROOT,
        options: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "output"
        self._checkout = checkout
        self._options = options
        self.local_dir = folder / "local"
        # A teardown can be undone for so short a time that no test waits long for its begin.
        brief = {"TEARDOWN_UNDO_S": "1"}
        self.variables = {"LOCAL_DIR": str(self.local_dir)} | brief | free_ports()
        #: A secret of other programs in the environment of who starts it; goes nowhere.
        self.planted = secrets.token_urlsafe(30)
        self.layout = Layout.from_environment(self.variables)
        self.url = self.layout.url
        self.process: subprocess.Popen[bytes] | None = None
        #: The parts that were killed and are back since it was started.
        self.killed: set[str] = set()
        if demo is not None:
            shutil.copytree(demo, self.local_dir / "demo")
            if migrated.copy_to(self.local_dir / "db.sqlite3"):
                (self.local_dir / "db.sqlite3").chmod(0o600)

    @property
    def admin_password(self) -> str:
        return (self.local_dir / "admin-password").read_text().strip()

    @property
    def aws(self) -> dict[str, str]:
        return aws_environment(self.layout)

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.layout)

    def start(self, seconds: float = _FIRST_START_S) -> float:
        """Start it, return when it says that it is ready; gives the seconds that it took."""
        began = time.monotonic()
        self.killed.clear()
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "stack", "up", "--follow", str(os.getpid())),
                    *self._options,
                ],
                cwd=self._checkout,
                env=os.environ | self.variables | {"SOME_API_TOKEN": self.planted},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while "\nReady: " not in f"\n{self.says()}":
            if self.process.poll() is not None:
                raise RuntimeError(f"the stack did not start:\n{self.says()}")
            if time.monotonic() - began > seconds:
                raise RuntimeError(f"the stack was not ready within {seconds} s:\n{self.says()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """End it as Ctrl-C or `kill` would; gives the seconds that it took."""
        if self.process is None:
            return 0
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self.process = None
        return time.monotonic() - began

    def ends_whole(self, number: signal.Signals) -> None:
        """End it by a signal, and assert that this is soon, and that nothing of it is left."""
        everybody = {process.pid: process.started for process in self.left()}
        assert self.stop(number) < 15
        still = [pid for pid, started in everybody.items() if processes.is_alive(pid, started)]
        assert not still, [command_of(pid) for pid in still]
        assert not self.left()
        self.layout.check_ports_free()
        assert not list((self.local_dir / "run").glob("*.pid"))

    def says(self) -> str:
        return self.output.read_text(errors="replace")

    def log(self, name: str) -> str:
        return (self.local_dir / "logs" / f"{name}.log").read_text(errors="replace")

    def pid_of(self, name: str) -> int:
        """The process of a part: redis, s3, localaws, worker, beat or web."""
        return int((self.local_dir / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> None:
        """SIGKILL to a part; the supervisor starts it again."""
        os.kill(self.pid_of(name), signal.SIGKILL)

    def kill_and_wait_back(self, name: str, seconds: float = 60) -> None:
        """SIGKILL to a part; returns when its successor is ready."""
        before = self.says().count(f"{name} is back.")
        self.kill(name)
        deadline = time.monotonic() + seconds
        while self.says().count(f"{name} is back.") == before:
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is not back after {seconds} s:\n{self.says()}")
            time.sleep(0.05)
        self.killed.add(name)

    def send(self, task: str) -> None:
        """Have the worker do a job now that beat sends each minute or more seldom."""
        password = (self.local_dir / "redis-password").read_text().strip()
        jobs.send(jobs.redis_url(self.layout.redis_port, password), task)

    def left(self) -> list[processes.Process]:
        """Processes of this stack that run."""
        return processes.marked(self.local_dir)

    def manage(self, *arguments: str, seconds: float = 120) -> str:
        """Run a `manage.py` command in this stack's environment; gives what it printed."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"manage.py {arguments} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def command_of(pid: int) -> str:
    """What a process runs."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return f"{pid} (gone)"
    return command.replace(b"\0", b" ").decode(errors="replace")
