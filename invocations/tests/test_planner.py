"""Which instances hold given models under given calls, at which cost."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import groups, tokens
from endpoints import instance_memory
from endpoints.models import Endpoint
from invocations.capacity import planner, thrash
from invocations.capacity.planner import CapacityRefused, WantedCapacity
from invocations.tests.test_thrash import LARGE, XLARGE, call, demo, versions
from models_catalog import secrecy
from models_catalog.models import RegisteredModel, Store, StoreGroup, Version
from tests.bearer import secret_of

__all__ = ["demo", "versions"]
ClientOf = Callable[[str], Client]
PAGE = "/endpoints/planner/"


@pytest.fixture(autouse=True)
def _types(settings: Any) -> None:
    settings.INSTANCE_TYPES = [LARGE, XLARGE, "ml.m5.2xlarge"]
    settings.MAX_INSTANCES = 2


@pytest.mark.usefixtures("versions")
def test_the_cheapest_that_has_what_is_wanted_is_recommended() -> None:
    found = planner.plan(WantedCapacity(models="*", most_instances=1))
    by_type = {one.choice.instance_type: one for one in found.choices}
    assert not by_type[LARGE].fits
    assert 0.1 < by_type[LARGE].choice.cold_share < 0.5
    assert by_type[XLARGE].recommended
    assert by_type[XLARGE].choice.holds_all
    assert by_type["ml.m5.2xlarge"].fits
    assert not by_type["ml.m5.2xlarge"].recommended
    assert [one.instance_type for one in found.frontier] == [LARGE, XLARGE]


@pytest.mark.usefixtures("versions")
def test_two_small_ones_hold_what_one_does_not() -> None:
    found = planner.plan(WantedCapacity(models="*", most_instances=2))
    best = found.recommended
    assert best is not None
    assert (best.choice.instance_type, best.choice.instance_count) in ((LARGE, 2), (XLARGE, 1))
    assert best.choice.cost is not None
    assert best.choice.cost.hourly == "0.23"


@pytest.mark.usefixtures("versions")
def test_few_calls_that_may_wait_cost_more_than_many() -> None:
    found = planner.plan(WantedCapacity(models="*", most_instances=1, cold_share=0.5))
    best = found.recommended
    assert best is not None
    assert best.choice.instance_type == LARGE


@pytest.mark.not_quick
def test_as_recorded_is_what_the_endpoint_had(demo: Endpoint, versions: list[Version]) -> None:
    call(demo, versions[:5])
    found = planner.plan(WantedCapacity(models="*", like=demo, most_instances=1))
    assert found.choices[0].recommended
    assert sum(one.share for one in found.models) == pytest.approx(1)
    assert found.models[10].share == 0


@pytest.mark.usefixtures("versions")
def test_busy_processors_are_not_recommended() -> None:
    Version.objects.update(report={"ok": True, "memory_mb": 10, "warm_ms": 100})
    found = planner.plan(WantedCapacity(models="*", calls_per_hour=72_000, most_instances=1))
    by_type = {one.choice.instance_type: one for one in found.choices}
    assert by_type[LARGE].busy_share == pytest.approx(1.0)
    assert by_type[XLARGE].busy_share == pytest.approx(0.5)
    assert by_type[XLARGE].recommended


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"models": "nobody:1"}, "models"),
        ({"models": ""}, "models"),
        ({"draw": "zipf:9"}, "draw"),
        ({"calls_per_hour": 0}, "calls_per_hour"),
        ({"calls_per_hour": float("nan")}, "calls_per_hour"),
        ({"cold_share": 2}, "cold_share"),
        ({"most_instances": 3}, "most_instances"),
    ],
)
@pytest.mark.usefixtures("versions")
def test_what_cannot_be_planned_is_said(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(CapacityRefused) as refused:
        planner.plan(WantedCapacity(**({"models": "*", "most_instances": 1} | wanted)))
    assert refused.value.field == field


def _store(name: str, **what: Any) -> Store:
    what = {"bucket": "other", "prefix": "m", "region": "ap-northeast-2"} | what
    return Store.objects.create(name=name, **what)


@pytest.mark.not_quick
@pytest.mark.usefixtures("versions")
def test_models_of_another_store_are_planned_for(client_of: ClientOf, demo: Endpoint) -> None:
    model = RegisteredModel.objects.create(name="far", store=_store("far"))
    Version.objects.create(
        model=model, number=1, bucket="other", prefix="m", key="m/far.tar.gz", size=1,
        state=Version.State.READY, report={"ok": True, "memory_mb": 10},
    )  # fmt: skip
    found = planner.plan(WantedCapacity(models="*", store="far", most_instances=1))
    assert [one.target.name for one in found.models] == ["far:1"]
    for wanted, field in (
        (WantedCapacity(models="*", store="none", most_instances=1), "store"),
        (WantedCapacity(models="m1:*", store="far", most_instances=1), "models"),
        (WantedCapacity(models="*", store="far", like=demo, most_instances=1), "like"),
    ):
        with pytest.raises(CapacityRefused) as refused:
            planner.plan(wanted)
        assert refused.value.field == field
    client = client_of("operator")
    page = client.get(PAGE).content.decode()
    assert '<option value="far">far – s3://other/m/</option>' in page
    page = client.get(
        f"{PAGE}?store=far&models=*&calls_per_hour=60&draw=uniform&percent=1&instances=1"
    ).content.decode()
    href = "/endpoints/new/?instance_type=ml.m5.large&amp;instance_count=1&amp;store=far"
    assert href in page
    new = client.get(href.replace("&amp;", "&")).content.decode()
    assert '<option value="far" selected>' in new


def test_who_sees_one_store_alone_plans_for_that(user_in: Callable[[str], User]) -> None:
    """The default one is hidden from them."""
    default = Store.objects.create(name="default", bucket="", region="")
    StoreGroup.objects.create(store=default, group=groups.make(name="team-a", actor=None))
    secrecy.forget()
    client = Client()
    client.force_login(user_in("operator"))
    assert client.get("/models/new/import/").status_code == 404
    assert client.get(PAGE).status_code == 200
    _store("far")
    page = client.get(PAGE).content.decode()
    assert '<option value="far">' in page
    assert "default" not in page[page.index('name="store"') :].partition("</select>")[0]


def test_too_few_recorded_calls_are_none(demo: Endpoint, versions: list[Version]) -> None:
    call(demo, versions, calls=thrash.FEWEST_CALLS - 1)
    with pytest.raises(CapacityRefused, match="too few"):
        planner.plan(WantedCapacity(models="*", like=demo, most_instances=1))


@pytest.mark.not_quick
def test_the_page_has_form_chart_and_table(client_of: ClientOf, versions: list[Version]) -> None:
    client = client_of("operator")
    assert "Nothing is planned yet" in client.get(PAGE).content.decode()
    query = "?models=*&calls_per_hour=600&draw=zipf:1.1&percent=1&instances=1"
    answer = client.get(PAGE + query)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "ml.m5.xlarge is the cheapest" in text
    assert "What the cost buys" in text
    prices = [row["hourly"] for row in answer.context["rows"]]
    assert len({len(price.partition(".")[2]) for price in prices}) == 1, prices
    assert len({price.rstrip("0") for price in prices} - set(prices)) > 0, "one was filled up"
    href = "/endpoints/new/?instance_type=ml.m5.xlarge&amp;instance_count=1"
    assert href in text
    form = client.get(href.replace("&amp;", "&")).context["form"]
    assert form.initial["instance_type"] == XLARGE
    wrong = client.get(PAGE + query.replace("models=*", "models=nobody:1"))
    assert wrong.status_code == 400
    assert "nobody:1" in wrong.content.decode()


def test_the_operation_says_the_same(
    user_in: Callable[[str], User], versions: list[Version]
) -> None:
    user = user_in("viewer")
    token = secret_of(user, tokens.scopes_of(user))
    headers = {"Authorization": f"Bearer {token}"}
    told = Client().get("/api/v1/capacity?most_instances=1", headers=headers).json()
    best = next(one for one in told["choices"] if one["recommended"])
    assert best["instance_type"] == XLARGE
    assert best["cold_per_hour"] == 0
    assert told["needed_mb"] == pytest.approx(
        14 * (instance_memory.room_mb(LARGE) or 0) / 9.5, rel=0.001
    )
    refused = Client().get("/api/v1/capacity?like=nobody", headers=headers)
    assert refused.status_code == 404
    wrong = Client().get("/api/v1/capacity?cold_share=7", headers=headers)
    assert wrong.status_code == 422
    assert "cold_share" in wrong.json()["errors"]


@pytest.mark.not_quick
@pytest.mark.usefixtures("versions")
def test_the_page_is_marked_as_one_of_the_endpoints_and_one_point_makes_no_chart(
    client_of: ClientOf,
) -> None:
    client = client_of("viewer")
    page = client.get(f"{PAGE}?models=*&calls_per_hour=60&draw=uniform&percent=1&instances=1")
    (marked,) = re.findall(r'<a [^>]*aria-current="page"[^>]*>', page.content.decode())
    assert 'href="/endpoints/"' in marked
    chart = page.context["chart"]
    assert len(page.context["plan"].frontier) == 2
    assert 'class="chart' in page.content.decode()
    assert chart is not None
    Version.objects.exclude(model__name="m1").delete()
    page = client.get(f"{PAGE}?models=*&calls_per_hour=60&draw=uniform&percent=1&instances=1")
    assert len(page.context["plan"].frontier) == 1
    assert page.context["chart"] is None
