"""Calls that are under way when their instance is replaced or taken away are answered."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from localaws.tests.conftest import Hosting
from localaws.tests.servers import wait_for
from localaws.tests.test_invoke_endpoint import models

Change = Callable[[Hosting, str], object]


def _replaced(hosting: Hosting, name: str) -> object:
    hosting.create_config(name + "-2", model=name)
    return hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name + "-2")


def _one_less(hosting: Hosting, name: str) -> object:
    wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": 1}
    return hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[wanted]
    )


@pytest.mark.parametrize("change", [_replaced, _one_less])
def test_a_call_that_is_under_way_is_answered(
    hosting: Hosting, name: str, tmp_path: Path, change: Change
) -> None:
    hosting.put_model(tmp_path, "slow.tar.gz", invoke_seconds=3)
    hosting.create(name, count=2)
    with ThreadPoolExecutor(4) as pool:
        # Many at a time have both instances load the model.
        calls = [pool.submit(hosting.invoke, name, "slow.tar.gz") for _ in range(4)]
        wait_for(lambda: "slow.tar.gz" in models(hosting, name), 30, "the calls")
        change(hosting, name)
        answers: list[dict[str, Any]] = [call.result(60) for call in calls]
    assert all(b"slow.tar.gz" in answer["Body"] for answer in answers)
    hosting.settled(name)
    assert b"slow.tar.gz" in hosting.invoke(name, "slow.tar.gz")["Body"]
