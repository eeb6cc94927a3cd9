"""One id leads from a browser's request through log, job, event and AWS call."""

import io
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from activity.models import Event
from activity.services import record
from core import aws, job_messages, request_id
from core.logging import Formatter
from core.tests.test_forged_messages import SENT, message
from core.tests.worker import Worker
from invocations.pool import Pool
from mmeportal.celery import app
from models_catalog import s3
from models_catalog.models import RegisteredModel
from tests.servers import free_port, redis_of_a_stack

GIVEN = "from-the-load-balancer_1.2"


@pytest.mark.parametrize("path", ["/login/", "/", "/no/such/page/", "/healthz", "/static/logo.svg"])
def test_an_id_that_the_request_brings_is_answered_with(db: None, client: Client, path: str):
    assert client.get(path, headers={"X-Request-ID": GIVEN})["X-Request-ID"] == GIVEN


@pytest.mark.parametrize(
    "given", ["", "a b", "x" * 65, "<script>", "a\r\nSet-Cookie: b", "-a", "é", '"', "a;b"]
)
def test_what_may_be_no_id_is_replaced(client: Client, given: str):
    answers = [client.get("/healthz", headers={"X-Request-ID": given}) for _ in range(2)]
    made = [answer["X-Request-ID"] for answer in answers]
    assert all(request_id.valid(one) for one in made)
    assert given not in made
    assert made[0] != made[1]


def test_outside_of_requests_there_is_none(client: Client):
    client.get("/healthz")
    assert request_id.current() == ""


@pytest.mark.parametrize(
    ("path", "status"), [("/no/such/page/", 404), ("/status/", 403), ("/?%", 400)]
)
def test_error_pages_show_it(client_of: Any, path: str, status: int):
    client = client_of("viewer")
    headers = {"X-Request-ID": GIVEN}
    if status == 400:
        headers["Host"] = "forged.example"
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    assert f"<code>{GIVEN}</code>" in answer.content.decode()


def test_the_page_of_a_fault_shows_it(client_of: Any, monkeypatch: pytest.MonkeyPatch):
    client = client_of("viewer")
    client.raise_request_exception = False
    monkeypatch.setattr(Event.objects.__class__, "readable_by", lambda self, reader: 1 / 0)
    answer = client.get(reverse("activity:list"), headers={"X-Request-ID": GIVEN})
    assert answer.status_code == 500
    assert f"<code>{GIVEN}</code>" in answer.content.decode()


def test_log_lines_have_it(db: None, client: Client):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Formatter(as_json=True))
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    try:
        client.get("/no/such/page/", headers={"X-Request-ID": GIVEN})
    finally:
        logger.removeHandler(handler)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert lines
    assert {line["request_id"] for line in lines} == {GIVEN}


def test_the_event_has_it(db: None):
    model = RegisteredModel.objects.create(name="m")
    with request_id.bound(GIVEN):
        inside = record(action="model.noted", subject=model, text="Something.")
    outside = record(action="model.noted", subject=model, text="Something.")
    assert Event.objects.get(pk=inside.pk).request_id == GIVEN
    assert Event.objects.get(pk=outside.pk).request_id == ""


def test_a_job_has_the_id_of_the_request_that_queued_it():
    sent: list[dict[str, Any]] = []
    with app.connection_for_write() as connection, request_id.bound(GIVEN):
        queue = connection.SimpleQueue("celery")
        queue.clear()
        app.send_task(SENT, [3, "x"], connection=connection)
        sent.append(queue.get(timeout=5).headers)
        queue.close()
    assert sent[0]["request_id"] == GIVEN


@pytest.mark.parametrize("forged", [None, 7, "", "a b", "x" * 65, ["a"], "a\nb"])
def test_a_worker_takes_no_forged_id(forged: Any):
    read = job_messages.read(message(headers={"request_id": forged}), app.tasks)
    assert request_id.valid(read["headers"]["request_id"])
    assert read["headers"]["request_id"] != forged


def test_a_worker_takes_the_id_that_was_sent():
    read = job_messages.read(message(headers={"request_id": GIVEN}), app.tasks)
    assert read["headers"]["request_id"] == GIVEN


def test_the_log_of_a_real_worker_has_the_id_of_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    port = free_port()
    monkeypatch.setenv("LOG_FORMAT", "json")
    with redis_of_a_stack(port, tmp_path):
        worker = Worker(tmp_path, port)
        with worker.run():
            worker.send("touch", "done", sender=GIVEN)
            worker.wait_for(lambda: "succeeded" in worker.said(), "the job to be done")
    lines = [json.loads(line) for line in worker.said().splitlines() if line.startswith("{")]
    (done,) = [line for line in lines if "succeeded" in line["message"]]
    assert done["request_id"] == GIVEN
    assert done["task"] == "touch"


def test_a_call_in_a_thread_keeps_it():
    seen: list[str] = []
    pool = Pool(threads=1, waiting=1)
    with request_id.bound(GIVEN):
        future = pool.submit(lambda: seen.append(request_id.current()))
    future.result(10)
    pool.submit(lambda: seen.append(request_id.current())).result(10)
    assert seen == [GIVEN, ""]


def test_aws_gets_it_in_the_user_agent_also_from_the_threads_of_a_transfer(store: str):
    agents: dict[str, set[Any]] = {}
    lock = threading.Lock()

    def note(request: Any, event_name: str, **_: Any) -> None:
        agent = request.headers["User-Agent"]
        with lock:
            agents.setdefault(event_name, set()).add(
                agent.decode() if isinstance(agent, bytes) else agent
            )

    events: Any = aws.s3(aws.PAGE).meta.events
    events.register("before-send.s3", note)
    try:
        with request_id.bound(GIVEN):
            s3.upload(file=io.BytesIO(b"x" * (17 << 20)), bucket=store, key="large")
        aws.s3(aws.PAGE).head_object(Bucket=store, Key="large")
    finally:
        events.unregister("before-send.s3", note)
    outside = agents.pop("before-send.s3.HeadObject")
    assert "before-send.s3.UploadPart" in agents
    for operation, seen in agents.items():
        assert all(agent.endswith(f" request-id/{GIVEN}") for agent in seen), (operation, seen)
    assert not any("request-id" in agent for agent in outside)


def test_the_activity_page_shows_what_one_request_did(client_of: Any):
    model = RegisteredModel.objects.create(name="m")
    with request_id.bound(GIVEN):
        record(action="model.noted", subject=model, text="In the request.")
    record(action="model.noted", subject=model, text="Another time.")
    client = client_of("viewer")
    page = client.get(reverse("activity:list"), {"request": GIVEN}).content.decode()
    assert "In the request." in page
    assert "Another time." not in page
    nothing = client.get(reverse("activity:list"), {"request": "<b>"}).content.decode()
    assert "No event has this request ID" in nothing
    assert "<code>&lt;b&gt;</code>" in nothing
