"""/api/v1/endpoints: created, looked at and torn down, and what is refused."""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts import tokens
from core import attempt, errors
from core.api.caller import Scope
from core.api.operations import OPERATIONS
from core.sentences import phrase
from endpoints import api as endpoints_api
from endpoints import services
from endpoints.models import Endpoint
from endpoints.tests.account import Account
from invocations.models import Invocation
from mmeportal.api import BODIES
from tests.bearer import secret_of
from tests.together import together

PATH = "/api/v1/endpoints"
DEMO = f"{PATH}/demo"


class Api:
    """The API as a user's token with all scopes that it may have sees it."""

    def __init__(self, user: User) -> None:
        allowed = [scope for scope in Scope if scope in tokens.scopes_of(user)]
        secret = secret_of(user, allowed)
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.client = Client(enforce_csrf_checks=True)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        more: dict[str, Any] = {}
        if body is not None:
            more = {"data": json.dumps(body), "content_type": "application/json"}
        self.answer = self.client.generic(method, path, headers=self.headers | headers, **more)
        content = self.answer.content
        return self.answer.status_code, json.loads(content) if content else None


def _code(problem: Any) -> str:
    return str(problem["type"]).rpartition("/")[2]


@pytest.fixture
def api(user_in: Callable[[str], User]) -> Api:
    return Api(user_in("admin"))


@pytest.mark.not_quick
def test_an_endpoint_is_created_serves_is_torn_down_and_is_gone(
    api: Api, account: Account, settle: Any
) -> None:
    status, made = api.ask("POST", PATH, {"name": "demo"})
    assert status == 201, made
    assert api.answer.headers["Location"] == DEMO
    assert (made["name"], made["state"], made["settled"]) == ("demo", "requested", False)
    assert (made["instance_type"], made["instance_count"]) == ("ml.m5.large", 1)
    assert made["store"].startswith("s3://")
    assert [one["kind"] for one in made["resources"]] == ["model", "config", "endpoint"]
    settle(Endpoint.objects.get())
    status, found = api.ask("GET", DEMO)
    assert (status, found["state"], found["serving"], found["settled"]) == (
        200, "in_service", True, True,
    )  # fmt: skip
    assert found["sagemaker_status"] == "InService"
    size = {"instance_type": "ml.m5.large", "instance_count": 1}
    alone = {"name": "AllTraffic", **size, "weight": 1.0}
    assert found["running"] == {**size, "variants": [alone]}
    assert found["resources"][2]["arn"].startswith("arn:aws:sagemaker:")
    status, torn = api.ask("POST", f"{DEMO}/teardown", {"name": "demo"})
    assert (status, torn["wanted"], torn["settled"]) == (202, "absent", False)
    assert torn["hint_code"] == "endpoint.teardown_starts"
    settle(Endpoint.objects.get())
    status, gone = api.ask("GET", DEMO)
    assert (status, gone["state"], gone["settled"]) == (200, "gone", True)
    assert gone["gone_at"].endswith("Z")
    assert account.empty
    left = api.ask("GET", PATH)[1]
    assert (left["items"], left["next"]) == ([], None)
    assert api.ask("GET", f"{PATH}?gone=true")[1]["items"] == [gone]


@pytest.mark.not_quick
def test_of_one_name_the_living_is_meant(api: Api, serving: Endpoint, settle: Any) -> None:
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    settle(serving)
    assert api.ask("GET", DEMO)[1]["revision"] == 1
    status, made = api.ask("POST", PATH, {"name": "demo", "instance_count": 2})
    assert (status, made["revision"]) == (201, 2)
    assert api.ask("GET", DEMO)[1] == made | {"notes": []}  # what is told once
    status, problem = api.ask("GET", f"{PATH}/Demo")
    assert (status, problem["detail"]) == (404, "There is no endpoint Demo.")


