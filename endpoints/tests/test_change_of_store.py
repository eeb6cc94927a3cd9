"""A living endpoint is moved to another store: a new SageMaker model, and the way back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import groups
from activity.models import Event
from core import guarded
from core.permissions import NotPermitted
from endpoints import drift, planning, services
from endpoints.models import Endpoint
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.test_crashes import survive
from endpoints.tests.test_endpoints_api import DEMO, Api, api
from models_catalog import secrecy, stores
from models_catalog.models import Store, StoreGroup, Version
from models_catalog.refusals import CatalogRefused

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
URL = "s3://team-a-models/mme/"
MOVE = SettingsChange(store="team-a")


@pytest.fixture
def team_a(db: None, settings: Any) -> Store:
    return Store.objects.create(
        name="team-a", bucket="team-a-models", prefix="mme", region=settings.AWS_REGION
    )


def request(endpoint: Endpoint, change: SettingsChange, actor: User | None = None) -> Endpoint:
    return services.request_change(endpoint=endpoint, change=change, actor=actor)


def urls(account: Account) -> dict[str, str]:
    return {name: one.data_url for name, one in account.models.items()}


def test_the_plan_says_which_versions_can_be_called_no_more(
    serving: Endpoint, team_a: Store, make_version: Callable[..., Version]
) -> None:
    make_version()
    make_version(number=2)
    there = {"bucket": team_a.bucket, "prefix": team_a.prefix}
    make_version("cats", key="mme/cats_v1.tar.gz", **there)
    plan = planning.plan_change(endpoint=serving, change=MOVE, actor=None)
    before = serving.store_url
    assert [(one.name, one.before, one.after) for one in plan.differs] == [("store", before, URL)]
    assert [call.action for call in plan.calls] == [
        "CreateModel", "CreateEndpointConfig", "UpdateEndpoint",
    ]  # fmt: skip
    container = plan.calls[0].arguments["PrimaryContainer"]
    assert container["ModelDataUrl"] == URL
    assert plan.notes[:2] == [
        f"2 versions of {before} are no longer served; callers of their target models get an "
        "error.",
        f"It serves 1 version of {URL} then.",
    ]
    assert serving.revisions.get().model_bucket == "", "a plan changes nothing"


@pytest.mark.not_quick
def test_it_serves_the_store_before_until_the_other_one_serves_and_goes_back(
    serving: Endpoint, team_a: Store, account: Account, advance: Step, settle: Step
) -> None:
    before = serving.serves_from
    endpoint = request(serving, MOVE)
    while "~endpoint demo demo-r2" not in account.changes:
        assert (endpoint.serves_from, endpoint.place) == (before, ("team-a-models", "mme"))
        endpoint = advance(endpoint)
    endpoint = settle(endpoint)
    assert (urls(account), endpoint.serves_from) == ({"demo-r2": URL}, ("team-a-models", "mme"))
    asked = Event.objects.get(action="endpoint.update_requested").sentence
    assert URL in asked
    assert request(endpoint, MOVE).settled, "it is so already"
    with pytest.raises(CatalogRefused, match="The endpoint demo is on it"):
        stores.retire(name="team-a", actor=None)
    # A change of something else keeps the store.
    endpoint = settle(request(endpoint, SettingsChange(options={"model_cache": False})))
    assert urls(account) == {"demo-r3": URL}
    endpoint = settle(request(endpoint, services.back_to(endpoint=endpoint, number=1)))
    assert (urls(account), endpoint.serves_from) == ({"demo-r4": serving.store_url}, before)
    stores.retire(name="team-a", actor=None)
    with pytest.raises(ValidationError, match="retired"):
        request(endpoint, services.back_to(endpoint=endpoint, number=2))


def test_one_on_its_way_there_keeps_the_store_and_can_be_withdrawn(
    serving: Endpoint, team_a: Store, account: Account, settle: Step
) -> None:
    endpoint = request(serving, MOVE)
    with pytest.raises(CatalogRefused, match="The endpoint demo is on it"):
        stores.retire(name="team-a", actor=None)
    endpoint = settle(request(endpoint, SettingsChange(store="default")))
    assert set(urls(account)) == {"demo-r1"}
    assert endpoint.place == endpoint.serves_from == serving.serves_from


@pytest.mark.not_quick
def test_one_that_sagemaker_refuses_leaves_the_store_before_serving(
    serving: Endpoint, team_a: Store, account: Account, settle: Step
) -> None:
    account.roll_back_with = "Access to the model data was denied."
    endpoint = settle(request(serving, MOVE))
    assert endpoint.place == endpoint.serves_from == serving.serves_from
    assert (set(urls(account)), endpoint.serving) == ({"demo-r1"}, True)


CALLS = 33


def crash(serving: Endpoint, account: Account, at: int, outcome: str) -> None:
    account.roll_back_with, before = outcome, serving.store_url
    endpoint = request(serving, MOVE)
    account.crash_at, account.crash_after_acting = account.calls + at, True
    endpoint, _crashes = survive(endpoint, "present", planned=at < CALLS)
    left = {"demo-r1": before} if outcome else {"demo-r2": URL}
    assert urls(account) == left
    assert set(account.configs) == set(left)
    assert {endpoint.store_url, endpoint.model_data_url} == set(left.values())
    account.crash_at = None
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    survive(endpoint, "absent")
    assert account.empty


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["", "It does not start."])
@pytest.mark.parametrize("at", range(CALLS + 1))
def test_a_crash_at_any_call(
    serving: Endpoint, team_a: Store, account: Account, at: int, outcome: str
) -> None:
    crash(serving, account, at, outcome)


@pytest.mark.not_quick
@pytest.mark.parametrize(("at", "outcome"), [(3, ""), (3, "It does not start."), (6, "")])
def test_a_crash_after_some_calls(
    serving: Endpoint, team_a: Store, account: Account, at: int, outcome: str
) -> None:
    crash(serving, account, at, outcome)


def test_a_model_that_nobody_saw_before_the_change_was_withdrawn_goes_too(
    serving: Endpoint, team_a: Store, account: Account, advance: Step, settle: Step
) -> None:
    """A process made it and was killed before it was written; it is of the other store."""
    endpoint = request(serving, MOVE)
    while "demo-r2" not in account.models:
        endpoint = advance(endpoint)
    endpoint.resources.filter(name="demo-r2").update(state="waiting", arn="", created_at=None)
    endpoint = settle(request(endpoint, SettingsChange(store="default")))
    assert set(urls(account)) == {"demo-r1"}


@pytest.mark.not_quick
def test_by_the_api_with_what_differs(
    serving: Endpoint, team_a: Store, api: Api, account: Account, settle: Step
) -> None:
    before = serving.store_url
    status, problem = api.ask("PATCH", DEMO, {"store": "nowhere"})
    assert (status, list(problem["errors"])) == (422, ["store"])
    plan = api.ask("POST", f"{DEMO}/plan", {"store": "team-a"})[1]
    assert plan["notes"][1] == f"It serves 0 versions of {URL} then."
    status, asked = api.ask("PATCH", DEMO, {"store": "team-a"})
    assert (status, asked["store"]) == (202, before), "it serves that still"
    settle(Endpoint.objects.get())
    assert api.ask("GET", DEMO)[1]["store"] == URL
    newest = api.ask("GET", f"{DEMO}/revisions")[1]["items"][0]
    assert newest["differences"] == [{"name": "store", "before": before, "after": URL}]


@pytest.mark.not_quick
def test_by_the_page_where_there_is_another_store(
    serving: Endpoint, client_of: Callable[[str], Client], settings: Any, settle: Step
) -> None:
    client, address = client_of("operator"), f"/endpoints/{serving.pk}/change/"
    assert b'name="store"' not in client.get(address).content
    for name, region in (("team-a", settings.AWS_REGION), ("far", "eu-west-1")):
        Store.objects.create(name=name, bucket=f"{name}-models", prefix="mme", region=region)
    shown = client.get(address).content.decode()
    assert f"as it is: {serving.store_url}" in shown
    assert "far-models" not in shown
    given = {"instance_type": "ml.m5.large", "instance_count": 1, "store": "team-a"}
    assert "are no longer served" in client.post(address, {**given, "plan": 1}).content.decode()
    assert client.post(address, given).status_code == 302
    endpoint = settle(serving)
    assert endpoint.store_url == URL
    back = client.get(f"{address}?back_to=1").content.decode()
    assert '<option value="default" selected>' in back
    assert client.post(address, given | {"store": "default"}).status_code == 302
    assert settle(endpoint).store_url == serving.store_url
    # The store of a revision that cannot be chosen any more is said, and nothing is changed.
    Store.objects.update(retired_at=serving.created_at)
    refused = client.post(f"{address}?back_to=2", given | {"store": ""})
    assert "is retired" in refused.content.decode()
    assert Endpoint.objects.get().settled


@pytest.mark.parametrize("which", ["before", "after"])
def test_it_is_for_who_may_write_to_both_stores(
    serving: Endpoint, team_a: Store, user_in: Callable[[str], User], which: str
) -> None:
    reader, writer = user_in("operator"), User.objects.create_user("writer")
    named = team_a if which == "after" else Store.objects.default()
    if named.pk is None:
        named = Store.objects.create(name="default", bucket=named.bucket, prefix=named.prefix)
    for name, user, may_write in (("readers", reader, False), ("writers", writer, True)):
        group = groups.make(name=name, actor=None)
        group.members.add(user)
        StoreGroup.objects.create(store=named, group=group, may_write=may_write)
    secrecy.forget()
    with guarded.reading_as(reader), pytest.raises(NotPermitted, match="Only some groups"):
        request(serving, MOVE, reader)
    with guarded.reading_as(writer):
        assert request(serving, MOVE, writer).updating


@pytest.mark.not_quick
def test_who_may_not_see_a_store_that_it_served_sees_it_no_more(
    serving: Endpoint, team_a: Store, user_in: Callable[[str], User], settle: Step
) -> None:
    """Its calls and its revisions tell of that store."""
    other = user_in("operator")
    StoreGroup.objects.create(store=team_a, group=groups.make(name="team-a", actor=None))
    secrecy.forget()
    with guarded.reading_as(other), pytest.raises(ValidationError, match="no store team-a"):
        request(serving, MOVE, other)
    with guarded.reading_as(other):
        assert Endpoint.objects.exists()
    endpoint = settle(request(serving, MOVE))
    endpoint = settle(request(endpoint, SettingsChange(store="default")))
    with guarded.reading_as(other):
        assert not Endpoint.objects.exists()


@pytest.mark.not_quick
def test_another_store_outside_the_portal_is_accepted_where_it_is_one_of_the_portal(
    serving: Endpoint, team_a: Store, account: Account, advance: Step, settle: Step
) -> None:
    account.models["theirs"] = replace(account.models["demo-r1"], name="theirs", data_url=URL)
    account.update_outside("demo", "two", model="theirs", count=1)
    drift.accept(endpoint=advance(serving), actor=None)
    endpoint = settle(serving)
    assert (endpoint.store_url, endpoint.changed_outside) == (URL, False)
    endpoint = settle(request(endpoint, services.back_to(endpoint=endpoint, number=1)))
    assert endpoint.store_url == serving.store_url
