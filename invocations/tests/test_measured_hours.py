"""What SageMaker measured, kept by the hour: the same figures, whatever ends the job meanwhile."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import tokens
from core import aws, clock, errors, remembered
from endpoints.models import Endpoint
from invocations import cloudwatch, measured_hours, tasks
from invocations.measured_hours import HOUR
from invocations.models import Experiment, Invocation, MeasuredHour
from invocations.own_calls import nearest_rank
from invocations.windows import Range
from models_catalog.models import Version
from tests.bearer import secret_of

NOW = datetime(2026, 1, 31, 9, 41, tzinfo=UTC)
THIS_HOUR = NOW.replace(minute=0)
ALONE = "AllTraffic"
Series = dict[str, list[float | None]]


class CloudWatch:
    """Measurements of endpoints, answered as CloudWatch does; None of them older than ``keeps``."""

    def __init__(self) -> None:
        self.data: dict[tuple[str, str, str], list[tuple[datetime, float]]] = defaultdict(list)
        self.keeps = timedelta(days=455)
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.fails: dict[str, str] = {}

    def measure(self, of: str, at: datetime, value: float, endpoint: str = "demo") -> None:
        self.data[endpoint, ALONE, of].append((at, value))

    def get_metric_data(self, **asked: Any) -> dict[str, Any]:
        queries, begin, end = asked["MetricDataQueries"], asked["StartTime"], asked["EndTime"]
        first = queries[0]["MetricStat"]["Metric"]["Dimensions"]
        name = next(one["Value"] for one in first if one["Name"] == "EndpointName")
        self.asked.append((name, begin, end))
        if name in self.fails:
            error = {"Error": {"Code": self.fails[name], "Message": "Not now."}}
            raise ClientError(error, "GetMetricData")  # type: ignore[arg-type]
        return {"MetricDataResults": [self._result(one, begin, end) for one in queries]}

    def _result(self, query: Any, begin: datetime, end: datetime) -> dict[str, Any]:
        stat = query["MetricStat"]
        where = {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]}
        key = where["EndpointName"], where["VariantName"], stat["Metric"]["MetricName"]
        period = timedelta(seconds=stat["Period"])
        bins: dict[datetime, list[float]] = defaultdict(list)
        for at, value in self.data[key]:
            if max(begin, clock.now() - self.keeps) <= at < end:
                bins[begin + (at - begin) // period * period].append(value)
        times = sorted(bins)
        return {
            "Id": query["Id"],
            "Timestamps": times,
            "Values": [_statistic(stat["Stat"], bins[at]) for at in times],
            "StatusCode": "Complete",
        }


def _statistic(name: str, values: list[float]) -> float:
    if name.startswith("p"):
        found = nearest_rank(values, int(name[1:]))
        assert found is not None
        return found
    of = {"Sum": sum, "SampleCount": len, "Maximum": max}
    return sum(values) / len(values) if name == "Average" else of[name](values)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The portal's clock: ``now.at``."""
    told = SimpleNamespace(at=NOW)
    monkeypatch.setattr(clock, "now", lambda: told.at)
    return told


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, now: SimpleNamespace) -> CloudWatch:
    fake = CloudWatch()
    monkeypatch.setattr(aws, "cloudwatch", lambda: fake)
    return fake


@pytest.fixture
def demo(demo: Endpoint, now: SimpleNamespace) -> Endpoint:
    """It was made ten days ago, in the midst of an hour."""
    demo.created_at = NOW - timedelta(days=10, minutes=5)
    demo.save(update_fields=["created_at"])
    return demo


