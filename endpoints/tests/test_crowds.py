"""Many pages that ask for the same part of an endpoint's page each second."""

import re

import pytest
from django.contrib.auth.models import Group, User

from core import shared_parts
from endpoints import views
from endpoints.models import Endpoint
from endpoints.tests.test_pages import url

TABS = [part.name for part in views._PARTS]
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
MANY = 20


@pytest.fixture
def made(monkeypatch):
    """How often the part was made."""
    found = []
    make = views._live

    def counted(request, pk):
        found.append(request.user)
        return make(request, pk)

    monkeypatch.setattr(views, "_live", counted)
    monkeypatch.setattr(shared_parts, "_CROWDS", shared_parts.Crowds(clock=lambda: 0.0))
    monkeypatch.setattr(shared_parts._MADE, "_keep_s", 3600)
    return found


def asked(client, serving, tab="overview", **headers):
    answer = client.get(
        f"{url('live', serving)}?tab={tab}", headers={"HX-Request": "true"} | headers
    )
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.not_quick
def test_a_crowd_has_it_made_a_few_times_with_the_token_of_each(serving, client_of, user_in, made):
    first, second = client_of("admin"), client_of("superuser")
    second.force_login(_another_admin())
    texts = [asked(each, serving) for _ in range(MANY) for each in (first, second)]
    assert len(made) == shared_parts.FEW + 1
    assert len({_TOKEN.sub("", text) for text in texts}) == 1
    tokens = {text for each in texts for text in _TOKEN.findall(each)}
    assert tokens, "the page of a settled endpoint has forms"
    assert not any(shared_parts.TOKEN in text for text in texts)
    # It is the reader's own: with it the form is taken.
    assert _posts(second, serving, _TOKEN.findall(texts[-1])[0]) == 302


def _another_admin():
    made = User.objects.create_user("another-admin", password="a good long password")
    made.groups.add(Group.objects.get(name="admin"))
    return made


def _posts(client, serving, token):
    client.handler.enforce_csrf_checks = True
    return client.post(url("check", serving), {"csrfmiddlewaretoken": token}).status_code


@pytest.mark.not_quick
def test_who_has_other_rights_or_another_language_gets_another(serving, client_of, made):
    admin, viewer = client_of("admin"), client_of("viewer")
    for _ in range(MANY):
        asked(admin, serving)
    assert "csrfmiddlewaretoken" in asked(admin, serving)
    assert "csrfmiddlewaretoken" not in asked(viewer, serving)
    korean = [asked(admin, serving, Accept_Language="ko") for _ in range(MANY)]
    assert len({_TOKEN.sub("", text) for text in korean}) == 1
    assert _TOKEN.sub("", korean[0]) != _TOKEN.sub("", asked(admin, serving))


@pytest.mark.not_quick
def test_a_right_that_is_taken_counts_at_once(serving, client_of, made):
    admin = client_of("admin")
    for _ in range(MANY):
        asked(admin, serving)

    User.objects.get(username="admin-user").groups.set([Group.objects.get(name="viewer")])
    assert "csrfmiddlewaretoken" not in asked(admin, serving)


@pytest.mark.not_quick
def test_one_page_alone_always_gets_a_new_one(serving, client_of, made):
    viewer = client_of("viewer")
    for _ in range(shared_parts.FEW):
        asked(viewer, serving)
    assert len(made) == shared_parts.FEW


@pytest.mark.not_quick
def test_a_crowd_sees_a_change_after_half_a_second(serving, client_of, made, monkeypatch):
    viewer = client_of("viewer")
    monkeypatch.setattr(shared_parts._MADE, "_keep_s", 0.0)  # that time is over at once
    for _ in range(MANY):
        asked(viewer, serving)
    Endpoint.objects.filter(pk=serving.pk).update(name="renamed")
    assert "renamed" in asked(viewer, serving)


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_depends_on_who_looks_but_for_their_rights(serving, client_of, made, tab):
    """What is shared must be the same for two people of one role."""
    first, second = client_of("admin"), client_of("viewer")
    second.force_login(_another_admin())
    texts = [_TOKEN.sub("", asked(each, serving, tab)) for each in (first, second)]
    assert len(made) == 2
    assert texts[0] == texts[1]


@pytest.mark.not_quick
def test_the_list_is_made_a_few_times_for_a_crowd_and_is_the_same_for_one_role(
    serving, client_of, monkeypatch
):
    rendered = []
    make = views._list_part

    def counted(request):
        rendered.append(request.user)
        return make(request)

    monkeypatch.setattr(views, "_list_part", counted)
    monkeypatch.setattr(shared_parts, "_CROWDS", shared_parts.Crowds(clock=lambda: 0.0))
    monkeypatch.setattr(shared_parts._MADE, "_keep_s", 3600)
    first, second = client_of("admin"), client_of("superuser")
    second.force_login(_another_admin())

    def asked(client):
        answer = client.get(url("list", serving), headers={"HX-Request": "true"})
        return _TOKEN.sub("", answer.content.decode())

    texts = {asked(each) for _ in range(MANY) for each in (first, second)}
    assert len(rendered) == shared_parts.FEW + 1
    assert len(texts) == 1
    text = texts.pop()
    assert "<html" not in text
    assert 'id="endpoints"' in text
    assert "Select demo" in text
    assert "Select demo" not in asked(client_of("viewer"))
