"""The first page shows what its reader may see, in the words of the other pages."""

import html
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from endpoints.models import Endpoint
from invocations.models import Invocation
from models_catalog.models import RegisteredModel, Version

SECTIONS = {
    "endpoints.view_endpoint": "secret-endpoint",
    "models_catalog.view_model": "secret-model",
    "endpoints.invoke_endpoint": "secret-picture",
}


@pytest.fixture
def filled(db: None) -> Endpoint:
    RegisteredModel.objects.create(name="secret-model")
    endpoint = Endpoint.objects.create(name="secret-endpoint", state=Endpoint.State.IN_SERVICE)
    other = RegisteredModel.objects.create(name="other")
    Invocation.objects.create(
        endpoint=Endpoint.objects.create(name="gone", gone_at=endpoint.created_at),
        version=Version.objects.create(model=other, number=1, size=1),
        target_model="t",
        picture_name="secret-picture",
    )
    return endpoint


def _home(user: User) -> str:
    client = Client()
    client.force_login(user)
    return html.unescape(client.get("/").content.decode())


def test_who_has_no_role_sees_nothing_and_is_told_whom_to_ask(filled: Endpoint) -> None:
    page = _home(User.objects.create_user("nobody"))
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
    page = _home(user)
    for needs, name in SECTIONS.items():
        assert (name in page) == (needs == permission)
    assert "Ask an admin" not in page


def test_an_endpoint_that_is_being_torn_down_says_so(
    filled: Endpoint, user_in: Callable[[str], User]
) -> None:
    Endpoint.objects.filter(pk=filled.pk).update(wanted=Endpoint.Wanted.ABSENT)
    page = _home(user_in("viewer"))
    assert "Being torn down" in page
    assert ">InService<" not in page
