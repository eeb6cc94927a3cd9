"""What takes as long as it was told to, and what happens when time, or room for calls, is up."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localaws.tests.conftest import Hosting
from localaws.tests.servers import wait_for


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def test_health_update_and_deletion_take_as_long_as_they_are_told(start, tmp_path):
    options = ("--startup-timeout", "1.5", "--update-seconds", "1", "--delete-seconds", "1")
    hosting = Hosting(start(*options), "slow-aws")
    # Containers that are never healthy make their endpoints Failed.
    hosting.create("ping", wait=False, Environment={"SAGEMAKER_TINY_PING": "500"})
    hosting.create("models", wait=False, Environment={"SAGEMAKER_TINY_MODELS": "404"})
    for name, problem in (
        ("ping", "did not answer GET /ping with 200 within 1.5 s."),
        ("models", "answered GET /models with 404 within 1.5 s."),
    ):
        found = hosting.settled(name)
        assert found["EndpointStatus"] == "Failed"
        assert f"The container {problem} Its last log lines:\n" in found["FailureReason"]
        assert found["FailureReason"].endswith("-")  # the last request that it logged
    assert not list((hosting.process.data / "instances").iterdir())

    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create("e")
    began = time.monotonic()
    hosting.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="e")
    assert b"a.tar.gz" in hosting.invoke("e", "a.tar.gz")["Body"]
    hosting.settled("e")
    assert time.monotonic() - began >= 1
    began = time.monotonic()
    hosting.sagemaker.delete_endpoint(EndpointName="e")
    assert hosting.sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Deleting"
    refused(lambda: hosting.invoke("e", "a.tar.gz"), "ValidationError")
    wait_for(lambda: not hosting.exists("e"), 20)
    assert time.monotonic() - began >= 1


def test_more_calls_than_threads_are_turned_away_and_the_rest_goes_on(start, tmp_path):
    hosting = Hosting(start("--threads", "4"), "few-threads")  # of which calls may have two
    hosting.put_model(tmp_path, "slow.tar.gz", invoke_seconds=2)
    hosting.create("e")
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(hosting.invoke, "e", "slow.tar.gz") for _ in range(2)]

        def both_are_in():
            (one,) = hosting.process.instances("e")
            return sum(model["in_use"] for model in one["models"]) == 2

        wait_for(both_are_in, 20)
        message = refused(lambda: hosting.invoke("e", "slow.tar.gz"), "ServiceUnavailable")
        assert "Too many invocations" in message
        hosting.sagemaker.describe_endpoint(EndpointName="e")
        assert not any(call.done() for call in calls)
        assert all(b"slow" in call.result()["Body"] for call in calls)


def test_without_a_healthy_instance_a_call_waits_and_then_is_told(start, tmp_path):
    tiny = Path(__file__).with_name("tiny_container.py")
    slow = f"sh -c 'sleep 2; exec {sys.executable} {tiny}'"
    hosting = Hosting(start("--invocation-timeout", "1", container=slow), "nobody-healthy")
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create("e")
    hosting.invoke("e", "a.tar.gz")
    (one,) = hosting.process.instances("e")
    os.kill(one["pid"], signal.SIGKILL)
    wait_for(lambda: not hosting.process.instances("e"), 20)
    message = refused(lambda: hosting.invoke("e", "a.tar.gz"), "ServiceUnavailable")
    assert message == "No instance of variant AllTraffic of endpoint e is healthy."
    wait_for(lambda: hosting.process.instances("e"), 30, "its successor")
    assert b"a.tar.gz" in hosting.invoke("e", "a.tar.gz")["Body"]