@pytest.mark.not_quick
def test_a_list_is_narrowed_by_state(api: Api, serving: Endpoint) -> None:
    services.create_endpoint(name="other", instance_count=1, actor=None)

    def names(query: str) -> list[str]:
        status, found = api.ask("GET", f"{PATH}?{query}")
        assert status == 200, found
        return [one["name"] for one in found["items"]]

    assert names("") == ["other", "demo"]
    assert names("state=in_service") == ["demo"]
    assert names("state=requested") == ["other"]
    assert names("state=unrecognized") == []
    Endpoint.objects.filter(name="other").update(old_status="Dreaming")  # by the release before
    assert names("state=unrecognized") == ["other"]
    assert names("state=requested") == []
    assert names("gone=true") == []
    status, problem = api.ask("GET", f"{PATH}?state=InService")
    values = ", ".join(Endpoint.State.values)
    assert (status, problem["errors"]) == (422, {"state": [f"It must be one of: {values}."]})


# --- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"name": "-demo"}, "name", "letters, digits and hyphens"),
        ({"name": "de mo"}, "name", "letters, digits and hyphens"),
        ({"name": "a\0b"}, "name", "no NUL character"),
        ({"name": "x" * 54}, "name", "at most 53"),
        ({"name": ""}, "name", ""),
        ({}, "name", "missing"),
        ({"name": "demo", "instance_type": "ml.p9.huge"}, "instance_type", "ml.m5.large"),
        ({"name": "demo", "instance_count": 11}, "instance_count", "1 to 10"),
        ({"name": "demo", "instance_count": 0}, "instance_count", "at least 1"),
        ({"name": "demo", "count": 1}, "count", "no such field"),
    ],
)
def test_what_cannot_be_created_is_told_by_the_field(
    api: Api, account: Account, body: Any, field: str, words: str
) -> None:
    status, problem = api.ask("POST", PATH, body)
    assert (status, list(problem["errors"])) == (422, [field])
    assert words in problem["errors"][field][0]
    assert not Endpoint.objects.exists()


def test_a_name_that_is_taken_is_a_conflict(api: Api, account: Account, endpoint: Endpoint) -> None:
    status, problem = api.ask("POST", PATH, {"name": "DEMO"})
    assert (status, _code(problem), list(problem["errors"])) == (409, "conflict", ["name"])
    assert "There is an endpoint demo already" in problem["detail"]
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    status, problem = api.ask("POST", PATH, {"name": "demo"}, **{"Accept-Language": "ko"})
    assert (status, _code(problem)) == (409, "conflict")
    assert problem["detail"] == problem["errors"]["name"][0]
    assert "삭제하고 있습니다: demo." in problem["detail"]


def test_an_endpoint_of_the_account_that_is_not_ours_is_a_conflict(
    api: Api, account: Account
) -> None:
    account._create_model(name="m", image="i", role_arn="r", data_url="s3://other/", tags={})
    account._create_config(
        name="c", model_name="m", instance_type="ml.m5.large", instance_count=1, tags={}
    )
    account._create_endpoint(name="demo", config_name="c", tags={})
    status, problem = api.ask("POST", PATH, {"name": "demo"})
    assert (status, _code(problem)) == (409, "conflict")
    assert "was not created here" in problem["detail"]
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.Denied(phrase("No %(what)s for you.", what="describe")), 502, "aws-denied"),
        (errors.Throttled("Rate exceeded"), 503, "unavailable"),
        (errors.Invalid("No."), 502, "aws-failed"),
    ],
)
def test_where_aws_cannot_be_asked_nothing_is_created(
    api: Api, account: Account, error: errors.AwsError, status: int, code: str
) -> None:
    account.failures["describe_endpoint"] = [error]
    found, problem = api.ask("POST", PATH, {"name": "demo"})
    assert (found, _code(problem)) == (status, code)
    said = "Nothing was created, because AWS could not be asked"
    assert problem["detail"] == f"{said}: {error}"
    assert ("Retry-After" in api.answer.headers) == (status == 503)
    assert not Endpoint.objects.exists()


