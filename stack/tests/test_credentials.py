"""Secrets are made once, for their owner alone; aws.env points every AWS client at the stack."""

import os
import subprocess
from pathlib import Path

import pytest

from stack import credentials
from stack.layout import BUCKET, Layout
from stack.parts import environment


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
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4601"
