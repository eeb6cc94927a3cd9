"""/api/v1/orphans: listed, adopted and deleted by programs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from core import clock
from endpoints import orphans
from endpoints.models import Orphan, OrphanLook
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import Api

PATH = "/api/v1/orphans"
pytestmark = pytest.mark.django_db


@pytest.fixture
def api(user_in: Callable[[str], User]) -> Api:
    return Api(user_in("admin"))


def test_they_are_listed_with_cost_and_what_aws_did_not_answer(
    api: Api, account: Account, look: Any
) -> None:
    account.left_behind()
    account.left_behind("theirs", tags={})
    look()
    status, found = api.ask("GET", PATH)
    assert status == 200
    assert [(one["kind"], one["name"]) for one in found["items"]] == [
        ("config", "demo-r1"), ("endpoint", "demo"), ("model", "demo-r1"),
    ]  # fmt: skip
    assert (found["looking"], found["problems"]) == (False, [])
    costs = [one["cost"] for one in found["items"]]
    assert costs[1] == found["cost"]
    assert costs[::2] == [None, None]
    assert len(api.ask("GET", f"{PATH}?others=true")[1]["items"]) == 6


def test_a_list_queues_a_look_and_can_wait_for_it(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.left_behind()
    asked = []

    def the_worker_looks() -> OrphanLook:
        asked.append(1)
        orphans.look()
        return OrphanLook.objects.get()

    orphans.the_look()
    status, found = api.ask("GET", PATH)
    assert (status, found["items"], found["looking"]) == (200, [], True)
    real = orphans.the_look
    monkeypatch.setattr(orphans, "the_look", lambda: the_worker_looks() if not asked else real())
    found = api.ask("GET", f"{PATH}?wait=5")[1]
    assert (len(found["items"]), found["looking"]) == (3, False)


@pytest.mark.not_quick
def test_one_is_deleted_and_another_adopted(api: Api, account: Account, look: Any) -> None:
    account.left_behind()
    look()
    status, asked = api.ask("DELETE", f"{PATH}/model/demo-r1")
    assert (status, asked["state"]) == (202, Orphan.State.ASKED)
    assert api.ask("DELETE", f"{PATH}/model/demo-r1")[0] == 202
    assert api.ask("GET", f"{PATH}/model/demo-r1")[1]["state"] == Orphan.State.ASKED
    status, adopted = api.ask("POST", f"{PATH}/endpoint/demo/adopt")
    assert (status, adopted["state"], adopted["adopted_by"]) == (200, Orphan.State.ADOPTED, "demo")
    assert api.ask("GET", "/api/v1/endpoints/demo")[1]["serving"]
    status, problem = api.ask("DELETE", f"{PATH}/endpoint/demo")
    assert (status, "belongs to an endpoint" in problem["detail"]) == (409, True)


@pytest.mark.not_quick
def test_refusals_are_said(
    api: Api, account: Account, look: Any, user_in: Callable[[str], User]
) -> None:
    account.left_behind()
    look()
    assert api.ask("DELETE", f"{PATH}/model/other")[0] == 404
    assert api.ask("DELETE", f"{PATH}/nonsense/demo")[0] == 404
    Orphan.objects.update(made_at=clock.now())
    status, problem = api.ask("DELETE", f"{PATH}/model/demo-r1")
    assert (status, "ten minutes" in problem["detail"]) == (409, True)
    operator = Api(user_in("operator"))
    assert operator.ask("GET", PATH)[0] == 200
    assert operator.ask("DELETE", f"{PATH}/model/demo-r1")[0] == 403
    assert operator.ask("POST", f"{PATH}/endpoint/demo/adopt")[0] == 403


def test_they_are_listed_as_people_count_and_in_pages(
    api: Api, account: Account, look: Any
) -> None:
    for number in (10, 2):
        account.left_behind(f"cam-{number}")
    look()
    seen: list[str] = []
    query = f"{PATH}?kind=endpoint&limit=1"
    while query:
        found = api.ask("GET", query)[1]
        seen += [one["name"] for one in found["items"]]
        query = found["next"] and f"{PATH}?kind=endpoint&limit=1&cursor={found['next']}"
    assert seen == ["cam-2", "cam-10"]
