"""What is in staging and belongs to no version and to no upload that still takes bytes.

The sweeps delete it (publication.clear_staging, uploads.clear); where they cannot, people see it.
"""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings

from models_catalog import s3
from models_catalog.models import Upload, Version
from models_catalog.s3 import StoredObject

_UPLOADS = "uploads/"


def prefix() -> str:
    """What the keys in staging begin with."""
    return f"{settings.STAGING_PREFIX}/"


def unowned(*, before: datetime) -> Iterator[StoredObject]:
    """Objects that nobody's row names, and that were written before then. Raises an AwsError."""
    found = list(s3.listing(bucket=settings.MODEL_BUCKET, prefix=prefix()))
    owned = _owned([one.key for one in found])
    return (one for one in found if one.modified < before and one.key not in owned)


def find(key: str) -> StoredObject | None:
    """One of them; None where it is gone, or a row names it by now. Raises an AwsError."""
    if not key.startswith(prefix()) or _owned([key]):
        return None
    return s3.find(bucket=settings.MODEL_BUCKET, key=key)


def delete(key: str) -> None:
    """Delete an object in staging, and no other; again, it does nothing. Raises an AwsError."""
    if key.startswith(prefix()):
        s3.delete(bucket=settings.MODEL_BUCKET, key=key)


def _owned(keys: list[str]) -> set[str]:
    """Those that a version, or an upload that still takes bytes, has."""
    rows = Version.objects.filter(bucket=settings.MODEL_BUCKET, staging_key__in=keys)
    owned = set(rows.values_list("staging_key", flat=True))
    begin = prefix() + _UPLOADS
    uids = {key: key.removeprefix(begin).partition("/")[0] for key in keys if key.startswith(begin)}
    living = set(
        Upload.objects.unfinished().filter(uid__in=set(uids.values())).values_list("uid", flat=True)
    )
    return owned | {key for key, uid in uids.items() if uid in living}
