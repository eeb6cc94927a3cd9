"""What the portal shows of an endpoint's metrics and log, as localaws measures and keeps them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from core import aws, clock, errors, remembered
from endpoints.models import Endpoint
from invocations import cloudwatch, container_page, log_lines, measured_hours
from invocations.log_lines import LogSearch
from invocations.windows import Range
from localaws.tests.conftest import Hosting, s3_url, start
from localaws.tests.servers import LocalAwsProcess, wait_for

__all__ = ["s3_url", "start"]


def test_calls_that_the_portal_did_not_make_are_measured(
    start: Callable[..., LocalAwsProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    db: None,
) -> None:
    process = start("--metrics-seconds", "0.5")
    monkeypatch.setattr(aws, "cloudwatch", lambda: process.client("cloudwatch"))
    hosting = Hosting(process, "metrics")
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    hosting.put_model(tmp_path, "a.tar.gz", load_seconds=0.2)
    hosting.put_model(tmp_path, "b.tar.gz")
    hosting.create("demo", Environment={"SAGEMAKER_TINY_CAPACITY": "1"})
    for target in ("a.tar.gz", "a.tar.gz", "a.tar.gz", "b.tar.gz"):
        hosting.invoke("demo", target)
    with pytest.raises(ClientError):
        hosting.invoke("demo", "none.tar.gz")

    def look() -> cloudwatch.Measured | None:
        for each in remembered.ALL:
            each.clear()
        found = cloudwatch.measured(endpoint, Range.HOUR, clock.now())
        assert found.problem is None
        # Of the instance they are known when it is looked at next, twice a second.
        seen = all(any(found.values[name]) for name in ("memory_average", "loaded_models"))
        calls = sum(value or 0 for value in found.values["invocations"])
        return found if seen and calls == 5 else None

    found = wait_for(look, 30, "the metrics")

    def known(name: str) -> list[float]:
        return [value for value in found.values[name] if value is not None]

    assert sum(known("errors_4xx")) == 1
    assert sum(known("loads")) == 2
    assert sum(known("downloads")) == 2
    assert sum(known("unloads")) == 1
    assert _hits(found) == pytest.approx(2), "the second and third call of the first model"
    assert 150 < max(known("loading_wait_maximum")) < 60_000  # ms
    for name in ("model_latency", "overhead_latency"):
        p50, p90, p99 = (known(f"{name}_{key}")[-1] for key in ("p50", "p90", "p99"))
        assert 0 < p50 <= p90 <= p99 < 60_000
    assert 0 < max(known("loaded_models")) <= 1
    assert 0 < known("memory_average")[-1] <= known("memory_maximum")[-1] < 100

    # The same by hours, as they are kept.
    week = measured_hours.measured(endpoint, Range.WEEK, clock.now())
    assert week.problem is None
    for name in ("invocations", "errors_4xx", "downloads", "loads", "unloads"):
        assert sum(value or 0 for value in week.values[name]) == sum(known(name)), name
    assert _hits(week) == pytest.approx(2)


def _hits(measured: cloudwatch.Measured) -> float:
    """How many calls found their model loaded, by the share of each minute or hour. There are two
    of these where another one began meanwhile."""
    told = zip(measured.values["cache_hit"], measured.values["invocations"], strict=True)
    return sum(share * (calls or 0) for share, calls in told if share)


def test_the_page_of_the_containers_is_read(
    start: Callable[..., LocalAwsProcess],
    monkeypatch: pytest.MonkeyPatch,
    db: None,
    settings: Any,
) -> None:
    process = start()
    monkeypatch.setattr(aws, "cloudwatch", lambda: process.client("cloudwatch"))
    settings.CONTAINER_METRICS_URL = process.url + "/_localaws/endpoints/{endpoint}/metrics"
    endpoint = Endpoint.objects.create(name="telling", state=Endpoint.State.IN_SERVICE)
    missing = container_page.figures(endpoint)
    assert missing is not None
    assert isinstance(missing.problem, errors.NotFound)
    for each in remembered.ALL:
        each.clear()
    path = "/server/metrics"
    Hosting(process, "telling").create(
        "telling",
        Environment={"SAGEMAKER_TINY_METRICS": path},
        ContainerMetricsConfig={"MetricsEndpoints": [{"MetricsEndpointPath": path}]},
    )
    found = container_page.figures(endpoint)
    assert found is not None
    assert found.problem is None
    (instance,) = found.instances
    assert instance.up
    assert instance.name.startswith("AllTraffic/i-")


def test_lines_of_containers_are_found(
    start: Callable[..., LocalAwsProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    db: None,
) -> None:
    process = start()
    monkeypatch.setattr(aws, "logs", lambda: process.client("logs"))
    hosting = Hosting(process, "lines")
    endpoint = Endpoint.objects.create(name="talking", state=Endpoint.State.IN_SERVICE)
    whole = LogSearch(since=endpoint.created_at)
    assert log_lines.latest(endpoint, whole, most=10).lines == []  # there is no log yet
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create("talking")
    for _ in range(5):
        hosting.invoke("talking", "a.tar.gz")

    def look() -> list[log_lines.LogLine]:
        calls = LogSearch(since=endpoint.created_at, text="/invoke")
        found = log_lines.latest(endpoint, calls, most=10).lines
        return list(found) if len(found) == 5 else []

    lines = wait_for(look, 30, "the lines")
    assert all(one.text.startswith("tiny ") and one.level is None for one in lines)
    (instance,) = log_lines.instances(lines)

    token, pages = "", []
    while True:
        page = log_lines.page(endpoint, whole, limit=2, token=token)
        pages.append(page.lines)
        token = page.token
        if not token:
            break
    every = [one.id for lines in pages for one in lines]
    assert len(pages) > 2
    assert len(every) == len(set(every))
    assert {one.id for one in lines} <= set(every)
    other = LogSearch(since=endpoint.created_at, instance="i-0")
    assert log_lines.latest(endpoint, other, most=10).lines == []
    same = LogSearch(since=endpoint.created_at, instance=instance, text='no such "text" \\ ?x')
    assert log_lines.latest(endpoint, same, most=10).lines == []
