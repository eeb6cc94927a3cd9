"""The page of what endpoints cost, its file, and the operation of the API."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core import clock, spreadsheet
from endpoints.models import Endpoint, InstanceRun
from endpoints.months import Month
from endpoints.tests.test_endpoints_api import Api

pytestmark = pytest.mark.django_db
PAGE, PATH = "/endpoints/cost/", "/api/v1/cost"


@pytest.fixture
def client(user_in: Callable[[str], User]) -> Client:
    client = Client()
    client.force_login(user_in("viewer"))
    return client


@pytest.fixture
def ran() -> Callable[..., Endpoint]:
    """An endpoint that ran ten hours in this month; its type costs 0.115 an hour."""

    def make(name: str = "demo", *, instance_type: str = "ml.m5.large", **more: Any) -> Endpoint:
        values = {"state": Endpoint.State.GONE, "gone_at": clock.now()} | more
        made: Endpoint = Endpoint.objects.create(name=name, instance_type=instance_type, **values)
        begin = Month.of(clock.now()).begin - timedelta(hours=10)
        InstanceRun.objects.create(
            endpoint=made, variant="AllTraffic", instance_type=instance_type, instance_count=1,
            begun_at=begin, ended_at=begin + timedelta(hours=10),
        )  # fmt: skip
        return made

    return make


def _last_month() -> str:
    return str(Month.of(clock.now()).before)


def _text(client: Client, query: str = "") -> str:
    answer = client.get(f"{PAGE}{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_an_empty_month_says_what_will_be_here(client: Client) -> None:
    text = _text(client)
    assert "No instance ran in" in text
    assert "will be listed here" in text
    assert "export.csv" not in text


def test_a_month_has_its_figures_its_chart_and_what_they_leave_out(
    client: Client, ran: Callable[..., Endpoint]
) -> None:
    ran()
    text = _text(client, f"?month={_last_month()}")
    assert "<strong>1.15 USD</strong>" in text
    assert "Cost a day" in text
    assert "<svg" in text
    assert "Data capture, and what others made in this account, are left out" in text
    assert "torn down" in text
    assert "Forecast" not in text  # the month is over


def test_what_goes_on_has_a_forecast_and_what_is_forgotten_a_badge(
    client: Client, ran: Callable[..., Endpoint]
) -> None:
    made = ran(state=Endpoint.State.IN_SERVICE, gone_at=None)
    InstanceRun.objects.update(ended_at=None)
    Endpoint.objects.update(created_at=clock.now() - timedelta(days=12, hours=1))
    text = _text(client)
    assert "Forecast" in text
    assert "idle 12 days" in text
    assert made.get_absolute_url() in text


def test_a_type_without_a_price_is_named(client: Client, ran: Callable[..., Endpoint]) -> None:
    ran(instance_type="ml.p9.huge")
    text = _text(client, f"?month={_last_month()}")
    assert "Not all has a price." in text
    assert "ml.p9.huge" in text


def test_on_a_local_stack_it_would_cost_on_aws(
    client: Client, ran: Callable[..., Endpoint], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran()
    assert "would cost on AWS" not in _text(client, f"?month={_last_month()}")
    monkeypatch.setattr("core.where.is_local", lambda: True)
    text = _text(client, f"?month={_last_month()}")
    assert "would cost on AWS. On this local stack they cost nothing." in text


@pytest.mark.parametrize(
    "query", ["?month=2026-99", "?month=9999-01", "?month=%00", "?by=colour", "?by=%00", "?month=x"]
)
def test_what_is_not_known_is_as_if_it_were_not_asked(client: Client, query: str) -> None:
    assert f'value="{Month.of(clock.now())}" selected' in _text(client, query)


@pytest.mark.parametrize("by", ["owner", "tag", "day", "endpoint"])
def test_each_grouping_has_its_page_and_file(
    client: Client, ran: Callable[..., Endpoint], by: str
) -> None:
    owner = User.objects.create_user("=cmd")
    ran(owner=owner, options={"tags": {"@team": "vision"}})
    query = f"?month={_last_month()}&by={by}"
    names = {"owner": "=cmd", "tag": "@team=vision", "endpoint": "demo", "day": "-01"}
    assert names[by] in _text(client, query)
    answer = client.get(f"{PAGE}export.csv{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer).decode()  # type: ignore[arg-type]
    rows = list(csv.reader(io.StringIO(text.removeprefix(spreadsheet.BYTE_ORDER_MARK))))
    assert rows[0][:4] == [by, "instance_hours", "cost", "forecast"]
    (row,) = (row for row in rows[1:] if row[2] != "0.00")
    assert row[1:5] == ["10.0", "1.15", "1.15", "USD"]
    assert not row[0].startswith(("=", "@"))


def test_a_program_gets_the_same(
    user_in: Callable[[str], User], ran: Callable[..., Endpoint]
) -> None:
    ran()
    api = Api(user_in("viewer"))
    status, found = api.ask("GET", f"{PATH}?month={_last_month()}")
    assert (status, found["cost"], found["forecast"], found["currency"]) == (
        200, "1.15", "1.15", "USD"
    )  # fmt: skip
    assert found["items"] == [
        {
            "name": "demo", "instance_hours": "10.0", "cost": "1.15", "forecast": "1.15",
            "unpriced_types": [], "idle_days": None,
        }
    ]  # fmt: skip
    assert api.ask("GET", PATH)[1]["items"] == []
    assert len(api.ask("GET", f"{PATH}?by=day")[1]["items"]) >= 28


@pytest.mark.parametrize("query", ["month=2026-13", "month=9998-01", "by=colour", "month=%00"])
def test_a_wrong_question_is_refused(user_in: Callable[[str], User], query: str) -> None:
    assert Api(user_in("viewer")).ask("GET", f"{PATH}?{query}")[0] == 422
