"""Budgets: set and removed, told of once at each level, and shown on pages and to programs."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connections
from django.test import Client

from activity.models import Event
from core import clock
from core.tests import locks
from endpoints import budgets
from endpoints.models import Budget, Endpoint, InstanceRun, MonthSoFar
from endpoints.spending import Spent
from endpoints.tests.test_endpoints_api import Api
from notices.models import Delivery, Webhook

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 16, tzinfo=UTC)
NOVEMBERS_END = datetime(2026, 12, 1, tzinfo=UTC)
FAR = datetime(2999, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PAGE, PATH = "/endpoints/cost/budget/", "/api/v1/cost/budget"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Put the clock to a time; it begins at NOW."""

    def put(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda *_: moment)
        monkeypatch.setattr("django.utils.timezone.now", lambda: moment)

    put(NOW)
    return put


@pytest.fixture
def demo(at: Any) -> Endpoint:
    """An endpoint of kim's, with a tag, that ran 100 hours: 11.50 USD. It is torn down."""
    kim = User.objects.create_user("kim")
    made: Endpoint = Endpoint.objects.create(
        name="demo", instance_type="ml.m5.large", state=Endpoint.State.GONE, gone_at=NOW,
        created_by=kim, options={"tags": {"team": "vision"}},
    )  # fmt: skip
    _ran(made, 100)
    return made


def _ran(endpoint: Endpoint, hours: float) -> None:
    InstanceRun.objects.create(
        endpoint=endpoint, variant="AllTraffic", instance_type="ml.m5.large", instance_count=1,
        begun_at=NOW - hours * HOUR, ended_at=NOW,
    )  # fmt: skip


def _set(amount: str, **whose: Any) -> Budget:
    return budgets.set_budget(amount=Decimal(amount), actor=None, **whose)


def _told() -> list[str]:
    return [str(one.sentence) for one in Event.objects.filter(action="budget.reached")]


def test_each_level_is_told_of_once_a_month(demo: Endpoint, at: Callable[..., None]) -> None:
    _set("25")  # 46 %
    assert budgets.sweep() == 0
    _ran(demo, 10)  # 50.6 %
    assert [budgets.sweep(), budgets.sweep()] == [1, 0]
    assert "The budget of all endpoints for 2026-11 is used by 50 percent: 12.65 of" in _told()[0]
    _ran(demo, 120)  # 105.8 %: one notice, not two
    assert [budgets.sweep(), budgets.sweep()] == [1, 0]
    assert len(_told()) == 2
    levels = Event.objects.filter(action="budget.reached").order_by("pk")
    assert [one.level for one in levels] == [Event.Level.WARNING, Event.Level.ERROR]
    at(datetime(2026, 12, 2, tzinfo=UTC))
    assert budgets.sweep() == 0  # the month is new
    assert Budget.objects.get().told_month == "2026-11"


