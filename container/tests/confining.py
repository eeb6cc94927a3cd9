"""Start hostile programs in the sandbox, as root, as an ordinary user and as Docker would."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container.tests.serving import REPOSITORY, container_python

HERE = Path(__file__).resolve().parent
ORDINARY = 12345
MARKER = ("MARKER-OF-THE-", "PARENT")


@dataclass(frozen=True)
class Start:
    """Who starts the sandbox, and what is refused to it or not installed."""

    ordinary: bool = False
    as_docker: bool = False
    without_proc: bool = False
    without_capabilities: bool = False
    without: tuple[str, ...] = ()

    def command(self, folder: Path) -> list[str]:
        """What goes before the program; ``folder`` belongs to who runs it."""
        words: list[str] = []
        python = container_python()
        if self.ordinary and os.getuid() == 0:
            words += _open_for_others(without_proc=self.without_proc)
        another = ["--user", str(ORDINARY)] if self.ordinary and os.getuid() == 0 else []
        another += ["--without-capabilities"] if self.without_capabilities else []
        another += ["--as-docker"] if self.as_docker else []
        return [*words, *([python, str(HERE / "another.py"), *another] if another else [])]


def _open_for_others(*, without_proc: bool) -> list[str]:
    """A mount namespace in which an ordinary user can read the runtime and this checkout.

    Both may lie below a folder of root's that is closed to others.
    """
    python = container_python()
    asked = (
        "from container import sandbox; "
        "print(sandbox.bubblewrap(), *sandbox.runtime(), sep=chr(10))"
    )
    done = subprocess.run(
        [python, "-c", asked], cwd=REPOSITORY, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    program, *paths = done.stdout.split()
    needed = [*paths, python, str(REPOSITORY / "container")]
    closed = {
        parent
        for path in needed
        for parent in Path(path).parents
        if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH
    }
    words = [program, "--dev-bind", "/", "/"]
    for folder in sorted(closed):
        words += ["--tmpfs", str(folder)]
    hidden = [path for path in needed if any(Path(path).is_relative_to(one) for one in closed)]
    for folder in sorted({parent for path in hidden for parent in Path(path).parents}):
        words += ["--dir", str(folder)]
    for path in hidden:
        words += ["--ro-bind", path, path]
    if without_proc:  # a user namespace may mount no /proc where the one it has is covered
        words += ["--tmpfs", "/proc/bus"]
    return [*words, "--"]


@contextlib.contextmanager
def around(start: Start, place: Path, **about: Any) -> Iterator[subprocess.Popen[str]]:
    """The program that starts hostile.py in the sandbox; ended with the block."""
    secret = place / "secrets" / "secret"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("a secret")
    temporary = place / "temporary"
    temporary.mkdir(exist_ok=True)
    if start.ordinary and os.getuid() == 0:
        for path in (secret.parent, secret, temporary):
            os.chown(path, ORDINARY, ORDINARY)
    secret.parent.chmod(0o700)
    secret.chmod(0o600)
    temporary.chmod(0o700)
    words = {
        "secret": str(secret), "temporary": str(temporary), "marker": list(MARKER),
        "home": os.environ.get("HOME", "/root"), "without": list(start.without),
    } | about  # fmt: skip
    command = [
        *start.command(temporary), container_python(), "-I", str(HERE / "around.py"),
        json.dumps(words),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": "/usr/bin:/bin", "SECRET": "".join(MARKER)}, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def outcome(start: Start, place: Path, **about: Any) -> dict[str, Any]:
    """How hostile.py ended: sandbox.Outcome as a dictionary."""
    with around(start, place, **about) as process:
        out, err = process.communicate(timeout=120)
    assert out, err
    ended: dict[str, Any] = json.loads(out)
    assert ended["held"], ended
    return ended


@dataclass
class Surroundings:
    """What a hostile program could reach: a process, a port, two sockets; and who came."""

    victim: int
    port: int
    unix: str
    abstract: str
    callers: list[str]


@contextlib.contextmanager
def surroundings(start: Start, place: Path) -> Iterator[Surroundings]:
    """A process of the same user, which could be signalled without a sandbox, and three sockets."""
    callers: list[str] = []
    unix, abstract = str(place / "socket"), f"mme-{place.name}-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        listeners = []
        for family, address in (
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_UNIX, unix),
            (socket.AF_UNIX, f"\0{abstract}"),
        ):
            listener = stack.enter_context(socket.socket(family))
            listener.bind(address)
            listener.listen()
            stack.callback(listener.shutdown, socket.SHUT_RDWR)  # accept() does not see close()
            listeners.append(listener)
        os.chmod(unix, 0o666)
        for listener in listeners:
            threading.Thread(target=_count, args=(listener, callers), daemon=True).start()
        user = ORDINARY if start.ordinary and os.getuid() == 0 else None
        victim = subprocess.Popen(["/bin/sleep", "600"], user=user, env={"SECRET": "".join(MARKER)})
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        port = listeners[0].getsockname()[1]
        yield Surroundings(victim.pid, port, unix, abstract, callers)
        assert victim.poll() is None


def _count(listener: socket.socket, callers: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            callers.append(str(listener))
            client.close()
