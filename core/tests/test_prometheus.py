"""What the portal tells Prometheus of itself."""

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from accounts import roles
from core import aws, clock, heartbeat, job_messages, prometheus, prometheus_page, tasks
from core.broker import Channel
from endpoints.models import Endpoint
from models_catalog.models import Version
from models_catalog.tests.test_api_reading import made

DASHBOARD = Path(settings.BASE_DIR) / "docs" / "grafana-dashboard.json"


def _value(name: str, **labels: str) -> float:
    return prometheus.REGISTRY.get_sample_value(name, labels) or 0.0


def _samples(*, shared: bool = False) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What the page says, as a program reads it."""
    started: list[str] = []
    environ = {"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    answer = prometheus_page.page(shared=shared)(environ, lambda status, _: started.append(status))
    assert started == ["200 OK"]
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(b"".join(answer).decode())
        for sample in family.samples
    }


@pytest.fixture
def redis_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A queue with messages, at the clock 1000 of Redis."""

    def make(*messages: Any) -> None:
        class Queue:
            def __enter__(self) -> "Queue":
                return self

            def __exit__(self, *_: object) -> None: ...

            def llen(self, _key: str) -> int:
                return len(messages)

            def lindex(self, _key: str, index: int) -> str | None:
                return json.dumps(messages[index]) if messages else None

        monkeypatch.setattr(heartbeat, "connect", Queue)
        monkeypatch.setattr(clock, "of_redis", lambda _: 1000.0)

    return make


@pytest.mark.not_quick
def test_a_request_counts_by_the_name_of_its_page(client_of: Callable[[str], Client]) -> None:
    client = client_of(roles.VIEWER)
    ways = {"method": "GET", "page": "models_catalog:list", "status": "200"}
    before = _value("mme_portal_requests_total", **ways)
    took = _value("mme_portal_request_seconds_count", page="models_catalog:list")
    client.get("/models/")
    client.get("/models/?q=a")
    assert _value("mme_portal_requests_total", **ways) == before + 2
    assert _value("mme_portal_request_seconds_count", page="models_catalog:list") == took + 2


@pytest.mark.django_db
def test_what_somebody_types_makes_no_series() -> None:
    client = Client()
    for path in ("/nowhere/a", "/nowhere/b", "/.env"):
        client.get(path)
    client.generic("BREW", "/models/")
    shown = {labels for name, labels in _samples() if name == "mme_portal_requests_total"}
    text = str(shown)
    assert "nowhere" not in text
    assert "BREW" not in text
    assert ("method", "other") in {label for labels in shown for label in labels}


def test_a_job_counts_with_its_end_and_its_time() -> None:
    name = tasks.sweep.name
    task = current_app.tasks[name]
    before = _value("mme_portal_jobs_total", task=name, state="FAILURE")
    took = _value("mme_portal_job_seconds_count", task=name)
    prometheus._note_beginning("job-1")
    prometheus._note_end("job-1", task, state="FAILURE")
    assert _value("mme_portal_jobs_total", task=name, state="FAILURE") == before + 1
    assert _value("mme_portal_job_seconds_count", task=name) == took + 1


def test_how_long_a_job_waited_is_told_by_the_clock_of_redis() -> None:
    channel = Channel.__new__(Channel)
    channel._tells_time = True
    waited = "mme_portal_job_wait_seconds_sum"
    before = _value(waited)
    raw = {
        "headers": {"task": tasks.sweep.name, "id": "3f2b0c1e-7a54-4b8e-9a55-0123456789ab"},
        "properties": {"body_encoding": "base64", job_messages.SENT_AT: 997.5},
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "body": "W1tdLCB7fSwge31d",
    }
    handed_on: list[Any] = []
    channel.redis_time = lambda: 1000.0  # type: ignore[method-assign]
    channel._take(handed_on.append, raw)
    assert len(handed_on) == 1
    assert _value(waited) == pytest.approx(before + 2.5)


