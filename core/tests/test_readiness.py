"""`/readyz` with real parts, with parts that hang or are full, and what anybody learns of it."""

import json
import logging
import re
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core import aws, heartbeat, readiness
from core.readiness import TIMEOUT_S, Check, Checks, State, Unhealthy
from core.tests.locked import locked_by_another_program
from tests.servers import free_port, redis_server

STATUS = {"headers": {"accept": "application/json"}}


class _NoEndpoint(BaseHTTPRequestHandler):
    """Answers as SageMaker does where there is no such endpoint, and notes what was asked."""

    asked: list[str] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.headers["X-Amz-Target"])
        text = 'Could not find endpoint "arn:aws:sagemaker:x:1:endpoint/mme-portal-readiness".'
        body = json.dumps({"__type": "ValidationException", "message": text}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An address that answers as SageMaker; gives the operations that it was asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _NoEndpoint)
    monkeypatch.setattr(_NoEndpoint, "asked", [])
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    aws.sagemaker.cache_clear()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield _NoEndpoint.asked
    server.shutdown()
    server.server_close()
    thread.join()
    aws.sagemaker.cache_clear()


@pytest.fixture
def redis(tmp_path: Path, settings: Any) -> Iterator["subprocess.Popen[bytes]"]:
    port = free_port()
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    with redis_server(port, tmp_path) as process:
        yield process


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Checks:
    """A new board: what other tests found is not held against this one."""
    made = readiness.all_checks()
    monkeypatch.setattr(readiness, "shared_checks", lambda: made)
    return made


@pytest.fixture
def well(
    transactional_db: None,
    store: str,
    redis: "subprocess.Popen[bytes]",
    sagemaker: list[str],
    board: Checks,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """A portal to which nothing is missing; on a busy machine it takes a while to say so."""
    monkeypatch.setattr(readiness, "TIMEOUT_S", 30.0)
    settings.MIN_FREE_MB = 0
    aws.s3.cache_clear()
    heartbeat.Writer("worker").beat()
    heartbeat.Writer("beat").beat()
    yield
    aws.s3.cache_clear()


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def impatient(well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for its parts no longer than it does for users."""
    monkeypatch.setattr(readiness, "TIMEOUT_S", TIMEOUT_S)


def _again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if five seconds had passed."""
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)


def test_all_is_well_and_aws_is_asked_only_what_the_role_may(
    well: None, client: Client, client_of: Callable[[str], Client], sagemaker: list[str]
) -> None:
    answer = client.get("/readyz")
    parts = client_of("admin").get("/status/", **STATUS).json()
    assert parts["status"] == "ok", parts
    clock = parts["parts"]["clock"]["sentence"]
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "clock": clock})
    assert set(parts["parts"]) == {
        *("database", "disk", "store", "redis", "clock", "worker", "beat", "sagemaker")
    }
    for part in parts["parts"].values():
        assert part["sentence"]
        assert part["age_s"] < readiness.FRESH_S
    assert sagemaker == ["SageMaker.DescribeEndpoint"], "both answers are of one look"


def test_the_role_of_the_docs_allows_what_is_asked() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "aws.md").read_text()
    policy = text.split("<!-- policy: portal -->")[1].split("```")[1].removeprefix("json")
    allowed = {
        action
        for statement in json.loads(policy)["Statement"]
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }
    assert {"s3:ListBucket", "sagemaker:DescribeEndpoint"} <= allowed