def test_a_wrong_setting_of_the_portal_is_no_fault_of_a_field(
    api: Api, account: Account, settings: Any
) -> None:
    settings.EXECUTION_ROLE_ARN = ""
    status, problem = api.ask("POST", PATH, {"name": "demo"})
    assert (status, problem.get("errors")) == (422, None)
    assert "a setting of the portal is wrong. role arn" in problem["detail"]


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_of_two_that_create_one_name_at_once_one_gets_a_conflict(
    user_in: Callable[[str], User], account: Account
) -> None:
    user = user_in("operator")
    callers = [Api(user), Api(user)]
    done = together([partial(one.ask, "POST", PATH, {"name": "demo"}) for one in callers])
    assert sorted(status for status, _ in done) == [201, 409]
    assert Endpoint.objects.count() == 1


def test_a_wrong_name_tears_nothing_down(api: Api, serving: Endpoint) -> None:
    status, problem = api.ask("POST", f"{DEMO}/teardown", {"name": "dem0"})
    assert (status, _code(problem), list(problem["errors"])) == (422, "invalid", ["name"])
    assert "demo" in problem["errors"]["name"][0]
    serving.refresh_from_db()
    assert serving.wanted == "present"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_may_not_tear_down_does_not(
    user_in: Callable[[str], User], serving: Endpoint, role: str
) -> None:
    status, problem = Api(user_in(role)).ask("POST", f"{DEMO}/teardown", {"name": "demo"})
    assert status == 403
    assert _code(problem) == ("not-allowed" if role == "operator" else "scope-missing")


# --- ETags ---------------------------------------------------------------------------


@pytest.mark.not_quick
def test_an_etag_changes_with_the_endpoint_and_not_with_the_look(
    api: Api, endpoint: Endpoint, settle: Any, advance: Any
) -> None:
    def tag() -> str:
        assert api.ask("GET", DEMO)[0] == 200
        return str(api.answer.headers["ETag"])

    first = tag()
    settle(endpoint)
    serving = tag()
    assert serving != first
    before = Endpoint.objects.get().checked_at
    advance(endpoint)
    assert Endpoint.objects.get().checked_at > before
    assert tag() == serving
    assert api.ask("GET", DEMO, **{"If-None-Match": serving})[0] == 304
    assert api.ask("GET", DEMO, **{"If-None-Match": first})[0] == 200
    Endpoint.objects.update(instance_count=3)
    assert tag() != serving


@pytest.mark.not_quick
def test_a_teardown_of_what_changed_meanwhile_is_refused(
    api: Api, endpoint: Endpoint, settle: Any
) -> None:
    api.ask("GET", DEMO)
    old = api.answer.headers["ETag"]
    settle(endpoint)
    status, problem = api.ask("POST", f"{DEMO}/teardown", {"name": "demo"}, **{"If-Match": old})
    assert (status, _code(problem)) == (412, "changed-meanwhile")
    assert Endpoint.objects.get().wanted == "present"
    api.ask("GET", DEMO)
    match = {"If-Match": api.answer.headers["ETag"]}
    assert api.ask("POST", f"{DEMO}/teardown", {"name": "demo"}, **match)[0] == 202
    assert api.answer.headers["ETag"] != match["If-Match"]
    assert Endpoint.objects.get().wanted == "absent"


# --- looking again, and repeating ----------------------------------------------------


def test_a_check_has_it_looked_at_at_once(api: Api, serving: Endpoint) -> None:
    assert serving.check_after > timezone.now()
    status, found = api.ask("POST", f"{DEMO}/check")
    assert (status, found["name"]) == (202, "demo")
    assert Endpoint.objects.get().check_after <= timezone.now()