def _traffic(told: CloudWatch, *, since: datetime, until: datetime, seed: int = 3) -> None:
    """Calls now and then, some cold; the instances each hour."""
    number = random.Random(seed)
    at = since
    while at < until:
        for _ in range(number.choice([0, 0, 1, 5])):
            told.measure("Invocations", at, 1.0)
            told.measure("ModelCacheHit", at, float(number.random() < 0.8))
            told.measure("ModelLatency", at, number.lognormvariate(9, 1))
            if number.random() < 0.1:
                told.measure("Invocation5XXErrors", at, 1.0)
        told.measure("CPUUtilization", at, number.uniform(1, 200))
        at += timedelta(minutes=number.choice([13, 29, 55]))


def _measured(endpoint: Endpoint, range: Range) -> Series:
    """What the page reads, asked anew."""
    for each in remembered.ALL:
        each.clear()
    found = measured_hours.measured(endpoint, range, endpoint.gone_at or clock.now())
    assert found.problem is None
    return {name: list(values) for name, values in found.values.items()}


def _same(one: Series, other: Series) -> None:
    assert set(one) == set(other)
    for name, values in one.items():
        assert other[name] == [
            None if value is None else pytest.approx(value) for value in values
        ], name


@pytest.mark.not_quick
@pytest.mark.parametrize("range", [Range.DAY, Range.WEEK, Range.WEEKS])
def test_the_figures_are_the_same_before_half_way_and_after(
    demo: Endpoint, told: CloudWatch, range: Range, monkeypatch: pytest.MonkeyPatch
) -> None:
    _traffic(told, since=demo.created_at, until=NOW)
    before = _measured(demo, range)
    monkeypatch.setattr(measured_hours, "BATCH", 50)
    monkeypatch.setattr(measured_hours, "MOST_ASKED", 2)
    assert measured_hours.keep() == 100
    half = _measured(demo, range)
    monkeypatch.undo()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(aws, "cloudwatch", lambda: told)
    assert measured_hours.keep() == 10 * 24 - 100
    told.asked.clear()
    after = _measured(demo, range)
    _same(before, half)
    _same(before, after)
    assert told.asked == [("demo", THIS_HOUR, THIS_HOUR + HOUR)]

    # CloudWatch's own figures of the longer bins: but for percentiles they are the same.
    plain = cloudwatch.measured(demo, range, NOW).values
    assert sum(one or 0 for one in plain["invocations"]) > (50 if range is Range.DAY else 100)
    for name, values in after.items():
        pairs = [(a, b) for a, b in zip(values, plain[name], strict=True) if b is not None]
        assert sum(one is not None for one in values) == len(pairs)
        if "latency" in name:
            assert all(a is not None and a >= b for a, b in pairs)
        else:
            assert [a for a, _ in pairs] == pytest.approx([b for _, b in pairs]), name


@pytest.mark.not_quick
def test_what_is_asked_while_someone_looks_is_three_hours_at_most(
    demo: Endpoint, told: CloudWatch, now: SimpleNamespace
) -> None:
    """The job runs each five minutes."""
    for minutes in range(0, 24 * 60, 5):
        now.at = NOW + timedelta(minutes=minutes)
        told.asked.clear()
        if minutes:
            _measured(demo, Range.WEEK)
        assert all(end - begin <= 3 * HOUR for _, begin, end in told.asked)
        assert len(told.asked) <= 1
        tasks.keep_measured_hours()
    kept = MeasuredHour.objects.values_list("begin", flat=True).order_by("begin")
    first = demo.created_at.replace(minute=0)
    assert list(kept) == [first + n * HOUR for n in range(len(kept))]
    assert len(kept) == 11 * 24


def test_an_hour_waits_until_all_of_it_may_be_there(
    demo: Endpoint, told: CloudWatch, now: SimpleNamespace
) -> None:
    now.at = THIS_HOUR + timedelta(minutes=29)
    measured_hours.keep()
    last = THIS_HOUR - HOUR
    assert not MeasuredHour.objects.filter(begin__gte=last).exists()
    told.measure("Invocations", last + timedelta(minutes=59), 1.0)  # late
    now.at = THIS_HOUR + timedelta(minutes=30)
    assert measured_hours.keep() == 1
    assert MeasuredHour.objects.get(begin=last).figures == {"invocations": 1.0}


