"""No secret of a running stack is where somebody or something could see it who needs it not.

The secrets are random and of this stack alone, so each can be looked for everywhere.
"""

import os
import re
import sqlite3
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from stack import processes
from stack.layout import ROOT
from tests.stack import Stack
from tests.test_make_up import Visitor, every_path, invoke, open_to_others, redis_of

#: Which secrets a part's processes may have in their environment; all others none.
_IN_ENVIRONMENT = {"s3": {"AWS key"}, "localaws": {"AWS key"}}
#: Which files below `.local` are there to hold one.
_IN_FILE = {
    "secret-key": {"SECRET_KEY"},
    "admin-password": {"admin's password"},
    "redis-password": {"Redis password"},
    "aws-keys": {"AWS key"},
    "aws-credentials": {"AWS key"},
    "aws.env": {"AWS key"},
    "portal.env": {"API token"},
}
# Without the prefix, which is what logs keep.
_API_TOKEN = re.compile(r"^export MME_TOKEN=mme_(\w+)$", re.MULTILINE)


def _secrets(stack: Stack) -> dict[str, bytes]:
    def content(name: str) -> str:
        return (stack.local_dir / name).read_text().strip()

    found = {
        "SECRET_KEY": content("secret-key"),
        "admin's password": content("admin-password"),
        "Redis password": content("redis-password"),
        "AWS key": content("aws-keys").partition(" ")[2],
        "API token": _API_TOKEN.findall(content("portal.env"))[0],
        "the caller's token": stack.planted,
    }
    assert all(len(value) > 9 for value in found.values())
    return {name: value.encode() for name, value in found.items()}


def _held(content: bytes, secrets: dict[str, bytes]) -> set[str]:
    return {name for name, value in secrets.items() if value in content}


@pytest.fixture(scope="module")
def lived(stack: Stack) -> Stack:
    """The stack after work, and after as many kinds of errors as are easily had."""
    visitor = Visitor(stack)
    visitor.log_in()
    invoke(stack)
    for name in ("redis", "s3", "localaws", "worker", "web"):
        if name not in stack.killed:  # as tests/test_make_up.py leaves it
            stack.kill_and_wait_back(name)
    for path in ("/nope", "/models/nope/", "/endpoints/999999/", "/admin/"):
        with pytest.raises(urllib.error.HTTPError):
            visitor.get(path) if path != "/admin/" else visitor.get("/admin/nope/")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{stack.url}/login/", b"username=x&password=y", timeout=30)
    client = redis_of(stack)
    client.lpush("celery", "junk")
    with pytest.raises(redis.ResponseError):
        client.config_get("*")
    with pytest.raises(AssertionError):
        stack.manage("pack_zoo", "no-such-network")
    invoke(stack)
    return stack


def test_no_process_has_a_secret_in_its_arguments_or_one_that_it_needs_not(lived: Stack) -> None:
    secrets = _secrets(lived)
    seen = set()
    containers = 0
    for process in lived.left():
        place = Path(f"/proc/{process.pid}")
        try:
            arguments = (place / "cmdline").read_bytes()
            environment = (place / "environ").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        mark = f"{processes.PART_MARK}=".encode()
        (part,) = (x[len(mark) :].decode() for x in environment.split(b"\0") if x.startswith(mark))
        seen.add(part)
        assert not _held(arguments, secrets), (part, arguments)
        # A container that localaws started has its mark, and none of its keys.
        inside = b"\0MME_BIND_SOCKET=" in environment
        containers += inside
        allowed = set() if inside else _IN_ENVIRONMENT.get(part, set())
        assert _held(environment, secrets) <= allowed, (part, arguments)
    assert {"redis", "s3", "localaws", "worker", "beat", "web"} <= seen
    assert containers > 1, "those of a container are among them"


