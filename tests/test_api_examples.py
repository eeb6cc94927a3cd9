"""The examples of the API's document are what the portal answers, with times and ids frozen.

`make openapi` writes them anew (MME_WRITE_EXAMPLES).
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import roles, token_auth, tokens
from core import aws
from core.api.caller import Scope
from endpoints.tests.account import Account
from invocations.tests import container_pages
from mmeportal import api
from models_catalog import secrecy
from tests.rules import rows
from tests.rules.api_subjects import subjects

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
#: The bodies of operations that change something.
BODIES: dict[str, dict[str, Any]] = {
    "models_create": {"name": "cats", "description": "Cats and no cats."},
    "models_describe": {"add_tags": ["vision"], "owner": "operator-user"},
    "versions_describe": {"metadata": {"accuracy": 0.95}},
    "tokens_create": {"name": "pipeline", "scopes": ["read", "upload"]},
    "endpoints_create": {"name": "zoo", "instance_type": "ml.m5.large"},
    "endpoints_weigh": {"weights": {"AllTraffic": 1}},
    "endpoints_update": {"instance_count": 2, "reason": "more calls than one can take"},
    "webhooks_create": {"url": "https://ci.example.com/hook", "kinds": ["version.ready"]},
    "webhooks_change": {"models": ["digits-0"]},
    "webhooks_rotate": {},
    "mails_put": {"kinds": ["version.rejected"]},
}


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
    Account().install(monkeypatch)
    monkeypatch.setattr(aws, "cloudwatch", _NothingMeasured)
    monkeypatch.setattr(aws, "logs", _NothingMeasured)
    settings.CONTAINER_METRICS_URL = "http://pages.example/{endpoint}"
    told = aws.PageAnswer(200, container_pages.page("digits-0_v1.tar.gz").encode())
    monkeypatch.setattr(aws, "signed_page", lambda *_, **__: told)
    settings.SAMPLES_DIR = str(tmp_path)
    user: User = user_in(roles.OPERATOR)
    built = rows.build(1, owner=user, samples=tmp_path)
    secrecy.forget()  # a store of these rows names groups
    operator, admin = _client(user), _client(user_in(roles.ADMIN))
    found: dict[str, dict[str, Any]] = {}
    # First what changes nothing: their order is that in which some test has imported the apps.
    for subject in sorted(subjects(), key=lambda one: (one.method != "GET", one.rules.id)):
        id = subject.rules.id
        if id == "openapi_get" or (subject.method != "GET" and id not in BODIES):
            continue
        more: dict[str, Any] = {}
        if id in BODIES:
            more = {"data": json.dumps(BODIES[id]), "content_type": "application/json"}
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
                schema = {**content["schema"], "components": document["components"]}
                wrong = [
                    f"{found['operationId']} {status}: {error.message}"
                    for error in jsonschema_rs.validator_for(schema).iter_errors(content["example"])
                ]
                assert not wrong
                seen += 1
    examples = json.loads(api.EXAMPLES.read_text(encoding="utf-8"))
    assert seen == sum(len(one) for one in examples.values())
