"""Which addresses take more than 1 MB, and that each of them asks for a permission first."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver

from core.body_limits import accepts_body, limit_of


def views(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns)
        else:
            yield pattern


def test_each_page_that_takes_large_bodies_asks_for_a_permission() -> None:
    limits = {
        pattern.callback.__name__: pattern.callback.body_limit.permission  # type: ignore[attr-defined]
        for pattern in views(get_resolver().url_patterns)
        if hasattr(pattern.callback, "body_limit")
    }
    assert limits == {
        "new_model": "models_catalog.add_version",
        "new_version": "models_catalog.add_version",
        "run": "endpoints.invoke_endpoint",
        "page": "endpoints.invoke_endpoint",  # of raw payloads
        "new": "endpoints.invoke_endpoint",  # of an experiment with pictures of one's own
    }


@pytest.mark.parametrize(
    ("method", "path", "megabytes"),
    [
        ("POST", "/models/new/", 2049),
        ("POST", "/models/digits/upload/", 2049),
        ("POST", "/invoke/run/", 65),
        ("POST", "/invoke/raw/", 8),
        ("PUT", "/models/new/", None),
        ("GET", "/models/new/", None),
        ("POST", "/models/digits/", None),
        ("POST", "/models/new", None),
        ("POST", "//models/new/", None),
        ("POST", "/login/", None),
        ("POST", "/nope", None),
        ("POST", "*", None),
        ("POST", "", None),
    ],
)
def test_what_an_address_takes(method: str, path: str, megabytes: int | None) -> None:
    limit = limit_of(method, path)
    assert (limit and limit.size) == (megabytes and megabytes << 20)


def test_a_page_that_asks_for_no_permission_cannot_take_large_bodies() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    declare = accepts_body(megabytes=lambda: 2, too_large=lambda: "Too large.", at_once=1)
    with pytest.raises(TypeError, match="must require a permission"):
        declare(view)
