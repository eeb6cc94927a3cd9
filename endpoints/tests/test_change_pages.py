"""The pages and the operations that change a living endpoint."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from endpoints import services
from endpoints.models import Endpoint, Running
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.test_endpoints_api import DEMO, Api, api

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
TYPE = "ml.m5.xlarge"
LARGE = "ml.m5.large"


@pytest.fixture(autouse=True)
def _types(settings: Any) -> None:
    settings.INSTANCE_TYPES = [LARGE, TYPE]


def _page(client: Client, endpoint: Endpoint, part: str) -> str:
    return " ".join(client.get(f"/endpoints/{endpoint.pk}/{part}").content.decode().split())


@pytest.mark.not_quick
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_who_may_change_what(
    role: str, serving: Endpoint, client_of: Callable[[str], Client], account: Account
) -> None:
    client, address = client_of(role), f"/endpoints/{serving.pk}/change/"
    assert (f'href="{address}"' in _page(client, serving, "")) == (role != "viewer")
    asked = {
        "instance_type": TYPE,
        "instance_count": 2,
        "image": OTHER_IMAGE,
        "reason": "for speed",
    }
    answer = client.post(address, asked)
    assert answer.status_code == (403 if role == "viewer" else 302)
    endpoint = Endpoint.objects.get()
    if role == "viewer":
        assert endpoint.settled
        return
    # What an operator's form sends as the image is not read.
    assert endpoint.image == (OTHER_IMAGE if role == "admin" else serving.image)
    assert endpoint.requested == Running(2, TYPE)
    assert endpoint.revisions.get(number=2).reason == "for speed"


@pytest.mark.not_quick
def test_the_form_is_preset_and_says_what_is_wrong(
    serving: Endpoint, client_of: Callable[[str], Client]
) -> None:
    client, address = client_of("operator"), f"/endpoints/{serving.pk}/change/"
    page = _page(client, serving, "change/")
    assert f'<option value="{LARGE}" selected>' in page
    answer = client.post(address, {"instance_type": LARGE, "instance_count": 1})
    assert answer.status_code == 400
    assert "It is so already" in answer.content.decode()
    answer = client.post(address, {"instance_type": LARGE, "instance_count": 99})
    assert "Choose a number from 1 to 10." in answer.content.decode()
    for field in ("environment", "tags"):
        answer = client.post(address, {"instance_type": LARGE, "instance_count": 2, field: "none"})
        assert answer.status_code == 400
        assert "as NAME=value: none" in answer.content.decode()
    assert Endpoint.objects.get().settled


@pytest.mark.not_quick
def test_revisions_with_what_differs_and_the_way_back(
    serving: Endpoint,
    client_of: Callable[[str], Client],
    account: Account,
    settle: Step,
) -> None:
    client = client_of("operator")
    services.request_change(
        endpoint=serving, change=services.SettingsChange(instance_type=TYPE), actor=None
    )
    settle(serving)
    page = _page(client, serving, "revisions/")
    assert f"1 × {LARGE} →</span> 1 × {TYPE}" in page
    back = f"/endpoints/{serving.pk}/change/?back_to=1"
    assert f'href="{back}"' in page
    assert "Roll demo back to r1" in _page(client, serving, "change/?back_to=1")
    assert client.post(back, {"instance_type": LARGE, "instance_count": 1}).status_code == 302
    assert Endpoint.objects.get().revisions.get(number=3).back_to == 1
    account.roll_back_with = "No capacity."
    settle(serving)
    page = _page(client, serving, "")
    assert f"The change to 1 × {LARGE} (r3) was not made. The endpoint serves as before." in page
    assert "No capacity." in page


def _alone(kind: str) -> dict[str, Any]:
    """One instance of a type, as the API tells of it."""
    size = {"instance_type": kind, "instance_count": 1}
    return {**size, "variants": [{"name": "AllTraffic", **size, "weight": 1.0}]}


@pytest.mark.not_quick
def test_the_same_by_the_api(api: Api, serving: Endpoint, settle: Step, account: Account) -> None:
    status, asked = api.ask("PATCH", DEMO, {"instance_type": TYPE, "reason": "room"})
    assert (status, asked["revision"], asked["updating"], asked["serving"]) == (202, 2, True, True)
    assert asked["running"] == _alone(LARGE)
    settle(serving)
    status, now = api.ask("GET", DEMO)
    assert (now["revision"], now["settled"], now["refused_change"]) == (2, True, None)
    assert now["running"] == _alone(TYPE)
    status, problem = api.ask("POST", f"{DEMO}/rollback", {"revision": 9})
    assert (status, "has no revision 9" in problem["detail"]) == (404, True)
    account.roll_back_with = "No capacity."
    status, asked = api.ask("POST", f"{DEMO}/rollback", {"revision": 1})
    assert (status, asked["revision"]) == (202, 3)
    settle(serving)
    now = api.ask("GET", DEMO)[1]
    assert (now["revision"], now["instance_type"]) == (2, TYPE)
    assert now["refused_change"]["revision"] == 3
    assert now["refused_change"]["failure"] == "No capacity."
    found = api.ask("GET", f"{DEMO}/revisions")[1]["items"]
    assert [(one["revision"], one["state"], one["back_to"]) for one in found] == [
        (3, "rolled_back", 1), (2, "serves", None), (1, "superseded", None),
    ]  # fmt: skip
    assert found[1]["reason"] == "room"


@pytest.mark.not_quick
def test_what_cannot_be_changed_is_a_conflict(
    api: Api, endpoint: Endpoint, settle: Step, client_of: Callable[[str], Client]
) -> None:
    status, problem = api.ask("PATCH", DEMO, {"instance_count": 2})
    assert (status, problem["type"].rpartition("/")[2]) == (409, "conflict")
    answer = client_of("operator").get(f"/endpoints/{endpoint.pk}/change/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/endpoints/{endpoint.pk}/")
    settle(endpoint)
    status, problem = api.ask("PATCH", DEMO, {"instance_type": "ml.none"})
    assert (status, list(problem["errors"])) == (422, ["instance_type"])
    assert api.ask("PATCH", DEMO, {})[0] == 202
    assert Endpoint.objects.get().settled