@pytest.mark.not_quick
def test_a_failure_has_a_code_and_is_said_in_the_readers_language(
    api: Api, endpoint: Endpoint, account: Account, advance: Any, settle: Any
) -> None:
    account.failures["create_model"] = [errors.Denied("not authorized")]
    advance(endpoint)
    found = api.ask("GET", DEMO)[1]
    assert (found["failure_code"], found["settled"]) == ("endpoint.denied", True)
    assert found["failure"] == "AWS does not allow it: not authorized"
    assert found["hint_code"] == "endpoint.what_to_allow"
    korean = api.ask("GET", DEMO, **{"Accept-Language": "ko"})[1]
    assert korean["failure_code"] == "endpoint.denied"
    assert korean["failure"] != found["failure"]
    account.fail_with = "No ping."
    settle(endpoint)
    found = api.ask("GET", DEMO)[1]
    assert (found["state"], found["failure_code"]) == ("failed", "endpoint.failed")
    assert (found["hint_code"], "No ping." in found["failure"]) == ("endpoint.tear_down", True)


def test_a_create_that_was_cut_off_is_found_and_not_made_again(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the commit and the answer."""

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patch:
        patch.setattr(endpoints_api, "_created", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            api.ask("POST", PATH, {"name": "demo"}, **{"Idempotency-Key": "one"})
    assert Endpoint.objects.count() == 1
    status, made = api.ask("POST", PATH, {"name": "demo"}, **{"Idempotency-Key": "one"})
    assert (status, made["name"]) == (201, "demo"), made
    assert api.answer.headers["Location"] == DEMO
    assert api.answer.headers["ETag"]
    assert Endpoint.objects.count() == 1
    again = api.ask("POST", PATH, {"name": "demo"}, **{"Idempotency-Key": "one"})
    assert again == (201, made)
    assert api.answer.headers["Idempotent-Replayed"] == "true"
    assert api.ask("POST", PATH, {"name": "demo"}, **{"Idempotency-Key": "two"})[0] == 409


def test_services_say_what_is_a_conflict(endpoint: Endpoint) -> None:
    with pytest.raises(ValidationError) as caught:
        services.create_endpoint(name="demo", actor=None)
    assert caught.value.error_dict["name"][0].code == errors.CONFLICT
    with attempt.bound("0" * 32):
        made = services.create_endpoint(name="demo-2", actor=None)
    assert made.instance_type == "ml.m5.large"


@pytest.mark.not_quick
def test_an_endpoint_says_what_it_costs_and_when_it_was_called(
    api: Api, serving: Endpoint, make_version: Callable[..., Any], settings: Any
) -> None:
    settings.INSTANCE_TYPES = [serving.instance_type]
    _, shown = api.ask("GET", DEMO)
    tag = api.answer.headers["ETag"]
    assert shown["cost"] == {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"}
    assert shown["last_call_at"] is None
    version = make_version()
    Invocation.objects.create(endpoint=serving, version=version, target_model=version.target_model)
    _, shown = api.ask("GET", DEMO)
    assert shown["last_call_at"] is not None
    assert api.answer.headers["ETag"] == tag  # a call is no change of the endpoint
    _, listed = api.ask("GET", PATH)
    assert listed["items"][0]["last_call_at"] == shown["last_call_at"]


def test_what_would_change_a_torn_down_endpoint_is_refused_as_documented(
    api: Api, serving: Endpoint
) -> None:
    changes = {
        rules.id: rules
        for rules in OPERATIONS.values()
        if re.fullmatch(r"/endpoints/{name}(/\w+)?", rules.path)
        and rules.method in ("PUT", "PATCH", "DELETE")
        and rules.id.startswith("endpoints_")
    }
    bodies = json.loads(BODIES.read_text(encoding="utf-8"))  # of the document's examples
    assert api.ask("POST", f"{DEMO}/teardown", {"name": "demo"})[0] == 202
    answers = {
        id: api.ask(rules.method, rules.path.replace("/endpoints/{name}", DEMO), bodies.get(id))
        for id, rules in changes.items()
    }
    said = {id: (status, _code(problem)) for id, (status, problem) in answers.items()}
    assert len(said) >= 7
    assert set(said.values()) == {(409, "conflict")}, said
    assert all(409 in rules.problems for rules in changes.values())
