"""Makes the JVM's class archive, from which it maps its 3,500 classes in place of reading them.

The JDK calls it class data sharing (``java -Xshare:dump``). With it a JVM is ready sooner, and
takes half of the processor's time until then. It holds for one Java runtime, and for the jars as
they are: the build of the image makes it, and so does the install of a checkout's environments.
With another runtime or jar the JVM starts as it does without one.
"""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from container import entrypoint, mms_server

START_SECONDS = 60
"""How long the server may take to listen."""

ANSWER_SECONDS = 30
MAKE_SECONDS = 120

_ENDING = (signal.SIGTERM, signal.SIGINT)

_JAVA_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
"""Variables of who makes it that Java reads, as of an agent or another collector. The containers of
the local stack do not get them, and an archive holds for few other options."""

_ASKED: tuple[tuple[str, str, dict[str, str] | None], ...] = (
    ("GET", "/ping", None),
    ("GET", "/models", None),
    ("GET", "/metrics", None),
    ("POST", "/models", {"model_name": "none", "url": "/none"}),
    ("POST", "/models/none/invoke", {}),
    ("DELETE", "/models/none", None),
    ("POST", "/models", {"model_name": "one", "url": "{models}/one"}),
)
"""What the server is asked, so that the classes which answer are loaded: method, path, body. The
last one starts a worker, which finds nothing in the model's folder."""


def main() -> int:
    """Make the archive anew; returns the exit code, and says on stderr what was wrong."""
    for number in _ENDING:  # each ends what was started, too
        signal.signal(number, _end)
    target = mms_server.class_archive()
    if not os.access(target.parent, os.W_OK):
        print(f"No class archive was made: {target.parent} may not be written.", file=sys.stderr)
        return 1
    try:
        with _alone(target.parent):
            return _make_at(target)
    except KeyboardInterrupt:
        return 130


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process makes an archive in this folder: they would mix their bytes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_at(target: Path) -> int:
    target.unlink(missing_ok=True)  # the server would read its classes from it
    copied = target.with_suffix(".new")
    with tempfile.TemporaryDirectory(prefix="mme-classes-", dir=_short_folder()) as folder:
        made = Path(folder) / "made"
        try:
            _make(Path(folder), made)
            with made.open("rb") as read, copied.open("wb") as written:
                shutil.copyfileobj(read, written)
                # A JVM ends with one that was cut off, as by a power failure.
                written.flush()
                os.fsync(written.fileno())
            copied.chmod(0o644)
            copied.replace(target)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            print(f"No class archive was made: {error}", file=sys.stderr)
            return 1
        finally:
            copied.unlink(missing_ok=True)  # cut off, as by a full disk
    return 0


def _short_folder() -> str:
    """The system's temporary folder, or /tmp where the paths of the server's sockets, which lie in
    a folder in it, would be too long."""
    folder = tempfile.gettempdir()
    room = mms_server.MAX_SOCKET_FOLDER - len("/mme-classes-12345678/home/tmp")
    return folder if len(os.fsencode(folder)) <= room else "/tmp"  # noqa: S108


def _end(_signum: int, _frame: object) -> None:
    """Ctrl-C may come with a SIGTERM of who started this: the second is not to end the ending."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _make(folder: Path, made: Path) -> None:
    """Write the classes that a server loads to ``made``. Raises ``ValueError`` where Java fails."""
    models, classes = folder / "models", folder / "classes"
    (models / "one").mkdir(parents=True)
    for name in _JAVA_OPTIONS:
        os.environ.pop(name, None)
    os.environ |= {
        "MME_HOME": str(folder / "home"),
        "MME_BIND_SOCKET": str(folder / "socket" / "mms"),
        "MME_MODELS_DIR": str(models),
        "MME_MODEL_HOST": "0",
        "SAGEMAKER_MODEL_SERVER_VMARGS": "",
    }
    chosen = mms_server.settings()
    mms_server.prepare_folders(chosen)
    _note_classes(chosen, classes, log=folder / "log")
    done = subprocess.run(
        _command(
            chosen,
            "-Xshare:dump",
            f"-XX:SharedClassListFile={classes}",
            f"-XX:SharedArchiveFile={made}",
        ),
        capture_output=True,
        text=True,
        timeout=MAKE_SECONDS,
        check=False,
        preexec_fn=entrypoint.die_with_parent,
    )
    if done.returncode or not made.exists():
        raise ValueError(f"java ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")


def _note_classes(chosen: mms_server.Settings, classes: Path, *, log: Path) -> None:
    """Run a server, and have it write the names of the classes that it loads."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            _command(chosen, f"-XX:DumpLoadedClassList={classes}"),
            cwd=chosen.home,
            env=os.environ | mms_server.worker_environment(chosen),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=entrypoint.die_with_parent,
        )
    try:
        for method, path, body in _ASKED:
            said = "" if body is None else json.dumps(body).replace("{models}", str(chosen.models))
            _ask(server, chosen.address, method, path, said)
    except (OSError, http.client.HTTPException) as error:
        wrote = log.read_text(errors="replace")
        raise ValueError(f"{error}; the server wrote: {wrote[-500:]}") from error
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(entrypoint.STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # its workers, too
        server.wait()


def _command(chosen: mms_server.Settings, *options: str) -> list[str]:
    return mms_server.command(replace(chosen, vmargs=(*chosen.vmargs, *options)))


def _ask(server: subprocess.Popen[bytes], address: str, method: str, path: str, body: str) -> None:
    """Ask the server at a Unix socket, whatever it answers; waits until it listens."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = _connected(server, address)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    finally:
        connection.close()


def _connected(server: subprocess.Popen[bytes], address: str) -> socket.socket:
    deadline = time.monotonic() + START_SECONDS
    while True:
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(ANSWER_SECONDS)
        try:
            found.connect(address)
        except OSError:
            found.close()
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return found
