"""A setting that cannot be meant stops the start, with a sentence; secrets come from files too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from core import env

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abcdef"


def _start(**variables: str) -> "subprocess.CompletedProcess[str]":
    bare = {"PATH": os.environ["PATH"], **variables}
    command = [sys.executable, "-c", "import mmeportal.settings as s; print(s.DEBUG)"]
    return subprocess.run(
        command, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_does_not_start_without_a_secret_and_is_not_in_debug_by_default() -> None:
    assert "Set the environment variable SECRET_KEY" in _start().stderr
    assert _start(SECRET_KEY=KEY).stdout == "False\n"


def test_a_value_that_cannot_be_understood_is_named() -> None:
    assert "DEBUG must be 1 or 0, not 'maybe'" in _start(SECRET_KEY=KEY, DEBUG="maybe").stderr
    wrong = _start(SECRET_KEY=KEY, MAX_ARCHIVE_MB="0")
    assert "MAX_ARCHIVE_MB must be at least 1" in wrong.stderr
    wrong = _start(SECRET_KEY=KEY, OPERATOR_ENDPOINT_DAYS="4000")
    assert "OPERATOR_ENDPOINT_DAYS must be at most 3650" in wrong.stderr
    wrong = _start(SECRET_KEY=KEY, TRUSTED_PROXIES="192.0.2.0/24,10.0.0.0.1")
    assert "TRUSTED_PROXIES holds '10.0.0.0.1', which is no address or network" in wrong.stderr


def test_prefixes_of_keys_lie_apart_and_the_packing_is_one_that_there_is() -> None:
    for name, value, said in [
        ("ORIGINALS_PREFIX", "models/originals", "'models/originals') must not lie inside MODEL_"),
        ("ORIGINALS_PREFIX", "models", "must not lie inside"),
        ("STAGING_PREFIX", "models/staging", "must not lie inside MODEL_PREFIX"),
        ("MODEL_PREFIX", "originals/store", "must not lie inside ORIGINALS_PREFIX"),
        ("MODEL_PREFIX", "/", "MODEL_PREFIX must not be empty"),
        ("PACKING", "zip", "PACKING must be one of auto, stored, compressed, not 'zip'"),
    ]:
        assert said in _start(SECRET_KEY=KEY, **{name: value}).stderr
    assert _start(SECRET_KEY=KEY, ORIGINALS_PREFIX="models-as-uploaded").stdout == "False\n"


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
def test_a_weak_secret_is_refused_at_the_start(weak: str) -> None:
    refused = _start(SECRET_KEY=weak, HTTPS="1")
    assert refused.returncode != 0
    assert "SECRET_KEY is too weak: take 32 random characters or more" in refused.stderr


@pytest.mark.parametrize("more", [{}, {"HSTS_SUBDOMAINS": "0"}, {"HSTS_PRELOAD": "1"}])
def test_the_deployment_check_finds_nothing(more: dict[str, str]) -> None:
    bare = {"PATH": os.environ["PATH"], "SECRET_KEY": KEY, "HTTPS": "1"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(
        command, cwd=ROOT, env=bare | more, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_a_password_of_a_file_is_put_into_the_address() -> None:
    put = env.url_with_password
    assert put("redis://portal@host:6379/0", "a/b@c") == "redis://portal:a%2Fb%40c@host:6379/0"
    assert put("rediss://host/0", "x") == "rediss://:x@host/0"
    assert put("postgres://me:old@host/name?a=1", "new") == "postgres://me:new@host/name?a=1"
    assert put("postgres://me:own@host/name", "") == "postgres://me:own@host/name"


def test_the_passwords_of_database_and_redis_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of a file\n")
    bare = {
        "PATH": os.environ["PATH"],
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
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    address = "redis://portal:of%20a%20file@host/0"
    assert done.stdout == f"of a file {address} {address}\n"


@pytest.mark.parametrize(
    ("query", "kind"), [("", "CERT_REQUIRED"), ("?ssl_cert_reqs=none", "CERT_NONE")]
)
def test_the_certificate_of_redis_is_checked_unless_the_address_says_no(
    query: str, kind: str
) -> None:
    bare = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "only for this test, and long enough for any rule of it",
        "REDIS_URL": f"rediss://portal@host/0{query}",
    }
    program = "from mmeportal.celery import app;print(app.connection().ssl['ssl_cert_reqs'].name)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == f"{kind}\n"
