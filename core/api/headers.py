"""Headers that an operation gives its answer, which ninja makes of what it returns."""

from django.http import HttpRequest

_NAME = "api_headers"


def set_header(request: HttpRequest, name: str, value: str) -> None:
    """Give the answer to ``request`` a header."""
    given(request)[name] = value


def given(request: HttpRequest) -> dict[str, str]:
    """The headers that were set so far."""
    if not hasattr(request, _NAME):
        setattr(request, _NAME, {})
    found: dict[str, str] = getattr(request, _NAME)
    return found
