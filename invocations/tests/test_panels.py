"""What other pages show of calls: buttons, the latest calls of an endpoint, the navigation."""

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from endpoints.models import Endpoint
from invocations.models import Invocation
from invocations.panels import SHOWN
from models_catalog.models import Version
from tests.html import one_line


@pytest.fixture
def called(serving: Endpoint, make_version: Callable[..., Version]) -> Callable[..., Invocation]:
    """Make a call of a version on the endpoint ``serving``."""
    version = make_version()

    def call(**values: Any) -> Invocation:
        default: dict[str, Any] = {
            "endpoint": serving,
            "version": version,
            "target_model": version.target_model,
            "state": Invocation.State.DONE,
            "picture_name": "three.png",
            "predictions": [{"label": "3", "probability": 0.75}],
            "latency_ms": 12.0,
            "cold": True,
        }
        return Invocation.objects.create(**default | values)

    return call


def _page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return html.unescape(one_line(answer))


def _only(*permissions: str) -> Client:
    """A client whose user has just these permissions."""
    user = User.objects.create_user("some")
    for name in permissions:
        label, codename = name.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=label, codename=codename)
        )
    client = Client()
    client.force_login(user)
    return client


def test_an_endpoints_page_shows_its_latest_calls(
    called: Callable[..., Invocation],
    serving: Endpoint,
    client_of: Callable[[str], Client],
) -> None:
    other = Endpoint.objects.create(name="other")
    called(endpoint=other, picture_name="of-another-endpoint.png")
    calls = [called(picture_name=f"{number}.png") for number in range(SHOWN + 1)]
    called(state=Invocation.State.FAILED, predictions=[], error="It failed.", cold=None)
    page = _page(client_of("viewer"), serving.get_absolute_url())
    assert "of-another-endpoint.png" not in page
    assert f'src="/calls/{calls[-1].pk}/thumbnail/"' in page
    assert f'href="{calls[-1].get_absolute_url()}">3</a>' in page
    for shown in ("75.0 %", "digits v1", "12 ms", "cold", "It failed."):
        assert shown in page
    assert page.count("/thumbnail/") == SHOWN
    assert "0.png" not in page, "the oldest are left out"


def test_an_endpoint_without_calls_says_so(
    serving: Endpoint, client_of: Callable[[str], Client]
) -> None:
    page = _page(client_of("viewer"), serving.get_absolute_url())
    assert "No model was called on this endpoint yet." in page


@pytest.mark.not_quick
def test_calls_and_buttons_are_for_who_may_invoke(
    called: Callable[..., Invocation], serving: Endpoint
) -> None:
    called()
    client = _only("endpoints.view_endpoint", "models_catalog.view_version")
    for address in (serving.get_absolute_url(), "/endpoints/", "/"):
        page = _page(client, address)
        assert "three.png" not in page
        assert "/invoke/" not in page


@pytest.mark.not_quick
def test_the_calls_of_a_page_cost_the_same_queries_however_many(
    called: Callable[..., Invocation], serving: Endpoint, client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            _page(client, serving.get_absolute_url())
        return len(captured)

    called()
    one = queries()
    for _ in range(20):
        called()
    assert queries() == one


@pytest.mark.parametrize("state", [Version.State.READY, Version.State.CHECKING])
def test_a_version_that_is_ready_can_be_invoked_from_its_page(
    make_version: Callable[..., Version], client_of: Callable[[str], Client], state: str
) -> None:
    version = make_version(state=state)
    page = _page(client_of("viewer"), version.get_absolute_url())
    assert (f"/invoke/?version={version.pk}" in page) == (state == Version.State.READY)


def test_a_models_page_offers_its_latest_version_that_is_ready(
    make_version: Callable[..., Version], client_of: Callable[[str], Client]
) -> None:
    ready = make_version()
    make_version(number=2, state=Version.State.REJECTED, reason="It is empty.")
    page = _page(client_of("viewer"), ready.model.get_absolute_url())
    assert f'href="/invoke/?version={ready.pk}"' in page
    assert "Call v1<" in page


@pytest.mark.not_quick
def test_an_endpoint_offers_calls_while_it_serves(
    serving: Endpoint, make_version: Callable[..., Version], client_of: Callable[[str], Client]
) -> None:
    version = make_version()
    client = client_of("viewer")
    button = f'href="/invoke/?endpoint={serving.pk}"'
    of_version = f'href="/invoke/?endpoint={serving.pk}&version={version.pk}"'
    page = _page(client, serving.get_absolute_url())
    assert button in page
    assert of_version in _page(client, f"{serving.get_absolute_url()}models/")
    assert button in _page(client, "/endpoints/")
    Endpoint.objects.filter(pk=serving.pk).update(wanted=Endpoint.Wanted.ABSENT)
    page = _page(client, serving.get_absolute_url())
    assert "/invoke/?" not in page


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("/models/", "Models"),
        ("/endpoints/", "Endpoints"),
        ("/invoke/", "Call a model"),
        ("/activity/", "Activity"),
    ],
)
def test_the_navigation_marks_the_page_that_is_shown(
    db: None, client_of: Callable[[str], Client], address: str, label: str
) -> None:
    page = _page(client_of("viewer"), address)
    navigation = page.partition('aria-label="Main"')[2].partition("</nav>")[0]
    links = navigation.split("<a ")[1:]
    assert [link.rpartition("</a>")[0].rpartition(">")[2].strip() for link in links] == [
        "Models",
        "Endpoints",
        "Call a model",
        "Activity",
    ]
    assert [link for link in links if "aria-current" in link] == [
        link for link in links if f'href="{address}"' in link
    ]
