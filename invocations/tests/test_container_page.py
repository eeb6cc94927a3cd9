"""What the containers of an endpoint count: read from their pages, and told beside the portal's."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from accounts import tokens
from core import aws, clock, errors
from core.env import env_template
from endpoints.models import Endpoint
from invocations import container_page
from invocations.models import Invocation, VersionHalfDay
from invocations.tests.container_pages import page
from models_catalog.models import Version
from tests.bearer import secret_of

ClientOf = Callable[[str], Client]
STARTED = datetime.fromtimestamp(1.768e9, UTC)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, settings: Any) -> dict[str, Any]:
    """The answer of the address of the containers' pages; ``asked``: which were asked for."""
    settings.CONTAINER_METRICS_URL = "http://pages.example/{endpoint}/metrics"
    said: dict[str, Any] = {"status": 200, "body": page("digits_v1.tar.gz"), "asked": []}

    def signed_page(url: str, *, most_bytes: int) -> aws.PageAnswer:
        said["asked"].append(url)
        return aws.PageAnswer(said["status"], said["body"].encode()[:most_bytes])

    monkeypatch.setattr(aws, "signed_page", signed_page)
    return said


def test_the_instances_of_a_page_are_added_up_by_model(db: None) -> None:
    found = container_page.read(page("digits_v1.tar.gz"))
    first, other, rest = found.models
    assert (first.target, first.calls, first.cold, first.loads) == ("digits_v1.tar.gz", 42, 3, 3)
    assert first.errors == Counter({"bad_request": 6, "of its own": 2})
    assert [(str(said), n) for said, n in first.errors_said] == [
        ("400: bad input", 6),
        ("of its own", 2),
    ]
    assert first.evictions == Counter({"memory": 1})
    assert first.load_ms == pytest.approx(100)
    assert first.memory_bytes == 50_000_000
    assert first.loaded_since == datetime.fromtimestamp(1.7685e9, UTC)
    assert first.last_call_at == datetime.fromtimestamp(1.7691e9, UTC)
    # One that was never called goes by the container's name; what is no number is not told.
    assert (other.target, other.calls, other.memory_bytes, other.load_ms) == ("9d1f", 0, None, None)
    assert (rest.target, rest.calls) == ("", 4)
    assert found.since == STARTED
    assert [one.name for one in found.silent] == ["AllTraffic/i-3"]
    assert found.calls == 46
    assert (found.least_recent, found.eviction_age_ms) == (first, 2500)


@pytest.mark.parametrize("wrong", ["{", 'a{b="c} 1', "mme_models_loaded many", "<html>"])
def test_what_is_no_page_is_refused(db: None, wrong: str) -> None:
    with pytest.raises(errors.Invalid, match="cannot be read"):
        container_page.read(page("a.tar.gz") + wrong)


def test_the_portals_calls_stand_beside_all_calls(
    demo: Endpoint, versions: list[Version], told: dict[str, Any]
) -> None:
    def call(at: datetime, **more: Any) -> None:
        Invocation.objects.create(
            endpoint=demo, version=versions[0], target_model="t", created_at=at, **more
        )

    call(STARTED - timedelta(seconds=1))  # of the container before
    call(STARTED + timedelta(seconds=1), counted=True)
    call(clock.now())
    call(clock.now(), warming=True)
    call(clock.now() - timedelta(days=1), counted=True)  # it is in the sum
    for begin, n in ((STARTED - timedelta(hours=24), 100), (STARTED + timedelta(hours=24), 7)):
        VersionHalfDay.objects.create(
            endpoint=demo, version=versions[0], begin=begin, calls=n, last_call_at=begin
        )
    found = container_page.figures(demo)
    assert found is not None
    assert [(one.version, one.own_calls) for one in found.models] == [
        (versions[0], 9),
        (None, None),
        (None, None),
    ]
    assert [one.number for one in found.uncalled] == [3, 2]


