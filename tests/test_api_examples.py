"""The examples of the API's document are what the portal answers, with times and ids frozen.

`make openapi` writes them anew (MME_WRITE_EXAMPLES).
"""

import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import roles, token_auth, tokens
from core import aws
from core.api.caller import Scope
from endpoints import cost_api
from endpoints.models import InstanceRun
from endpoints.tests.account import Account
from invocations.tests import container_pages
from mme_client.cli.app import commands
from mmeportal import api, api_reference
from models_catalog import secrecy
from tests.rules import rows
from tests.rules.api_subjects import subjects
from tests.rules.ways import WAYS

TIME, TIME_SAID = "2026-01-31T09:30:00Z", "31 Jan 2026, 18:30"
_TIME_SAID = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d")
#: What differs from run to run or from machine to machine, and is frozen: by the field's name.
FROZEN = {
    "id": "0123456789abcdef",
    "call": "0123456789abcdef",
    "token": "mme_…",
    "secret": "whsec_…",
    "event": "4711",
    "worker_problem": "",
    "where": "Local",
    "local": True,
    # A value for each time; when they are depends on when one looks.
    "times": [TIME, TIME],
    "values": [1.5, None],
}
#: The operations that change something and are called: the bodies are those of the document.
CHANGING = frozenset(
    {
        "models_create",
        "models_describe",
        "versions_describe",
        "tokens_create",
        "endpoints_create",
        "endpoints_weigh",
        "endpoints_update",
        "webhooks_create",
        "webhooks_change",
        "webhooks_rotate",
        "mails_put",
    }
)


def _frozen(value: Any, field: str = "") -> Any:
    if isinstance(value, list) and isinstance(FROZEN.get(field), list):
        return FROZEN[field]
    if isinstance(value, dict):
        return {name: _frozen(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_frozen(inner) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return TIME
    if isinstance(value, str):
        value = _TIME_SAID.sub(TIME_SAID, value)
    frozen = FROZEN.get(field)
    return frozen if isinstance(value, type(frozen)) else value


#: What reads, and is allowed to admins alone.
OF_ADMINS = {"images_list", "groups_list", "groups_get"}


class _NothingMeasured:
    """A client of CloudWatch, and one of Logs."""

    def get_metric_data(self, **_: Any) -> dict[str, Any]:
        return {"MetricDataResults": []}

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        line = {"level": "INFO", "event": "model_loaded", "model": "5f3d", "load_ms": 84.1}
        event = {"timestamp": 0, "eventId": "1", "message": json.dumps(line)}
        return {"events": [event | {"logStreamName": "AllTraffic/i-0123456789abcdef0"}]}


def _bodies() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.BODIES.read_text(encoding="utf-8"))
    return found


def _is_json(answer: Any) -> bool:
    return str(answer.headers.get("Content-Type", "")).startswith("application/json")


def _client(user: User) -> Client:
    """A program that calls with a token of ``user``, which has all scopes of its role."""
    allowed = [scope for scope in Scope if scope in tokens.scopes_of(user)]
    _, secret = tokens.make(user=user, name="example", scopes=allowed)
    token_auth.CACHE.clear()
    return Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})


