"""Real servers for tests, on ports that the kernel gives, ended by pid."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import boto3
import redis

from stack import redis_config

ROOT = Path(__file__).resolve().parents[1]
REGION: Final = "ap-northeast-2"
T = TypeVar("T")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], T],
    what: str | Callable[[], object] = "it",
    seconds: float = 60,
    *,
    every_s: float = 0.05,
) -> T:
    """What ``condition`` returns once that is true; ``what`` names it, or says why it is not.

    ``every_s``: the pause between two looks; long where a look starts a program or loads a page.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what() if callable(what) else what}")
        time.sleep(every_s)
    return found


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    """Return when ``port`` accepts; raise where the process ends before, or time is up."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not listen on {port}")
        time.sleep(0.02)


@contextmanager
def running(command: list[str], **kwargs: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program for the length of the block, in a process group that is ended whole."""
    process = subprocess.Popen(command, start_new_session=True, **kwargs)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=15)


@contextmanager
def s3_server(folder: Path, access_key: str, secret_key: str, *options: str) -> Iterator[str]:
    """`python -m localaws.s3` on ``folder``, with further ``options``; gives its address."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "localaws.s3", "--data", str(folder), "--port", str(port)),
        *options,
    ]
    # Not as an argument, which anybody on the machine could read.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    log = folder.with_suffix(".log").open("wb")
    with log, running(command, cwd=ROOT, env=env, stdout=log, stderr=log) as process:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"


def new_bucket(address: str) -> str:
    """Make a bucket in the S3 server of all tests; gives its name, which no other one has."""
    name = f"store-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name=REGION,
        aws_access_key_id="test-access-key",
        aws_secret_access_key="test-secret-key",
    )
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


REDIS_PASSWORD = "the password of the portal's user"


@contextmanager
def redis_server(port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Redis that keeps nothing and wants no password, on ``port``; may be killed within."""
    command = [
        str(Path(sys.executable).with_name("redis-server")),
        *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)),
    ]
    with running(command, stdout=subprocess.DEVNULL) as process:
        wait_for_port(port, process)
        yield process


@contextmanager
def redis_of_a_stack(port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Redis as a stack has it, on ``port``; may be killed within the block.

    Besides the portal's user it has one who may do everything, ``watcher``, without a password.
    """
    kept = folder / "redis"
    kept.mkdir(mode=0o700, exist_ok=True)
    configuration = redis_config.write(
        kept, password=REDIS_PASSWORD, host="127.0.0.1", port=port, keep_in=str(kept)
    )
    with (kept / "users.acl").open("a") as users:
        users.write("user watcher on nopass ~* &* +@all\n")
    command = [str(Path(sys.executable).with_name("redis-server")), str(configuration)]
    with running(command, stdout=subprocess.DEVNULL) as process:
        wait_for_port(port, process)
        yield process


def redis_client(port: int, user: str = "watcher") -> "redis.Redis":
    """A client of it, as ``watcher`` or as ``portal``."""
    password = REDIS_PASSWORD if user == "portal" else "any"
    return redis.Redis(port=port, username=user, password=password, decode_responses=True)
