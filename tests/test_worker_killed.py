"""The Celery worker is killed in the middle of a deploy and of a teardown: both finish."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from tests.stack import Stack

NAME = "survivor"
SECONDS = 90


@pytest.fixture
def sagemaker(stack: Stack) -> Any:
    """A SageMaker client of the stack."""
    return boto3.client(
        "sagemaker",
        endpoint_url=stack.aws["AWS_ENDPOINT_URL_SAGEMAKER"],
        aws_access_key_id=stack.aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.aws["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.aws["AWS_REGION"],
    )


class _Portal:
    """The portal over HTTP, logged in as the admin."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url
        self._session = requests.Session()
        self.post("/login/", username="admin", password=stack.admin_password)

    def get(self, path: str) -> str:
        answer = self._session.get(self._url + path, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **fields: str) -> str:
        """Post a form; gives the path that it led to."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path))
        assert token is not None
        fields["csrfmiddlewaretoken"] = token[1]
        answer = self._session.post(self._url + path, data=fields, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.history, "the form was not accepted"
        return answer.url.removeprefix(self._url)


def _status(sagemaker: Any) -> str | None:
    try:
        return str(sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return None


def _owned(sagemaker: Any) -> Counter[str]:
    """How many things of each kind there are for the endpoint."""
    return Counter(
        endpoint=len(sagemaker.list_endpoints(NameContains=NAME)["Endpoints"]),
        config=len(sagemaker.list_endpoint_configs(NameContains=NAME)["EndpointConfigs"]),
        model=len(sagemaker.list_models(NameContains=NAME)["Models"]),
    )


def _wait(condition: Callable[[], bool], what: str, pause: float = 0.01) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS} s for {what}"
        time.sleep(pause)


def _shown_once(page: str, sentence: str) -> bool:
    return len(re.findall(f"<p>[^<]*{re.escape(sentence)}[^<]*</p>", page)) == 1


def _freeze(stack: Stack) -> None:
    os.kill(stack.pid_of("worker"), signal.SIGSTOP)


def test_a_worker_killed_in_a_deploy_and_in_a_teardown(stack: Stack, sagemaker: Any) -> None:
    portal = _Portal(stack)
    instance = re.search(r'value="(ml\.[^"]+)"', portal.get("/endpoints/new/"))
    assert instance is not None
    page = portal.post("/endpoints/new/", name=NAME, instance_type=instance[1], instance_count="1")

    # In the middle of the deploy: SageMaker is creating it, the portal has not seen it serve.
    _wait(lambda: _status(sagemaker) == "Creating", "the creation")
    _freeze(stack)
    assert _status(sagemaker) == "Creating"
    stack.kill_and_wait_back("worker")
    _wait(lambda: f"The endpoint {NAME} is in service." in portal.get(page), "InService", 0.2)
    assert _owned(sagemaker) == {"endpoint": 1, "config": 1, "model": 1}
    shown = portal.get(page)
    for sentence in ("Created the SageMaker model", "Created the configuration", "is in service"):
        assert _shown_once(shown, sentence), sentence

    # In the middle of the teardown: the endpoint is going, config and model are still there.
    page = portal.post(f"{page}teardown/", typed_name=NAME)
    _wait(lambda: _status(sagemaker) in {"Deleting", None}, "the deletion", 0.001)
    _freeze(stack)
    assert _owned(sagemaker)["model"] == 1
    stack.kill_and_wait_back("worker")
    _wait(lambda: f"{NAME} is torn down." in portal.get(page), "the teardown", 0.2)
    assert _owned(sagemaker) == {"endpoint": 0, "config": 0, "model": 0}
    assert _shown_once(portal.get(page), "is torn down")
