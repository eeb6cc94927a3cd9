"""The database is lost as an upload is committed: nobody knows whether it was."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from models_catalog import s3, services, uploads
from models_catalog.models import Stretch, Version

pytestmark = [pytest.mark.not_quick, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What lies in staging, by key."""
    found: dict[str, bytes] = {}

    def upload(*, bucket: str, key: str, file: Any, beat: Any = None) -> None:
        found[key] = file.read()

    def put(*, bucket: str, objects: dict[str, bytes], beat: Any, meanwhile: Any) -> None:
        found.update(objects)

    def delete(*, bucket: str, key: str) -> None:
        found.pop(key, None)

    monkeypatch.setattr(s3, "upload", upload)
    monkeypatch.setattr(s3, "put", put)
    monkeypatch.setattr(s3, "delete", delete)
    return found


def _lose(monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> None:
    """Have the connection be lost over the next commit, once that is done or before."""
    database: Any = connection
    commit, lost = database._commit, list[bool]()

    def once() -> None:
        if lost or committed:
            commit()
        if not lost:
            lost.append(True)
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(database, "_commit", once)


@pytest.mark.parametrize("committed", [True, False])
def test_the_archive_stays_where_a_row_may_name_it(
    committed: bool, staged: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    _lose(monkeypatch, committed=committed)
    with pytest.raises(OperationalError):
        services.upload_version(
            name="digits", note="", file=io.BytesIO(b"archive"), file_name="a.tar.gz", actor=None
        )
    named = {version.staging_key for version in Version.objects.all()}
    assert len(named) == committed
    assert named <= set(staged)


@pytest.mark.parametrize("committed", [True, False])
def test_what_arrived_of_an_upload_stays_where_a_row_may_name_it(
    committed: bool,
    staged: dict[str, bytes],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = uploads.create(
        owner=user_in("operator"), length=9, name="digits", new=None, file_name="a.tar.gz",
        note="", description="", packing_choice="", meta=(),
    )  # fmt: skip
    _lose(monkeypatch, committed=committed)
    with pytest.raises(OperationalError):
        uploads.receive(upload=upload, offset=0, size=5, file=io.BytesIO(b"first"), checksum=None)
    named = {stretch.key for stretch in Stretch.objects.all()}
    assert len(named) == committed
    assert named <= set(staged)
