"""The connection to the database is lost as an upload is committed: nobody knows whether it was."""

import io
from typing import Any

import pytest
from django.db import OperationalError, connection

from models_catalog import s3, services
from models_catalog.models import Version


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [True, False])
def test_the_archive_stays_where_a_row_may_name_it(
    committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged: dict[str, bytes] = {}

    def upload(*, bucket: str, key: str, file: Any, beat: Any = None) -> None:
        staged[key] = file.read()

    def delete(*, bucket: str, key: str) -> None:
        staged.pop(key, None)

    monkeypatch.setattr(s3, "upload", upload)
    monkeypatch.setattr(s3, "delete", delete)
    commit = connection._commit

    def lost() -> None:
        if committed:
            commit()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connection, "_commit", lost)
    with pytest.raises(OperationalError):
        services.upload_version(
            name="digits", note="", file=io.BytesIO(b"archive"), file_name="a.tar.gz", actor=None
        )
    monkeypatch.undo()
    named = {version.staging_key for version in Version.objects.all()}
    assert len(named) == committed
    assert named <= set(staged)
