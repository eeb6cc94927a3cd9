"""What the container answers, read; and where the time went."""

import json

import pytest

from invocations import answers
from invocations.models import Invocation

pytestmark = pytest.mark.django_db  # a call's times are by the database's clock


def test_the_json_form():
    rows = [{"label": "cat", "probability": 0.9}, {"label": "dog", "probability": 0.1}]
    assert answers.predictions(json.dumps({"predictions": rows}).encode()) == rows


def test_the_notebooks_form():
    body = json.dumps(["probability=0.000412, class=n02123045 tabby, tabby cat"] * 7).encode()
    found = answers.predictions(body)
    assert found[0] == {"label": "n02123045 tabby, tabby cat", "probability": 0.000412}
    assert len(found) == 5


def test_a_label_is_what_every_database_stores():
    body = b'{"predictions": [{"label": "\\ud800 c\\u0000at", "probability": 0.9}]}'
    assert answers.predictions(body)[0]["label"] == "? c\N{REPLACEMENT CHARACTER}at"


NAN = b'{"predictions": [{"label": "cat", "probability": NaN}]}'
HUGE = NAN.replace(b"NaN", b"1" + b"0" * 400)
DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"7", b'{"a": 1}', b'["x"]', b'[{"label": 1}]', NAN, HUGE, DEEP]
)
def test_anything_else_is_told(body):
    with pytest.raises(answers.UnreadableAnswer, match="not with labels and probabilities"):
        answers.predictions(body)


@pytest.mark.parametrize(
    ("text", "cold", "times"),
    [
        (
            "cold=1;load_ms=12.3;decode_ms=1.0;infer_ms=2.1",
            True,
            {"load_ms": 12.3, "decode_ms": 1.0, "infer_ms": 2.1},
        ),
        ("cold=0;infer_ms=2", False, {"infer_ms": 2.0}),
        ("", None, {}),
        ("trace=abc;cold=maybe;load_ms=x;infer_ms=nan;decode_ms=inf", None, {}),
    ],
)
def test_custom_attributes(text, cold, times):
    assert answers.timings(text) == (cold, times)


def spans(**kwargs):
    call = Invocation(**kwargs)
    return {span.kind: round(span.ms, 1) for span in call.where_time_went()}


def test_a_cold_call_shows_the_load_and_adds_up():
    timings = {"load_ms": 100.0, "decode_ms": 1.0, "infer_ms": 9.0, "waited_ms": 0.1}
    parts = spans(latency_ms=300.0, cold=True, attempts=1, timings=timings)
    assert parts == {"rest": 190.0, "load": 100.0, "decode": 1.0, "infer": 9.0}


def test_a_warm_call_does_not_show_the_load_of_long_ago():
    timings = {"load_ms": 100.0, "decode_ms": 1.0, "infer_ms": 9.0}
    parts = spans(latency_ms=30.0, cold=False, attempts=1, timings=timings)
    assert parts == {"rest": 20.0, "decode": 1.0, "infer": 9.0}


def test_a_call_that_waited_shows_the_waiting():
    timings = {"load_ms": 9000.0, "infer_ms": 10.0, "waited_ms": 9500.0}
    parts = spans(latency_ms=9600.0, cold=True, attempts=4, timings=timings)
    assert parts == {"rest": 90.0, "waiting": 9500.0, "infer": 10.0}


def test_a_cold_call_in_all_its_parts():
    timings = {"load_ms": 90.0, "ready_ms": 120.0, "decode_ms": 1.0, "infer_ms": 9.0}
    call = Invocation(latency_ms=302.0, cold=True, attempts=1, timings=timings | {"call_ms": 300.0})
    parts = [(span.kind, round(span.ms, 1)) for span in call.where_time_went(network_ms=5.0)]
    assert parts == [
        ("portal", 2.0), ("rest", 5.0), ("fetch", 165.0), ("load", 120.0), ("decode", 1.0),
        ("infer", 9.0),
    ]  # fmt: skip
    # One whose archive lay on the instance's disk, and one of a model that was loaded before.
    assert "fetch" not in {span.kind for span in call.where_time_went(network_ms=500.0)}
    call.timings["ready_ms"] = 5000.0
    assert sum(span.share for span in call.where_time_went(5.0)) == pytest.approx(100)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cold=1;put_out_n=1;put_out=zoo%2Fa%3B.tar.gz", {"names": ["zoo/a;.tar.gz"], "count": 1}),
        ("cold=1;put_out_n=30;put_out=a,b", {"names": ["a", "b"], "count": 30}),
        ("cold=1;put_out_n=2", {"names": [], "count": 2}),
        ("cold=1;load_ms=1", None),
        ("put_out_n=x;put_out=a", None),
        ("put_out_n=1;put_out=%00a", {"names": ["a"], "count": 1}),
    ],
)
def test_what_was_unloaded_for_a_call(text, said):
    assert answers.put_out(text) == said


def test_shares_add_up_to_the_whole():
    call = Invocation(latency_ms=50.0, cold=False, timings={"decode_ms": 3.0, "infer_ms": 7.0})
    assert sum(span.share for span in call.where_time_went()) == pytest.approx(100)


def test_a_container_that_says_nothing():
    assert spans(latency_ms=50.0, cold=None, timings={}) == {"rest": 50.0}
    assert spans(latency_ms=None) == {}