@pytest.fixture
def answers(
    db: None, tmp_path: Path, settings: Any, user_in: Any, monkeypatch: pytest.MonkeyPatch
) -> dict[str, dict[str, Any]]:
    """What each operation answers an operator who has one row of everything, or an admin."""
    account = Account()
    account.quotas = {"ml.m5.large": 1000}
    account.install(monkeypatch)
    monkeypatch.setattr(aws, "cloudwatch", _NothingMeasured)
    monkeypatch.setattr(aws, "logs", _NothingMeasured)
    settings.CONTAINER_METRICS_URL = "http://pages.example/{endpoint}"
    told = aws.PageAnswer(200, container_pages.page("digits-0_v1.tar.gz").encode())
    monkeypatch.setattr(aws, "signed_page", lambda *_, **__: told)
    settings.SAMPLES_DIR = str(tmp_path)
    user: User = user_in(roles.OPERATOR)
    built = rows.build(1, owner=user, samples=tmp_path)
    # The cost of the present month names it, and is of its hours alone.
    at = datetime.fromisoformat(TIME)
    InstanceRun.objects.update(begun_at=at - timedelta(hours=1), ended_at=at)
    monkeypatch.setattr(cost_api, "clock", SimpleNamespace(now=lambda: at))
    secrecy.forget()  # a store of these rows names groups
    operator, admin = _client(user), _client(user_in(roles.ADMIN))
    bodies = _bodies()
    found: dict[str, dict[str, Any]] = {}
    # First what changes nothing: their order is that in which some test has imported the apps.
    for subject in sorted(subjects(), key=lambda one: (one.method != "GET", one.rules.id)):
        id = subject.rules.id
        if id == "openapi_get" or (subject.method != "GET" and id not in CHANGING):
            continue
        more: dict[str, Any] = {}
        if id in CHANGING:
            more = {"data": json.dumps(bodies[id]), "content_type": "application/json"}
        for_admins = subject.rules.scope == Scope.ADMIN or id in OF_ADMINS
        client = admin if for_admins else operator
        answer = client.generic(subject.method, subject.url(built), **more)
        assert answer.status_code < 400, f"{id}: {answer.status_code}, {answer.content[:300]!r}"
        if _is_json(answer):
            found[id] = {str(answer.status_code): _frozen(json.loads(answer.content))}
    return found


@pytest.mark.not_quick
def test_the_examples_are_what_the_portal_answers(answers: dict[str, dict[str, Any]]) -> None:
    text = json.dumps(answers, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("MME_WRITE_EXAMPLES"):
        api.EXAMPLES.write_text(text, encoding="utf-8")
    assert len(answers) >= 4
    assert api.EXAMPLES.read_text(encoding="utf-8") == text, "Run `make openapi`."


@pytest.mark.not_quick
def test_every_example_is_in_the_document_and_fits_its_schema() -> None:
    document = api.api.get_openapi_schema()
    seen = 0
    for methods in document["paths"].values():
        for found in methods.values():
            for status, answer in found["responses"].items():
                content = answer.get("content", {}).get("application/json", {})
                if "example" not in content:
                    continue
                assert not _unfit(content, document), f"{found['operationId']} {status}"
                seen += 1
    examples = json.loads(api.EXAMPLES.read_text(encoding="utf-8"))
    assert seen == sum(len(one) for one in examples.values())


@pytest.mark.not_quick
def test_every_operation_that_takes_json_has_a_body_that_fits() -> None:
    document = api.api.get_openapi_schema()
    named = set()
    for methods in document["paths"].values():
        for found in methods.values():
            content = found.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            id = found["operationId"]
            assert "example" in content, f"Say in {api.BODIES.name} what one may send to {id}."
            assert not _unfit(content, document), id
            named.add(id)
    assert named == set(_bodies()), "No operation takes the others: remove them."


def _unfit(content: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """What of an example does not fit the schema beside it."""
    schema = {**content["schema"], "components": document["components"]}
    errors = jsonschema_rs.validator_for(schema).iter_errors(content["example"])
    return [error.message for error in errors]


def test_the_examples_of_mme_are_those_of_its_help() -> None:
    known = commands()
    found = {
        id: {"command": ways.command, "examples": _examples(known[ways.command].epilog or "")}
        for id, ways in sorted(WAYS.items())
        if isinstance(ways.command, str)
    }
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("MME_WRITE_EXAMPLES"):
        api_reference.COMMANDS.write_text(text, encoding="utf-8")
    assert all(one["examples"] for one in found.values())
    assert api_reference.COMMANDS.read_text(encoding="utf-8") == text, "Run `make openapi`."


def _examples(epilog: str) -> list[str]:
    """The commands of the help's last part, which are indented."""
    return [line.strip() for line in epilog.splitlines() if line.startswith("  ")]
