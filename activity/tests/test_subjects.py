"""What events are about is registered by the apps, and events of no app any more stay readable."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from activity import subjects
from activity.models import Event


def test_a_name_stands_for_one_kind_only() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        subjects.register("user", None)


def test_an_event_of_a_kind_that_no_app_registers_any_more_is_shown_and_leads_nowhere(
    db: None, client_of: Callable[[str], Client]
) -> None:
    event = Event.objects.create(
        action="ship.sank", subject_kind="ship", subject_id=7, subject_name="Vasa", text="It sank."
    )
    client = client_of("viewer")
    assert "It sank." in client.get("/activity/").content.decode()
    assert client.get(event.subject_url()).status_code == 404


@pytest.mark.parametrize(("role", "status"), [("operator", 403), ("admin", 302)])
def test_events_about_users_are_for_who_may_see_users(
    db: None, client_of: Callable[[str], Client], role: str, status: int
) -> None:
    event = Event.objects.create(
        action="user.deleted",
        subject_kind="user",
        subject_id=User.objects.create_user("somebody").pk,
        subject_name="somebody",
        text="About somebody.",
    )
    client = client_of(role)
    shown = "About somebody." in client.get("/activity/").content.decode()
    assert shown == (status == 302)
    answer = client.get(event.subject_url())
    assert answer.status_code == status
    if status == 403:
        assert "Your role does not allow you to see users." in answer.content.decode()
    else:
        assert answer.headers["Location"] == f"/people/{event.subject_id}/"
