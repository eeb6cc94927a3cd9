"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest

from core import languages, request_id, where
from core.worker_watch import WATCH


def site(request: HttpRequest) -> dict[str, object]:
    """Where this portal works, the largest upload, the reader's zone, and what does not work.

    ``worker_problem`` and ``where`` are functions, so that only pages that show them ask.
    """
    return {
        "request_id": request_id.current(),
        "time_zone": languages.zone_of(request),
        "time_zone_cookie": settings.TIME_ZONE_COOKIE_NAME,
        "languages": settings.LANGUAGES,
        "worker_problem": WATCH.problem,
        "where": where.chip,
        "aws_region": settings.AWS_REGION,
        "max_archive_mb": settings.MAX_ARCHIVE_MB,
        "store_uri": f"s3://{settings.MODEL_BUCKET}/{settings.MODEL_PREFIX}/",
    }
