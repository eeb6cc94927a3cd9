"""Log lines are kept within bounds, and found as ``aws logs tail`` looks for them."""

import gc
import weakref

import pytest
from moto.logs.models import logs_backends

from localaws import moto_logs
from localaws.moto_logs import LogLines
from localaws.moto_percentiles import Datum
from localaws.tests.servers import wait_for

REGION = "eu-north-1"  # not that of other tests: moto's memory is one for the process


@pytest.fixture
def groups():
    backend = logs_backends["123456789012"][REGION]
    backend.groups.clear()
    return backend.groups


@pytest.mark.not_quick
def test_the_last_lines_of_the_last_streams_are_kept(groups):
    lines = LogLines("123456789012", REGION)
    for number in range(moto_logs.MAX_EVENTS * 2):
        lines.append("g", "first", f"line {number}", number)
    events = groups["g"].streams["first"].events
    assert moto_logs.MAX_EVENTS <= len(events) <= moto_logs.MAX_EVENTS * 1.2
    assert events[-1].message == f"line {moto_logs.MAX_EVENTS * 2 - 1}"
    for number in range(moto_logs.MAX_STREAMS * 2):
        lines.append("g", f"stream {number}", "text", number)
        lines.append("g", "first", "still here", number)
        assert len(groups["g"].streams) <= moto_logs.MAX_STREAMS
    assert "first" in groups["g"].streams  # the oldest, but written to
    assert "stream 0" not in groups["g"].streams


@pytest.mark.not_quick
def test_all_groups_together_are_bounded(groups):
    lines = LogLines("123456789012", REGION, max_bytes=1_000_000)
    for number in range(100):
        for _ in range(20):
            lines.append(f"endpoint {number}", "stream", "x" * 1000, number)
    kept = [name for name in groups if groups[name].streams]
    assert 30 < len(kept) < 40
    assert kept[-1] == "endpoint 99"
    assert len(groups) == len(kept)


def test_a_stream_that_a_client_deletes_begins_anew(groups):
    lines = LogLines("123456789012", REGION)
    lines.append("g", "s", "before", 1)
    del groups["g"]
    lines.append("g", "s", "after", 2)
    assert [event.message for event in groups["g"].streams["s"].events] == ["after"]


@pytest.mark.not_quick
def test_moto_keeps_nothing_besides(groups):
    lines = LogLines("123456789012", REGION)
    lines.append("g", "s", "the first", 0)
    first = weakref.ref(groups["g"].streams["s"].events[0])
    for number in range(moto_logs.MAX_EVENTS * 2):
        lines.append("g", "s", "text", number)
    gc.collect()
    assert first() is None
    assert len(Datum.instances_tracked) == 0


def test_they_are_found_as_the_cli_looks_for_them(hosting, name, tmp_path):
    """``aws logs tail`` is in version 2 of the CLI alone, which is not on PyPI."""
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, count=2)
    client = hosting.process.client("logs")
    since = hosting.sagemaker.describe_endpoint(EndpointName=name)["CreationTime"]
    question = {
        "logGroupName": f"/aws/sagemaker/Endpoints/{name}",
        "interleaved": True,
        "startTime": int(since.timestamp() * 1000),
    }
    # Without --follow: all pages from then on, in the order of time.
    hosting.invoke(name, "a.tar.gz")

    def found():
        pages = client.get_paginator("filter_log_events").paginate(
            **question, PaginationConfig={"PageSize": 2}
        )
        events = [event for page in pages for event in page["events"]]
        return events if any("POST /models/" in one["message"] for one in events) else None

    events = wait_for(found, 10, "the lines of the call")  # they are read 20 times a second
    assert len({event["logStreamName"] for event in events}) == 2
    assert len({event["eventId"] for event in events}) == len(events) > 2
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)

    # With --follow: again and again from the last one's time, those known by their id left out.
    def new_ones():
        known = {event["eventId"] for event in events}
        found = client.filter_log_events(**question | {"startTime": times[-1]})["events"]
        return [event for event in found if event["eventId"] not in known]

    hosting.invoke(name, "a.tar.gz")
    fresh = wait_for(
        lambda: [event for event in new_ones() if "/invoke" in event["message"]], 20, "the line"
    )
    assert len(fresh) == 1
    hosting.delete(name)
