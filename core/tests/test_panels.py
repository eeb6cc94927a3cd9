"""What apps register for a slot is shown there: in order, to who may see it, and escaped."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template import engines
from django.test import RequestFactory

from core import panels


@pytest.fixture(autouse=True)
def own_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "_slots", {})


def _render(source: str, user: User, **context: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    return str(engines["django"].from_string(source).render(context, request))


def _button(text: str) -> Any:
    return lambda request, *subject: {"classes": "x", "query": "", "text": text}


def test_panels_stand_in_their_order_and_are_escaped(admin_user: User) -> None:
    for order, text in ((2, "second"), (1, "<first>"), (2, "third")):
        panels.register(
            "here",
            "invocations/_button.html",
            permission="auth.view_user",
            context=_button(text),
            order=order,
        )
    text = _render('{% panels "here" %}|{% panels "elsewhere" %}', admin_user)
    inside, nothing = text.split("|")
    places = [inside.index(word) for word in ("&lt;first&gt;", "second", "third")]
    assert places == sorted(places)
    assert nothing == ""


def test_who_lacks_the_permission_sees_nothing_and_nothing_is_asked(db: None) -> None:
    def context(request: Any) -> dict[str, Any]:
        raise AssertionError("asked for nobody")

    panels.register("here", "x.html", permission="auth.view_user", context=context)
    assert _render('{% panels "here" %}', User.objects.create_user("nobody")) == ""


def test_a_panel_is_given_the_subject_and_may_have_nothing_to_show(admin_user: User) -> None:
    given: list[Any] = []

    def context(request: Any, *subject: Any, **more: Any) -> None:
        given.append((subject, more))

    panels.register("here", "x.html", permission="auth.view_user", context=context)
    assert _render('{% panels "here" one two=2 %}', admin_user, one=1) == ""
    assert given == [((1,), {"two": 2})]


def test_a_panel_knows_nothing_of_the_page_around_it(admin_user: User) -> None:
    panels.register(
        "here",
        "invocations/_button.html",
        permission="auth.view_user",
        context=lambda request: {"classes": "", "query": ""},
    )
    assert "around" not in _render('{% panels "here" %}', admin_user, text="around")