def test_a_budget_of_another_amount_is_told_of_anew(demo: Endpoint) -> None:
    _set("20")
    assert budgets.sweep() == 1
    _set("20")
    assert budgets.sweep() == 0
    _set("14")
    assert budgets.sweep() == 1
    assert [text.split(" percent")[0].rpartition(" ")[2] for text in _told()] == ["57", "82"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_set_the_first_budget_at_a_time_the_second_changes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, usual = threading.Event(), budgets.record
    failed: list[BaseException] = []

    def record(**kwargs: Any) -> Any:
        if not written.is_set():
            written.set()
            locks.wait_for_waiter()
        return usual(**kwargs)

    def first() -> None:
        try:
            _set("20")
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    monkeypatch.setattr(budgets, "record", record)
    worker = threading.Thread(target=first)
    worker.start()
    try:
        assert written.wait(30)
        _set("30")
    finally:
        worker.join()
    assert not failed
    assert str(Budget.objects.get().amount) == "30.00"


def test_those_of_an_owner_and_of_a_tag_count_theirs_alone(demo: Endpoint) -> None:
    other = Endpoint.objects.create(
        name="other", instance_type="ml.m5.large", gone_at=NOW, state=Endpoint.State.GONE
    )
    _ran(other, 1000)
    _set("20", owner=demo.created_by)
    _set("20", tag="team=vision")
    _set("20", tag="team=sound")
    assert budgets.sweep() == 2
    assert sorted(text.partition(" for ")[0] for text in _told()) == [
        "The budget of endpoints of kim",
        "The budget of endpoints with the tag team=vision",
    ]


def test_a_notice_that_was_killed_is_given_later_and_once(
    demo: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set("20")

    class Killed(BaseException):
        pass

    real = budgets.record

    def record(**kwargs: Any) -> None:
        real(**kwargs)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(budgets, "record", record)
        with pytest.raises(Killed):
            budgets.sweep()
    assert (_told(), Budget.objects.get().told_percent) == ([], 0)
    assert budgets.sweep() == 1
    assert len(_told()) == 1


def test_webhooks_are_told(demo: Endpoint) -> None:
    Webhook.objects.create(uid="0" * 16, url="https://example.com", kinds=["budget.reached"])
    _set("20")
    budgets.sweep()
    assert Delivery.objects.get().kind == "budget.reached"


@pytest.mark.parametrize(
    ("amount", "whose", "field"),
    [
        ("0", {}, "amount"),
        ("-1", {}, "amount"),
        ("NaN", {}, "amount"),
        ("1e12", {}, "amount"),
        ("1", {"tag": "team"}, "tag"),
        ("1", {"tag": "=x"}, "tag"),
        ("1", {"tag": "a=\0"}, "tag"),
        ("1", {"tag": "a=b", "owner": True}, "tag"),
    ],
)
def test_what_is_no_budget(demo: Endpoint, amount: str, whose: dict[str, Any], field: str) -> None:
    if "owner" in whose:
        whose = whose | {"owner": demo.created_by}
    with pytest.raises(ValidationError) as refused:
        _set(amount, **whose)
    assert list(refused.value.message_dict) == [field]
    assert not Budget.objects.exists()


@pytest.mark.not_quick
def test_programs_set_and_remove_it(demo: Endpoint, user_in: Callable[[str], User]) -> None:
    api = Api(user_in("admin"))
    status, made = api.ask("PUT", PATH, {"amount": "20", "owner": "kim"})
    assert (status, made["amount"], made["cost"], made["percent"]) == (200, "20.00", "11.50", 57)
    assert (made["owner"], made["tag"], made["set_by"]) == ("kim", None, "admin-user")
    assert api.ask("GET", "/api/v1/cost")[1]["budgets"] == [made]
    assert api.ask("PUT", PATH, {"amount": "20", "owner": "nobody"})[0] == 404
    assert api.ask("PUT", PATH, {"amount": "20", "tag": "team"})[0] == 422
    assert api.ask("PUT", PATH, {"amount": "0"})[0] == 422
    assert api.ask("DELETE", f"{PATH}?tag=team%3Dvision")[0] == 404
    assert api.ask("DELETE", f"{PATH}?owner=kim")[0] == 204
    assert not Budget.objects.exists()
    actions = Event.objects.filter(action__startswith="budget.").values_list("action", flat=True)
    assert sorted(actions) == ["budget.removed", "budget.set"]
    assert Api(user_in("operator")).ask("PUT", PATH, {"amount": "20"})[0] == 403


@pytest.mark.parametrize(
    ("cost", "expected", "current", "state", "label"),
    [
        (49, 50, True, None, ""),
        (49, 51, False, None, ""),
        (49, 51, True, "idle", "will go over budget"),
        (50, 60, True, "idle", "half used"),
        (80, 0, False, "idle", "nearly all used"),
        (100, 0, True, "failed", "over budget"),
    ],
)
def test_its_badge_says_how_much_is_used(
    cost: int, expected: int, current: bool, state: str | None, label: str
) -> None:
    spent = Spent(cost=Decimal(cost), expected=Decimal(expected))
    badge = budgets.BudgetStanding(Budget(amount=Decimal(100)), spent, "USD", current).badge
    assert (badge and badge.state, badge.label if badge else "") == (state, label)


@pytest.mark.not_quick
def test_an_admin_sets_changes_and_removes_it_on_the_page(
    demo: Endpoint, user_in: Callable[[str], User]
) -> None:
    client = Client()
    client.force_login(user_in("admin"))
    assert "There is no budget." in client.get("/endpoints/cost/").content.decode()
    answer = client.post(PAGE, {"owner": "", "tag": "team=vision", "amount": "14"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/endpoints/cost/")
    page = " ".join(client.get("/endpoints/cost/").content.decode().split())
    assert "82 %" in page
    assert "nearly all used" in page
    assert 'value="14.00"' in client.get(f"{PAGE}?owner=&tag=team%3Dvision").content.decode()
    assert client.get(f"{PAGE}?owner=%00&tag=%00").status_code == 200
    for wrong in ({"tag": "team", "amount": "1"}, {"amount": "0"}, {"amount": "x"}):
        answer = client.post(PAGE, {"owner": "", "tag": ""} | wrong)
        assert (answer.status_code, 'class="errors"' in answer.content.decode()) == (400, True)
    client.post(PAGE, {"owner": "", "tag": "team=vision", "amount": ""})
    assert not Budget.objects.exists()
    viewer = Client()
    viewer.force_login(user_in("viewer"))
    assert "Set a budget" not in viewer.get("/endpoints/cost/").content.decode()


@pytest.mark.not_quick
def test_the_home_page_says_what_the_month_cost(
    demo: Endpoint, user_in: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    client.force_login(user_in("viewer"))

    def home() -> str:
        # The database's clock, which is not put to NOW, says whether the month goes on.
        MonthSoFar.objects.filter(until=NOVEMBERS_END).update(until=FAR)
        return " ".join(client.get("/").content.decode().split())

    assert "This month:" not in home()
    budgets.sweep()
    assert "11.50 USD" in home()
    _set("14")
    _set("100", tag="team=vision")
    budgets.sweep()
    text = home()
    assert "11.50 of 14.00 USD (82 %)" in text
    assert "1 budget is used by half or more" in text
    assert "82 % of the budget of all endpoints is used." in text
    monkeypatch.setattr("core.where.is_local", lambda: True)
    assert "This month it would cost on AWS:" in home()
    Endpoint.objects.create(
        name="runs", instance_type="ml.m5.large", state=Endpoint.State.IN_SERVICE
    )
    assert "11.50 of 14.00 USD (82 %)" in home()
    budgets.sweep()
    row = MonthSoFar.objects.get()
    assert row.until == NOVEMBERS_END
    MonthSoFar.objects.update(until=datetime(2000, 1, 1, tzinfo=UTC))
    assert "This month:" not in home()  # until the next one is added up
