"""A setting that cannot be meant stops the start, with a sentence; secrets come from files too."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from core import env

ROOT = Path(__file__).resolve().parents[2]
KEY_ID = "arn:aws:kms:ap-northeast-2:123456789012:key/1111aaaa-22bb-33cc-44dd-5555eeee6666"
KEY = "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abcdef"


# Importing packages takes most of the time of a start: each is a fork of one process that did.
_STARTS = """
import json, os, subprocess, sys
import boto3, botocore.session, celery.app.base, celery.schedules, celery.signals, cryptography
import dj_database_url, django.core.checks, django.core.management, django.conf, django.db.models
import django.forms, django.urls, jinja2, kombu.transport.redis, markdown_it, PIL.Image
import prometheus_client, pydantic, rich.console, rich.traceback, structlog, unittest.mock, waitress
loaded = [name for name in sys.modules if name.split(".")[0] in ("mmeportal", "core")]
assert not loaded, loaded
for line in sys.stdin:
    environment, program, arguments = json.loads(line)
    out, err = os.memfd_create("out"), os.memfd_create("err")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.dup2(out, 1), os.dup2(err, 2)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        code = 1
        try:
            exec(program, {"__name__": "__main__"})
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = []
    for file in (out, err):
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file) as written:
            said.append(written.read())
    print(json.dumps([code, *said]), flush=True)
"""
Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Runs a program, by itself one that reads the settings, with these variables alone."""
    bare = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [sys.executable, "-c", _STARTS],
        cwd=ROOT, env=bare, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def run(
            program: str = "import mmeportal.settings as s; print(s.DEBUG)",
            arguments: tuple[str, ...] = ("a program",),
            **variables: str,
        ) -> "subprocess.CompletedProcess[str]":
            asked.write(json.dumps([bare | variables, program, arguments]) + "\n")
            asked.flush()
            ready, _, _ = select.select([answers], [], [], 60)
            assert ready, "no answer within 60 s"
            code, out, err = json.loads(answers.readline())
            return subprocess.CompletedProcess([program], code, out, err)

        try:
            yield run
        finally:
            process.kill()


def test_it_does_not_start_without_a_secret_and_is_not_in_debug_by_default(start: Start) -> None:
    assert "Set the environment variable SECRET_KEY" in start().stderr
    assert start(SECRET_KEY=KEY).stdout == "False\n"


def test_a_value_that_cannot_be_understood_is_named(start: Start) -> None:
    assert "DEBUG must be 1 or 0, not 'maybe'" in start(SECRET_KEY=KEY, DEBUG="maybe").stderr
    wrong = start(SECRET_KEY=KEY, MAX_ARCHIVE_MB="0")
    assert "MAX_ARCHIVE_MB must be at least 1" in wrong.stderr
    wrong = start(SECRET_KEY=KEY, OPERATOR_ENDPOINT_DAYS="4000")
    assert "OPERATOR_ENDPOINT_DAYS must be at most 3650" in wrong.stderr
    wrong = start(SECRET_KEY=KEY, TRUSTED_PROXIES="192.0.2.0/24,10.0.0.0.1")
    assert "TRUSTED_PROXIES holds '10.0.0.0.1', which is no address or network" in wrong.stderr


def test_prefixes_of_keys_lie_apart_and_the_packing_is_one_that_there_is(start: Start) -> None:
    for name, value, said in [
        ("ORIGINALS_PREFIX", "models/originals", "'models/originals') must not lie inside MODEL_"),
        ("ORIGINALS_PREFIX", "models", "must not lie inside"),
        ("STAGING_PREFIX", "models/staging", "must not lie inside MODEL_PREFIX"),
        ("MODEL_PREFIX", "originals/store", "must not lie inside ORIGINALS_PREFIX"),
        ("MODEL_PREFIX", "/", "MODEL_PREFIX must not be empty"),
        ("PACKING", "zip", "PACKING must be one of auto, stored, compressed, not 'zip'"),
    ]:
        assert said in start(SECRET_KEY=KEY, **{name: value}).stderr
    assert start(SECRET_KEY=KEY, ORIGINALS_PREFIX="models-as-uploaded").stdout == "False\n"


def test_a_secret_comes_from_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    monkeypatch.setenv("THING_FILE", str(file))
    assert env.env_secret("THING") == "from the file"
    file.write_text("")
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        env.env_secret("THING")


@pytest.mark.parametrize(
    "weak",
    ["x", "a" * 64, "short-but-of-many-letters", "django-insecure-0123456789-abcdefghijklmn"],
)
def test_a_weak_secret_is_refused_at_the_start(start: Start, weak: str) -> None:
    refused = start(SECRET_KEY=weak, HTTPS="1")
    assert refused.returncode != 0
    assert "SECRET_KEY is too weak: take 32 random characters or more" in refused.stderr


@pytest.mark.parametrize("more", [{}, {"HSTS_SUBDOMAINS": "0"}, {"HSTS_PRELOAD": "1"}])
def test_the_deployment_check_finds_nothing(start: Start, more: dict[str, str]) -> None:
    program = (ROOT / "manage.py").read_text()
    arguments = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = start(program, arguments, SECRET_KEY=KEY, HTTPS="1", **more)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_a_password_of_a_file_is_put_into_the_address() -> None:
    put = env.url_with_password
    assert put("redis://portal@host:6379/0", "a/b@c") == "redis://portal:a%2Fb%40c@host:6379/0"
    assert put("rediss://host/0", "x") == "rediss://:x@host/0"
    assert put("postgres://me:old@host/name?a=1", "new") == "postgres://me:new@host/name?a=1"
    assert put("postgres://me:own@host/name", "") == "postgres://me:own@host/name"


def test_the_passwords_of_database_and_redis_come_from_files(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of a file\n")
    variables = {
        "SECRET_KEY": "only for this test, and long enough for any rule of it",
        "DATABASE_URL": "postgres://portal@host/name",
        "DATABASE_PASSWORD_FILE": str(file),
        "REDIS_URL": "redis://portal@host/0",
        "REDIS_PASSWORD_FILE": str(file),
    }
    program = (
        "import mmeportal.settings as s;"
        "print(s.DATABASES['default']['PASSWORD'], s.REDIS_URL, s.CELERY_BROKER_URL)"
    )
    done = start(program, **variables)
    assert done.returncode == 0, done.stderr
    address = "redis://portal:of%20a%20file@host/0"
    assert done.stdout == f"of a file {address} {address}\n"


@pytest.mark.parametrize(
    ("query", "kind"), [("", "CERT_REQUIRED"), ("?ssl_cert_reqs=none", "CERT_NONE")]
)
def test_the_certificate_of_redis_is_checked_unless_the_address_says_no(
    start: Start, query: str, kind: str
) -> None:
    variables = {
        "SECRET_KEY": "only for this test, and long enough for any rule of it",
        "REDIS_URL": f"rediss://portal@host/0{query}",
    }
    program = "from mmeportal.celery import app;print(app.connection().ssl['ssl_cert_reqs'].name)"
    done = start(program, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{kind}\n"


def test_settings_that_contradict_each_other_stop_the_start(start: Start) -> None:
    secret = {"SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-xyz"}
    assert "S3_ENCRYPTION" in start(**secret, S3_ENCRYPTION="aes").stderr
    assert "S3_KMS_KEY_ID needs" in start(**secret, S3_KMS_KEY_ID=KEY_ID).stderr
    good = start(**secret, S3_ENCRYPTION="sse-kms", S3_KMS_KEY_ID=KEY_ID)
    assert good.returncode == 0, good.stderr
