"""Fixtures of the tests of calls."""

from collections.abc import Iterator
from typing import IO, Any

import pytest

from endpoints.models import Endpoint
from endpoints.tests.conftest import account, advance, endpoint, make_version, serving, settle
from invocations import pictures_kept, services
from models_catalog.models import RegisteredModel, Version

__all__ = ["account", "advance", "endpoint", "make_version", "serving", "settle"]


@pytest.fixture(autouse=True)
def no_call_outlives_its_test() -> Iterator[None]:
    """The thread that writes the heartbeat of calls has no database once the test is over."""
    yield
    for call in services._under_way.calls():
        services._under_way.discard(call)


class Objects:
    """S3 in memory: its objects by key."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def upload(self, *, bucket: str, key: str, file: IO[bytes]) -> None:
        self.kept[key] = file.read()

    def download(self, *, bucket: str, key: str) -> Iterator[bytes]:
        yield self.kept[key]

    def delete(self, *, bucket: str, key: str) -> None:
        self.kept.pop(key, None)


@pytest.fixture(autouse=True)
def objects(monkeypatch: pytest.MonkeyPatch) -> Objects:
    """Where large pictures are kept."""
    fake = Objects()
    monkeypatch.setattr(pictures_kept, "s3", fake)
    return fake


@pytest.fixture
def versions(db: None, settings: Any) -> list[Version]:
    """Three versions of a model ``digits`` that are ready."""
    model = RegisteredModel.objects.create(name="digits")
    return [
        Version.objects.create(
            model=model,
            number=number,
            key=f"{settings.MODEL_PREFIX}/digits_v{number}.tar.gz",
            bucket=settings.MODEL_BUCKET,
            prefix=settings.MODEL_PREFIX,
            size=1,
            state=Version.State.READY,
        )
        for number in (1, 2, 3)
    ]


@pytest.fixture
def demo(db: None, settings: Any) -> Endpoint:
    """An endpoint that is in service, and serves the portal's store."""
    return Endpoint.objects.create(
        name="demo",
        bucket=settings.MODEL_BUCKET,
        prefix=settings.MODEL_PREFIX,
        state=Endpoint.State.IN_SERVICE,
    )
