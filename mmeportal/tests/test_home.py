"""Today shows what its reader may see: what runs, what was called, and what needs somebody."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from activity.models import Event
from core import panels
from endpoints.models import Endpoint
from invocations.models import Invocation
from invocations.today import Calls, calls_today
from models_catalog.models import RegisteredModel, Version

SECTIONS = {
    "endpoints.view_endpoint": "secret-endpoint",
    "models_catalog.view_model": "secret-model",
    "endpoints.invoke_endpoint": "secret-picture",
}


def _version(name: str, number: int = 1, **columns: Any) -> Version:
    model, _ = RegisteredModel.objects.get_or_create(name=name)
    key = f"{name}_v{number}"
    return Version.objects.create(
        model=model, number=number, bucket="b", key=key, size=1, sha256=key, **columns
    )


def _call(version: Version, endpoint: Endpoint, **columns: Any) -> Invocation:
    return Invocation.objects.create(
        endpoint=endpoint, version=version, target_model="t", **columns
    )


@pytest.fixture
def filled(db: None) -> Endpoint:
    _version("secret-model")
    endpoint = Endpoint.objects.create(name="secret-endpoint", state=Endpoint.State.IN_SERVICE)
    gone = Endpoint.objects.create(name="gone", gone_at=endpoint.created_at)
    _call(_version("other"), gone, picture_name="secret-picture")
    return endpoint


def _page(client: Client) -> str:
    return html.unescape(client.get("/").content.decode())


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_who_has_no_role_sees_nothing_and_is_told_whom_to_ask(filled: Endpoint) -> None:
    page = _page(_client(User.objects.create_user("nobody")))
    for name in SECTIONS.values():
        assert name not in page
    assert "Ask an admin" in page
    for address in ("/models/", "/endpoints/", "/invoke/", "/activity/"):
        assert f'href="{address}' not in page


@pytest.mark.parametrize("permission", SECTIONS)
def test_each_section_needs_its_permission(filled: Endpoint, permission: str) -> None:
    user = User.objects.create_user("some")
    label, codename = permission.split(".")
    user.user_permissions.add(
        Permission.objects.get(content_type__app_label=label, codename=codename)
    )
    # To see everybody's calls is not yet to see calls.
    user.user_permissions.add(Permission.objects.get(codename="view_all_calls"))
    page = _page(_client(user))
    for needs, name in SECTIONS.items():
        assert (name in page) == (needs == permission)
    assert "Ask an admin" not in page


def test_an_endpoint_that_is_being_torn_down_says_so(
    filled: Endpoint, client_of: Callable[[str], Client]
) -> None:
    Endpoint.objects.filter(pk=filled.pk).update(wanted=Endpoint.Wanted.ABSENT)
    page = _page(client_of("viewer"))
    assert "Being torn down" in page
    assert ">InService<" not in page


def test_it_says_what_a_multi_model_endpoint_is_and_greets_nobody(
    client_of: Callable[[str], Client],
) -> None:
    page = _page(client_of("viewer"))
    assert "<h1>Today</h1>" in page
    assert "What is a multi-model endpoint?" in page
    words = ("Archive", "Validation", "Store", "Endpoint", "Answer")
    places = [page.index(f"<b>{word}</b>") for word in words]
    assert places == sorted(places)
    assert "welcome" not in page.lower()


# --- the calls of today ---------------------------------------------------------------------------


def test_calls_of_today_are_counted(filled: Endpoint) -> None:
    Invocation.objects.all().delete()
    version, done = _version("digits"), Invocation.State.DONE
    for latency, cold in ((30.0, True), (10.0, False), (20.0, False), (40.0, None)):
        _call(version, filled, state=done, latency_ms=latency, cold=cold)
    _call(version, filled, state=Invocation.State.FAILED, error="x")
    _call(version, filled)
    old = _call(version, filled, state=done, latency_ms=9999.0, cold=True)
    Invocation.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=1))
    assert calls_today() == Calls(all=6, failed=1, cold=1, p50_ms=20.0)


def test_today_begins_at_midnight_of_the_readers_zone(filled: Endpoint, time_machine: Any) -> None:
    Invocation.objects.all().delete()
    version = _version("digits")
    for at in ("2026-03-01T14:59:00+00:00", "2026-03-01T15:01:00+00:00"):
        call = _call(version, filled)
        Invocation.objects.filter(pk=call.pk).update(created_at=at)
    time_machine.move_to("2026-03-01T20:00:00+00:00", tick=False)
    with timezone.override("Asia/Seoul"):  # midnight there is 15:00 here
        assert calls_today().all == 1
    with timezone.override("UTC"):
        assert calls_today().all == 2


def test_a_day_without_calls_has_no_middle(db: None) -> None:
    assert calls_today() == Calls(all=0, failed=0, cold=0, p50_ms=None)


# --- what needs somebody --------------------------------------------------------------------------


def test_all_is_quiet_where_nothing_needs_anybody(client_of: Callable[[str], Client]) -> None:
    assert "All quiet" in _page(client_of("viewer"))


def test_rejected_versions_and_stopped_endpoints_are_listed(
    client_of: Callable[[str], Client],
) -> None:
    rejected = Version.State.REJECTED
    _version("cats", state=rejected, reason="It has no labels.")
    _version("dogs", state=rejected, reason="It is too large.")
    Endpoint.objects.create(name="demo", failure="AWS does not allow it.")
    page = _page(client_of("viewer"))
    assert "2 versions rejected" in page
    assert "1 endpoint needs a decision" in page
    assert "It has no labels." in page
    assert "AWS does not allow it." in page
    assert 'href="/models/cats/v1/"' in page
    assert "All quiet" not in page
    assert "dismiss" not in page.lower()  # a viewer changes nothing


def test_an_endpoint_that_was_changed_outside_is_listed(
    client_of: Callable[[str], Client],
) -> None:
    endpoint = Endpoint.objects.create(
        name="demo",
        state=Endpoint.State.IN_SERVICE,
        instance_type="ml.m5.large",
        config_in_use="demo-r1",
        running_count=3,
    )
    assert endpoint.changed_outside
    page = _page(client_of("viewer"))
    assert "1 endpoint changed outside the portal" in page
    assert "It runs on 3 × ml.m5.large; 1 × ml.m5.large was requested here." in page


def test_a_rejected_version_leaves_the_list_when_a_newer_one_was_uploaded(
    client_of: Callable[[str], Client],
) -> None:
    _version("cats", state=Version.State.REJECTED, reason="x")
    client = client_of("viewer")
    assert "1 version rejected" in _page(client)
    _version("cats", 2)
    assert "All quiet" in _page(client)


@pytest.mark.not_quick
def test_an_operator_dismisses_a_rejected_version_for_everybody(
    client_of: Callable[[str], Client],
) -> None:
    version = _version("cats", state=Version.State.REJECTED, reason="x")
    operator = client_of("operator")
    assert 'action="/models/cats/v1/dismiss/"' in _page(operator)
    for _ in range(2):  # it is idempotent
        assert operator.post("/models/cats/v1/dismiss/").status_code == 302
    assert "All quiet" in _page(client_of("viewer"))
    (event,) = Event.objects.filter(action="version.dismissed")
    assert event.actor_name == "operator-user"
    version.refresh_from_db()
    assert version.state == Version.State.REJECTED


@pytest.mark.not_quick
def test_a_dismissal_can_be_undone(client_of: Callable[[str], Client]) -> None:
    _version("cats", state=Version.State.REJECTED, reason="x")
    operator = client_of("operator")
    operator.post("/models/cats/v1/restore/")  # nothing was dismissed, so nothing happens
    page = operator.post("/models/cats/v1/dismiss/", follow=True).content.decode()
    assert "cats v1 is dismissed." in page
    assert 'action="/models/cats/v1/restore/"' in page
    for _ in range(2):  # it is idempotent
        assert operator.post("/models/cats/v1/restore/").status_code == 302
    viewer = client_of("viewer")
    assert "cats v1 was rejected." in _page(viewer)
    assert Event.objects.filter(action="version.restored").count() == 1
    operator.post("/models/cats/v1/dismiss/")
    assert "All quiet" in _page(viewer)


def test_a_version_that_was_not_rejected_cannot_be_dismissed(
    client_of: Callable[[str], Client],
) -> None:
    _version("cats", state=Version.State.READY)
    client_of("operator").post("/models/cats/v1/dismiss/")
    assert not Event.objects.filter(action="version.dismissed").exists()


def test_many_things_are_counted_and_few_shown(client_of: Callable[[str], Client]) -> None:
    for number in range(7):
        _version(f"model-{number}", state=Version.State.REJECTED, reason="x")
    page = _page(client_of("viewer"))
    needs = page[page.index('id="needs"') : page.index("All endpoints")]
    assert "7 versions rejected" in needs
    assert needs.count("was rejected.") == 5
    assert "See all" in needs


# --- the first steps ------------------------------------------------------------------------------


def _states(page: str) -> list[str]:
    _, found, rest = page.partition('id="first-steps"')
    return re.findall(r'data-state="(\w+)"', rest.partition("</ol>")[0]) if found else []


@pytest.fixture
def operator(user_in: Callable[[str], User]) -> User:
    return user_in("operator")


@pytest.mark.not_quick
def test_the_steps_follow_what_the_user_did_until_the_first_own_call(operator: User) -> None:
    client = _client(operator)
    assert _states(_page(client)) == ["todo"] * 4

    version = _version("digits", created_by=operator)
    page = _page(client)
    assert _states(page) == ["done", "todo", "todo", "todo"]
    assert "digits v1 is being validated." in page

    Version.objects.update(state=Version.State.READY)
    assert _states(_page(client)) == ["done", "done", "todo", "todo"]

    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    page = _page(client)
    assert _states(page) == ["done", "done", "done", "todo"]
    assert f'href="/invoke/?version={version.pk}"' in page

    call = _call(version, endpoint, created_by=operator, state=Invocation.State.FAILED)
    assert _states(_page(client)) == ["done", "done", "done", "todo"]
    Invocation.objects.filter(pk=call.pk).update(state=Invocation.State.DONE)
    assert _states(_page(client)) == []


def test_a_rejected_upload_leads_to_its_reason(operator: User) -> None:
    _version("digits", created_by=operator, state=Version.State.REJECTED, reason="x")
    page = _page(_client(operator))
    assert _states(page) == ["done", "todo", "todo", "todo"]
    assert "digits v1 was rejected." in page
    assert "See the reason" in page


@pytest.mark.not_quick
def test_archives_to_try_are_offered_until_something_was_uploaded(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "_slots", dict(panels._slots) | {"first-steps.try": []})
    panels.register(
        "first-steps.try",
        "invocations/_button.html",
        permission="models_catalog.add_version",
        context=lambda request: {"classes": "", "query": "", "text": "An archive to try"},
    )
    client = _client(operator)
    assert "An archive to try" in _page(client)
    _version("digits", created_by=operator)
    assert "An archive to try" not in _page(client)


def test_what_others_did_is_no_step_of_the_user(operator: User) -> None:
    other = User.objects.create_user("other")
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    theirs = _version("digits", created_by=other, state=Version.State.READY)
    _call(theirs, endpoint, created_by=operator, state=Invocation.State.DONE)
    assert _states(_page(_client(operator))) == ["todo", "todo", "done", "todo"]


@pytest.mark.not_quick
def test_the_steps_can_be_hidden_by_each_user(operator: User) -> None:
    client = _client(operator)
    assert client.post("/first-steps/hide/").status_code == 302
    page = _page(client)
    assert _states(page) == []
    assert 'action="/first-steps/show/"' in page  # Undo
    client.post("/first-steps/show/")
    assert len(_states(_page(client))) == 4
    client.post("/first-steps/hide/")
    client.force_login(User.objects.create_superuser("another"))  # in the same browser
    assert len(_states(_page(client))) == 4


@pytest.mark.not_quick
def test_who_may_not_upload_has_one_step_until_the_first_call(
    user_in: Callable[[str], User],
) -> None:
    viewer = user_in("viewer")
    client = _client(viewer)
    page = _page(client)
    assert _states(page) == ["todo"]
    assert "No endpoint is in service. Ask an operator to create one" in page
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    page = _page(client)
    assert "Your first call" in page
    assert 'href="/invoke/">Call a model</a>' in " ".join(page.split())
    version = _version("digits", state=Version.State.READY)
    _call(version, endpoint, created_by=viewer, state=Invocation.State.DONE)
    assert _states(_page(client)) == []
