"""Fixtures for the container's tests: the real server as a process, artifacts on disk."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container.tests.pushing import Pushing, moto_server, prepared
from container.tests.serving import Server, container_python, start, start_server
from tests.artifacts import constant_network


@pytest.fixture(scope="session")
def python() -> str:
    """The Python that has MXNet."""
    return container_python()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of :func:`server`: each start takes two seconds of a processor."""
    with start_server(tmp_path_factory.mktemp("mme")) as running:
        yield running


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Iterator[Server]:
    """One server for all modules; each test loads models of its own names.

    A module leaves it as it was. Whatever ends the server or its model host is to start its own.
    """
    yield shared_server
    for name in shared_server.models():
        shared_server.unload(name)


# The image's own tests are there where an image is.
collect_ignore = [] if os.environ.get("MME_TEST_IMAGE") else ["test_image.py", "test_push_image.py"]


def _images() -> list[str]:
    """The image to test besides the plain process: ``MME_TEST_IMAGE``, where it is set."""
    return [image for image in [os.environ.get("MME_TEST_IMAGE")] if image]


@pytest.fixture(scope="module", params=["process", *_images()])
def kind(request: pytest.FixtureRequest) -> str:
    """How the server runs: as a plain process, and of the image where there is one."""
    return str(request.param)


@pytest.fixture(scope="module")
def either(
    kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server for a module's tests of the contract, which is the same for both kinds."""
    if kind == "process":
        yield request.getfixturevalue("server")
        return
    with start(kind, tmp_path_factory.mktemp("mme")) as server:
        yield server


@pytest.fixture
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write an unpacked artifact: ``unpacked(labels=[…], answer=1)`` → its folder."""

    def write(**network: object) -> Path:
        folder = tmp_path_factory.mktemp("artifact")
        options = {"labels": ["cat", "dog", "fox"], "answer": 1} | network
        for name, data in constant_network(**options).items():  # type: ignore[arg-type]
            (folder / name).write_bytes(data)
        folder.chmod(0o755)  # for the image's user
        return folder

    return write


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of moto's server, for a module's tests."""
    with moto_server(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture
def pushing(moto: str, tmp_path: Path, aws_cli: Path) -> Pushing:
    """build_and_push.sh, ready to be run."""
    return prepared(tmp_path, moto, aws_cli)


@pytest.fixture
def picture() -> bytes:
    """A small JPEG."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(out, "JPEG")
    return out.getvalue()


def pytest_report_header() -> str:
    return f"container python: {os.environ.get('CONTAINER_PYTHON', container_python())}"
