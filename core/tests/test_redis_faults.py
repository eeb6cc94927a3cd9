"""A Redis that is read-only, full, emptied or another one: the worker and beat live, and go on."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, current_app
from kombu.exceptions import OperationalError

from core import broker, celery_heartbeat
from core.jobs import enqueue_on_commit
from core.tests.worker import Worker
from tests.servers import free_port, redis_client, redis_of_a_stack, wait_until


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def watcher(port: int, tmp_path: Path) -> Iterator["redis.Redis"]:
    """Somebody who may do everything, in a Redis as a stack has it."""
    with redis_of_a_stack(port, tmp_path), redis_client(port) as client:
        yield client


@pytest.fixture
def worker(tmp_path: Path, port: int) -> Worker:
    return Worker(tmp_path, port)


def _read_only(client: "redis.Redis") -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))


def _writable(client: "redis.Redis") -> None:
    client.execute_command("REPLICAOF", "NO", "ONE")


def _full(client: "redis.Redis") -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def _roomy(client: "redis.Redis") -> None:
    client.config_set("maxmemory", "0")


def _forbidden(client: "redis.Redis") -> None:
    client.execute_command("ACL", "SETUSER", "portal", "-@all", "+auth", "+hello", "+ping")


def _allowed(client: "redis.Redis") -> None:
    client.execute_command("ACL", "SETUSER", "portal", "+@all")


FAULTS = {
    "read-only": (_read_only, _writable),
    "full": (_full, _roomy),
    "without rights": (_forbidden, _allowed),
}


def test_a_worker_outlives_a_redis_that_refuses_and_works_on_when_it_does_no_more(
    worker: Worker, watcher: "redis.Redis"
) -> None:
    with worker.run():
        for number, (fault, (begin, end)) in enumerate(FAULTS.items()):
            held, after = f"held-{number}", f"after-{number}"
            worker.send("hold", held)
            worker.wait_for((worker.folder / f"{held}.begun").exists, "the task to begin")
            refused = worker.said().count("Connection to broker lost")
            worker.send("touch", f"waiting-{number}")
            begin(watcher)
            (worker.folder / f"{held}.release").touch()
            if fault == "full":  # it hands out what is in it, and takes no notes
                worker.wait_for((worker.folder / f"waiting-{number}").exists, "what was sent")
            else:
                worker.wait_for(
                    lambda n=refused: worker.said().count("Connection to broker lost") > n,
                    f"{fault} to be noticed",
                )
            end(watcher)
            worker.send("touch", after)
            worker.wait_for((worker.folder / after).exists, f"a task after {fault}")
        watcher.flushall()
        _goes_on(worker, watcher)
    said = worker.said()
    assert said.count("Redis refuses to hand out messages: ") <= 2, "each reason once a minute"
    assert "Unrecoverable" not in said
    assert "Deprecation" not in said


def test_a_worker_goes_on_with_another_redis_at_the_same_address(
    worker: Worker, port: int, tmp_path: Path
) -> None:
    with (
        redis_of_a_stack(port, tmp_path) as process,
        redis_client(port) as client,
        worker.run(),
    ):
        worker.send("hold", "a")
        worker.wait_for((worker.folder / "a.begun").exists, "the task to begin")
        first = client.info("server")["run_id"]
        process.kill()
        process.wait()
        other = tmp_path / "other"
        other.mkdir()
        with redis_of_a_stack(port, other), redis_client(port) as another:
            assert another.info("server")["run_id"] != first
            (worker.folder / "a.release").touch()
            _goes_on(worker, another)


def _goes_on(worker: Worker, client: "redis.Redis") -> None:
    worker.send("touch", "then")
    worker.wait_for((worker.folder / "then").exists, "a task after it")
    worker.wait_for(lambda: not client.exists("unacked"), "everything to be acknowledged")


# --- who sends ----------------------------------------------------------------------------------


@pytest.fixture
def sender(watcher: "redis.Redis", port: int, settings: Any) -> Iterator[Celery]:
    """An application with the portal's settings that sends into this Redis."""
    broker.use()
    made = Celery("sender", set_as_current=False)
    made.config_from_object("django.conf:settings", namespace="CELERY")
    made.conf.broker_url = settings.REDIS_URL = f"redis://watcher:any@127.0.0.1:{port}/0"
    yield made
    made.pool.force_close_all()
    made.close()


@pytest.fixture
def job(sender: Celery, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job of it that is over after ten seconds; nobody runs it."""

    def noted(pk: int) -> None:
        """Nothing."""

    made = sender.task(noted, name="mmeportal.tests.noted", expires=10, shared=False)
    monkeypatch.setitem(current_app.tasks, made.name, made)
    return made


@pytest.mark.parametrize("fault", ["read-only", "full"])
def test_what_is_taken_while_redis_refuses_is_no_error_and_the_next_job_is_sent(
    job: Any,
    watcher: "redis.Redis",
    fault: str,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Callable[..., object],
    db: None,
) -> None:
    begin, end = FAULTS[fault]
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit(job.name, 1)
    begin(watcher)
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit(job.name, 2)
    assert "Redis took no job" in caplog.text
    end(watcher)
    watcher.delete("celery")
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit(job.name, 3)
    assert watcher.llen("celery") == 1


def test_who_sends_does_not_wait_for_a_redis_that_refuses(
    job: Any, watcher: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(broker.time, "sleep", pauses.append)
    _read_only(watcher)
    with pytest.raises((OperationalError, redis.RedisError)):
        job.apply_async([1], retry=False)
    assert pauses == []


def test_what_was_emptied_takes_the_next_job_over_the_same_connection(
    job: Any,
    watcher: "redis.Redis",
    django_capture_on_commit_callbacks: Callable[..., object],
    db: None,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit(job.name, 1)
    watcher.flushall()
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit(job.name, 2)
    assert watcher.llen("celery") == 1


def test_a_message_has_the_time_of_redis_and_how_old_it_may_become(
    job: Any, watcher: "redis.Redis"
) -> None:
    job.apply_async([1])
    sent = json.loads(watcher.rpop("celery"))["properties"]
    seconds, _ = watcher.time()
    assert sent["expiration"] == "10000"
    assert 0 <= seconds + 1 - sent["mme_sent_at"] < 60


def test_beat_goes_on_while_redis_refuses_and_says_so_once(
    sender: Celery, job: Any, watcher: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = celery_heartbeat.Scheduler(app=sender, lazy=True)
    entry = scheduler.Entry(name="n", task=job.name, schedule=2.0, args=[1], app=sender)
    _read_only(watcher)
    for _ in range(3):
        scheduler.apply_entry(entry, producer=scheduler.producer)
    assert caplog.text.count("Redis refuses the job mmeportal.tests.noted") == 1
    assert "Traceback" not in caplog.text
    _writable(watcher)
    scheduler.apply_entry(entry, producer=scheduler.producer)
    assert watcher.llen("celery") == 1


def test_beat_sends_on_where_its_hosts_clock_is_set_back(
    sender: Celery, watcher: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.conf.beat_schedule = {"n": {"task": "celery.accumulate", "schedule": 0.05}}
    scheduler = celery_heartbeat.Scheduler(app=sender)

    def sent() -> int:
        time.sleep(max(0.0, scheduler.tick()))
        return watcher.llen("celery")

    before = wait_until(sent, "beat to send")
    _set_back(monkeypatch)
    wait_until(lambda: sent() > before + 1, "beat to send on")


def _set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this process, an hour."""
    real = Celery.now
    monkeypatch.setattr(Celery, "now", lambda self: real(self) - timedelta(hours=1))