def test_it_answers_a_load_balancer_that_knows_no_host_name(
    well: None, client: Client, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["mme.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/readyz", headers={"host": "10.0.3.17:8000"}).status_code == 200


def _hang_redis(redis: "subprocess.Popen[bytes]", silent: str, patch: Any, settings: Any) -> None:
    settings.REDIS_URL = f"redis://{silent}/0"


def _hang_store(redis: "subprocess.Popen[bytes]", silent: str, patch: Any, settings: Any) -> None:
    patch.setenv("AWS_ENDPOINT_URL_S3", f"http://{silent}")
    aws.s3.cache_clear()


def _hang_sagemaker(
    redis: "subprocess.Popen[bytes]", silent: str, patch: Any, settings: Any
) -> None:
    patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://{silent}")
    aws.sagemaker.cache_clear()


@pytest.mark.parametrize(
    ("hang", "missing", "status"),
    [
        (_hang_redis, {"redis", "worker", "beat"}, 200),
        (_hang_store, {"store"}, 503),
        (_hang_sagemaker, {"sagemaker"}, 200),
    ],
)
def test_a_part_that_hangs_is_told_and_the_others_too(
    impatient: None,
    client: Client,
    client_of: Callable[[str], Client],
    redis: "subprocess.Popen[bytes]",
    silent: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    hang: Callable[..., None],
    missing: set[str],
    status: int,
) -> None:
    hang(redis, silent, monkeypatch, settings)
    answer = client.get("/readyz")
    assert answer.status_code == status
    told = client_of("admin").get("/status/", **STATUS).json()
    assert {name for name, part in told["parts"].items() if part["state"] != "ok"} == missing
    address = silent.partition(":")[2]
    assert "127.0.0.1" not in answer.content.decode()
    assert address not in answer.content.decode()
    assert all(f"Ready check: {name} is" in caplog.text for name in missing)


def test_a_name_that_is_never_resolved_keeps_nobody(
    impatient: None, client: Client, monkeypatch: pytest.MonkeyPatch, board: Checks
) -> None:
    released = threading.Event()

    def never(*arguments: Any, **options: Any) -> Any:
        released.wait(60)
        raise socket.gaierror("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", never)
        answer = client.get("/readyz")  # it would take a minute
        assert not released.is_set()
        assert answer.status_code == 503
        mine = [t.name for t in threading.enumerate() if t.name.startswith("ready-")]
        client.get("/readyz")
        again = [t.name for t in threading.enumerate() if t.name.startswith("ready-")]
        assert sorted(again) == sorted(mine), "nobody began a second look beside the first"
        released.set()
        for thread in threading.enumerate():
            if thread.name.startswith("ready-"):
                thread.join(30)
    _again(monkeypatch)
    assert client.get("/readyz").status_code == 200


def test_a_database_that_another_program_has_locked_is_down_and_well_again(
    impatient: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked_by_another_program():
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").json() == {"status": "ok"}
    for thread in threading.enumerate():
        if thread.name == "ready-database":
            thread.join(30)
    _again(monkeypatch)
    assert client.get("/readyz").status_code == 200


def test_a_database_without_a_migration_is_not_ready(well: None, client: Client) -> None:
    where = "app = 'endpoints' AND name LIKE '0003%'"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT app, name, applied FROM django_migrations WHERE {where}")
        row = cursor.fetchone()
        cursor.execute(f"DELETE FROM django_migrations WHERE {where}")
        try:
            assert client.get("/readyz").status_code == 503
            (database,) = [
                p for p in readiness.shared_checks().report().parts if p.name == "database"
            ]
            assert "1 migration is not applied (endpoints.0003" in database.sentence
        finally:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", row
            )


def test_a_database_that_is_read_only_is_down(
    well: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = connection.settings_dict["OPTIONS"]
    with monkeypatch.context() as patch:
        patch.setitem(options, "init_command", "PRAGMA query_only = ON")
        assert client.get("/readyz").status_code == 503


def test_a_disk_without_a_free_byte_is_down(well: None, client: Client, settings: Any) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = "/proc"  # it says of itself that it has none
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_little_room_is_told_and_the_portal_goes_on(
    well: None, client: Client, settings: Any
) -> None:
    settings.MIN_FREE_MB = 1 << 40
    assert client.get("/readyz").status_code == 200
    (disk,) = [part for part in readiness.shared_checks().report().parts if part.name == "disk"]
    assert disk.state == State.DEGRADED


def test_a_clock_that_differs_is_told(well: None, redis: Any, settings: Any) -> None:
    with heartbeat.connect() as connected:
        connected.set(heartbeat.key("worker", "late"), '{"at": 1000000000}', px=60_000)
    (worker,) = [part for part in readiness.shared_checks().report().parts if part.name == "worker"]
    assert worker.state == State.DEGRADED
    assert "The clock of late is" in worker.sentence


@pytest.mark.parametrize("ahead_s", [-600, 6, 600])
def test_this_hosts_clock_is_told_against_the_database_redis_and_s3(
    well: None, client: Client, ahead_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    found = _found("clock")
    answer = client.get("/readyz")
    assert answer.status_code == 200, "the portal does its work"
    assert answer.json()["clock"] == found.sentence
    assert found.state == State.DEGRADED
    told = dict(re.findall(r"(the database|Redis|S3) ([+-]\d+)\.\d s", found.sentence))
    assert set(told) == {"the database", "Redis", "S3"}
    assert all(abs(int(seconds) - ahead_s) <= 2 for seconds in told.values()), found.sentence
    assert ("AWS refuses signatures" in found.sentence) == (abs(ahead_s) > 300)


def test_a_clock_that_is_right_is_told_too(well: None) -> None:
    found = _found("clock")
    assert found.state == State.OK
    assert "S3" in found.sentence
    assert "-0.0" not in found.sentence


def test_a_redis_that_may_not_be_asked_for_its_time_is_left_out(well: None) -> None:
    with heartbeat.connect() as connected:
        connected.execute_command("ACL", "SETUSER", "default", "-time")
        try:
            found = _found("clock")
        finally:
            connected.execute_command("ACL", "SETUSER", "default", "+time")
    assert found.state == State.OK
    assert "S3" in found.sentence
    assert "Redis" not in found.sentence


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), "can only be read"),
        (("CONFIG", "SET", "maxmemory", "1"), "It is full"),
    ],
)
def test_a_redis_that_takes_nothing_is_told_and_the_portal_goes_on(
    well: None, client: Client, command: tuple[str, ...], words: str
) -> None:
    with heartbeat.connect() as connected:
        connected.execute_command(*command)
    found = _found("redis")
    assert found.state == State.DEGRADED
    assert words in found.sentence
    assert client.get("/readyz").status_code == 200