@pytest.mark.parametrize(
    ("status", "code", "told", "throttled"),
    [
        (200, "", "ok", 0),
        (400, "ThrottlingException", "ThrottlingException", 1),
        (400, "ValidationException", "ValidationException", 0),
        (500, "<script>", "other", 0),
    ],
)
def test_each_attempt_to_call_aws_counts_by_its_code(
    status: int, code: str, told: str, throttled: int
) -> None:
    client: Any = aws.sagemaker()
    operation = client.meta.service_model.operation_model("DescribeEndpoint")
    of = {"service": "SageMaker", "operation": "DescribeEndpoint"}
    before = _value("mme_portal_aws_calls_total", code=told, **of)
    throttles = _value("mme_portal_aws_throttles_total", **of)
    answer = type("Answer", (), {"status_code": status, "headers": {}})()
    client.meta.events.emit(
        "needs-retry.sagemaker.DescribeEndpoint",
        response=(answer, {"Error": {"Code": code}} if code else {}),
        operation=operation,
        attempts=9,
        caught_exception=None,
        endpoint=client._endpoint,
        request_dict={"context": {"retries": {"max": 0}, aws._SIGNED: (0.0, 0.0)}},
    )
    assert _value("mme_portal_aws_calls_total", code=told, **of) == before + 1
    assert _value("mme_portal_aws_throttles_total", **of) == throttles + throttled


@pytest.mark.django_db
def test_beat_tells_how_late_work_is_and_what_there_is(
    redis_with: Callable[..., None],
) -> None:
    redis_with({"properties": {}}, {"properties": {job_messages.SENT_AT: 940.0}})
    Endpoint.objects.create(name="late", check_after=clock.now() - clock.timedelta(seconds=90))
    made("digits", state=Version.State.READY)
    found = _samples(shared=True)

    def of(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert 90 <= of("mme_portal_lag_seconds", kind="endpoint") < 150
    assert of("mme_portal_due", kind="endpoint") == 1
    assert (
        of("mme_portal_due", kind="delivery") == of("mme_portal_lag_seconds", kind="delivery") == 0
    )
    assert of("mme_portal_queue_jobs") == 2
    assert of("mme_portal_queue_age_seconds") == 60
    assert sum(value for (name, _), value in found.items() if name == "mme_portal_endpoints") == 1
    assert of("mme_portal_versions", state=str(Version.State.READY)) == 1
    assert of("mme_portal_gauges_failed", gauges="queue") == 0


@pytest.mark.django_db
def test_the_rest_is_told_where_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise ConnectionError

    monkeypatch.setattr(heartbeat, "connect", away)
    found = _samples(shared=True)
    names = {name for name, _ in found}
    assert "mme_portal_lag_seconds" in names
    assert "mme_portal_queue_jobs" not in names
    assert found["mme_portal_gauges_failed", frozenset({("gauges", "queue")})] == 1


@pytest.fixture(scope="module")
def served() -> str:
    """The address of a page that is served as by worker and beat; its thread is a daemon."""
    bound = socket.create_server(("127.0.0.1", 0))
    prometheus_page.serve(bound)
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_the_page_is_served_at_its_address_and_nothing_else(served: str) -> None:
    with urllib.request.urlopen(f"{served}/metrics", timeout=20) as answer:
        assert b"mme_portal_requests_total" in answer.read()
        assert "Server" not in answer.headers
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{served}/", timeout=20)


def test_every_metric_of_the_dashboard_is_one_that_is_told(
    redis_with: Callable[..., None], db: None
) -> None:
    """Grafana shows an empty panel, and no error, for a name that is not there."""
    redis_with()
    told = {name for name, _ in _samples(shared=True)} | {
        # A counter or histogram with labels has no sample until the first event.
        f"{family.name}{end}"
        for family in prometheus.REGISTRY.collect()
        for end in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}[family.type]
    }
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(asked) > 10
    used = {name for one in asked for name in re.findall(r"\b(?:mme_\w+)", one)}
    assert used <= told | _of_container()
    assert all(panel["title"] for panel in dashboard["panels"])


def _of_container() -> set[str]:
    """The names of the container's own page, by the table in its README."""
    text = (Path(settings.BASE_DIR) / "container" / "README.md").read_text()
    found: set[str] = set()
    for names, kind in re.findall(
        r"^\| (`mme_.+?) \| (counter|gauge|histogram) \|", text, re.MULTILINE
    ):
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {f"{name}{end}" for name in re.findall(r"`(mme_\w+)", names) for end in ends}
    return found
