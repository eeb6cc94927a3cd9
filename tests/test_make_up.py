"""The promises on the whole stack: its ready line, its return as it was left, its end."""

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis

from stack import processes
from stack.layout import ROOT
from tests.stack import Stack, command_of, free_ports

_TABLES = (
    "SELECT m.name, v.number, v.state, v.sha256 FROM models_catalog_version v"
    " JOIN models_catalog_model m ON m.id = v.model_id ORDER BY 1, 2",
    "SELECT name, state, gone_at FROM endpoints_endpoint ORDER BY id",
    # Each start renews the token of portal.env.
    "SELECT id, action, text FROM activity_event WHERE action NOT LIKE 'token.%' ORDER BY id",
)
PARTS = ("redis", "s3", "localaws", "worker", "beat", "web")


class Visitor:
    """A browser without a screen, with cookies."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def get(self, path: str) -> str:
        with self._opener.open(f"{self._stack.url}{path}", timeout=30) as answer:
            return str(answer.read().decode(errors="replace"))  # a download is no text

    def log_in(self) -> str:
        page = self.get("/login/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, page
        form = {
            "csrfmiddlewaretoken": found[1],
            "username": "admin",
            "password": self._stack.admin_password,
        }
        body = urllib.parse.urlencode(form).encode()
        with self._opener.open(f"{self._stack.url}/login/", body, timeout=30) as answer:
            assert not answer.url.endswith("/login/"), "the password was not taken"
            return str(answer.read().decode())


def test_the_ready_line_gives_address_and_password_and_more_lines_what_to_do(
    stack: Stack,
) -> None:
    lines = stack.says().strip().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Ready: "))

    assert lines[at] == f"Ready: {stack.url}  (admin / {stack.admin_password})"
    todo = " ".join(lines[at + 1 :])
    assert f"Open {stack.url} in a browser" in todo
    assert f"{stack.local_dir / 'admin-password'}" in todo
    assert "digits_v2.tar.gz is one to try" in todo
    assert f". {stack.local_dir}/portal.env && .venv/bin/mme invoke demo digits:2" in todo
    # Steps run at the same time, and are told in the order of their numbers.
    steps = [int(line[1]) for line in lines if line.startswith("[")]
    assert steps == sorted(steps)
    assert "Sign out" in Visitor(stack).log_in() or "Log out" in Visitor(stack).log_in()


def test_any_aws_client_can_use_it_after_sourcing_aws_env(stack: Stack) -> None:
    program = (
        "import boto3, os\n"
        "print(boto3.client('sts').get_caller_identity()['Account'])\n"
        "print(boto3.client('sagemaker').describe_endpoint(EndpointName='demo')"
        "['EndpointStatus'])\n"
        "for found in boto3.client('s3').list_objects_v2("
        "Bucket=os.environ['MME_BUCKET'], Prefix='models/')['Contents']: print(found['Key'])\n"
    )
    script = f'. {stack.local_dir}/aws.env && exec "$0" -c "$1"'
    out = subprocess.run(
        ["sh", "-c", script, str(ROOT / ".venv/bin/python"), program],
        env={"PATH": os.environ["PATH"], "HOME": str(stack.local_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()

    assert out[:2] == ["123456789012", "InService"]
    assert {"models/digits_v1.tar.gz", "models/digits_v2.tar.gz"} <= set(out[2:])


def test_the_line_that_make_up_prints_calls_a_model(stack: Stack) -> None:
    assert (stack.local_dir / "portal.env").stat().st_mode & 0o777 == 0o600
    (line,) = (one.strip() for one in stack.says().splitlines() if "mme invoke" in one)
    assert line.startswith(f". {stack.local_dir}/portal.env && .venv/bin/mme invoke demo digits:2 ")
    # The proxy is none: the file says that this machine needs no other.
    outer = {"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:1"}
    outer |= {"HOME": str(stack.local_dir)}
    done = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env=outer, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    call = json.loads(done.stdout)
    assert (call["model"], call["number"], call["state"]) == ("digits", 2, "done")
    assert call["predictions"][0]["label"] == "three"


def test_everything_is_as_it_was_left_and_no_process_outlives_the_end(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    """Also where the folder is of an earlier version: that one had neither a password for Redis
    nor a file of AWS keys, and wider modes."""
    invoke(stack)  # so that MMS and a worker of it run
    names = " ".join(command_of(process.pid) for process in stack.left())
    for expected in (
        "redis-server",
        "localaws.s3",
        "localaws",
        "celery",
        "mmeportal.server",
        "java",
    ):
        assert expected in names
    before = what_is_there(stack)
    password, keys = stack.admin_password, (stack.local_dir / "aws-keys").read_text()
    visitor = Visitor(stack)
    visitor.log_in()

    began = time.monotonic()
    stack.ends_whole(signal.SIGTERM)  # of SIGINT it ends at the end of the session
    ended = time.monotonic() - began
    for name in ("redis-password", "aws-credentials", "redis/users.acl", "redis/redis.conf"):
        (stack.local_dir / name).unlink()
    for path in every_path(stack.local_dir):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    started = stack.start()

    record_property("seconds_to_end", round(ended, 1))
    record_property("seconds_to_ready_again", round(started, 1))
    print(f"ended in {ended:.1f} s, ready again after {started:.1f} s")
    assert not open_to_others(stack.local_dir)
    assert stack.admin_password == password
    assert (stack.local_dir / "aws-keys").read_text() == keys
    assert redis_of(stack).ping()
    assert what_is_there(stack) == before
    assert visitor.get("/models/"), "who was logged in still is"
    assert "/login/" not in visitor.get("/models/")
    assert invoke(stack)


def test_a_killed_supervisor_leaves_nothing_that_stands_in_the_way(stack: Stack) -> None:
    invoke(stack)
    before = what_is_there(stack)
    everybody = {process.pid: process.started for process in stack.left()}

    stack.stop(signal.SIGKILL)
    stack.start()

    # As soon as the next start is ready, nothing of the one before is left.
    still = [pid for pid, started in everybody.items() if processes.is_alive(pid, started)]
    assert not still, [command_of(pid) for pid in still]
    assert what_is_there(stack) == before
    assert invoke(stack)


def test_a_second_start_in_the_same_folder_is_refused(stack: Stack) -> None:
    done = _make_up(LOCAL_DIR=str(stack.local_dir))

    assert done.returncode != 0
    assert f"A stack runs already in {stack.local_dir}" in done.stderr
    assert stack.process is not None
    assert str(stack.process.pid) in done.stderr
    assert stack.process.poll() is None


def test_a_taken_port_is_named_by_its_variable(stack: Stack, tmp_path: Any) -> None:
    done = _make_up(LOCAL_DIR=str(tmp_path / "other"), S3_PORT=str(stack.layout.s3_port))

    assert done.returncode != 0
    assert f"Port {stack.layout.s3_port} for the S3 server is taken" in done.stderr
    assert "Choose another with S3_PORT" in done.stderr
    assert "Traceback" not in done.stderr


# The last here: tests/test_secrets.py looks at a stack whose parts were killed.
@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_comes_back_and_the_stack_goes_on(stack: Stack, name: str) -> None:
    others = {other: stack.pid_of(other) for other in PARTS if other != name}

    stack.kill_and_wait_back(name)
    assert {other: stack.pid_of(other) for other in others} == others
    assert Visitor(stack).log_in()
    assert invoke(stack), "the endpoint still answers"


def _make_up(**variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "up"],
        cwd=ROOT,
        env=os.environ | free_ports() | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def what_is_there(stack: Stack) -> object:
    """Models, versions, endpoint and history, as the database and AWS tell them."""
    with contextlib.closing(
        sqlite3.connect(f"file:{stack.local_dir}/db.sqlite3?mode=ro", uri=True, timeout=20)
    ) as database:
        tables = [database.execute(query).fetchall() for query in _TABLES]
    client = boto3.client("sagemaker", **_client(stack, "AWS_ENDPOINT_URL_SAGEMAKER"))
    endpoint = client.describe_endpoint(EndpointName="demo")
    return tables, endpoint["EndpointStatus"], endpoint["EndpointArn"], endpoint["CreationTime"]


def invoke(stack: Stack, seconds: float = 60) -> bytes:
    """The answer of the endpoint `demo` to a picture of a digit."""
    client = boto3.client(
        "sagemaker-runtime", **_client(stack, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME")
    )
    picture = sorted((stack.local_dir / "demo" / "samples").glob("digit*"))[0]
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = client.invoke_endpoint(
                EndpointName="demo",
                TargetModel="digits_v2.tar.gz",
                ContentType="application/x-image",
                Body=picture.read_bytes(),
            )
            return bytes(answer["Body"].read())
        except Exception:
            # Just after a part was killed.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _client(stack: Stack, endpoint: str) -> dict[str, Any]:
    return {
        "endpoint_url": stack.aws[endpoint],
        "region_name": stack.aws["AWS_REGION"],
        "aws_access_key_id": stack.aws["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": stack.aws["AWS_SECRET_ACCESS_KEY"],
    }


def redis_of(stack: Stack) -> "redis.Redis":
    """The portal's user in its Redis."""
    password = (stack.local_dir / "redis-password").read_text().strip()
    return redis.Redis(port=stack.layout.redis_port, username="portal", password=password)


def every_path(folder: Path) -> Iterator[Path]:
    """All files and folders below it."""
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent) / name for name in (*folders, *files))


def open_to_others(folder: Path) -> list[str]:
    """What below it others than its owner may use."""
    found = []
    for path in every_path(folder):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISLNK(mode) and mode & 0o077:
            found.append(f"{path.relative_to(folder)} {stat.filemode(mode)}")
    return found
