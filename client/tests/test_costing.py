"""``mme cost``, against a portal that answers as the real one."""

import json
from collections.abc import Callable
from typing import Any

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says, problem

Mme = Callable[..., Ran]


def _line(name: str, **more: Any) -> dict[str, Any]:
    made = {
        "name": name, "instance_hours": "10.0", "cost": "1.15", "forecast": "2.30",
        "unpriced_types": [], "idle_days": None,
    }  # fmt: skip
    return made | more


def _report(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {
        "month": "2026-11", "since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z",
        "by": "endpoint", "currency": "USD", "instance_hours": "20.0", "cost": "2.30",
        "forecast": "4.60", "unpriced_types": [], "items": list(items),
        "estimate": "An estimate.", "budgets": [],
    }  # fmt: skip
    return made | more


def _budget(**more: Any) -> dict[str, Any]:
    made = {
        "owner": None, "tag": None, "amount": "500.00", "currency": "USD", "cost": "410.00",
        "forecast": "600.00", "percent": 82, "set_at": "2026-11-01T00:00:00Z", "set_by": "kim",
    }  # fmt: skip
    return made | more


def test_a_month_is_shown(mme: Mme, fake: FakePortal) -> None:
    lines = _line("old", idle_days=12), _line("huge", unpriced_types=["ml.p9.huge"])
    document = _report(*lines, unpriced_types=["ml.p9.huge"])
    fake.answers = [Says(document=document)]
    ran = mme("cost", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "idle for 12 days" in ran.out
    assert "2026-11: 2.30 USD so far, 4.60 USD at its end." in ran.out
    assert "no price is known: ml.p9.huge" in ran.out
    assert "An estimate." in ran.err
    assert fake.requests[-1].target == "/api/v1/cost?by=endpoint"
    assert "not by this portal" not in ran.err
    others = {
        "endpoint_count": 2, "unpriced": 0, "looked_at": "2026-11-02T00:00:00Z",
        "cost": {"per_hour": "0.2", "per_month": "146.00", "currency": "USD"},
    }  # fmt: skip
    fake.answers = [Says(document=document | {"others": others})]
    ran = mme("cost")
    assert "2 more endpoints, not by this portal: 0.2 USD an hour" in ran.err
    assert "0.2 USD" not in ran.out
    fake.answers = [Says(document=document)]
    assert mme("cost", "-q").out == "2.30 USD\n"
    fake.answers = [Says(document=document)]
    assert json.loads(mme("cost", "--json").out) == document


def test_the_month_and_what_each_line_is_are_asked_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=_report(_line(""), by="tag"))]
    ran = mme("cost", "--by", "tag", "--month", "2026-10", url=fake.url, token="t")
    assert (ran.code, "without a tag" in ran.out) == (0, True), ran.err
    assert fake.requests[-1].target == "/api/v1/cost?month=2026-10&by=tag"
    assert mme("cost", "--by", "colour").code == 2
    fake.answers = [problem("invalid", 422)]
    assert mme("cost", "--month", "tomorrow").code != 0


def test_as_csv_nothing_is_taken_for_a_formula(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=_report(_line("=1+1", idle_days=0), by="owner"))]
    ran = mme("cost", "--by", "owner", "--csv", url=fake.url, token="t")
    assert ran.out.splitlines() == [
        "owner,instance_hours,cost,forecast,currency,idle_days,unpriced_types",
        "'=1+1,10.0,1.15,2.30,USD,0,",
    ]
    assert mme("cost", "--csv", "--json").code == 2


def test_a_month_without_instances_says_so(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=_report(cost="0.00", forecast="0.00"))]
    ran = mme("cost", url=fake.url, token="t")
    assert (ran.code, "No instance ran in 2026-11." in ran.err) == (0, True)


def test_a_budget_is_set_listed_and_removed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=_budget(tag="team=vision"))]
    ran = mme("cost", "budget", "500", "--tag", "team=vision", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].split() == [
        "team=vision", "500.00", "USD", "82", "%", "410.00", "600.00",
    ]  # fmt: skip
    asked = fake.requests[-1]
    assert (asked.method, asked.target) == ("PUT", "/api/v1/cost/budget")
    assert json.loads(asked.body) == {"amount": "500", "owner": "", "tag": "team=vision"}
    fake.answers = [Says(document=_report(budgets=[_budget()]))]
    assert "all endpoints" in mme("cost", "budget").out
    fake.answers = [Says(document=_report(budgets=[_budget()]))]
    assert "82 %" in mme("cost").out
    fake.answers = [Says(document=_report())]
    assert "There is no budget." in mme("cost", "budget").err
    fake.answers = [Says(204)]
    assert mme("cost", "budget", "--owner", "kim", "--remove").code == 0
    assert fake.requests[-1].target == "/api/v1/cost/budget?owner=kim"


def test_wrong_budgets(mme: Mme, fake: FakePortal) -> None:
    assert mme("cost", "budget", "5", "--remove", url=fake.url, token="t").code == 2
    assert mme("cost", "budget", "--owner", "kim").code == 2
    assert not fake.requests
    fake.answers = [problem("not-found", 404)]
    assert mme("cost", "budget", "--remove").code == 3


def test_the_prices_are_listed(mme: Mme, fake: FakePortal) -> None:
    items = [{"instance_type": "ml.m5.large", "per_hour": "0.115"}]
    document = {
        "region": "us-east-1", "currency": "USD", "collected": "2026-11-28",
        "source": "AWS Price List", "problem": "Access is denied.", "items": items,
    }  # fmt: skip
    fake.answers = [Says(document=document)]
    ran = mme("cost", "prices", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert all(text in ran.out for text in ("ml.m5.large", "0.115", "an hour, USD"))
    assert "Prices of us-east-1, collected on 2026-11-28. Source: AWS Price List" in ran.err
    assert "Access is denied." in ran.err
    assert fake.requests[-1].target == "/api/v1/cost/prices"
    fake.answers = [Says(document=document)]
    assert mme("cost", "prices", "-q").out == "ml.m5.large\n"
    fake.answers = [Says(document=document)]
    assert json.loads(mme("cost", "prices", "--json").out) == document
