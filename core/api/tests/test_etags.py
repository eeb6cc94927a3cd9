"""A reader is told that nothing changed; a writer that something did."""

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from core.api import etags
from core.api.headers import given
from core.api.problems import Problem


def _put(match: str | None) -> HttpRequest:
    headers = {} if match is None else {"If-Match": match}
    return RequestFactory().put("/api/v1/x", headers=headers)


def test_the_same_parts_have_the_same_tag_and_others_another() -> None:
    assert etags.of("a", 1) == etags.of("a", 1)
    assert len({etags.of("a", 1), etags.of("a", 2), etags.of("a1"), etags.of("a", 1, "")}) == 4


def test_the_answer_gets_the_tag() -> None:
    request = _put(None)
    assert given(request) == {}
    tag = etags.tag(request, "a")
    assert given(request) == {"ETag": tag}


@pytest.mark.parametrize("match", [None, "*", etags.of("a"), f'"other", {etags.of("a")}'])
def test_a_write_goes_on(match: str | None) -> None:
    etags.require_match(_put(match), "a")


@pytest.mark.parametrize("match", ['"other"', "nonsense", "", f"W/{etags.of('a')}"])
def test_a_write_on_an_old_state_is_refused(match: str) -> None:
    with pytest.raises(Problem) as caught:
        etags.require_match(_put(match), "a")
    assert caught.value.status == 412
