"""``mme metrics`` and ``mme logs``: for people, and for programs."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem
from mme_client import Portal, endpoints
from mme_client.cli.observing import bars

Mme = Callable[..., Ran]
EXAMPLE: dict[str, Any] = EXAMPLES["endpoints_metrics"]["200"]
SERIES = [
    {"name": "invocations", "statistic": "Sum", "unit": "count", "values": [0, None, 8]},
    {"name": "cache_hit", "statistic": "Average", "unit": "share", "values": [None, None, 0.75]},
    {"name": "disk_average", "statistic": "Average", "unit": "percent", "values": [None] * 3},
]
OWN = [{"name": "latency_p99", "statistic": "p99", "unit": "ms", "values": [1500.0, 2.5, None]}]
TIMES = ["2026-01-31T09:30:00Z", "2026-01-31T09:31:00Z", "2026-01-31T09:32:00Z"]
METRICS = EXAMPLE | {
    "period_s": 60,  # of an hour: nothing of it comes from the hours that the portal keeps
    "endpoint": "demo",
    "times": TIMES,
    "sagemaker": {"problem": None, "series": SERIES},
    "portal": {"complete": True, "series": OWN},
}


def test_people_get_a_line_of_bars_for_what_was_measured(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=METRICS)]
    ran = mme("metrics", "demo", "--range", "1h", url=fake.url, token="t")
    assert ran.code == 0
    assert fake.requests[0].target == "/api/v1/endpoints/demo/metrics?range=1h"
    lines = {line.split()[0]: line.split() for line in ran.out.splitlines() if line.strip()}
    assert lines["invocations"] == ["invocations", "▁·█", "8", "8"]
    assert lines["cache_hit"][2:] == ["75.0", "%", "75.0", "%"]
    assert lines["latency_p99"][1] == "█▁·"
    assert "disk_average" not in ran.out
    assert "all calls, by SageMaker" in ran.out
    assert "calls by the portal" in ran.out


def test_what_changed_in_that_time_is_told(mme: Mme, fake: FakePortal) -> None:
    change = {
        "at": "2026-11-29T09:30:00Z",
        "action": "endpoint.scaled",
        "sentence": "AWS scaled demo\x1b[31m to 2 instances.",
    }
    fake.answers = [Says(document=METRICS | {"changes": [change]}), Says(document=METRICS)]
    ran = mme("metrics", "demo", url=fake.url, token="t")
    assert "what changed then" in ran.out
    assert "AWS scaled demo\ufffd[31m to 2 instances." in ran.out
    assert "what changed then" not in mme("metrics", "demo", url=fake.url, token="t").out


def test_why_cloudwatch_does_not_say_is_told(mme: Mme, fake: FakePortal) -> None:
    told = {"problem": "It may not ask\x1b[31m.", "series": SERIES}
    fake.answers = [Says(document=METRICS | {"sagemaker": told})]
    ran = mme("metrics", "demo", url=fake.url, token="t")
    assert ran.code == 0
    assert "It may not ask\ufffd[31m." in ran.out
    assert "invocations" not in ran.out
    assert "latency_p99" in ran.out


def test_of_a_week_the_hours_that_the_portal_keeps_are_told_all_the_same(
    mme: Mme, fake: FakePortal
) -> None:
    week = METRICS | {"period_s": 10800}
    fake.answers = [Says(document=week | {"sagemaker": {"problem": "Not now.", "series": SERIES}})]
    ran = mme("metrics", "demo", "--range", "7d", url=fake.url, token="t")
    assert "Not now." in ran.out
    assert "invocations" in ran.out
    assert ran.out.count("the slowest hour of each bin") == 1


TOLD = EXAMPLE["containers"] | {
    "problem": None,
    "since": TIMES[0],
    "least_recent": "digits_v2.tar.gz",
    "least_recent_call_at": None,
    "eviction_age_ms": 2500.0,
    "instances": [EXAMPLE["containers"]["instances"][0] | {"instance": "i-9", "up": False}],
    "models": [
        EXAMPLE["containers"]["models"][0]
        | {
            "model": "digits",
            "number": 2,
            "calls": 42,
            "portal_calls": 9,
            "memory_bytes": 52_428_800,
            "load_ms": 100.0,
            "errors": [{"kind": "bad_request", "calls": 6}],
            "evictions": [{"reason": "memory", "times": 1}],
        }
    ],
    "uncalled": [{"model": "digits", "number": 1}],
}


def test_what_the_containers_count_stands_beside(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=METRICS | {"containers": TOLD})]
    ran = mme("metrics", "demo", url=fake.url, token="t")
    assert ran.code == 0
    theirs = ran.out.partition("all calls, as the containers counted them since")[2]
    assert "The page of i-9 could not be read" in theirs
    (row,) = (line for line in theirs.splitlines() if line.startswith("digits:2"))
    assert row.split()[1:4] == ["42", "9", str(TOLD["models"][0]["cold"])]
    assert all(one in row for one in ("bad_request 6", "50.0 MB", "100.0 ms", "memory 1"))
    assert "Not called since: digits:1" in theirs
    assert "least recently used in memory: digits_v2.tar.gz, never" in theirs
    assert "not called for 2.5 s on average when unloaded" in theirs


@pytest.mark.parametrize(
    ("told", "said"), [(TOLD | {"problem": "SageMaker alone.", "models": []}, True), (None, False)]
)
def test_why_they_tell_nothing_is_told(
    mme: Mme, fake: FakePortal, told: dict[str, Any] | None, said: bool
) -> None:
    fake.answers = [Says(document=METRICS | {"containers": told})]
    ran = mme("metrics", "demo", url=fake.url, token="t")
    assert ran.code == 0
    assert ("SageMaker alone." in ran.out) is said
    assert "loaded no model" not in ran.out


def test_csv_has_a_line_for_each_time(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=METRICS)]
    rows = list(
        csv.DictReader(io.StringIO(mme("metrics", "demo", "--csv", url=fake.url, token="t").out))
    )
    assert [row["at"] for row in rows] == [time.replace("Z", "+00:00") for time in TIMES]
    assert [row["sagemaker_invocations_count"] for row in rows] == ["0", "", "8"]
    assert [row["portal_latency_p99_ms"] for row in rows] == ["1500", "2.5", ""]


def test_json_is_what_the_api_answers(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=METRICS)]
    assert json.loads(mme("metrics", "demo", "--json", url=fake.url, token="t").out) == METRICS
    assert mme("metrics", "demo", "--json", "--csv", url=fake.url, token="t").code == 2
    assert mme("metrics", "demo", "--range", "2h", url=fake.url, token="t").code == 2


def test_an_endpoint_that_is_not_there_is_told(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [problem("not-found", 404)]
    assert mme("metrics", "nobody", url=fake.url, token="t").code == 3


def test_programs_get_numbers_and_gaps(fake: FakePortal) -> None:
    fake.answers = [Says(document=METRICS)]
    found = Portal(fake.url, token="t").endpoints.metrics("demo")
    assert found.sagemaker.series[0].values == [0, None, 8]
    assert found.times[2].minute == 32


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([None, None], "··"),
        ([0, 0], "▁▁"),
        ([1, 2, 4], "▃▅█"),
        ([1] + [0] * 71, "█" + "▁" * 35),
    ],
)
def test_bars_begin_at_zero_and_show_the_highest_of_many(
    values: list[float | None], drawn: str
) -> None:
    assert bars(values) == drawn


LINE = EXAMPLES["endpoints_logs"]["200"]["items"][0]
AT = "2026-01-31T09:30:0{}Z"
LINES = [
    LINE | {"id": str(n), "at": AT.format(n), "instance": "i-1", "level": level, "event": event,
            "message": message, "text": text}
    for n, (level, event, message, text) in enumerate(
        [
            ("error", "load_failed", "No memory\x1b[31m.", "{…}"),
            (None, "", "Traceback", "Traceback"),
        ]
    )
]  # fmt: skip


def test_lines_are_printed_without_what_a_terminal_obeys(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [
        Says(document={"items": LINES[:1], "next": "the-cursor"}),
        Says(document={"items": LINES[1:], "next": None}),
    ]
    ran = mme(
        *("logs", "demo", "--level", "warning", "--model", "digits:2", "--since", "2h"),
        *("--search", "a b"),
        url=fake.url,
        token="t",
    )
    assert ran.code == 0
    first, second = ran.out.splitlines()
    assert first.endswith("  i-1  error    load_failed  No memory\ufffd[31m.")
    assert second.endswith("  i-1  -        Traceback")
    asked, more = (parse_qs(one.target.partition("?")[2]) for one in fake.requests)
    since = datetime.fromisoformat(asked.pop("since")[0])
    assert timedelta(hours=1.9) < datetime.now(UTC) - since < timedelta(hours=2.1)
    assert asked == {
        "level": ["warning"], "model": ["digits:2"], "search": ["a b"], "limit": ["1000"],
    }  # fmt: skip
    assert more["cursor"] == ["the-cursor"]


def test_the_lines_of_a_call_are_asked_for_by_its_id(mme: Mme, fake: FakePortal) -> None:
    told = {"target_model": "digits_v2.tar.gz", "request_id": "0f6c", "event": "call_answered"}
    fake.answers = [Says(document={"items": [LINES[0] | told], "next": None})]
    ran = mme("logs", "demo", "--request", "0f6c", url=fake.url, token="t")
    assert "  call_answered  digits_v2.tar.gz  0f6c  No memory" in ran.out
    asked = parse_qs(fake.requests[0].target.partition("?")[2])
    assert asked == {"request": ["0f6c"], "limit": ["1000"]}  # the portal knows when that was


def test_a_log_that_is_followed_has_each_line_once(
    fake: FakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [
        Says(document={"items": LINES, "next": None}),
        Says(
            document={"items": [*LINES, LINES[0] | {"id": "9", "at": AT.format(9)}], "next": None}
        ),
    ]
    monkeypatch.setattr(endpoints, "FOLLOW_EVERY_S", 0.0)
    lines = Portal(fake.url, token="t").endpoints.follow_logs("demo")
    assert [next(lines).id for _ in range(3)] == ["0", "1", "9"]
    asked = parse_qs(fake.requests[1].target.partition("?")[2])
    assert asked["since"] == ["2026-01-31T09:29:46+00:00"]  # a while before the last line


def test_lines_as_json_are_one_document_and_none_are_told(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": LINES, "next": None})]
    ran = mme("logs", "demo", "--json", url=fake.url, token="t")
    assert json.loads(ran.out) == {"items": LINES, "next": None}
    fake.answers = [Says(document={"items": [], "next": None})]
    ran = mme("logs", "demo", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "")
    assert "Look further back" in ran.err
    assert mme("logs", "demo", "--since", "soon", url=fake.url, token="t").code == 2
