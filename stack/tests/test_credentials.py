"""Secrets are made once, for their owner alone; aws.env points every AWS client at the stack."""

import os
import subprocess
from pathlib import Path

import botocore.session
import pytest

from stack import credentials
from stack.layout import BUCKET, Layout
from stack.parts import environment, parts


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "local", port=8101, localaws_port=4601, s3_port=9101)
    layout.make_folders()
    return layout


def _sourced(path: Path, outer: dict[str, str]) -> dict[str, str]:
    command = ["sh", "-c", f". {path} && env -0"]
    out = subprocess.run(command, env=outer, capture_output=True, check=True, text=True).stdout
    return dict(line.split("=", 1) for line in out.split("\0") if line)


def test_secrets_stay_the_same_and_are_private(layout: Layout) -> None:
    first = credentials.admin_password(layout), credentials.secret_key_file(layout).read_text()
    path = credentials.write_aws_env(layout)
    before = path.read_text()

    second = credentials.admin_password(layout), credentials.secret_key_file(layout).read_text()
    credentials.write_aws_env(layout)

    assert first == second
    assert path.read_text() == before
    for name in ("admin-password", "secret-key", "aws-keys", "aws.env"):
        assert (layout.local_dir / name).stat().st_mode & 0o777 == 0o600, name


def test_two_stacks_have_secrets_of_their_own(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    other.make_folders()

    assert credentials.admin_password(layout) != credentials.admin_password(other)
    keys = [credentials.aws_environment(each)["AWS_ACCESS_KEY_ID"] for each in (layout, other)]
    assert keys[0] != keys[1]


def test_the_first_password_can_be_chosen(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "chosen at first")
    assert credentials.admin_password(layout) == "chosen at first"
    monkeypatch.setenv("ADMIN_PASSWORD", "too late")
    assert credentials.admin_password(layout) == "chosen at first"


def test_an_empty_secret_of_an_interrupted_start_is_filled(layout: Layout) -> None:
    (layout.local_dir / "admin-password").touch()
    made = credentials.admin_password(layout)
    assert made
    assert credentials.admin_password(layout) == made


def test_sourcing_aws_env_points_clients_at_the_stack(layout: Layout) -> None:
    path = credentials.write_aws_env(layout)

    outer = {"PATH": os.environ["PATH"], "AWS_SESSION_TOKEN": "mine", "AWS_PROFILE": "work"}
    found = _sourced(path, outer | {"NO_PROXY": "intranet"})

    assert found["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:9101"
    for name in ("", "_SAGEMAKER", "_SAGEMAKER_RUNTIME"):
        assert found[f"AWS_ENDPOINT_URL{name}"] == "http://127.0.0.1:4601"
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "ap-northeast-2"
    assert found["MME_BUCKET"] == BUCKET
    assert found["NO_PROXY"] == "127.0.0.1,localhost,intranet"
    assert not {"AWS_SESSION_TOKEN", "AWS_PROFILE"} & set(found)


def test_parts_get_nothing_of_the_users_own_aws_settings(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "REAL")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "REAL")
    monkeypatch.setenv("AWS_PROFILE", "REAL")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    found = environment(layout)

    assert "REAL" not in found.values()
    assert not [name for name in found if name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4601"


def test_parts_get_no_secret_of_other_programs(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "ADMIN_PASSWORD", "OPENAI_API_KEY", "PGPASSWORD", "MY_SECRET"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("WORKER_THREADS", "6")

    found = parts(layout)

    environments = {part.name: part.environment for part in found}
    assert environments["worker"]["WORKER_THREADS"] == "6", "settings are handed on"
    assert "WORKER_THREADS" not in environments["redis"]
    for name, environment_of_part in environments.items():
        if not name.startswith("install-"):  # pip may have to log in somewhere
            assert "planted" not in environment_of_part.values(), name


def test_a_file_for_aws_clients_holds_the_same_keys(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = credentials.aws_credentials_file(layout)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    found = botocore.session.get_session().get_credentials()

    assert found is not None
    assert (found.access_key, found.secret_key) == credentials.aws_keys(layout)
    assert path.stat().st_mode & 0o777 == 0o600


def test_redis_is_told_its_password_in_files_of_their_owner_alone(layout: Layout) -> None:
    (redis,) = (part for part in parts(layout) if part.name == "redis")

    password = credentials.redis_password_file(layout).read_text().strip()
    folder = layout.local_dir / "redis"
    assert password not in " ".join(redis.command)
    assert list(redis.command)[1:] == [str(folder / "redis.conf")]
    for name in ("redis.conf", "users.acl"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert password not in (folder / name).read_text(), "a hash of it alone"
    assert layout.redis_url == "redis://portal@127.0.0.1:6380/0"


def test_the_portals_log_is_for_people_unless_the_caller_wants_another_form(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    assert environment(layout)["LOG_FORMAT"] == "console"
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert environment(layout)["LOG_FORMAT"] == "json"
