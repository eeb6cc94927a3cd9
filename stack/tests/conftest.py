"""Runs a supervisor in a separate process, with small programs as its parts."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stack import processes

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return value


class Driven:
    """One supervisor; its parts are Python programs given as text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack_dir = folder / "stack"
        self.parts: list[dict[str, Any]] = []
        self.plan: dict[str, Any] = {}
        self.process: subprocess.Popen[str] | None = None
        self.output = folder / "output"

    def add(self, name: str, program: str, **options: Any) -> None:
        path = self.folder / f"{name}.py"
        path.write_text(program)
        command = [sys.executable, "-u", str(path)]
        self.parts.append({"name": name, "command": command, **options})

    def service(self, name: str, program: str = "", **options: Any) -> None:
        """A service that is ready at once and runs until it is ended."""
        endless = f"import os, signal, sys, time\n{program}\nprint('up', flush=True)\n"
        options = {"ready_when_log_contains": "up\n", **options}
        self.add(name, endless + "while True: time.sleep(60)\n", **options)

    def start(self) -> None:
        self.folder.joinpath("plan.json").write_text(json.dumps({"parts": self.parts} | self.plan))
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack.tests.driver", str(self.folder)],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def says(self) -> str:
        return self.output.read_text()

    def wait_ready(self) -> None:
        wait_until(lambda: "Ready: all" in self.says() or self.ended(), "Ready")
        assert "Ready: all" in self.says(), self.says()

    def ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def wait_ended(self, seconds: float = 20) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def pid_of(self, name: str) -> int:
        path = self.stack_dir / "run" / f"{name}.pid"
        return int(wait_until(lambda: path.exists() and path.read_text().strip(), f"{path}"))

    def pid_in(self, name: str) -> int:
        """The process number that a program of the test wrote to a file."""
        path = self.folder / name
        return int(wait_until(lambda: path.exists() and path.read_text().strip(), f"{path}"))

    def left(self) -> list[processes.Process]:
        return processes.marked(self.stack_dir)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        processes.end(self.left, grace_s=0)


def gone(pid: int) -> bool:
    process = processes.read(pid)
    return process is None or process.is_zombie


@pytest.fixture
def make_driven(tmp_path: Path) -> Iterator[Callable[[str], Driven]]:
    made = []

    def make(name: str = "one") -> Driven:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Driven(folder))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def driven(make_driven: Callable[[str], Driven]) -> Driven:
    return make_driven("one")


@pytest.fixture(autouse=True)
def _not_inside_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (processes.STACK_MARK, processes.PART_MARK, *_VARIABLES):
        monkeypatch.delenv(name, raising=False)


_VARIABLES = ("LOCAL_DIR", "PORT", "LOCALAWS_PORT", "S3_PORT", "REDIS_PORT", "ADMIN_PASSWORD")
