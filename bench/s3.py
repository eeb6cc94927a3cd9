"""The stack's S3 server beside bare ones: 220 MB up and down, all in one run, in turn.

``make bench-s3``, or ``.venv/bin/python bench/s3.py [--megabytes N] [--rounds N]``. Beside it run
localbucket, which checks nothing, and rclone's S3, which checks signatures. It starts all of them
on free ports, in a folder of its own, and ends them. ``plain``: presigned, over a bare HTTP
connection, so that little but the server's work counts; ``boto3``: as the portal and users do it.
"""

import argparse
import contextlib
import http.client
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

from localaws.tests.servers import (  # noqa: E402
    KEY,
    REGION,
    SECRET,
    answers,
    free_port,
    s3_server,
    started,
    wait_for,
)
from tests import ending  # noqa: E402

BUCKET = "bench"
BIN = Path(sys.executable).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=220)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-s3-") as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        file = home / "model.tar.gz"
        file.write_bytes(random.Random(1).randbytes(given.megabytes * 1_000_000))
        urls = {"ours": stack.enter_context(s3_server(home / "ours"))}
        rclone = BIN / "rclone"
        for name, command in {
            "localbucket": [str(BIN / "localbucket"), str(home / "localbucket"), "--port"],
            "rclone": [
                *(str(rclone), "serve", "s3", str(home / "rclone"), "--config", os.devnull),
                *("--vfs-cache-mode", "off", "--addr"),
            ],
        }.items():
            if Path(command[0]).exists():
                urls[name] = stack.enter_context(other(name, command, home))
            else:
                print(f"{name} is not installed: left out")
        measure(urls, file, given.rounds)
    return 0


@contextlib.contextmanager
def other(name: str, command: list[str], home: Path) -> Iterator[str]:
    """A server that is not ours, for the length of the block."""
    (home / name).mkdir()
    port = free_port()
    command.append(f"127.0.0.1:{port}" if command[-1] == "--addr" else str(port))
    env = dict(os.environ) | {"RCLONE_AUTH_KEY": f'"{KEY},{SECRET}"'}
    with (home / f"{name}.log").open("wb") as log:
        process = started(command, env=env, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url), 20, name)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def measure(urls: dict[str, str], file: Path, rounds: int) -> None:
    clients = {name: client(url) for name, url in urls.items()}
    for s3 in clients.values():
        s3.create_bucket(Bucket=BUCKET)
    megabytes = file.stat().st_size / 1e6
    kinds: dict[str, Callable[[Any, Path], None]] = {
        "plain up": plain_up,
        "plain down": plain_down,
        "boto3 put_object": put_object,
        "boto3 get_object": get_object,
        "boto3 upload_file": upload_file,
        "boto3 download_file": download_file,
        "boto3 copy": copy,
    }
    print(f"{megabytes:.0f} MB, {rounds} rounds in turn; MB/s, median (all); ratio to the others'")
    for kind, do in kinds.items():
        taken: dict[str, list[float]] = {name: [] for name in clients}
        failed: dict[str, str] = {}
        for number in range(rounds + 1):
            for name, s3 in clients.items():
                if name in failed:
                    continue
                start = time.perf_counter()
                try:
                    do(s3, file)
                except Exception as error:
                    if name == "ours":
                        raise
                    failed[name] = f"{type(error).__name__}: {error}"[:90]
                    continue
                if number:  # the first is a warm-up
                    taken[name].append(megabytes / (time.perf_counter() - start))
        medians = {name: statistics.median(found) for name, found in taken.items() if found}
        for name in clients:
            if name in failed:
                print(f"{kind:20} {name:12} fails: {failed[name]}")
                continue
            shown = " ".join(f"{value:.0f}" for value in sorted(taken[name]))
            ratio = medians["ours"] / medians[name]
            said = "" if name == "ours" else f"  ours: {ratio:.2f}"
            print(f"{kind:20} {name:12} {medians[name]:6.0f} ({shown}){said}")


def client(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(
            signature_version="s3v4",
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )


def plain(s3: Any, operation: str, body: Any = None) -> bytes:
    """One request with a presigned URL, over a connection of its own."""
    params = {"Bucket": BUCKET, "Key": "plain.bin"}
    url = urlsplit(s3.generate_presigned_url(operation, Params=params))
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
    connection.blocksize = 1024 * 1024
    size = {} if body is None else {"Content-Length": str(os.fstat(body.fileno()).st_size)}
    method = "GET" if body is None else "PUT"
    with contextlib.closing(connection):
        connection.request(method, f"{url.path}?{url.query}", body, size)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {data[:200]!r}")
        return data


def plain_up(s3: Any, file: Path) -> None:
    with file.open("rb") as body:
        plain(s3, "put_object", body)


def plain_down(s3: Any, file: Path) -> None:
    check(plain(s3, "get_object"), file)


def put_object(s3: Any, file: Path) -> None:
    with file.open("rb") as body:
        s3.put_object(Bucket=BUCKET, Key="one.bin", Body=body)


def get_object(s3: Any, file: Path) -> None:
    check(s3.get_object(Bucket=BUCKET, Key="one.bin")["Body"].read(), file)


def upload_file(s3: Any, file: Path) -> None:
    s3.upload_file(str(file), BUCKET, "many.bin")


def download_file(s3: Any, file: Path) -> None:
    target = file.with_name("down.bin")
    s3.download_file(BUCKET, "many.bin", str(target))
    if target.stat().st_size != file.stat().st_size:
        raise RuntimeError("another size")
    target.unlink()


def copy(s3: Any, file: Path) -> None:
    s3.copy({"Bucket": BUCKET, "Key": "many.bin"}, BUCKET, "copy.bin")
    if s3.head_object(Bucket=BUCKET, Key="copy.bin")["ContentLength"] != file.stat().st_size:
        raise RuntimeError("another size")


def check(data: bytes, file: Path) -> None:
    """Only the size: a digest would take time. Tests compare the bytes."""
    if len(data) != file.stat().st_size:
        raise RuntimeError("another size")


if __name__ == "__main__":
    ending.run(main)
