"""What is in staging and belongs to no version and to no upload that still takes bytes.

The sweeps delete it (publication.clear_staging, uploads.clear); where they cannot, people see it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from django.conf import settings

from models_catalog import s3, stores
from models_catalog.models import Upload, Version
from models_catalog.s3 import StoredObject

_UPLOADS = "uploads/"


def prefix() -> str:
    """What the keys in staging begin with."""
    return f"{settings.STAGING_PREFIX}/"


def unowned(*, before: datetime) -> Iterator[StoredObject]:
    """Objects that nobody's row names, and that were written before then. Raises an AwsError.

    The ``key`` of each is its name for `find` and `delete`: one of another bucket than that of the
    settings has its whole address.
    """
    for bucket in stores.buckets():
        found = list(s3.listing(bucket=bucket, prefix=prefix()))
        owned = _owned(bucket, [one.key for one in found])
        for one in found:
            if one.modified < before and one.key not in owned:
                yield replace(one, key=_named(bucket, one.key))


def find(name: str) -> StoredObject | None:
    """One of them; None where it is gone, or a row names it by now. Raises an AwsError."""
    bucket, key = _place(name)
    if not key.startswith(prefix()) or _owned(bucket, [key]):
        return None
    found = s3.find(bucket=bucket, key=key)
    return None if found is None else replace(found, key=name)


def delete(name: str) -> None:
    """Delete an object in staging, and no other; again, it does nothing. Raises an AwsError."""
    bucket, key = _place(name)
    if key.startswith(prefix()):
        s3.delete(bucket=bucket, key=key)


def _named(bucket: str, key: str) -> str:
    """What an object is called: its key, and in another bucket than the settings' its address."""
    return key if bucket == settings.MODEL_BUCKET else f"s3://{bucket}/{key}"


def _place(name: str) -> tuple[str, str]:
    """Bucket and key of a name; no key where it is in no bucket of a store."""
    if not name.startswith("s3://"):
        return settings.MODEL_BUCKET, name
    bucket, _slash, key = name.removeprefix("s3://").partition("/")
    return (bucket, key) if bucket in stores.buckets() else (bucket, "")


def _owned(bucket: str, keys: list[str]) -> set[str]:
    """Those that a version, or an upload that still takes bytes, has."""
    rows = Version.objects.filter(bucket=bucket, staging_key__in=keys)
    owned = set(rows.values_list("staging_key", flat=True))
    begin = prefix() + _UPLOADS
    uids = {key: key.removeprefix(begin).partition("/")[0] for key in keys if key.startswith(begin)}
    living = set(
        Upload.objects.unfinished().filter(uid__in=set(uids.values())).values_list("uid", flat=True)
    )
    return owned | {key for key, uid in uids.items() if uid in living}
