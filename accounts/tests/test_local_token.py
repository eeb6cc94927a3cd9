"""`make up` leaves a file with which a shell calls the API at once."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from accounts import roles, services
from accounts.models import Token

URL = "http://127.0.0.1:8000"


@pytest.fixture
def admin(db: None) -> User:
    roles.ensure_roles()
    return User.objects.create_superuser("admin")


def _sourced(path: Path) -> dict[str, str]:
    command = ["sh", "-c", f". {path} && env -0"]
    outer = {"PATH": "/usr/bin:/bin", "NO_PROXY": "example.com"}
    out = subprocess.run(command, env=outer, capture_output=True, check=True, text=True).stdout
    return dict(line.split("=", 1) for line in out.split("\0") if line)


def _status(secret: str) -> int:
    answer = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    return int(answer.status_code)


def test_each_start_replaces_the_token(admin: User, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "portal.env"
    call_command("local_token", str(path), url=URL)
    assert path.stat().st_mode & 0o777 == 0o600
    first = _sourced(path)
    assert first["MME_URL"] == URL
    assert first["NO_PROXY"] == "127.0.0.1,localhost,example.com"
    assert _status(first["MME_TOKEN"]) == 200
    call_command("local_token", str(path), url=URL)
    second = _sourced(path)["MME_TOKEN"]
    assert _status(second) == 200
    old, new = Token.objects.order_by("created_at")
    assert (old.revoked_at is None, new.revoked_at is None) == (False, True)
    assert (new.expires_at - new.created_at).days == 30
    assert new.scopes == ["read", "upload", "invoke", "operate", "admin"]
    assert [path.name for path in tmp_path.iterdir()] == ["portal.env"]
    assert second not in capsys.readouterr().out


def test_without_an_active_account_there_is_no_token(
    admin: User, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "portal.env"
    call_command("local_token", str(path), url=URL)
    User.objects.create_superuser("other", password="a good long password")
    services.set_active(actor=None, user=admin, active=False)
    call_command("local_token", str(path), url=URL)
    assert set(_sourced(path)) & {"MME_URL", "MME_TOKEN"} == {"MME_URL"}
    assert "no active account 'admin'" in capsys.readouterr().out
    assert not Token.objects.filter(revoked_at=None).exists()