@pytest.mark.not_quick
def test_a_call_that_others_made_is_the_last_call_and_the_portals_own_are_not(
    demo: Endpoint,
    told: CloudWatch,
    make_version: Callable[..., Version],
    client_of: Callable[[str], Client],
) -> None:
    """An endpoint that programs call through SageMaker is not forgotten."""
    version = make_version()
    Endpoint.objects.update(created_at=NOW - timedelta(days=20))
    own = NOW - 2 * HOUR
    for warming in (False, True):
        Invocation.objects.create(
            endpoint=demo, version=version, target_model="t", state=Invocation.State.DONE,
            variant=ALONE, created_at=own, warming=warming,
        )  # fmt: skip
        told.measure("Invocations", own, 1.0)
    told.measure("Invocations", NOW - timedelta(days=9), 3.0)
    measured_hours.keep()
    demo.refresh_from_db()
    assert demo.others_called_at == (NOW - timedelta(days=9)).replace(minute=0) + HOUR
    Invocation.objects.all().delete()
    client = client_of("viewer")
    page = " ".join(client.get("/endpoints/").content.decode().split())
    assert "not by the portal" in page
    assert "idle 8 days" in page
    row = client.get("/api/v1/endpoints/demo").json()
    assert row["last_call_by_others"] is True
    assert row["last_call_at"] == demo.others_called_at.isoformat().replace("+00:00", "Z")
    assert demo.name in client.get("/endpoints/?state=idle").content.decode()

    MeasuredHour.objects.filter(begin__gte=NOW - timedelta(days=1)).delete()
    told.measure("Invocations", own, 1.0)
    measured_hours.keep()
    demo.refresh_from_db()
    assert demo.others_called_at == own.replace(minute=0) + HOUR
    page = " ".join(client.get("/endpoints/").content.decode().split())
    assert "days" not in page.partition("not by the portal")[2].partition("</tr>")[0]
    Endpoint.objects.called_by_others(demo.pk, NOW - timedelta(days=3))
    demo.refresh_from_db()
    assert demo.others_called_at == own.replace(minute=0) + HOUR, "a later run of an earlier hour"


def test_tries_and_calls_of_experiments_are_the_portals_own(
    demo: Endpoint, told: CloudWatch, make_version: Callable[..., Version]
) -> None:
    at = NOW - 2 * HOUR
    Invocation.objects.create(
        endpoint=demo, version=make_version(), target_model="t", state=Invocation.State.DONE,
        variant=ALONE, created_at=at, attempts=3,
    )  # fmt: skip
    Experiment.objects.create(
        endpoint=demo, named="*", targets=[], calls=40, callers=1, draw="uniform", seed=1,
        state=Experiment.State.DONE, started_at=at, finished_at=at, result={"calls": 40},
    )  # fmt: skip
    told.measure("Invocations", at, 43.0)
    measured_hours.keep()
    demo.refresh_from_db()
    assert demo.others_called_at is None
    MeasuredHour.objects.all().delete()
    told.measure("Invocations", at, 1.0)
    measured_hours.keep()
    demo.refresh_from_db()
    assert demo.others_called_at == at.replace(minute=0) + HOUR


def test_an_hour_is_one_row_whoever_writes_it_twice(demo: Endpoint, told: CloudWatch) -> None:
    told.measure("Invocations", NOW - 3 * HOUR, 1.0)
    wrote = measured_hours.keep()
    assert (measured_hours.keep(), wrote) == (0, MeasuredHour.objects.count())
    at = THIS_HOUR - 3 * HOUR
    # Another worker that asked at the same time.
    measured_hours._write(demo, ALONE, {at: {"invocations": 5.0}, THIS_HOUR: {}})
    assert MeasuredHour.objects.get(begin=at).figures["invocations"] == 1.0
    assert MeasuredHour.objects.count() == wrote + 1


