"""What the catalog's tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models_catalog import services
from models_catalog.models import Version


@pytest.fixture
def upload(db: None, store: str) -> Callable[..., Version]:
    """Upload an archive as the pages do: ``upload(path, name="digits")``."""

    def do(path: Path, *, name: str = "digits", note: str = "") -> Version:
        with path.open("rb") as file:
            return services.upload_version(
                name=name, note=note, file=file, file_name=path.name, actor=None
            )

    return do


@pytest.fixture
def keys(store: str) -> Callable[[], set[str]]:
    """All keys in the bucket."""
    from models_catalog import s3

    return lambda: {found.key for found in s3.listing(bucket=store, prefix="")}
