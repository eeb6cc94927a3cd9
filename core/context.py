"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    """The region and the store that this portal works in, and the largest upload."""
    return {
        "aws_region": settings.AWS_REGION,
        "max_archive_mb": settings.MAX_ARCHIVE_MB,
        "store_uri": f"s3://{settings.MODEL_BUCKET}/{settings.MODEL_PREFIX}/",
    }
