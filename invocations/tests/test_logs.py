"""The log of an endpoint: what AWS is asked, what hostile lines become, page and operation."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from core import aws, errors
from endpoints.models import Endpoint
from invocations import log_lines
from invocations.log_lines import LogLevel, LogSearch
from invocations.models import Invocation
from models_catalog.models import RegisteredModel, Version
from tests import aws_clients
from tests.bearer import secret_of

BEGIN = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
GROUP = "/aws/sagemaker/Endpoints/demo"
TARGET = "digits_v2.tar.gz"
ASKED = {
    "logGroupName": GROUP,
    "startTime": int(BEGIN.timestamp() * 1000),
    "limit": 100,
    "interleaved": True,
}
HOSTILE = '<img src=x onerror=alert(1)> \x1b[31m \u202e \x00 "'


@pytest.fixture
def demo(db: None) -> Endpoint:
    made = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    Endpoint.objects.update(created_at=BEGIN - timedelta(days=9))
    made.refresh_from_db()
    return made


@pytest.fixture
def version(db: None, settings: Any) -> Version:
    return Version.objects.create(
        model=RegisteredModel.objects.create(name="digits"),
        number=2,
        bucket=settings.MODEL_BUCKET,
        prefix=settings.MODEL_PREFIX,
        key=f"{settings.MODEL_PREFIX}/{TARGET}",
        size=1,
        state=Version.State.READY,
    )


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = aws_clients.client("logs")
    monkeypatch.setattr(aws, "logs", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def says(*texts: str, token: str = "", instance: str = "i-1") -> dict[str, Any]:
    answer: dict[str, Any] = {
        "events": [
            {
                "eventId": f"{instance}-{n}-{token}",
                "logStreamName": f"AllTraffic/{instance}",
                "timestamp": int(BEGIN.timestamp() * 1000) + n * 1000,
                "message": text,
            }
            for n, text in enumerate(texts)
        ]
    }
    return answer | ({"nextToken": token} if token else {})


def line(event: str, **fields: Any) -> str:
    return json.dumps({"level": "INFO", "event": event} | fields)


def page(endpoint: Endpoint, **search: Any) -> log_lines.LogPage:
    return log_lines.page(endpoint, LogSearch(since=BEGIN, **search), limit=100)


def test_a_json_line_is_read_and_another_one_shown_as_it_is(demo: Endpoint, stub: Stubber) -> None:
    told = line("load_failed", level="ERROR", message="No memory.", target_model="a1")
    stub.add_response("filter_log_events", says(told, "Traceback: x", "[1]", "{no json"), ASKED)
    first, *others = page(demo).lines
    assert (first.level, first.event, first.message) == (
        LogLevel.ERROR,
        "load_failed",
        "No memory.",
    )
    assert (first.instance, first.at, first.text) == ("i-1", BEGIN, told)
    assert first.details == "target_model=a1"
    assert [(one.level, one.message) for one in others] == [
        (None, "Traceback: x"),
        (None, "[1]"),
        (None, "{no json"),
    ]


def test_a_text_is_searched_for_as_one_term(demo: Endpoint, stub: Stubber) -> None:
    pattern = r'"say \"no\" \\ -x ?y"'
    stub.add_response("filter_log_events", says(), ASKED | {"filterPattern": pattern})
    page(demo, text=r'say "no" \ -x ?y')


def test_a_versions_lines_are_found_by_the_containers_name_of_it(
    demo: Endpoint, version: Version, stub: Stubber
) -> None:
    named = line("model_named", model="a1b2", target_model=TARGET)
    other = line("model_named", model="ffff", target_model=f"x{TARGET}")
    a_day = 24 * 60 * 60 * 1000
    stub.add_response(
        "filter_log_events",
        says(named, other),
        ASKED
        | {
            "startTime": ASKED["startTime"] - a_day,
            "limit": 10_000,
            "filterPattern": f'"model_named" "\\"{TARGET}\\""',
        },
    )
    stub.add_response(
        "filter_log_events",
        says(line("model_loaded", model="a1b2"), line("model_loaded", model="cccc")),
        ASKED | {"filterPattern": f'?"{TARGET}" ?"a1b2"'},
    )
    assert [one.text for one in page(demo, version=version).lines] == [
        line("model_loaded", model="a1b2")
    ]


def test_lines_with_the_containers_name_alone_have_the_target_model_too(
    demo: Endpoint, stub: Stubber
) -> None:
    lines = says(line("worker_killed", model="a1b2"), line("worker_killed", model="ffff"), "other")
    stub.add_response("filter_log_events", lines, ASKED)
    named = {"limit": 10_000, "filterPattern": '"model_named"'}
    before = ASKED | named | {"startTime": ASKED["startTime"] - 24 * 60 * 60 * 1000}
    answer = says(line("model_named", model="a1b2", target_model=TARGET))
    stub.add_response("filter_log_events", answer, before)
    assert [one.target_model for one in page(demo).lines] == [TARGET, "", ""]
    stub.add_response("filter_log_events", lines, ASKED)
    assert page(demo).lines[0].details == f"model=a1b2 target_model={TARGET}"  # it is remembered


def test_without_their_target_models_lines_are_shown_all_the_same(
    demo: Endpoint, stub: Stubber
) -> None:
    stub.add_response("filter_log_events", says(line("worker_killed", model="a1b2")), ASKED)
    stub.add_client_error("filter_log_events", "ThrottlingException", "no", http_status_code=400)
    assert [one.event for one in page(demo).lines] == ["worker_killed"]


@pytest.mark.parametrize("by", ["uid", "request_id"])
def test_a_calls_lines_are_found_by_either_of_its_ids(
    user_in: Callable[[str], User], demo: Endpoint, version: Version, stub: Stubber, by: str
) -> None:
    user = user_in("viewer")
    token = secret_of(user, tokens.scopes_of(user))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    call = Invocation.objects.create(
        endpoint=demo,
        version=version,
        target_model=TARGET,
        created_at=BEGIN + timedelta(seconds=30),
        request_id="3f0c3d2e-0b4f-4a63-9c3a-8c1f0a6b7d11",
    )
    named = line("call_answered", target_model=TARGET, request_id=call.uid)
    wanted = ASKED | {"filterPattern": f'"{call.uid}"'}
    stub.add_response("filter_log_events", says(named), wanted)
    given = {"request": getattr(call, by)}
    if by == "request_id":  # no index has it: it is looked for in the time that is read
        given["since"] = BEGIN.isoformat()
    told = client.get("/api/v1/endpoints/demo/logs", given).json()["items"]
    assert [(one["target_model"], one["request_id"]) for one in told] == [(TARGET, call.uid)]


def test_an_id_of_another_caller_is_looked_for_as_it_is(demo: Endpoint, stub: Stubber) -> None:
    wanted = ASKED | {"filterPattern": '"id-1"'}
    lines = says(line("call_answered", request_id="id-1"), line("x", request_id="other"))
    stub.add_response("filter_log_events", lines, wanted)
    assert [one.request_id for one in page(demo, request_id="id-1").lines] == ["id-1"]


def test_level_and_instance_leave_out_the_others(demo: Endpoint, stub: Stubber) -> None:
    texts = [json.dumps({"level": level}) for level in ("DEBUG", "INFO", "WARN", "FATAL")]
    wanted = ASKED | {"logStreamNames": ["AllTraffic/i-1"]}
    stub.add_response("filter_log_events", says(*texts, "no level"), wanted)
    found = page(demo, level=LogLevel.WARNING, instance="i-1").lines
    assert [one.level for one in found] == [LogLevel.WARNING, LogLevel.ERROR]


def test_a_hostile_line_is_text_and_bounded(demo: Endpoint, stub: Stubber) -> None:
    texts = [
        HOSTILE,
        json.dumps({"level": ["x"], "event": {"a": 1}, "message": 7}),
        json.dumps({"event": "e" * 9000, "message": "m" * 9000}),
        '{"message": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 50_000,
        "x" * 100_000,
    ]
    stub.add_response("filter_log_events", says(*texts))
    lines = page(demo).lines
    assert len(lines) == len(texts)
    for one in lines:
        shown = one.text + one.event + one.message
        assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
        assert max(len(one.text), len(one.event), len(one.message)) <= log_lines.LONGEST + 1
        shown.encode()


def test_no_log_yet_is_no_error_and_a_refusal_is_one(demo: Endpoint, stub: Stubber) -> None:
    code = "ResourceNotFoundException"
    stub.add_client_error("filter_log_events", code, "The specified log group does not exist.")
    assert page(demo).lines == []
    stub.add_client_error("filter_log_events", "AccessDeniedException", "no", http_status_code=400)
    with pytest.raises(errors.Denied):
        page(demo)
    stub.add_client_error("filter_log_events", "ThrottlingException", "no", http_status_code=400)
    with pytest.raises(errors.Throttled):
        page(demo)


def test_what_an_earlier_endpoint_of_the_name_wrote_is_left_out(
    demo: Endpoint, stub: Stubber
) -> None:
    demo.created_at = BEGIN + timedelta(hours=1)
    wanted = ASKED | {"startTime": ASKED["startTime"] + 3_600_000}
    stub.add_response("filter_log_events", says(), wanted)
    page(demo)


def test_the_latest_are_read_over_several_answers_and_not_without_end(
    demo: Endpoint, stub: Stubber
) -> None:
    wanted = ASKED | {"limit": 10_000}
    stub.add_response("filter_log_events", says("a", "b", token="t1"), wanted)
    stub.add_response("filter_log_events", says(token="t2"), wanted | {"nextToken": "t1"})
    stub.add_response("filter_log_events", says("c", "d"), wanted | {"nextToken": "t2"})
    found = log_lines.latest(demo, LogSearch(since=BEGIN), most=3)
    assert [one.text for one in found.lines] == ["b", "c", "d"]
    assert found.token == ""
    for _ in range(4):
        stub.add_response("filter_log_events", says("x", token="t"))
    assert log_lines.latest(demo, LogSearch(since=BEGIN), most=3).token == "t"


def test_the_page_shows_lines_as_text_the_newest_first(
    client_of: Callable[[str], Client], demo: Endpoint, stub: Stubber
) -> None:
    loaded = line("model_loaded", message=HOSTILE)
    stub.add_response("filter_log_events", says("first", loaded))
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/logs/?follow=1").content.decode()
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert text.index("model_loaded") < text.index("first</code>")
    assert 'hx-trigger="every 5s, seen"' in text
    assert "2 lines, the newest first." in text


@pytest.mark.not_quick
def test_the_page_says_what_cannot_be_asked_and_what_to_do(
    client_of: Callable[[str], Client], demo: Endpoint, stub: Stubber
) -> None:
    client, address = client_of("viewer"), f"/endpoints/{demo.pk}/logs/"
    text = client.get(address, {"model": "nobody:9"}).content.decode()
    assert "There is no version nobody:9." in text
    text = client.get(address, {"search": "x" * 201}).content.decode()
    assert "Search for 200 letters at most." in text
    stub.add_response("filter_log_events", says())
    text = client.get(address, {"level": "error", "since": "x"}).content.decode()
    assert "No line of this time matches." in text
    stub.add_client_error("filter_log_events", "ThrottlingException", "Rate <exceeded>")
    text = client.get(address).content.decode()
    assert "CloudWatch Logs does not give it." in text
    assert "Rate &lt;exceeded&gt;" in text


@pytest.mark.not_quick
def test_a_call_leads_to_the_lines_of_its_model_around_it(
    client_of: Callable[[str], Client], demo: Endpoint, version: Version, stub: Stubber
) -> None:
    call = Invocation.objects.create(
        endpoint=demo,
        version=version,
        target_model=TARGET,
        created_at=BEGIN + timedelta(seconds=30),
        latency_ms=2000.0,
        state=Invocation.State.DONE,
        predictions=[{"label": "one", "probability": 1.0}],
    )
    client = client_of("viewer")
    address = f"/endpoints/{demo.pk}/logs/?call={call.pk}"
    assert address in client.get(call.get_absolute_url()).content.decode()
    stub.add_response("filter_log_events", says())  # what its model is called
    stub.add_response(
        "filter_log_events",
        says(
            line("request_refused", target_model=TARGET, request_id="other"),
            line("call_answered", target_model=TARGET, request_id=call.uid),
        ),
        ASKED
        | {
            "limit": 10_000,
            "endTime": ASKED["startTime"] + 62_000,
            "filterPattern": f'?"{TARGET}"',
        },
    )
    shown = client.get(address).content.decode()
    assert "request_refused" in shown
    mine, _, others = shown.partition("data-this")[2].partition("</li>")
    assert "this call" in mine
    assert "call_answered" in mine
    assert "this call" not in others


def test_the_operation_goes_on_with_the_same_question(
    user_in: Callable[[str], User], demo: Endpoint, stub: Stubber
) -> None:
    user = user_in("viewer")
    token = secret_of(user, tokens.scopes_of(user))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    address = "/api/v1/endpoints/demo/logs"
    stub.add_response("filter_log_events", says("a", token="t1"))
    told = client.get(address, {"limit": 1}).json()
    assert [one["text"] for one in told["items"]] == ["a"]
    seen: list[dict[str, Any]] = []

    def look(params: dict[str, Any], **_: Any) -> None:
        seen.append(params)

    aws.logs().meta.events.register("provide-client-params.*", look)
    stub.add_response("filter_log_events", says(line("model_loaded")))
    told = client.get(address, {"limit": 1, "cursor": told["next"]}).json()
    assert told["next"] is None
    assert told["items"][0]["level"] == "info"
    assert seen[0]["nextToken"] == "t1"

    assert client.get(address, {"model": "nobody:1"}).status_code == 404
    for wrong in ({"cursor": "t1"}, {"level": "bad"}, {"search": "a\nb"}):
        assert client.get(address, wrong).status_code == 422, wrong
    assert client.get("/api/v1/endpoints/nobody/logs").status_code == 404
    stub.add_client_error("filter_log_events", "AccessDeniedException", "no", http_status_code=400)
    assert client.get(address).status_code == 502
