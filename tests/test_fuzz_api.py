"""Requests of every kind to every operation, as three roles: no fault, nothing undocumented.

schemathesis makes them from the API's document, valid and not, single and in sequences in which one
answer's ids are the next request's. `make fuzz-api` runs it for long.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from celery import Celery
from celery.app.task import Task
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.core.failures import Failure
from schemathesis.generation import GenerationMode

from accounts import token_auth, tokens
from core.api.caller import Scope
from core.api.problems import CONTENT_TYPE
from endpoints.tests.account import Account
from invocations import runtime
from mmeportal.access import ADMIN, OPERATOR, VIEWER
from notices import sending
from tests import api_hooks
from tests.rules import rows as rows_of

# Thousands of requests, and the processors may be busy.
pytestmark = pytest.mark.timeout(900)

#: Requests to each operation, by each role, valid and not: in `make test` some 20 s of a processor,
#: besides 4 s of sequences for each role.
EXAMPLES = int(os.environ.get("MME_API_EXAMPLES", "2"))
#: Of sequences that many in each run: few steps follow a link.
SEQUENCES = max(10, EXAMPLES)
SEED = int(os.environ.get("MME_API_SEED", "1"))
_RUNS = 8


class Fault(Failure):
    """An answer that no client should get."""

    def __init__(self, operation: str, message: str) -> None:
        super().__init__(operation=operation, title="Fault", message=message)


@schemathesis.check
def no_fault(ctx: Any, response: Any, case: Any) -> None:
    """No 5xx, as all parts are there and answer; and no refusal but as a problem."""
    status = response.status_code
    name = case.operation.label
    if status >= 500:
        raise Fault(name, f"{name} answers {status}: {response.content[:500]!r}")
    if status >= 400 and response.headers["content-type"] != [CONTENT_TYPE]:
        raise Fault(name, f"{name} answers {status} as {response.headers['content-type']}")


checks.load_all_checks()
CHECKS = [
    no_fault,
    *checks.CHECKS.get_by_names(
        [
            "status_code_conformance",
            "content_type_conformance",
            "response_headers_conformance",
            "response_schema_conformance",
            "negative_data_rejection",
        ]
    ),
]


def _settings(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        **more,
    )


def _invoke(**_: Any) -> runtime.Answer:
    body = b'{"predictions": [{"label": "three", "probability": 0.75}]}'
    said = "cold=1;load_ms=40.0;decode_ms=1.0;infer_ms=2.0"
    return runtime.Answer(body, "application/json", said, "r-1", "AllTraffic")


@pytest.fixture
def headers(
    store: str,
    tmp_path: Path,
    settings: Any,
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], dict[str, str]]:
    """The headers of a role's token with all scopes that it may have: a new one where it was ended.

    The store is a real S3 server; SageMaker is an account in memory, whose models answer all
    pictures alike; jobs are queued and not done.
    """
    settings.SAMPLES_DIR = str(tmp_path)
    Account().install(monkeypatch)
    monkeypatch.setattr(runtime, "invoke", _invoke)
    monkeypatch.setattr(sending, "post", lambda *_: sending.Answer(1, 204))  # of webhooks
    monkeypatch.setattr(Task, "apply_async", lambda *_, **__: None)
    monkeypatch.setattr(Celery, "send_task", lambda *_, **__: None)
    users = {role: user_in(role) for role in (VIEWER, OPERATOR, ADMIN)}
    rows_of.build(2, owner=users[OPERATOR], samples=tmp_path)
    allowed = {
        role: [scope for scope in Scope if scope in tokens.scopes_of(user)]
        for role, user in users.items()
    }

    made: dict[str, str] = {}

    def make(role: str) -> dict[str, str]:
        if not _counts(made.get(role, "")):
            tokens.Token.objects.filter(user=users[role]).delete()
            _, made[role] = tokens.make(user=users[role], name="fuzz", scopes=allowed[role])
        token_auth.CACHE.clear()
        return {"Authorization": f"Bearer {made[role]}"}

    return make


def _counts(secret: str) -> bool:
    """Whether a token opens anything: a request may have revoked it."""
    try:
        tokens.find(secret, keep_s=0)
    except tokens.Unusable:
        return False
    return True


@pytest.fixture
def schema(db: None) -> Iterator[Any]:
    """The API as its own document has it, called in this process and this test's transaction."""
    api_hooks.register()
    # Django's own test client does likewise.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_documented(
    schema: Any, headers: Callable[[str], dict[str, str]], mode: GenerationMode
) -> None:
    of_role = {role: headers(role) for role in (VIEWER, OPERATOR, ADMIN)}
    called = 0
    for found in schema.get_all_operations():
        called += _ask(found.ok(), mode, of_role)
    assert called > EXAMPLES


def _ask(operation: Any, mode: GenerationMode, of_role: dict[str, dict[str, str]]) -> int:
    """Call the operation EXAMPLES times as each role; says how many requests were made.

    Each request is made once and sent as all roles: to make it takes longer than to answer it. What
    it changes is taken back, so that every request finds all rows; the sequences keep it.
    """
    called = []

    @seed(SEED)
    @_settings(EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        called.append(case)
        for headers in of_role.values():
            with transaction.atomic():
                case.call_and_validate(headers=headers, checks=CHECKS)
                transaction.set_rollback(True)
            token_auth.CACHE.clear()

    try:
        ask()
    except Unsatisfiable:
        # Of an operation without parameters and body nothing can be wrong.
        assert mode == GenerationMode.NEGATIVE, operation.label
    return len(called)


@pytest.mark.parametrize("role", [VIEWER, OPERATOR, ADMIN])
def test_sequences_of_operations_answer_as_documented(
    schema: Any, headers: Callable[[str], dict[str, str]], role: str
) -> None:
    """What one answer names is what the next request asks for."""
    found: set[str] = set()  # what answered with something

    class Sequence(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.of_role = headers(role)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": self.of_role}

        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            case.validate_response(response, headers=self.of_role, checks=CHECKS)
            if response.status_code < 300:
                found.add(case.operation.label)

    # Few steps follow a link, and random ids change which: a run may well have none of them.
    for more in range(_RUNS):
        seed(SEED + more)(Sequence)
        Sequence.run(settings=_settings(SEQUENCES, stateful_step_count=8))
        if any("{" in label for label in found):
            return
    pytest.fail(f"No answer's id was asked for in {_RUNS} runs.")
