"""All processes take from one bucket of Redis; without Redis each has its own."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import aws, pace
from core.pace import TokenBucket
from tests.servers import free_port, redis_client, redis_of_a_stack

RATE = 5
BURST = RATE * pace.BURST_S


class Clock:
    """The host's clock, which stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis with the rights that the portal's user has on a stack."""
    number = free_port()
    with redis_of_a_stack(number, tmp_path_factory.mktemp("pace")):
        yield number


@pytest.fixture
def bucket(port: int) -> TokenBucket:
    redis_client(port).flushall()
    return of_process(port)


def of_process(port: int, clock: Clock | None = None) -> TokenBucket:
    """The bucket as one process has it."""
    return TokenBucket("test", lambda: RATE, lambda: redis_client(port, "portal"), clock or Clock())


def test_what_one_process_takes_another_does_not_have(port: int, bucket: TokenBucket) -> None:
    other = of_process(port)
    assert bucket.room() == other.room() == BURST
    bucket.took(6)
    other.took(6)
    # Redis's clock goes on meanwhile: 8, and what came back.
    assert BURST - 12 <= bucket.room() < BURST - 6
    assert abs(bucket.room() - other.room()) < 2


def test_a_debt_is_made_up_for_at_the_rate(port: int, bucket: TokenBucket) -> None:
    for _ in range(40):
        bucket.took()
    full_at = int(redis_client(port).get("mme:pace:test") or 0)
    seconds, micros = redis_client(port).time()
    until_full_s = (full_at - seconds * 1_000_000 - micros) / 1_000_000
    assert until_full_s <= 40 / RATE, "40 calls are 8 seconds' worth"
    if until_full_s > pace.BURST_S:
        assert bucket.room() < 1
    assert redis_client(port).pttl("mme:pace:test") > 0, "it goes by itself"


def test_without_redis_each_process_has_its_own_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, asked = Clock(), []

    def connect() -> redis.Redis:
        asked.append(clock.now)
        retry = Retry(NoBackoff(), 0)  # its own takes seconds
        return redis.Redis(port=9, socket_connect_timeout=0.1, retry=retry)

    one = TokenBucket("test", lambda: RATE, connect, clock)
    other = TokenBucket("test", lambda: RATE, connect, clock)
    with caplog.at_level(logging.WARNING, "core.pace"):
        one.took(BURST + RATE)
        assert one.room() == -RATE
        assert other.room() == BURST
        clock.now += 1.0
        assert one.room() == pytest.approx(0)
        clock.now += 0.2
        assert one.room() == pytest.approx(1)
        clock.now += 100
        assert one.room() == BURST, "no more than it holds"
    assert (
        caplog.text.count("each process does by itself") == 3
    )  # of two processes, one after 100 s


def test_each_call_of_the_control_plane_takes_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(pace.CONTROL_PLANE, "took", lambda calls=1: taken.append(calls))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING", "http://127.0.0.1:9")
    aws.sagemaker.cache_clear()
    aws.autoscaling.cache_clear()
    client: Any = aws.sagemaker()
    for call in (
        lambda: client.describe_endpoint(EndpointName="demo"),
        lambda: list(client.get_paginator("list_models").paginate()),
        lambda: aws.autoscaling().describe_scaling_policies(ServiceNamespace="sagemaker"),
    ):
        with pytest.raises(aws.EndpointConnectionError):
            call()
    assert taken == [1, 1, 1]
    aws.sagemaker.cache_clear()
    aws.autoscaling.cache_clear()
