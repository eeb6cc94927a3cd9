"""A worker outlives a Redis that dies while it holds a message, and goes on with the next one."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from kombu import Connection
from redis.backoff import NoBackoff
from redis.exceptions import LockNotOwnedError
from redis.retry import Retry

from core import broker
from core.tests.worker import Worker
from tests.servers import REDIS_PASSWORD, free_port, redis_client, redis_of_a_stack


@pytest.fixture
def redis_port() -> int:
    return free_port()


@pytest.fixture
def worker(tmp_path: Path, redis_port: int) -> Worker:
    return Worker(tmp_path, redis_port)


@pytest.mark.parametrize("released", ["while Redis is away", "when Redis is back"])
def test_a_worker_outlives_a_redis_that_dies_while_it_holds_a_message(
    worker: Worker, redis_port: int, released: str
) -> None:
    release = worker.folder / "a.release"
    with redis_of_a_stack(redis_port, worker.folder) as redis, worker.run():
        worker.send("hold", "a")
        worker.wait_for((worker.folder / "a.begun").exists, "the task to begin")

        redis.kill()
        redis.wait()
        worker.wait_for(lambda: "Connection to broker lost" in worker.said(), "the loss")
        if released == "while Redis is away":
            release.touch()
            worker.wait_for(lambda: "succeeded" in worker.said(), "the task to end")
        with redis_of_a_stack(redis_port, worker.folder):
            worker.wait_for(lambda: worker.said().count("Connected to") == 2, "the way back")
            release.touch()
            worker.send("touch", "after")
            worker.wait_for((worker.folder / "after").exists, "a task after it")
            worker.wait_for(lambda: worker.said().count("succeeded") == 2, "both to end")
            worker.send("touch", "later")  # what the first task's end did is over by now
            worker.wait_for((worker.folder / "later").exists, "the worker to go on")


def test_a_worker_whose_every_task_ends_while_redis_is_away_takes_the_next_one(
    worker: Worker, redis_port: int
) -> None:
    names = [f"held-{number}" for number in range(worker.CONCURRENCY)]
    with redis_of_a_stack(redis_port, worker.folder) as redis, worker.run():
        for name in names:
            worker.send("hold", name)
        for name in names:
            worker.wait_for((worker.folder / f"{name}.begun").exists, f"{name} to begin")
        redis.kill()
        redis.wait()
        for name in names:
            (worker.folder / f"{name}.release").touch()
        # Not what each cannot acknowledge: Celery gives back first what ends after the loss.
        worker.wait_for(lambda: worker.said().count("succeeded") == len(names), "their end")
        worker.wait_for(lambda: "Connection to broker lost" in worker.said(), "the loss")
        with redis_of_a_stack(redis_port, worker.folder):
            worker.send("touch", "after")
            worker.wait_for((worker.folder / "after").exists, "a task after it")


def _refused(watcher: "redis.Redis") -> set[tuple[str, str]]:
    """What Redis refused the portal's user so far."""
    return {
        (entry["object"], entry["reason"])
        for entry in watcher.acl_log()
        if entry["username"] == "portal"
    }


def test_a_worker_needs_no_more_of_redis_than_its_user_may_do(
    worker: Worker, redis_port: int
) -> None:
    with redis_of_a_stack(redis_port, worker.folder), redis_client(redis_port) as watcher:
        with worker.run():
            worker.send("hold", "a")
            worker.wait_for((worker.folder / "a.begun").exists, "the task to begin")
            (worker.folder / "a.release").touch()
            worker.wait_for(lambda: "succeeded" in worker.said(), "the task to end")
        # redis-py tells its name, and goes on where it may not.
        assert _refused(watcher) <= {("client", "command")}
        assert not watcher.zcard("unacked_index"), "it acknowledged what it did"


