"""`mme experiment` against a whole stack, and a worker that is killed in the midst of one."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

import mme_client
from tests.servers import wait_until
from tests.stack import Stack
from tests.test_client_on_stack import ROOT, shell

NAME = "experiments"
PERCENTILES = {"p50", "p90", "p99"}


@pytest.fixture
def endpoint(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A portal with an endpoint of the test's own, so that its calls can be counted."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    variables = shell(stack, tmp_path)
    with mme_client.Portal(variables["MME_URL"], variables["MME_TOKEN"]) as portal:
        portal.endpoints.create(NAME).wait(timeout=120)
        yield portal
        portal.endpoints.teardown(NAME).wait(timeout=120)


def _mme(stack: Stack, folder: Path, *arguments: str) -> Any:
    done = subprocess.run(
        ["mme", *arguments], env=shell(stack, folder), capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _invocations(stack: Stack) -> int:
    """How many calls SageMaker has counted on the endpoint."""
    cloudwatch = boto3.client(
        "cloudwatch",
        endpoint_url=stack.aws["AWS_ENDPOINT_URL"],
        aws_access_key_id=stack.aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.aws["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.aws["AWS_REGION"],
    )
    now = datetime.now(UTC)
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[
            {"Name": "EndpointName", "Value": NAME},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum"],
    )
    return round(sum(point["Sum"] for point in found["Datapoints"]))


def test_the_recipes_run_as_they_stand(stack: Stack, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "invoke.md").read_text(encoding="utf-8")
    section = text.partition("\n## Experiments\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    (tmp_path / "pictures").mkdir()
    for one in (stack.local_dir / "demo" / "samples").glob("digit-*.jpg"):
        shutil.copy(one, tmp_path / "pictures")
    # A refusal of curl fails it.
    begin = 'set -e\ncurl() { command curl --fail-with-body -sS "$@"; echo; }\n'
    done = subprocess.run(
        ["sh", "-c", begin + "".join(blocks)], env=shell(stack, tmp_path), cwd=tmp_path,
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "digits:1" in (tmp_path / "experiment.csv").read_text()


def test_the_notebooks_calls_and_a_worker_that_is_killed(
    stack: Stack, endpoint: Any, tmp_path: Path
) -> None:
    found = _mme(
        stack, tmp_path, "experiment", NAME, "--models", "digits:*", "--calls", "60",
        "--callers", "8", "--draw", "zipf:1.1", "--seed", "3", "--wait", "--json",
    )  # fmt: skip
    assert (found["state"], found["calls"], found["succeeded"]) == ("done", 60, 60)
    assert (found["failed"], found["unknown"]) == (0, 0)
    assert 1 <= found["cold"] <= 60
    assert found["cold_share"] == round(found["cold"] / 60, 4)
    assert found["calls_per_second"] > 0
    times = found["latency_ms"]
    for part in (times["all"], times["cold"], times["warm"]):
        assert set(part) == PERCENTILES
        assert 0 < part["p50"] <= part["p99"]
    assert set(found["targets"]) == set(times["targets"]) == set(found["labels"])
    assert sum(one["calls"] for one in found["targets"].values()) == 60
    assert sum(sum(one.values()) for one in found["labels"].values()) == 60
    wait_until(lambda: _invocations(stack) == 60, "the metrics", 60)
    _check_what_containers_tell(stack, endpoint)

    made = endpoint.experiments.create(NAME, "digits:*", calls=3000, callers=4, rate=100.0)
    wait_until(lambda: endpoint.experiments.get(made.id).calls > 100, "the first calls", 60)
    stack.kill_and_wait_back("worker")
    before = endpoint.experiments.get(made.id)
    assert before.running
    done = made.wait(timeout=120)
    assert done.state == "done"
    assert done.calls == done.succeeded + done.failed + done.unknown == 3000
    assert done.failed == 0
    assert done.unknown <= 4, "those that were under way"
    wait_until(lambda: _invocations(stack) >= 60 + done.succeeded, "the metrics", 60)
    assert _invocations(stack) <= 61 + 3000, "none was made twice"


def _check_what_containers_tell(stack: Stack, portal: Any) -> None:
    """Their page has all calls, and their log the line of a call by the portal."""
    told = portal.endpoints.metrics(NAME, range="1h").containers
    assert told.problem is None
    assert sum(one.calls for one in told.models) == 60
    assert {one.model for one in told.models} == {"digits"}
    assert all(one.memory_bytes and one.load_ms and one.loaded_at for one in told.models)
    picture = stack.local_dir / "demo" / "samples" / "digit-three.jpg"
    call = portal.invocations.create(NAME, "digits:1", picture)

    def lines() -> list[Any]:
        return list(portal.endpoints.logs(NAME, request=call.id))

    wait_until(lambda: lines(), "the line of the call", 60)
    (line,) = lines()
    assert (line.event, line.request_id) == ("call_answered", call.id)
    assert line.target_model == "digits_v1.tar.gz"
    assert [one.id for one in portal.endpoints.logs(NAME, request=call.request_id)] == [line.id]
