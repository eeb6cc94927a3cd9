"""The clients for AWS: made before anybody waits for them, and one after the other."""

import inspect
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest
from django.conf import settings

from core import aws

FACTORIES = (aws.s3, aws.sagemaker, aws.sagemaker_runtime)


@pytest.fixture(autouse=True)
def _no_clients_yet() -> Iterator[None]:
    for factory in FACTORIES:
        factory.cache_clear()
    yield
    for factory in FACTORIES:
        factory.cache_clear()


def test_the_server_has_its_clients_before_it_forks() -> None:
    """Or the first call in each process takes 0.1 s longer, and the page blames SageMaker."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import mmeportal.wsgi; from core import aws; "
            "print(*(c.cache_info().currsize for c in (aws.s3, aws.sagemaker_runtime)))",
        ],
        env=os.environ | {"SECRET_KEY": settings.SECRET_KEY},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.split() == ["1", "1"]


def test_one_client_at_a_time_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    others: list[Thread] = []

    def client(service: str, **_: Any) -> object:
        if not made and not others:
            others.append(Thread(target=aws.sagemaker_runtime))
            others[0].start()
            others[0].join(0.3)
            assert others[0].is_alive(), "it waits for its turn"
            assert not made
        made.append(service)
        return MagicMock()

    monkeypatch.setattr(boto3, "client", client)
    aws.s3()
    others[0].join(20)
    assert made == ["s3", "sagemaker-runtime"]


def test_a_wrong_configuration_is_logged_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "not an address")
    with caplog.at_level(logging.ERROR):
        aws.create_clients(aws.s3, aws.sagemaker_runtime)
    assert "not an address" in caplog.text
    assert aws.sagemaker_runtime.cache_info().currsize == 1
    with pytest.raises(ValueError, match="not an address"):
        aws.s3()


@pytest.mark.not_quick
def test_clients_without_credentials_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They would have none for as long as they live, and there may be some a moment later."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with caplog.at_level(logging.WARNING):
        aws.create_clients(aws.s3, aws.sagemaker_runtime)
    assert "no credentials" in caplog.text
    assert aws.s3.cache_info().currsize == aws.sagemaker_runtime.cache_info().currsize == 0

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    aws.create_clients(aws.s3)
    assert aws.s3.cache_info().currsize == 1


def test_a_number_of_clients_is_kept_of_what_people_type() -> None:
    """Somebody who tries regions and keys of KMS must not fill the memory of the process."""
    kept: dict[str, Any] = {
        name: one
        for name, one in vars(aws).items()
        if hasattr(one, "cache_parameters") and inspect.signature(one).parameters
    }
    assert {"s3", "s3_for_browsers", "ecr", "sagemaker"} <= kept.keys()
    del kept["sagemaker"]  # of timeouts alone, which the code has
    assert [name for name, one in kept.items() if one.cache_parameters()["maxsize"] is None] == []
