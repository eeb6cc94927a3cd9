"""The log only grows, and outlives what it tells of."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from activity.models import Event
from activity.services import record
from models_catalog.models import RegisteredModel


@pytest.fixture
def event(db: None, user_in: Callable[[str], Any]) -> Event:
    model = RegisteredModel.objects.create(name="digits")
    return record(
        action="model.registered", subject=model, text="Registered it.", actor=user_in("operator")
    )


def test_events_cannot_be_changed_or_deleted(event: Event) -> None:
    event.text = "Never happened."
    for change in (
        event.save,
        event.delete,
        Event.objects.all().delete,
        lambda: Event.objects.update(text=""),
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()
    assert Event.objects.get().text == "Registered it."


def test_an_event_outlives_its_user_and_its_subject(
    event: Event, client_of: Callable[[str], Client]
) -> None:
    assert event.actor is not None
    event.actor.delete()
    RegisteredModel.objects.all().delete()
    client = client_of("viewer")
    page = client.get("/activity/").content.decode()
    assert "operator-user" in page
    assert "digits" in page
    assert client.get(event.subject_url()).status_code == 404


def test_an_event_leads_to_its_subject(event: Event, client_of: Callable[[str], Client]) -> None:
    answer = client_of("viewer").get(event.subject_url())
    assert answer.headers["Location"] == "/models/digits/"
