"""A worker of the portal's in a process of its own, with two tasks of the test more."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from tests import jobs
from tests.servers import REDIS_PASSWORD, running

TASKS = """
import time
from pathlib import Path

from mmeportal.celery import app

HERE = Path(__file__).parent

@app.task(name="hold")
def hold(name: str) -> None:
    (HERE / f"{name}.begun").touch()
    while not (HERE / f"{name}.release").exists():
        time.sleep(0.01)

@app.task(name="touch")
def touch(name: str) -> None:
    (HERE / name).touch()
"""


class Worker:
    """The portal's Celery with two tasks more, as the Procfile starts it; its log and its pid."""

    CONCURRENCY = 4
    """Tasks that it works on at the same time; it holds no message more."""

    def __init__(self, folder: Path, redis_port: int) -> None:
        self.folder = folder
        self._redis_url = jobs.redis_url(redis_port, REDIS_PASSWORD)
        self._environment = os.environ | {
            "SECRET_KEY": settings.SECRET_KEY,
            "REDIS_URL": f"redis://portal@127.0.0.1:{redis_port}/0",
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "PYTHONPATH": f"{folder}:{settings.BASE_DIR}",
        }
        (folder / "held.py").write_text(TASKS)
        self._log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def run(self) -> Iterator[None]:
        command = [sys.executable, "-m", "celery", "-A", "held", "worker", "--pool", "threads"]
        command += ["--concurrency", str(self.CONCURRENCY), "--loglevel", "INFO"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with (
            self._log.open("wb") as log,
            running(command, stdout=log, stderr=log, env=self._environment) as self.process,
        ):
            self.wait_for(lambda: "ready." in self.said(), "the worker to be ready")
            yield

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the worker ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"waited for {what}:\n{self.said()}"
            time.sleep(0.02)

    def send(self, task: str, name: str, sender: str = "") -> None:
        """Send over a connection of its own, which is new. ``sender``: its request's id."""
        jobs.send(self._redis_url, task, [name], sender=sender)
