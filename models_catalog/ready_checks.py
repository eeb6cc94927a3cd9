"""The readiness check of the store, and its clock."""

from datetime import datetime

from django.conf import settings

from core import errors
from core.readiness import Unhealthy
from core.sentences import Sentence, phrase
from models_catalog import s3


def probe_store() -> Sentence:
    """The bucket of the store lists its prefix."""
    try:
        _probe_store()
    except errors.AwsError as error:
        raise Unhealthy(error.sentence) from error
    return phrase("It lists its keys.")


def time_of_store() -> float | None:
    """S3's time, in seconds since 1970; None where its answer has none. Raises an AwsError."""
    date = _probe_store()
    # It has whole seconds: half of one is right on average.
    return None if date is None else date.timestamp() + 0.5


def _probe_store() -> datetime | None:
    prefix = settings.MODEL_PREFIX
    return s3.look(bucket=settings.MODEL_BUCKET, prefix=f"{prefix}/" if prefix else "")