@pytest.mark.not_quick
def test_a_kill_between_question_and_row_loses_nothing(
    demo: Endpoint, told: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    _traffic(told, since=demo.created_at, until=NOW)
    before = _measured(demo, Range.WEEKS)
    real = measured_hours._write

    def killed(*what: Any) -> None:
        if MeasuredHour.objects.exists():  # in the second batch
            raise KeyboardInterrupt
        real(*what)

    monkeypatch.setattr(measured_hours, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        measured_hours.keep()
    assert MeasuredHour.objects.count() == measured_hours.BATCH
    _same(before, _measured(demo, Range.WEEKS))
    monkeypatch.setattr(measured_hours, "_write", real)
    measured_hours.keep()
    assert MeasuredHour.objects.count() == 10 * 24
    _same(before, _measured(demo, Range.WEEKS))


def test_hours_in_which_the_portal_was_down_are_filled_in(
    demo: Endpoint, told: CloudWatch, now: SimpleNamespace
) -> None:
    measured_hours.keep()
    now.at = NOW + timedelta(days=3)
    _traffic(told, since=NOW, until=now.at)
    told.fails["demo"] = "Throttling"
    assert measured_hours.keep() == 0
    del told.fails["demo"]
    assert measured_hours.keep() == 3 * 24
    now.at += timedelta(days=60)  # longer than anybody looks back
    assert measured_hours.keep() == 28 * 24


def test_one_that_is_refused_keeps_no_other_back(
    demo: Endpoint, told: CloudWatch, now: SimpleNamespace
) -> None:
    other = Endpoint.objects.create(name="other")
    Endpoint.objects.filter(pk=other.pk).update(created_at=NOW - 5 * HOUR)
    told.fails["demo"] = "AccessDenied"
    assert measured_hours.keep() == 5
    told.fails["demo"] = "Throttling"
    now.at += HOUR
    told.asked.clear()
    assert measured_hours.keep() == 0
    assert [name for name, *_ in told.asked] == ["demo"], "AWS is left alone where it throttles"


def test_an_endpoint_of_an_earlier_ones_name_has_its_own_hours(
    demo: Endpoint, told: CloudWatch, now: SimpleNamespace
) -> None:
    _traffic(told, since=demo.created_at, until=NOW)
    measured_hours.keep()
    gone = NOW.replace(minute=50)
    Endpoint.objects.update(gone_at=gone, state=Endpoint.State.GONE)
    demo.refresh_from_db()
    now.at = NOW + timedelta(days=2)
    later = Endpoint.objects.create(name="demo")
    later.created_at = NOW + timedelta(days=1)
    later.save(update_fields=["created_at"])
    told.measure("Invocations", now.at - HOUR, 7.0)
    mine = _measured(later, Range.WEEK)
    assert measured_hours.keep() == 1 + 24  # the last hour of the first; a day
    _same(mine, _measured(later, Range.WEEK))
    assert sum(one or 0 for one in mine["invocations"]) == 7.0
    told.asked.clear()
    theirs = _measured(demo, Range.WEEK)
    assert told.asked == [], "of what is gone all is kept"
    assert sum(one or 0 for one in theirs["invocations"]) > 7.0
    assert MeasuredHour.objects.filter(endpoint=demo).latest("begin").begin == THIS_HOUR


def test_old_hours_go_and_those_of_what_is_gone(
    demo: Endpoint, told: CloudWatch, now: SimpleNamespace
) -> None:
    measured_hours.keep()
    now.at = NOW + timedelta(days=30)
    tasks.keep_measured_hours()
    oldest = MeasuredHour.objects.earliest("begin").begin
    assert now.at - measured_hours.KEPT <= oldest < now.at - measured_hours.REACH
    Endpoint.objects.update(gone_at=now.at)
    demo.refresh_from_db()
    now.at += 2 * HOUR
    tasks.keep_measured_hours()
    now.at = demo.gone_at + measured_hours.KEPT
    tasks.keep_measured_hours()
    told.asked.clear()
    _measured(demo, Range.WEEKS)
    assert told.asked == []
    now.at += HOUR
    tasks.keep_measured_hours()
    assert not MeasuredHour.objects.exists()
    assert measured_hours.keep() == 0, "they are not asked for again"


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_what_is_not_told_in_full_is_not_kept(
    demo: Endpoint, told: CloudWatch, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    real = told._result
    monkeypatch.setattr(told, "_result", lambda *what: real(*what) | {"StatusCode": status})
    assert measured_hours.keep() == 0
    assert isinstance(cloudwatch.measured(demo, Range.HOUR, NOW).problem, errors.AwsError)


def test_an_answer_of_several_pages_is_read_to_its_end(
    demo: Endpoint, told: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = THIS_HOUR - 2 * HOUR
    told.measure("Invocations", hour, 2.0)
    told.measure("CPUUtilization", hour, 50.0)
    real = told.get_metric_data

    def paged(NextToken: str = "", **asked: Any) -> dict[str, Any]:
        results = real(**asked)["MetricDataResults"]
        half = results[len(results) // 2 :] if NextToken else results[: len(results) // 2]
        return {"MetricDataResults": half} | ({} if NextToken else {"NextToken": "more"})

    monkeypatch.setattr(told, "get_metric_data", paged)
    measured_hours.keep()
    figures = MeasuredHour.objects.get(begin=hour).figures
    assert (figures["invocations"], figures["cpu_average"]) == (2.0, 50.0)


@pytest.mark.not_quick
def test_page_and_operation_show_hours_that_cloudwatch_has_no_more(
    demo: Endpoint,
    told: CloudWatch,
    now: SimpleNamespace,
    client_of: Callable[[str], Client],
    remembering: None,
) -> None:
    for hours in (1, 20, 30, 90):
        told.measure("Invocations", NOW - hours * HOUR, 4.0)
    measured_hours.keep()
    told.keeps = timedelta(hours=3)  # as localaws does
    client = client_of("viewer")
    user = User.objects.get()
    token = secret_of(user, tokens.scopes_of(user))

    def calls(span: str) -> float:
        for each in remembered.ALL:
            each.clear()
        address = f"/api/v1/endpoints/demo/metrics?range={span}"
        said = Client().get(address, headers={"Authorization": f"Bearer {token}"}).json()
        series = {one["name"]: one["values"] for one in said["sagemaker"]["series"]}
        assert ("Not now." in str(said["sagemaker"]["problem"])) == bool(told.fails)
        return sum(value or 0 for value in series["invocations"])

    assert [calls(span) for span in ("6h", "24h", "7d", "28d")] == [4.0, 8.0, 16.0, 16.0]
    page = f"/endpoints/{demo.pk}/metrics/?range=28d"
    client.get(page)
    with CaptureQueriesContext(connection) as again:
        client.get(page)
    measured_hours._SHARED.clear()
    with CaptureQueriesContext(connection) as anew:
        text = client.get(page).content.decode()
    assert len(anew) == len(again) + 1, "one for all hours, which all who look share"
    assert "In each 12 h, p50, p90 and p99 are those of the slowest hour." in text
    assert (
        "slowest hour" not in client.get(f"/invoke/metrics/{demo.pk}/?range=24h").content.decode()
    )

    told.fails["demo"] = "Throttling"
    assert calls("28d") == 16.0  # the hour before this one is kept, too
    text = client.get(page).content.decode()
    assert "The hours that the portal kept are shown, without the last ones." in text
    assert "Not now." in text
    assert '<svg class="plot"' in text
    MeasuredHour.objects.all().delete()
    assert calls("28d") == 0.0
    text = client.get(page).content.decode()
    assert "CloudWatch does not say what SageMaker measured." in text
    assert "kept are shown" not in text