@pytest.mark.not_quick
def test_the_page_says_whose_numbers_are_whose(
    client_of: ClientOf, demo: Endpoint, versions: list[Version], told: dict[str, Any]
) -> None:
    client = client_of("viewer")
    text = client.get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    theirs = text.partition("Calls, as the containers counted them</h2>")[2]
    assert "what the portal did not call counts too" in theirs
    assert "digits v1</a>" in theirs
    assert '<td class="number">42</td>' in theirs
    assert "6 × 400: bad input" in theirs
    assert "1 × memory was short" in theirs
    assert "AllTraffic/i-3" in theirs
    assert "Others, not told singly" in theirs
    assert "digits v1</span>" in theirs.partition("Least recently used in memory")[2]
    assert "2.5 s" in theirs.partition("when unloaded to make room")[2]
    assert "digits v2" in theirs.partition("Versions that nobody called")[2]
    assert told["asked"] == ["http://pages.example/demo/metrics"]
    client.get(f"/invoke/metrics/{demo.pk}/")
    assert len(told["asked"]) == 1  # all who look within METRICS_KEEP_S share an answer


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "", "No container of the endpoint runs at present."),
        (403, "<b>Sign</b> it.", "HTTP 403. It says: “&lt;b&gt;Sign&lt;/b&gt; it.”"),
        (200, "<html>", "Their page cannot be read"),
        (200, "# " + "x" * container_page.MOST_BYTES, "Their page has more than 16 MB."),
    ],
)
def test_a_page_that_cannot_be_read_is_told_and_nothing_else_fails(
    client_of: ClientOf,
    demo: Endpoint,
    versions: list[Version],
    told: dict[str, Any],
    status: int,
    body: str,
    said: str,
) -> None:
    told |= {"status": status, "body": body}
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    assert "What the containers count is not known now." in text
    assert said in text
    assert "3 versions were not called" in text


def test_where_sagemaker_alone_can_read_it_that_is_said(
    client_of: ClientOf, demo: Endpoint, settings: Any
) -> None:
    settings.CONTAINER_METRICS_URL = ""
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    said = "SageMaker’s detailed observability alone can read what the containers themselves count"
    assert said in text


def test_an_endpoint_that_is_gone_is_not_asked_for(demo: Endpoint, told: dict[str, Any]) -> None:
    demo.gone_at = clock.now()
    assert container_page.figures(demo) is None
    assert told["asked"] == []


def test_the_operation_tells_the_same(
    user_in: Callable[[str], User],
    demo: Endpoint,
    versions: list[Version],
    told: dict[str, Any],
) -> None:
    user = user_in("viewer")
    token = secret_of(user, tokens.scopes_of(user))
    headers = {"Authorization": f"Bearer {token}"}
    found = Client().get("/api/v1/endpoints/demo/metrics", headers=headers).json()["containers"]
    assert (found["problem"], found["since"]) == (None, "2026-01-09T23:06:40Z")
    first = found["models"][0]
    assert (first["model"], first["number"], first["calls"]) == ("digits", 1, 42)
    assert first["portal_calls"] == 0
    assert found["least_recent"] == "digits_v1.tar.gz"
    assert found["least_recent_call_at"] == first["last_call_at"]
    assert found["eviction_age_ms"] == 2500
    assert {"kind": "bad_request", "calls": 6} in first["errors"]
    assert first["evictions"] == [{"reason": "memory", "times": 1}]
    assert [one["up"] for one in found["instances"]] == [True, True, False]
    assert found["uncalled"] == [{"model": "digits", "number": n} for n in (3, 2)]


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_address_that_does_not_answer_is_given_up(
    demo: Endpoint, silent_address: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONTAINER_METRICS_URL = silent_address + "/{endpoint}"
    monkeypatch.setattr(aws, "_TELEMETRY", aws.Timeouts(0.2, 1, connect_s=0.2))
    aws.cloudwatch.cache_clear()
    try:
        found = container_page.figures(demo)
    finally:
        aws.cloudwatch.cache_clear()
    assert found is not None
    assert isinstance(found.problem, errors.Throttled)


@pytest.mark.parametrize(
    "wrong", ["http://x/pages", "{endpoint}", "ftp://x/{endpoint}", "http:///{endpoint}"]
)
def test_a_setting_that_names_no_address_of_each_endpoint_is_refused(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_METRICS_URL", wrong)
    with pytest.raises(ImproperlyConfigured, match="CONTAINER_METRICS_URL must be"):
        env_template("CONTAINER_METRICS_URL", "endpoint")
