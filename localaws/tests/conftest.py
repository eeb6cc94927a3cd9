import io
import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localaws.tests import servers
from localaws.tests.servers import LocalAwsProcess
from tests.artifacts import pack

# Real containers need an engine and the built image, as in container/tests.
collect_ignore = [] if os.environ.get("MME_TEST_IMAGE") else ["test_container_engine.py"]

Start = Callable[..., LocalAwsProcess]


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.s3_server(tmp_path_factory.mktemp("s3") / "objects") as url:
        yield url


@pytest.fixture
def start(tmp_path: Path, s3_url: str) -> Iterator[Start]:
    """Start localaws with options of the test's own."""
    started = []

    def start(*options: str, **kwargs: Any) -> LocalAwsProcess:
        data = kwargs.pop("data", tmp_path / "localaws")
        process = LocalAwsProcess(data, kwargs.pop("s3", s3_url), *options, **kwargs)
        started.append(process)
        return process.start()

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[LocalAwsProcess]:
    """One localaws for all tests that end none, with tiny containers.

    Each start takes half a second of a processor, and the first use of each service some more.
    """
    with tiny_containers(tmp_path_factory.mktemp("localaws"), s3_url) as process:
        yield process


@contextmanager
def tiny_containers(
    folder: Path, s3_url: str, *options: str, **kwargs: Any
) -> Iterator[LocalAwsProcess]:
    """A localaws; a module whose tests put its clock ahead has one of its own as ``local``."""
    options = ("--invocation-timeout", "20", *options)
    process = LocalAwsProcess(folder / "data", s3_url, *options, **kwargs).start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="session")
def unsigned(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[LocalAwsProcess]:
    """One localaws for all tests that want no signatures verified."""
    with tiny_containers(tmp_path_factory.mktemp("unsigned"), s3_url, "--no-signatures") as process:
        yield process


class Hosting:
    """Helpers for tests of one localaws."""

    def __init__(self, process: LocalAwsProcess, bucket: str) -> None:
        self.process = process
        self.bucket = bucket
        self.sagemaker = process.client("sagemaker")
        self.runtime = process.client("sagemaker-runtime", max_pool_connections=64)
        self.s3 = process.client("s3")
        self.s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": servers.REGION}
        )

    def put_model(self, tmp_path: Path, target: str, **files: object) -> None:
        """An archive for tiny containers at ``models/TARGET``."""
        content = {"answer": target} | files
        path = tmp_path / "upload.tar.gz"
        pack(path, {name: str(value).encode() for name, value in content.items()})
        self.s3.upload_file(str(path), self.bucket, f"models/{target}")

    def create(self, name: str, *, wait: bool = True, count: int = 1, **kwargs: Any) -> None:
        """Model, configuration and endpoint, all called ``name``."""
        container = {
            "Image": "tiny",
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{self.bucket}/models/",
        } | kwargs
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=servers.ROLE, PrimaryContainer=container
        )
        self.create_config(name, model=name, count=count)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        if wait:
            assert self.settled(name)["EndpointStatus"] == "InService"

    def create_config(self, name: str, *, model: str, count: int = 1, **more: Any) -> None:
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InstanceType": "ml.m5.xlarge",
            "InitialInstanceCount": count,
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], **more
        )

    def settled(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            answer: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return answer if answer["EndpointStatus"] in ("InService", "Failed") else None

        found: dict[str, Any] = servers.wait_for(look, 60, f"endpoint {name}")
        return found

    def delete(self, name: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)
        servers.wait_for(lambda: not self.exists(name), 30, f"{name} to be gone")

    def exists(self, name: str) -> bool:
        try:
            self.sagemaker.describe_endpoint(EndpointName=name)
        except self.sagemaker.exceptions.ClientError as error:
            if "Could not find endpoint" in str(error):
                return False
            raise
        return True

    def invoke(self, name: str, target: str | None, body: bytes = b"x", **kwargs: Any) -> Any:
        if target is not None:
            kwargs["TargetModel"] = target
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=io.BytesIO(body), **kwargs)
        return answer | {"Body": answer["Body"].read()}


_numbers = itertools.count(1)


@pytest.fixture
def hosting(local: LocalAwsProcess) -> Iterator[Hosting]:
    """A bucket for the test on the module's localaws; its endpoints are deleted at the end."""
    hosting = Hosting(local, f"bucket-{next(_numbers)}")
    yield hosting
    for endpoint in hosting.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]:
        left = endpoint["EndpointName"]
        if hosting.exists(left) and endpoint["EndpointStatus"] != "Deleting":
            hosting.settled(left)
            hosting.delete(left)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for SageMaker resources, after the test."""
    return re.sub("[^a-zA-Z0-9]+", "-", request.node.name.removeprefix("test_"))[:50].strip("-")
