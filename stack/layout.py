"""The folder and the ports of a stack, from environment variables."""

import os
import socket
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localaws.removal import remove
from stack.stack_error import StackError

ROOT = Path(__file__).resolve().parent.parent
PORTAL_VENV = ROOT / ".venv"
CONTAINER_VENV = ROOT / ".venv-container"
SDK_VENV = ROOT / ".venv-sdk"

REGION = "ap-northeast-2"
ACCOUNT = "123456789012"  # the account of localaws and of moto in it
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
HOST = "127.0.0.1"
REDIS_USER = "portal"

DEFAULT_PORTS = {"PORT": 8000, "LOCALAWS_PORT": 4566, "S3_PORT": 9000, "REDIS_PORT": 6380}
_PORT_OF = {
    "PORT": "the portal's web server",
    "LOCALAWS_PORT": "localaws",
    "S3_PORT": "the S3 server",
    "REDIS_PORT": "Redis",
}
_BETWEEN_LOOKS_S = 0.05


@dataclass(frozen=True)
class Layout:
    """One stack: its folder and its four ports."""

    local_dir: Path
    port: int = DEFAULT_PORTS["PORT"]
    localaws_port: int = DEFAULT_PORTS["LOCALAWS_PORT"]
    s3_port: int = DEFAULT_PORTS["S3_PORT"]
    redis_port: int = DEFAULT_PORTS["REDIS_PORT"]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Layout":
        """Read LOCAL_DIR (where relative, below the checkout) and the four port variables."""
        numbers = {name: _port(name, environment) for name in DEFAULT_PORTS}
        names_by_number: dict[int, str] = {}
        for name, number in numbers.items():
            if number in names_by_number:
                raise StackError(
                    f"{names_by_number[number]} and {name} are both {number}: "
                    "each needs a port of its own."
                )
            names_by_number[number] = name
        return cls(
            local_dir=(ROOT / (environment.get("LOCAL_DIR") or ".local")).resolve(),
            port=numbers["PORT"],
            localaws_port=numbers["LOCALAWS_PORT"],
            s3_port=numbers["S3_PORT"],
            redis_port=numbers["REDIS_PORT"],
        )

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def localaws_url(self) -> str:
        return f"http://{HOST}:{self.localaws_port}"

    @property
    def s3_url(self) -> str:
        return f"http://{HOST}:{self.s3_port}"

    @property
    def redis_url(self) -> str:
        """Without the password, which is in a file of its own."""
        return f"redis://{REDIS_USER}@{HOST}:{self.redis_port}/0"

    def ports(self) -> dict[str, int]:
        """The ports by the variable that sets each."""
        return {
            "PORT": self.port,
            "LOCALAWS_PORT": self.localaws_port,
            "S3_PORT": self.s3_port,
            "REDIS_PORT": self.redis_port,
        }

    def clear_temporary(self) -> None:
        """Delete temporary files of killed processes; no part may be running."""
        for left in (self.local_dir / "tmp").iterdir():
            if left.is_dir() and not left.is_symlink():
                remove(left)
            else:
                left.unlink()

    def remove_access_of_others(self) -> None:
        """Remove the permissions of group and others from everything in the folder, except links.

        The folder itself has mode 700, but it may be moved, packed or opened by hand. No part may
        be running.
        """
        # Not os.walk, which fails where folders are nested a thousand deep.
        folders = [str(self.local_dir)]
        try:
            while folders:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        mode = entry.stat(follow_symlinks=False).st_mode
                        if stat.S_ISLNK(mode):
                            continue
                        if mode & 0o077:
                            os.chmod(entry.path, stat.S_IMODE(mode) & 0o700)
                        if stat.S_ISDIR(mode):
                            folders.append(entry.path)
        except OSError as error:
            raise StackError(
                f"Cannot close {error.filename} to other users: {error.strerror}. "
                "All of the stack's folder must belong to the user who starts it."
            ) from error

    def make_folders(self) -> None:
        """Create the stack's folder (mode 700) and the folders that parts expect."""
        try:
            self.local_dir.mkdir(parents=True, exist_ok=True)
            self.local_dir.chmod(0o700)
            for name in ("run", "logs", "redis", "localaws", "demo", "tmp", f"s3/{BUCKET}"):
                (self.local_dir / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"Cannot write to {self.local_dir}: {error.strerror}. "
                "Choose another folder with LOCAL_DIR."
            ) from error

    def check_ports_free(self, *, within_s: float = 0) -> None:
        """Raise StackError where another program listens on one of the ports after ``within_s``.

        A process that is killed has its sockets until all of its threads have ended.
        """
        deadline = time.monotonic() + within_s
        for name, number in self.ports().items():
            while not _is_free(name, number):
                if time.monotonic() >= deadline:
                    raise StackError(
                        f"Port {number} for {_PORT_OF[name]} is taken by another program. "
                        f"Nothing was started. Choose another with {name}, "
                        f"for example `make up {name}={number + 1}`."
                    )
                time.sleep(_BETWEEN_LOOKS_S)


def _is_free(name: str, number: int) -> bool:
    with socket.socket() as probe:
        # As the servers do, so that a connection in TIME_WAIT does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except PermissionError as error:
            raise StackError(
                f"{name}={number} needs root: choose a port of 1024 or above, "
                f"for example `make up {name}={DEFAULT_PORTS[name]}`."
            ) from error
        except OSError:
            return False
    return True


def _port(name: str, environment: Mapping[str, str]) -> int:
    text = environment.get(name) or str(DEFAULT_PORTS[name])
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise StackError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)
