"""Limits by token and address: counted in Redis, for all processes, and open where it is away."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis
from django.test import Client, RequestFactory
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.api import limits
from core.api.problems import Problem
from tests.servers import REDIS_PASSWORD, free_port, redis_client, redis_of_a_stack


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _connect(port: int) -> "redis.Redis":
    """As the portal's user, with its rights alone."""
    return redis.Redis(
        port=port,
        username="portal",
        password=REDIS_PASSWORD,
        socket_timeout=limits.PATIENCE_S,
        socket_connect_timeout=limits.PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


@pytest.fixture
def long_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute in place of a second, so that a slow machine ends none by itself."""
    monkeypatch.setattr(limits, "WINDOW_MS", 60_000)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    found = free_port()
    with redis_of_a_stack(found, tmp_path):
        yield found


def _counts(port: int, clock: Clock | None = None) -> limits.Counts:
    return limits.Counts(lambda: _connect(port), clock or Clock())


def _sum(port: int, key: str) -> int:
    """What Redis has counted of a key, in all its steps."""
    with redis_client(port) as client:
        return sum(int(client.get(name)) for name in client.scan_iter(f"mme:limit:{{{key}}}:*"))


@pytest.mark.usefixtures("long_windows")
def test_processes_count_together_and_what_is_refused_is_not_counted(port: int) -> None:
    clock = Clock()
    one, other = _counts(port, clock), _counts(port, clock)
    found = [process.add("changes:a", 1, 3) for process in (one, other, one, other)]
    assert [left.count for left in found if left] == [1, 2, 3, 4]
    assert _sum(port, "changes:a") == 3
    assert one.add("changes:b", 1, 3) == limits.Left(3, 1, pytest.approx(60, abs=5))
    # Over the limit Redis is not asked until there may be room.
    with redis_client(port) as client:
        before = client.info("commandstats")["cmdstat_mget"]["calls"]
        assert (left := other.add("changes:a", 1, 3)) is not None
        assert left.count == 4
        assert client.info("commandstats")["cmdstat_mget"]["calls"] == before
        names = list(client.scan_iter("mme:limit:*"))
        assert names
        assert all(0 < client.pttl(name) <= 66_000 for name in names)
        client.delete(*names)
    clock.now += 64
    assert (left := other.add("changes:a", 1, 3)) is not None
    assert left.count == 1


@pytest.mark.usefixtures("long_windows")
def test_calls_are_settled_now_and_then_and_none_is_lost(port: int) -> None:
    clock = Clock()
    counts = _counts(port, clock)
    for number in range(1, 101):
        left = counts.add("calls:a", 1, 600)
        assert left is not None
        assert left.count == number
    assert _sum(port, "calls:a") == 97, "at each twelfth call"
    clock.now += limits.SETTLE_S
    counts.add("calls:a", 1, 600)
    assert _sum(port, "calls:a") == 101


class FakeRedis:
    """What the limits ask of Redis, by a clock that a test moves."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.values: dict[str, tuple[int, float]] = {}
        self.answers: list[Any] = []

    def pipeline(self, transaction: bool) -> "FakeRedis":
        assert not transaction
        return self

    def execute(self) -> list[Any]:
        answers, self.answers = self.answers, []
        return answers

    def _value(self, name: str) -> int:
        value, until = self.values.get(name, (0, 0.0))
        return value if self.clock.now < until else 0

    def set(self, name: str, value: int, px: int, nx: bool) -> "FakeRedis":
        assert nx
        if self.values.get(name, (0, 0.0))[1] <= self.clock.now:
            self.values[name] = (value, self.clock.now + px / 1000)
        self.answers.append(None)
        return self

    def incrby(self, name: str, cost: int) -> "FakeRedis":
        self.values[name] = (self._value(name) + cost, self.values[name][1])
        self.answers.append(self.values[name][0])
        return self

    def mget(self, names: list[str]) -> "FakeRedis":
        self.answers.append([str(self._value(name)) for name in names])
        return self

    def time(self) -> Any:
        now = self.clock.now + 5000  # another clock than the processes'
        self.answers.append((int(now), int(now % 1 * 1e6)))
        return self if len(self.answers) > 1 else self.answers.pop()


@pytest.mark.parametrize("seed", range(8))
def test_no_second_has_more_than_the_limit_wherever_it_begins(seed: int) -> None:
    """Bursts and steady callers, by two processes; a fixed window would let twice as many in."""
    random, clock, limit = Random(seed), Clock(), 20
    server: Any = FakeRedis(clock)
    processes = [limits.Counts(lambda: server, clock) for _ in range(2)]
    let_in: list[float] = []
    while clock.now < 1012:
        clock.now += random.choice((0.0, 0.0, 0.001, 0.02, 0.3))
        for _ in range(random.choice((1, 1, 15, 30))):
            left = random.choice(processes).add("changes:a", 1, limit)
            assert left is not None
            if left.count <= limit:
                let_in.append(clock.now)
    most = max(sum(at - 1 < one <= at for one in let_in) for at in let_in)
    assert most == limit
    # What is refused costs nothing: who never stops is let in all the same.
    assert len(let_in) > 12 * limit * 0.75


def test_who_keeps_to_the_limit_is_nearly_never_refused() -> None:
    clock, limit = Clock(), 20
    server: Any = FakeRedis(clock)
    counts = limits.Counts(lambda: server, clock)
    refused = 0
    for _ in range(200):
        clock.now += 1 / 19
        left = counts.add("changes:a", 1, limit)
        refused += left is None or left.count > limit
    assert refused == 0


def test_a_redis_that_hangs_delays_one_call_and_limits_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, clock = free_port(), Clock()
    counts = _counts(port, clock)
    asked: list[str] = []
    settle = counts._settle
    monkeypatch.setattr(counts, "_settle", lambda *a: (asked.append("asked"), settle(*a))[1])
    with caplog.at_level(logging.WARNING), redis_of_a_stack(port, tmp_path) as process:
        assert counts.add("changes:a", 1, 1) is not None
        clock.now += 61
        os.kill(process.pid, signal.SIGSTOP)
        try:
            assert [counts.add("changes:a", 1, 1) for _ in range(50)] == [None] * 50
            assert len(asked) == 2, "once before, once while it hung"
            clock.now += limits.PAUSE_S
            assert counts.add("changes:a", 1, 1) is None
            assert len(asked) == 3
        finally:
            os.kill(process.pid, signal.SIGCONT)
        clock.now += limits.PAUSE_S
        assert counts.add("changes:a", 1, 1) is not None
    assert len([line for line in caplog.messages if "are not limited" in line]) == 1


@pytest.mark.slow
def test_without_redis_calls_are_answered(db: None, settings: Any) -> None:
    settings.API_ANONYMOUS_PER_SECOND = 1
    answers = [Client().get("/api/v1/openapi.json") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "RateLimit-Limit" not in answers[0].headers


@pytest.mark.usefixtures("long_windows")
def test_who_calls_too_often_is_told_when_to_come_again(
    port: int, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_counts", _counts(port))
    settings.API_ANONYMOUS_PER_SECOND = 2
    answers = [Client().get("/api/v1/openapi.json") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    refused = answers[2]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"] == "/problems/too-many-requests"
    assert refused.headers["RateLimit-Limit"] == "2"
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert 50 <= int(refused.headers["Retry-After"]) <= 64
    # A wrong token does not get around the limit of its address.
    wrong = {"Authorization": "Bearer mme_wrong"}
    assert Client().get("/api/v1/me", headers=wrong).status_code == 429


@pytest.mark.usefixtures("long_windows")
def test_calls_are_no_changes_and_callers_do_not_disturb_each_other(
    port: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_counts", _counts(port))
    settings.API_CALLS_PER_SECOND, settings.API_CHANGES_PER_SECOND = 5, 1
    request = RequestFactory().get("/")
    told = limits.check(request, key="token:a", change=True)
    assert told["RateLimit-Limit"] == "1"
    with pytest.raises(Problem) as refused:
        limits.check(request, key="token:a", change=True)
    assert refused.value.code == "too-many-requests"
    told = limits.check(request, key="token:a", change=False)
    assert (told["RateLimit-Limit"], told["RateLimit-Remaining"]) == ("5", "2")
    assert limits.check(request, key="token:b", change=True)["RateLimit-Remaining"] == "0"


def test_there_is_room_again_by_the_clock_of_redis(port: int) -> None:
    counts = limits.Counts(lambda: _connect(port))
    until = time.monotonic() + 10
    while (left := counts.add("changes:a", 1, 2)) is not None and left.count < 3:
        assert time.monotonic() < until, "the machine is too slow to make three calls in a second"
    while (left := counts.add("changes:a", 1, 2)) is not None and left.count > 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert left is not None
