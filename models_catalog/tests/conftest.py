"""What the catalog's tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import guarded
from models_catalog import services
from models_catalog.models import Version
from models_catalog.tests.found_by import wrong


@pytest.fixture
def upload(db: None, store: str) -> Iterator[Callable[..., Version]]:
    """Upload an archive as the pages do: ``upload(path, name="digits")``.

    Whatever a test does with it then, versions are found by what their rows say.
    """

    def do(path: Path, *, name: str = "digits", note: str = "") -> Version:
        with path.open("rb") as file:
            return services.upload_version(
                name=name, note=note, file=file, file_name=path.name, actor=None
            )

    yield do
    with guarded.as_portal():
        assert wrong() == set()


@pytest.fixture
def keys(store: str) -> Callable[[], set[str]]:
    """All keys in the bucket."""
    from models_catalog import s3

    return lambda: {found.key for found in s3.listing(bucket=store, prefix="")}