def test_no_part_has_settings_that_are_none_of_its_business(lived: Stack) -> None:
    portal = ("SECRET_KEY_FILE=", "REDIS_PASSWORD_FILE=", "DATABASE_URL=", "ADMIN_")
    for part, not_its in {
        "redis": (*portal, "AWS_"),
        "s3": portal,
        "localaws": portal,
        "beat": ("AWS_ACC", "AWS_SEC", "AWS_SHARED", "ADMIN_"),
        "worker": ("ADMIN_", "AWS_SECRET"),
        "web": ("ADMIN_", "AWS_SECRET"),
    }.items():
        environment = Path(f"/proc/{lived.pid_of(part)}/environ").read_text().split("\0")
        assert not [line for line in environment if line.startswith(not_its)], part


def test_no_log_file_or_folder_of_the_stack_holds_a_secret(lived: Stack) -> None:
    secrets = _secrets(lived)
    files = [
        path for path in every_path(lived.local_dir) if path.is_file() and not path.is_symlink()
    ]
    assert {"db.sqlite3", "web.log", "users.acl"} <= {path.name for path in files}
    for path in files:
        name = str(path.relative_to(lived.local_dir))
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a temporary one
            continue
        assert _held(content, secrets) <= _IN_FILE.get(name, set()), name
    # What the person who typed `make up` reads is no file of the stack; it names one of them.
    assert _held(lived.output.read_bytes(), secrets) == {"admin's password"}


def test_the_database_redis_and_the_pages_hold_no_secret(lived: Stack) -> None:
    secrets = _secrets(lived)
    with sqlite3.connect(f"file:{lived.local_dir}/db.sqlite3?mode=ro", uri=True) as database:
        dump = "\n".join(database.iterdump())
    assert "auth_user" in dump
    assert not _held(dump.encode(), secrets)

    client = redis_of(lived)
    keys = list(client.scan_iter())
    assert b"_kombu.binding.celery" in keys
    assert not _held(b"".join(keys), secrets)

    visitor = Visitor(lived)
    visitor.log_in()
    todo, done = ["/"], set[str]()
    while todo and len(done) < 120:
        path = todo.pop(0)  # the pages of the menu before those that they lead to
        done.add(path)
        try:
            page = visitor.get(path)
        except urllib.error.HTTPError:  # what is only posted to
            continue
        assert not _held(page.encode(), secrets), path
        found = re.findall(r'href="(/[^"#?]*)["#?]', page)
        todo += [each for each in found if each not in done and "logout" not in each]
        todo = list(dict.fromkeys(todo))
    assert {"/", "/models/", "/activity/", "/endpoints/"} <= done


def test_everything_below_the_folder_is_for_its_owner_alone(lived: Stack) -> None:
    assert lived.local_dir.stat().st_mode & 0o777 == 0o700
    assert not open_to_others(lived.local_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_can_use_none_of_it(lived: Stack) -> None:
    port = lived.layout.redis_port
    worker = lived.pid_of("worker")
    script = f"""
        cat {lived.local_dir}/db.sqlite3 /proc/{worker}/environ && echo "read a file"
        exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1
        printf 'CONFIG SET dir /tmp\\r\\nSAVE\\r\\nLRANGE celery 0 -1\\r\\nLPUSH celery x\\r\\n' >&3
        for i in 1 2 3 4; do read -r line <&3; echo "$line"; done
    """
    done = subprocess.run(
        ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "bash", "-c", script],
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    answers = done.stdout.splitlines()
    assert len(answers) == 4, done
    assert all(line.startswith("-NOAUTH") for line in answers), answers
    assert done.stderr.count("Permission denied") == 2, done.stderr


def test_manage_makes_files_for_their_owner_alone(lived: Stack, tmp_path: Path) -> None:
    made = tmp_path / "dump.json"
    subprocess.run(
        ["make", "manage", f"ARGS=dumpdata --output {made} activity"],
        cwd=ROOT,
        env=os.environ | lived.variables,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert made.stat().st_mode & 0o777 == 0o600
