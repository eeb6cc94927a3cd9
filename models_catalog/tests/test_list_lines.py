"""A line of the list of models."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from models_catalog import aliases, tags
from models_catalog.list_lines import line
from models_catalog.models import RegisteredModel, Version
from models_catalog.tests.test_api_reading import made

pytestmark = pytest.mark.django_db


def _cells(name: str, *, best: Any = None) -> list[str]:
    model = RegisteredModel.objects.in_list().get(name=name)
    model.best = best
    html = line(model, best=best is not None)
    assert html.count("<td") == html.count("</td>")
    return re.findall(r"<td[^>]*>(.*?)</td>", html, re.S)


def test_what_people_wrote_is_text_in_it() -> None:
    owner = User.objects.create(username="<i>ann</i>")
    RegisteredModel.objects.create(
        name="digits",
        description='<script>"x"</script> & more',
        tag_lines=tags.framed(["a&b", "<u>"]),
        created_by=owner,
    )
    model = RegisteredModel.objects.in_list().get()
    html = line(model, best=False)
    assert not re.search(r"<(script|i|u)\b", html)
    assert '<span class="badge plain">a&amp;b</span> <span class="badge plain">&lt;u&gt;' in html
    assert 'title="&lt;i&gt;ann&lt;/i&gt;"' in html
    assert '"x"' not in html


def test_what_is_not_known_is_a_dash() -> None:
    RegisteredModel.objects.create(name="digits")
    name, _described, newest, said, size, called, owner, _uploaded, by = _cells("digits")
    assert name == '<a href="/models/digits/">digits</a>'
    assert newest == '<span class="muted">none</span>'
    assert [said, size, called, owner, by] == ["–"] * 5


def test_the_newest_is_said_beside_the_one_that_is_ready() -> None:
    made("digits", 1, published_size=2048)
    made("digits", 2, state=Version.State.REJECTED)
    aliases.move(model="digits", name="live", number=1, actor=None)
    _name, _described, newest, best, said, size, *_rest = _cells("digits", best=("0.93", 1))
    assert "Rejected</span>" in newest
    assert newest.index("/models/digits/v2/") < newest.index("·") < newest.index("/v1/")
    assert best == '0.93 <a href="/models/digits/v1/">v1</a>'
    assert (said, size) == ("live v1", "2.0\xa0KB")
