"""What the rules hold for, found in the URL conf: a new address is held without a list of ours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True)
class Address:
    """One address of the URL conf.

    ``name`` is what ``reverse`` takes (``endpoints:detail``), or the route where there is no name.
    ``route`` is as it is written (``endpoints/<int:pk>/``), with the routes of its includes.
    ``converters`` are the names of its arguments in order, without those of a regular expression.
    """

    name: str
    route: str
    converters: tuple[str, ...]
    view: Callable[..., Any]

    @property
    def namespace(self) -> str:
        """The app's part of the name; empty for the site's own."""
        return self.name.rpartition(":")[0]

    def url(self, arguments: dict[str, Any] | None = None) -> str:
        """The path for these arguments."""
        path = self.route
        for pattern, value in _parts(self.route, arguments or {}):
            path = path.replace(pattern, str(value), 1)
        return "/" + path


def addresses() -> list[Address]:
    """Every address of a page that the URL conf knows, in its order, Django's admin included.

    What the API asks of its callers is in core.api.operations.OPERATIONS (test_api_access.py).
    """
    found = _walk(get_resolver().url_patterns, "", "", ())
    return [one for one in found if not one.route.startswith("api/")]


def _walk(
    patterns: list[URLPattern | URLResolver], route: str, namespace: str, before: tuple[str, ...]
) -> Iterator[Address]:
    for one in patterns:
        here = route + _readable(str(one.pattern))
        arguments = before + tuple(one.pattern.converters) + _groups(one)
        if isinstance(one, URLResolver):
            inner = f"{namespace}{one.namespace}:" if one.namespace else namespace
            yield from _walk(one.url_patterns, here, inner, arguments)
        else:
            name = f"{namespace}{one.name}" if one.name else here
            yield Address(name, here, arguments, one.callback)


def _groups(one: URLPattern | URLResolver) -> tuple[str, ...]:
    """The named groups of a regular expression."""
    regex = one.pattern.regex
    return tuple(name for name in regex.groupindex if name not in one.pattern.converters)


def _readable(pattern: str) -> str:
    r"""``(?P<app_label>auth|axes)/$`` of a regular expression as ``<app_label>/``."""
    if "(?P<" not in pattern:
        return pattern
    start, _, rest = pattern.removeprefix("^").removesuffix("$").partition("(?P<")
    name, _, rest = rest.partition(">")
    return f"{start}<{name}>{rest.rpartition(')')[2]}"


def _parts(route: str, arguments: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for piece in route.split("<")[1:]:
        pattern = piece.partition(">")[0]
        yield f"<{pattern}>", arguments[pattern.rpartition(":")[2]]