def _found(name: str) -> readiness.Result:
    (part,) = [part for part in readiness.shared_checks().report().parts if part.name == name]
    return part


def test_a_worker_that_never_reported_is_told(
    well: None, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with heartbeat.connect() as connected:
        connected.delete(heartbeat.key("worker"))
    (worker,) = [part for part in readiness.shared_checks().report().parts if part.name == "worker"]
    assert worker.sentence == "No worker has reported for 60 s."


def test_many_who_ask_cost_one_look_and_a_look_that_hangs_is_one_thread() -> None:
    looks = []
    released = threading.Event()

    def look() -> str:
        looks.append(1)
        released.wait(60)
        return "well"

    board = Checks([Check("slow", look, vital=True)])
    reports: list[State] = []
    askers = [
        threading.Thread(target=lambda: reports.append(board.report().state)) for _ in range(40)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert reports == [State.DOWN] * 40
    assert len(looks) == 1
    assert board.report().parts[0].sentence.startswith("It has not answered for ")
    released.set()
    for thread in threading.enumerate():
        if thread.name == "ready-slow":
            thread.join(30)
    assert board.report().state == State.OK
    assert len(looks) == 1


def test_a_change_is_logged_once_with_its_reason(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _again(monkeypatch)
    caplog.set_level(logging.INFO)
    wrong = [True]

    def look() -> str:
        if wrong[0]:
            raise Unhealthy("10.0.0.7 refused")
        return "well again"

    board = Checks([Check("part", look, vital=False)])
    for _ in range(3):
        board.report()
    wrong[0] = False
    board.report()
    said = [record.message for record in caplog.records]
    assert said == [
        "Ready check: part is degraded. 10.0.0.7 refused",
        "Ready check: part is ok. well again",
    ]


def test_a_check_that_fails_in_an_unforeseen_way_is_down(caplog: pytest.LogCaptureFixture) -> None:
    def look() -> str:
        raise ZeroDivisionError("10.0.0.7")

    (found,) = Checks([Check("part", look, vital=True)]).report().parts
    assert (found.state, found.sentence) == (
        State.DOWN,
        "It could not be checked: ZeroDivisionError.",
    )
    assert "10.0.0.7" in caplog.text


def test_the_row_that_is_written_does_not_stay(well: None, client: Client) -> None:
    assert client.get("/readyz").status_code == 200
    with sqlite3.connect(connection.settings_dict["NAME"]) as other:
        assert other.execute("SELECT count(*) FROM django_session").fetchone() == (0,)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_see_the_parts(
    db: None, board: Checks, client: Client, client_of: Callable[[str], Client], role: str
) -> None:
    assert client.get("/status/").status_code == 302
    assert client_of(role).get("/status/").status_code == 403


def test_the_page_shows_each_part(well: None, client_of: Callable[[str], Client]) -> None:
    text = client_of("admin").get("/status/").content.decode()
    assert text.count("<tr>") == 1 + 8
    assert "It has all migrations and takes a row." in text


def test_a_part_and_a_clock_are_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_registered", {})
    monkeypatch.setattr(readiness, "_clocks", {})
    for _ in range(2):  # the very same again is no second one
        readiness.register("later", str, vital=False)
        readiness.register("vital", str, vital=True)
        readiness.register_clock("a clock", float)
    assert list(readiness.clocks()) == ["a clock"]
    assert [part.name for part in readiness.all_checks().report().parts] == ["vital", "later"]
    with pytest.raises(ValueError, match="registered twice"):
        readiness.register("later", repr, vital=False)
    with pytest.raises(ValueError, match="registered twice"):
        readiness.register_clock("a clock", int)
