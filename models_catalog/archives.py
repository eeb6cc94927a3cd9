"""What is asked of an archive before any of it is stored: its file's name, and its size."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

#: Of what the portal writes; SageMaker takes no other one as a TargetModel.
ENDING = ".tar.gz"
#: Letters in the name of an archive's file (Version.file_name).
MAX_NAME = 255


def valid_file_name(name: str) -> None:
    """Raise ValidationError, with what is wrong, for what is not named like an archive."""
    shown = name if len(name) <= 100 else f"{name[:60]}…{name[-30:]}"
    if not name.lower().endswith((".tar.gz", ".tgz")):
        raise ValidationError(
            gettext(
                "%(name)s is not named *.tar.gz. Pack the model's files with: tar -C FOLDER "
                "-czf NAME.tar.gz ."
            )
            % {"name": shown}
        )
    if len(name) > MAX_NAME:
        raise ValidationError(
            gettext(
                "The name %(name)s has %(count)s letters, and may have %(most)s. Give the "
                "file a shorter name."
            )
            % {"name": shown, "count": len(name), "most": MAX_NAME}
        )


def most_bytes() -> int:
    """The most bytes that an archive may have (MAX_ARCHIVE_MB)."""
    return int(settings.MAX_ARCHIVE_MB) << 20


def too_large() -> str:
    """What to say where an upload is larger than MAX_ARCHIVE_MB."""
    return gettext(
        "The archive is larger than %(size)s MB, the most that is allowed here (MAX_ARCHIVE_MB). "
        "Nothing was kept."
    ) % {"size": f"{settings.MAX_ARCHIVE_MB:,}"}
