"""What this app knows of a version that is to be deleted, and what it keeps of it."""

from collections.abc import Callable, Iterator

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from invocations.models import Invocation
from models_catalog.models import Version
from models_catalog.retiring import Use

_AT_ONCE = 500


def last_call(version: Version) -> Iterator[Use]:
    """When it was called last, if it was."""
    calls = Invocation.objects.filter(version=version).order_by("-created_at")
    at = calls.values_list("created_at", flat=True).first()
    if at is not None:
        when = formats.date_format(timezone.localtime(at), "DATETIME_FORMAT")
        yield Use("call", "", _("It was called last on %(when)s.") % {"when": when})


def forget_pictures(version: Version, beat: Callable[[], None]) -> None:
    """Delete the thumbnails of its calls; the calls stay, and name no picture any more."""
    rows = Invocation.objects.filter(version=version)
    kept = rows.exclude(picture_sha256="", thumbnail=b"")
    while pks := list(kept.values_list("pk", flat=True)[:_AT_ONCE]):
        Invocation.objects.filter(pk__in=pks).update(thumbnail=b"", picture_sha256="")
        beat()
