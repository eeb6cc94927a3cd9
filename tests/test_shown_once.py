"""A page that shows a new secret once: a reload makes no other one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from accounts.models import Token
from notices.models import Webhook
from tests.test_living_pages import _database_beside_playwright, open_page

__all__ = ["_database_beside_playwright"]


@pytest.fixture
def page(browser: Browser, live_server: Any, user_in: Callable[[str], User]) -> Iterator[Page]:
    yield from open_page(browser, live_server, user_in("admin"))


def test_a_reload_makes_no_other_token(page: Page) -> None:
    page.goto("/tokens/")
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create the token").click()
    expect(page.locator("#token")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Create the token")).to_be_visible()
    assert Token.objects.filter(name="laptop").count() == 1


def test_a_reload_makes_no_other_webhook_and_no_other_secret(page: Page) -> None:
    page.goto("/webhooks/new/")
    page.get_by_label("Address").fill("https://example.com/hook")
    page.get_by_label("A version is ready").check()
    page.get_by_role("button", name="Make the webhook").click()
    expect(page.locator("#secret")).to_be_visible()
    page.reload()
    made = Webhook.objects.get()
    page.wait_for_url(f"**{made.get_absolute_url()}")


def test_a_reload_makes_no_other_link(page: Page) -> None:
    page.goto("/people/invite/")
    page.get_by_label("User name").fill("ann")
    page.get_by_role("button", name="Create the account and the link").click()
    expect(page.locator("#link")).to_be_visible()
    page.reload()
    ann = User.objects.get(username="ann")
    page.wait_for_url(f"**/people/{ann.pk}/")
