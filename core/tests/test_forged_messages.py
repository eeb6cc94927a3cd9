"""Messages that the portal never sends are refused with a line in the log; the worker lives on."""

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from core import job_messages
from core.tests.worker import Worker
from mmeportal.celery import app
from tests.servers import free_port, redis_client, redis_of_a_stack

JOB = "endpoints.tasks.advance"
SENT = "mmeportal.tests.sent"


@app.task(name=SENT)
def _sent(pk: int, label: str) -> None:
    """A job with both kinds of arguments; never run."""


def message(
    task: Any = SENT,
    arguments: Any = (3, "x"),
    keywords: Any = None,
    embed: Any = None,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A message as Celery sends it, with what is given in place of its own."""
    identifier = str(uuid.uuid4())
    following = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([arguments, keywords or {}, following | (embed or {})])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": identifier,
            "shadow": None,
            "eta": None,
            "expires": "2026-11-26T02:49:23.315696+00:00",
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": identifier,
            "parent_id": None,
            "argsrepr": "",
            "kwargsrepr": "{}",
            "origin": "gen1@host",
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        }
        | (headers or {}),
        "properties": {
            "correlation_id": identifier,
            "reply_to": str(uuid.uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        }
        | (properties or {}),
    } | more


def _touch(name: str) -> dict[str, Any]:
    """A signature that makes the worker of the test run its task `touch`."""
    return {"task": "touch", "args": [name], "kwargs": {}, "options": {}, "immutable": True,
            "subtask_type": None}  # fmt: skip


def _body(text: bytes) -> str:
    return base64.b64encode(text).decode()


FORGED: dict[str, Any] = {
    "no object": [],
    "no headers": {"body": "x", "properties": {}},
    "headers that are a list": message() | {"headers": [1]},
    "no properties": {"headers": {"task": SENT}},
    "an older protocol": message() | {"headers": {}},
    "an unknown job": message("os.system"),
    "a name that is no text": message({"a": 1}),
    "Celery's map": message("celery.map", [_touch("x"), [["y"]]]),
    "Celery's clean-up": message("celery.backend_cleanup", []),
    "keywords": message(keywords={"pk": 3}),
    "too few arguments": message(arguments=[3]),
    "too many arguments": message(arguments=[3, "x", 4]),
    "arguments that are no list": message(arguments={"pk": 3}),
    "a text in place of a number": message(arguments=["3", "x"]),
    "a truth value in place of a number": message(arguments=[True, "x"]),
    "a fraction": message(arguments=[3.0, "x"]),
    "an object in place of a number": message(arguments=[{"__type__": "uuid"}, "x"]),
    "null": message(arguments=[None, "x"]),
    "zero": message(arguments=[0, "x"]),
    "a number that the database cannot hold": message(arguments=[2**63, "x"]),
    "a number of a million digits": message()
    | {"body": _body(b"[[" + b"9" * 40_000 + b', "x"], {}, {}]')},
    "a number in place of a text": message(arguments=[3, 3]),
    "a long text": message(arguments=[3, "x" * 1001]),
    "a callback": message(embed={"callbacks": [_touch("x")]}),
    "an errback": message(embed={"errbacks": [_touch("x")]}),
    "a chain": message(embed={"chain": [_touch("x")]}),
    "a chord": message(embed={"chord": _touch("x")}),
    "a time to wait for": message(headers={"eta": "2126-01-01T00:00:00+00:00"}),
    "retries": message(headers={"retries": 3}),
    "a time limit": message(headers={"timelimit": [1, 1]}),
    "a group": message(headers={"group": str(uuid.uuid4())}),
    "another name in the log": message(headers={"shadow": "harmless"}),
    "a time that is none": message(properties={"mme_sent_at": "soon"}),
    "a time that is no number": message(properties={"mme_sent_at": float("nan")}),
    "a time that is true": message(properties={"mme_sent_at": True}),
    "a time of a thousand digits": message(properties={"mme_sent_at": 10**1000}),
    "a duration that is none": message(properties={"expiration": "soon"}),
    "a duration of a million digits": message(properties={"expiration": "9" * 1_000_000}),
    "a duration that is a number": message(properties={"expiration": 3}),
    "an id with a line break": message(headers={"id": "x\nERROR forged"}),
    "a pickle": message() | {"content-type": "application/x-python-serialize"},
    "another encoding": message() | {"content-encoding": "utf-7"},
    "compression": message(headers={"compression": "application/x-gzip"}),
    "a body that is no Base64": message() | {"body": "ü"},
    "a body that is not JSON": message() | {"body": _body(b"x")},
    "a body that is nested deeply": message() | {"body": _body(b"[" * 30_000)},
    "a large body": message(arguments=[3, "x" * 100_000]),
    "a body of two parts": message() | {"body": _body(b"[[], {}]")},
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_message_is_refused_in_one_short_line(what: str) -> None:
    with pytest.raises(job_messages.Refused) as refused:
        job_messages.read(FORGED[what], app.tasks)
    assert len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)


def test_what_is_handed_on_is_made_anew_of_what_a_job_consists_of() -> None:
    sent = message(headers={"root_id": "x", "origin": "x", "unknown": "x", "redelivered": True})
    read = job_messages.read(sent, app.tasks)

    assert json.loads(base64.b64decode(read["body"]))[:2] == [[3, "x"], {}]
    assert read["headers"]["task"] == SENT
    assert read["headers"]["id"] == sent["headers"]["id"]
    assert read["headers"]["expires"] is None, "a time by another host's clock"
    assert "unknown" not in read["headers"]
    assert read["properties"]["delivery_tag"] != sent["properties"]["delivery_tag"]
    again = job_messages.read(json.loads(json.dumps(read)), app.tasks)
    assert again["body"] == read["body"], "what an unacknowledged message comes back as is taken"


def test_every_job_of_the_portal_declares_what_it_takes() -> None:
    app.loader.import_default_modules()
    jobs = {name for name in app.tasks if not name.startswith(("celery.", "mmeportal.tests."))}
    assert {JOB, "models_catalog.tasks.check"} <= jobs
    for name in jobs:
        kinds = job_messages._parameters(app.tasks[name].run)
        values = [3 if kind is int else "x" for kind in kinds]
        assert job_messages.read(message(name, values), app.tasks)["headers"]["task"] == name


def test_a_worker_lives_on_forged_messages_and_runs_nothing_of_them(tmp_path: Path) -> None:
    port = free_port()
    worker = Worker(tmp_path, port)
    raw = [
        *("junk", "", '{"__type__": "uuid", "__value__": {}}', "[" * 20_000, "9" * 20_000, "null"),
        *(json.dumps(value) for value in FORGED.values()),
        # Each of these ran `touch` before, if only after its own task.
        json.dumps(message("touch", ["own"], embed={"callbacks": [_touch("callback")]})),
        json.dumps(message("touch", ["own"], embed={"chain": [_touch("chain")]})),
        json.dumps(message("celery.map", [_touch("map"), [[]]])),
        json.dumps(message("celery.chunks", [_touch("chunks"), [[[]]], 1])),
    ]
    with redis_of_a_stack(port, tmp_path), redis_client(port, "portal") as portal, worker.run():
        for value in raw:
            portal.lpush("celery", value)
        worker.send("touch", "after")
        worker.wait_for((tmp_path / "after").exists, "the job behind them")
        worker.wait_for(lambda: "succeeded" in worker.said(), "its end")
        assert not portal.llen("celery")
        # The last of them is acknowledged a moment after it ended.
        worker.wait_for(lambda: not portal.exists("unacked"), "everything to be acknowledged")

    assert not [name for name in ("own", "callback", "chain", "map") if (tmp_path / name).exists()]
    lines = worker.said().splitlines()
    assert sum("A message in the queue was refused: " in line for line in lines) == len(raw)
    assert "Traceback" not in worker.said()


def test_nobody_ends_a_worker_through_celerys_remote_control(tmp_path: Path) -> None:
    port = free_port()
    worker = Worker(tmp_path, port)
    with redis_of_a_stack(port, tmp_path), redis_client(port) as watcher, worker.run():
        assert not watcher.pubsub_numpat(), "it listens to no channel"
        order = {"method": "shutdown", "arguments": {}, "destination": None, "pattern": None,
                 "matcher": None}  # fmt: skip
        sent = message() | {
            "body": base64.b64encode(json.dumps(order).encode()).decode(),
            "headers": {"clock": 1, "expires": None},
        }
        assert watcher.publish("/0.celery.pidbox", json.dumps(sent)) == 0
        worker.send("touch", "after")
        worker.wait_for((tmp_path / "after").exists, "a job after it")