def test_what_a_dead_worker_held_comes_back_without_a_script_in_redis(
    tmp_path: Path, redis_port: int
) -> None:
    broker.use()
    address = f"redis://portal:{quote(REDIS_PASSWORD)}@127.0.0.1:{redis_port}/0"
    with (
        redis_of_a_stack(redis_port, tmp_path),
        redis_client(redis_port) as watcher,
        Connection(address) as connection,
    ):
        queue = connection.SimpleQueue("celery")
        queue.put("a message")
        taken = json.loads(watcher.rpop("celery"))  # and never acknowledged
        message = queue.channel.Message(taken, channel=queue.channel)
        queue.channel.qos.append(message, message.delivery_tag)
        (tag,) = watcher.zrange("unacked_index", 0, -1)
        watcher.zadd("unacked_index", {tag: 1})  # long ago
        assert not watcher.llen("celery")

        queue.channel.qos.restore_visible()

        assert watcher.llen("celery") == 1
        assert not watcher.exists("unacked", "unacked_index", "unacked_mutex")
        assert _refused(watcher) <= {("client", "command")}


@pytest.mark.parametrize("held", ["junk", "null", '{"__type__": "uuid", "__value__": {}}'])
def test_a_forged_note_of_what_a_worker_held_is_dropped_once(
    tmp_path: Path, redis_port: int, held: str
) -> None:
    broker.use()
    address = f"redis://portal:{quote(REDIS_PASSWORD)}@127.0.0.1:{redis_port}/0"
    with (
        redis_of_a_stack(redis_port, tmp_path),
        redis_client(redis_port) as watcher,
        Connection(address) as connection,
    ):
        watcher.hset("unacked", "a tag", held)
        watcher.zadd("unacked_index", {"a tag": 1})

        connection.default_channel.qos.restore_visible()

        assert not watcher.exists("unacked", "unacked_index", "unacked_mutex", "celery")


def test_a_lock_that_ran_out_is_not_taken_from_its_next_owner(
    tmp_path: Path, redis_port: int
) -> None:
    with redis_of_a_stack(redis_port, tmp_path), redis_client(redis_port) as watcher:
        client = broker.Client(port=redis_port, username="portal", password=REDIS_PASSWORD)
        with client:
            lock = client.lock("unacked_mutex", timeout=300)
            assert lock.acquire(blocking=False)
            watcher.set("unacked_mutex", "another's")

            with pytest.raises(LockNotOwnedError):
                lock.release()

            assert watcher.get("unacked_mutex") == "another's"


def test_nobody_uses_redis_without_the_password(tmp_path: Path, redis_port: int) -> None:
    with redis_of_a_stack(redis_port, tmp_path), redis_client(redis_port) as watcher:
        watcher.lpush("celery", "a job")
        for name, password in ((None, None), ("default", "x"), ("portal", "x")):
            once = Retry(NoBackoff(), 0)
            with redis.Redis(
                port=redis_port, username=name, password=password, retry=once
            ) as anybody:
                for command in (*_DANGEROUS, "GET mme:x", "LPUSH celery x", "BRPOP celery 1"):
                    with pytest.raises(redis.AuthenticationError):
                        anybody.execute_command(*command.split())
        assert watcher.lrange("celery", 0, -1) == ["a job"]


_DANGEROUS = (
    *("CONFIG SET dir /", "CONFIG SET dbfilename x", "CONFIG GET *", "SAVE", "BGSAVE"),
    *("MODULE LOAD /x.so", "DEBUG SLEEP 0", "SHUTDOWN NOSAVE", "REPLICAOF 127.0.0.1 1"),
    *("SLAVEOF 127.0.0.1 1", "ACL LIST", "ACL SETUSER x", "EVAL x 0", "EVALSHA x 0"),
    *("SCRIPT LOAD x", "MONITOR", "KEYS *", "FLUSHALL", "CLIENT LIST", "INFO", "BGREWRITEAOF"),
    *("MIGRATE 127.0.0.1 1 x 0 1", "PUBLISH x y", "SUBSCRIBE /0.celery.pidbox", "SWAPDB 0 1"),
)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[redis.Redis]":
    """The portal's user in a Redis of this module's."""
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    with redis_of_a_stack(port, folder), redis_client(port, "portal") as client:
        yield client


@pytest.mark.parametrize("command", [*_DANGEROUS, "GET other", "SET other 1", "LPUSH other x"])
def test_not_even_the_portals_user_writes_files_runs_code_or_sees_other_keys(
    portal: "redis.Redis", command: str
) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        portal.execute_command(*command.split())
    assert portal.ping()
