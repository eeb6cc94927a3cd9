"""Endpoints that others made in the account: in the lists of the page and of the API."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from core import clock
from endpoints import beside, orphans
from endpoints.models import Endpoint, Orphan, OrphanLook, Resource
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import Api

TYPE, DEAR = "ml.m5.large", "ml.m5.4xlarge"


def _theirs(name: str, **values: Any) -> Orphan:
    given = {
        "kind": Resource.Kind.ENDPOINT,
        "ours": False,
        "sagemaker_status": "InService",
        "instance_type": TYPE,
        "instance_count": 1,
        "made_at": clock.now() - timedelta(days=40),
        "found_at": clock.now(),
    }
    return Orphan.objects.create(name=name, **{**given, **values})


def _section(client: Any, query: str = "") -> str:
    """The text of the section; empty where there is none."""
    page = client.get(f"/endpoints/{query}").content.decode()
    found = re.search(r'<section[^>]*id="beside".*?</section>', page, re.DOTALL)
    return " ".join(strip_tags(found[0]).split()) if found else ""


@pytest.fixture
def looked_at(db: None) -> datetime:
    at = clock.now().replace(microsecond=0) - timedelta(hours=3)
    OrphanLook.objects.create(looked_at=at, check_after=clock.now() + timedelta(days=1))
    return at


@pytest.mark.not_quick
def test_they_are_rows_of_the_list_with_state_size_cost_age_and_a_way_to_adopt(
    account: Account, look: Any, client_of: Any
) -> None:
    account.left_behind("theirs", tags={})
    look()
    calls = account.calls
    client = client_of("admin")
    said = _section(client)
    row = Orphan.objects.get(kind="endpoint")
    assert row.size is not None
    costs = orphans.with_costs([row])[0].cost
    for part in ("1 more endpoint", "theirs", "not by this portal", "InService", str(row.size)):
        assert part in said
    assert f"{costs.hourly} {costs.currency}" in said
    assert "others" in said
    assert "Last looked at: " in said
    page = client.get("/endpoints/").content.decode()
    assert 'aria-label="Adopt theirs"' in page
    assert f'name="pk" value="{row.pk}"' in page
    assert "/endpoints/orphans/?kind=endpoint&amp;made=others&amp;q=theirs" in page
    assert account.calls == calls  # the page asked nothing of AWS


@pytest.mark.not_quick
def test_who_may_not_adopt_has_no_button(looked_at: datetime, client_of: Any) -> None:
    _theirs("theirs")
    client = client_of("operator")
    assert "theirs" in _section(client)
    assert "Adopt" not in client.get("/endpoints/").content.decode()


@pytest.mark.not_quick
def test_the_dearest_come_first_and_hundreds_are_bounded(
    looked_at: datetime, client_of: Any, django_assert_num_queries: Any
) -> None:
    for number in range(300):
        _theirs(f"small-{number:03}")
    _theirs("zz-dear", instance_type=DEAR)
    beside.found()  # the price list is read
    with django_assert_num_queries(1):
        found = beside.found()
    assert (found.count, found.looked_at, found.rows[0].name) == (301, looked_at, "zz-dear")
    assert len(found.rows) == beside.SHOWN
    assert found.total.counted == 301
    said = _section(client_of("viewer"))
    assert "301 more endpoints" in said
    assert "All 301 of them" in said
    assert said.index("zz-dear") < said.index("small-000")


@pytest.mark.not_quick
def test_the_search_narrows_them_and_a_filter_of_states_leaves_them_out(
    looked_at: datetime, client_of: Any
) -> None:
    _theirs("apple")
    _theirs("pear")
    client = client_of("viewer")
    assert "apple" in _section(client, "?q=app")
    assert "pear" not in _section(client, "?q=app")
    assert _section(client, "?q=cherry") == ""
    assert _section(client, "?state=idle") == ""


def test_what_is_gone_adopted_or_the_portals_by_now_is_not_there(looked_at: datetime) -> None:
    _theirs("gone", state=Orphan.State.GONE)
    _theirs("adopted", state=Orphan.State.ADOPTED)
    _theirs("a-model", kind=Resource.Kind.MODEL)
    _theirs("made-here")
    own = Endpoint.objects.create(name="made-here")
    Resource.objects.create(endpoint=own, kind=Resource.Kind.ENDPOINT, name="made-here")
    assert beside.found().count == 0
    Endpoint.objects.update(gone_at=clock.now())
    assert [one.name for one in beside.found().rows] == ["made-here"]


def test_one_that_the_portal_left_is_not_called_others(looked_at: datetime, client_of: Any) -> None:
    _theirs("left", ours=True, made_for="left")
    _theirs("unknown", ours=None)
    said = _section(client_of("viewer"))
    assert "the portal, for left" in said
    assert "not known" in said
    assert "not by this portal" not in said


@pytest.mark.not_quick
def test_a_list_that_nobody_looked_for_says_so(db: None, client_of: Any) -> None:
    client = client_of("viewer")
    never = "was not yet looked at for endpoints that others made"
    assert never in client.get("/endpoints/").content.decode()
    OrphanLook.objects.create(looked_at=clock.now(), check_after=clock.now() + timedelta(days=1))
    assert never not in client.get("/endpoints/").content.decode()


def test_the_apis_list_counts_them_and_the_orphans_have_them_by_kind(
    looked_at: datetime, user_in: Any
) -> None:
    caller = Api(user_in("viewer"))
    _theirs("theirs", instance_count=2)
    _theirs("no-price", instance_type="ml.unheard.of")
    _theirs("their-model", kind=Resource.Kind.MODEL, instance_count=None, instance_type="")
    others = caller.ask("GET", "/api/v1/endpoints")[1]["others"]
    cost = orphans.total_of(list(Orphan.objects.filter(name="theirs"))).cost
    assert (others["endpoint_count"], others["unpriced"]) == (2, 1)
    assert others["cost"] == {
        "per_hour": cost.hourly, "per_month": str(cost.per_month), "currency": cost.currency,
    }  # fmt: skip
    assert datetime.fromisoformat(others["looked_at"]) == looked_at
    query = "/api/v1/orphans?others=true"
    names = [one["name"] for one in caller.ask("GET", f"{query}&kind=endpoint")[1]["items"]]
    assert names == ["no-price", "theirs"]
    assert len(caller.ask("GET", query)[1]["items"]) == 3
    assert caller.ask("GET", f"{query}&kind=nonsense")[0] == 422
    Orphan.objects.all().delete()
    none = caller.ask("GET", "/api/v1/endpoints")[1]["others"]
    assert (none["endpoint_count"], datetime.fromisoformat(none["looked_at"])) == (0, looked_at)


@pytest.mark.not_quick
def test_what_they_cost_is_said_where_sums_leave_them_out(
    looked_at: datetime, client: Client, user_in: Any, account: Account
) -> None:
    _theirs("one")
    _theirs("two", instance_type="ml.unknown")
    user = user_in("viewer")
    client.force_login(user)
    page = " ".join(strip_tags(client.get("/endpoints/cost/").content.decode()).split())
    assert "In no sum here: 2 endpoints that others made in the account, 0.115 USD" in page
    assert "Not counted: 1 endpoint whose price is not known." in page
    assert "In no sum here" not in client.get("/endpoints/cost/?month=2026-01").content.decode()
    status, found = Api(user).ask("GET", "/api/v1/cost")
    assert (status, found["others"]["endpoint_count"], found["others"]["unpriced"]) == (200, 2, 1)
    assert found["others"]["cost"]["per_hour"] == "0.115"
    assert found["cost"] == "0.00"
    Orphan.objects.all().delete()
    assert "In no sum here" not in client.get("/endpoints/cost/").content.decode()
    assert account.calls == 0
