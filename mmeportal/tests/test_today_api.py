"""GET /api/v1/today: what the page Today shows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core import clock
from endpoints.models import Endpoint, MonthSoFar
from endpoints.tests.conftest import account, advance, endpoint, make_version, serving, settle
from invocations.models import Invocation
from tests.bearer import secret_of

__all__ = ["account", "advance", "endpoint", "make_version", "serving", "settle"]
pytestmark = pytest.mark.django_db


def _asked(user: User, **headers: str) -> Any:
    secret = secret_of(user, ["read"])
    answer = Client().get("/api/v1/today", headers={"Authorization": f"Bearer {secret}"} | headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.not_quick
def test_it_has_what_needs_somebody_what_runs_what_ends_and_what_was_called(
    serving: Endpoint, make_version: Callable[..., Any], user_in: Callable[[str], User],
) -> None:  # fmt: skip
    end = clock.now() + timedelta(hours=5)
    Endpoint.objects.update(expires_at=end, failure="AWS does not allow it.")
    version = make_version()
    for state, cold, ms in (("done", True, 80.0), ("done", False, 8.0), ("failed", None, 3.0)):
        Invocation.objects.create(
            endpoint=serving, version=version, target_model="t", state=state, cold=cold,
            latency_ms=ms,
        )  # fmt: skip
    viewer = user_in("viewer")
    found = _asked(viewer)
    running = found["endpoints"]
    assert (running["all"], running["currency"], running["unpriced"]) == (1, "USD", 0)
    assert float(running["cost_per_month"]) > float(running["cost_per_hour"]) > 0
    assert [(one["endpoint"], one["idle"]) for one in running["ends"]] == [("demo", False)]
    assert found["calls"] == {"all": 3, "failed": 1, "cold": 1, "p50_ms": 8.0}
    (need, *_rest) = found["needs"]
    assert (need["summary"], need["error"]) == ("1 endpoint needs a decision", True)
    assert need["items"][0]["more"] == "AWS does not allow it."
    assert need["items"][0]["page"] == serving.get_absolute_url()
    reader = Client()
    reader.force_login(viewer)
    page = reader.get("/").content.decode()
    for one in found["needs"]:
        assert one["summary"] in page
    korean = _asked(viewer, **{"Accept-Language": "ko"})
    assert korean["needs"][0]["summary"] != need["summary"]


def test_the_month_is_as_it_was_added_up_last(
    serving: Endpoint, user_in: Callable[[str], User]
) -> None:
    viewer = user_in("viewer")
    assert _asked(viewer)["endpoints"]["month"] is None
    figures = {
        "cost": "1.20", "forecast": "30.00", "currency": "USD", "unpriced_types": ["ml.x"],
        "budgets": [],
    }  # fmt: skip
    MonthSoFar.objects.create(until=clock.now() + timedelta(days=3), figures=figures)
    figures.pop("budgets")
    assert _asked(viewer)["endpoints"]["month"] == figures


def test_who_has_no_role_sees_nothing(db: None) -> None:
    nobody = User.objects.create_user("nobody")
    answer = Client()
    answer.force_login(nobody)
    found = answer.get("/api/v1/today").json()
    assert (found["needs"], found["endpoints"], found["calls"]) == ([], None, None)
