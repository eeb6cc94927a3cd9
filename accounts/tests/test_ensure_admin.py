"""A start finds or makes an administrator, whatever became of the account that has its name."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from activity.models import Event
from tests.together import together


@pytest.fixture(autouse=True)
def _first_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "short")  # chosen by whoever starts it: no rules


def _sentences() -> list[str]:
    return [event.sentence for event in Event.objects.order_by("id")]


def test_the_first_one_is_made_with_an_event(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ensure_admin")
    call_command("ensure_admin")
    admin = User.objects.get()
    assert admin.check_password("short")
    assert _sentences() == ["Made the user admin (roles: superuser, admin)."]
    assert "short" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage",
    [
        {"is_superuser": False},
        {"is_active": False},
        {"is_superuser": False, "is_active": False, "is_staff": False},
    ],
)
def test_an_account_that_lost_its_rights_gets_them_back(
    db: None, damage: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("ensure_admin")
    admin = User.objects.get()
    admin.set_password("chosen since then")
    admin.save()
    admin.groups.clear()
    User.objects.update(**damage)
    call_command("ensure_admin")
    admin = User.objects.get()
    assert admin.is_superuser
    assert admin.is_active
    assert admin.check_password("chosen since then")
    assert "administrator again" in capsys.readouterr().out
    assert _sentences()[-1].startswith("Made admin an active administrator again")


def test_an_account_that_cannot_log_in_gets_the_first_password(db: None) -> None:
    admin = User(username="admin", is_superuser=True)
    admin.set_unusable_password()
    admin.save()
    call_command("ensure_admin")
    assert User.objects.get().check_password("short")


def test_where_another_admin_is_active_a_demoted_one_stays_demoted(db: None) -> None:
    call_command("ensure_admin")
    User.objects.create_superuser("other", password="a good long password")
    User.objects.filter(username="admin").update(is_superuser=False)
    call_command("ensure_admin")
    assert not User.objects.get(username="admin").is_superuser


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_starts_on_several_machines_at_the_same_time_make_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    together([lambda: call_command("ensure_admin")] * 4)
    assert User.objects.filter(is_superuser=True).count() == 1
    assert Event.objects.count() == 1
