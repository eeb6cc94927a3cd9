"""`make up` leaves a file with which a shell calls the API at once."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts import roles, services
from accounts.models import Token
from activity.models import Event

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


def test_a_start_makes_a_token_and_the_next_ones_keep_it(
    admin: User, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "portal.env"
    call_command("local_token", str(path), url=URL)
    assert path.stat().st_mode & 0o777 == 0o600
    first = _sourced(path)
    assert first["MME_URL"] == URL
    assert first["NO_PROXY"] == "127.0.0.1,localhost,example.com"
    assert _status(first["MME_TOKEN"]) == 200
    token = Token.objects.get()
    assert (token.expires_at - token.created_at).days == 30
    assert token.scopes == ["read", "upload", "invoke", "operate", "admin"]
    told = Event.objects.count()
    call_command("local_token", str(path), url="http://127.0.0.1:9000")
    again = _sourced(path)
    assert again["MME_TOKEN"] == first["MME_TOKEN"]
    assert again["MME_URL"] == "http://127.0.0.1:9000"
    assert Event.objects.count() == told
    assert [path.name for path in tmp_path.iterdir()] == ["portal.env"]
    assert first["MME_TOKEN"] not in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": timezone.now() + timedelta(hours=20)},
        {"scopes": ["read"]},
        {"revoked_at": timezone.now()},
    ],
)
def test_a_token_that_ends_soon_or_may_less_is_replaced(
    admin: User, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "portal.env"
    call_command("local_token", str(path), url=URL)
    first = _sourced(path)["MME_TOKEN"]
    Token.objects.update(**change)
    call_command("local_token", str(path), url=URL)
    second = _sourced(path)["MME_TOKEN"]
    assert (_status(first), _status(second)) == (401, 200)
    old, new = Token.objects.order_by("created_at")
    assert (old.revoked_at is None, new.revoked_at is None) == (False, True)


def test_a_token_of_somebody_else_in_the_file_is_replaced(
    admin: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "portal.env"
    call_command("local_token", str(path), url=URL)
    User.objects.create_superuser("other")
    monkeypatch.setenv("ADMIN_USER", "other")
    call_command("local_token", str(path), url=URL)
    assert Token.objects.get(revoked_at=None).user.username == "other"
    assert _status(_sourced(path)["MME_TOKEN"]) == 200


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
