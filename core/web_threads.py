"""How many threads this process of the web server has: of them only some may wait for others."""

from django.conf import settings

_have: int | None = None


def have(count: int) -> None:
    """This process has another number of them than WEB_THREADS."""
    global _have
    _have = count


def count() -> int:
    """How many threads answer requests in this process."""
    return settings.WEB_THREADS if _have is None else _have
