"""A worker outlives a Redis that dies while it holds a message, and goes on with the next one."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from tests.servers import free_port, redis_server, running

TASKS = """
import time
from pathlib import Path

from mmeportal.celery import app

HERE = Path(__file__).parent

@app.task(name="hold")
def hold(name):
    (HERE / f"{name}.begun").touch()
    while not (HERE / f"{name}.release").exists():
        time.sleep(0.01)

@app.task(name="touch")
def touch(name):
    (HERE / name).touch()
"""


class Worker:
    """The portal's Celery with two tasks more, as the Procfile starts it; its log and its pid."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        (folder / "held.py").write_text(TASKS)
        self._log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def run(self) -> Iterator[None]:
        command = [sys.executable, "-m", "celery", "-A", "held", "worker", "--pool", "threads"]
        command += ["--concurrency", "4", "--loglevel", "INFO"]
        command += ["--without-gossip", "--without-mingle"]
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

    def send(self, task: str, name: str) -> None:
        """Send as a process of its own: its connection is new."""
        program = "import held, sys; held.app.send_task(sys.argv[1], [sys.argv[2]])"
        subprocess.run(
            [sys.executable, "-c", program, task, name],
            env=self._environment,
            timeout=60,
            check=True,
        )


@pytest.fixture
def redis_port() -> int:
    return free_port()


@pytest.fixture
def worker(tmp_path: Path, redis_port: int) -> Worker:
    return Worker(
        tmp_path,
        os.environ
        | {
            "SECRET_KEY": settings.SECRET_KEY,
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "PYTHONPATH": f"{tmp_path}:{settings.BASE_DIR}",
        },
    )


@pytest.mark.parametrize("released", ["while Redis is away", "when Redis is back"])
def test_a_worker_outlives_a_redis_that_dies_while_it_holds_a_message(
    worker: Worker, redis_port: int, released: str
) -> None:
    release = worker.folder / "a.release"
    with redis_server(redis_port, worker.folder) as redis, worker.run():
        worker.send("hold", "a")
        worker.wait_for((worker.folder / "a.begun").exists, "the task to begin")

        redis.kill()
        redis.wait()
        worker.wait_for(lambda: "Connection to broker lost" in worker.said(), "the loss")
        if released == "while Redis is away":
            release.touch()
            worker.wait_for(lambda: "succeeded" in worker.said(), "the task to end")
        with redis_server(redis_port, worker.folder):
            worker.wait_for(lambda: worker.said().count("Connected to") == 2, "the way back")
            release.touch()
            worker.send("touch", "after")
            worker.wait_for((worker.folder / "after").exists, "a task after it")
            worker.wait_for(lambda: worker.said().count("succeeded") == 2, "both to end")
            worker.send("touch", "later")  # what the first task's end did is over by now
            worker.wait_for((worker.folder / "later").exists, "the worker to go on")
