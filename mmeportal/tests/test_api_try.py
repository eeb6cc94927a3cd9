"""Swagger UI, /docs/api/try/, in a browser: under the policy, with a session and a token."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import Token
from mmeportal.api import document
from tests.bearer import secret_of
from tests.test_page_policies import _database_beside_playwright, _opened, browser

__all__ = ["_database_beside_playwright", "browser"]


def _load(page: Page, label: str = "Load Swagger UI") -> None:
    """Press the button that loads it."""
    page.get_by_role("button", name=label).click()


def _choose(page: Page, group: str) -> None:
    page.locator("#group").select_option(group)


def _run(page: Page, operation: str, body: str = "") -> Any:
    """Open an operation of the page and execute it; gives what the portal answers."""
    block = page.locator(f"[id$='-{operation}']")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    if body:
        block.locator("textarea").fill(body)
    with page.expect_response(lambda one: "/api/v1/" in one.url) as answered:
        block.get_by_role("button", name="Execute").click()
    block.locator(".opblock-summary-control").click()
    return answered.value


def test_a_link_leads_to_its_operation_and_the_page_calls_with_the_session_and_with_a_token(
    browser: Any, live_server: Any, transactional_db: None, user_in: Callable[[str], Any]
) -> None:
    """One test, as Swagger UI takes seconds to load."""
    user = user_in("operator")
    secret = secret_of(user, ["read"], name="pipeline")
    with _opened(browser, live_server.url, user) as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto("/docs/api/models/#versions_get")
        page.locator("#versions_get").get_by_role("link", name="Try it").click()
        _load(page)
        linked = page.locator("[id$='-versions_get']")
        expect(linked).to_be_in_viewport(timeout=60_000)
        expect(linked.get_by_role("button", name="Try it out")).to_be_in_viewport()

        assert page.locator(".opblock-tag").all_inner_texts() == ["models"]

        _choose(page, "tokens")
        me = _run(page, "me_get")
        assert (me.status, me.json()["token"]) == (200, None)
        made = _run(page, "tokens_create", '{"name": "tried", "scopes": ["read"]}')
        assert made.status == 201, made.text()
        assert Token.objects.filter(user=user, name="tried").exists()

        page.get_by_role("button", name="Authorize").first.click()
        page.locator("#auth-bearer-value").fill(secret)
        page.locator(".auth-btn-wrapper").first.get_by_role(
            "button", name="Apply credentials"
        ).click()
        page.get_by_role("button", name="Close").first.click()
        _choose(page, "site")  # the token is for all groups
        _choose(page, "tokens")
        assert _run(page, "me_get").json()["token"]["name"] == "pipeline"
        assert not faults


def test_nothing_is_loaded_unasked_and_what_fails_is_loaded_again(
    browser: Any, live_server: Any, transactional_db: None, user_in: Callable[[str], Any]
) -> None:
    with _opened(browser, live_server.url, user_in("viewer")) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        page.goto("/docs/api/try/")
        button = page.get_by_role("button", name="Load Swagger UI")
        expect(button).to_be_visible()
        assert not [url for url in asked if "/ninja/" in url or "openapi.json" in url]
        alert = page.locator("#swagger-ui [role=alert]")
        _choose(page, "tokens")
        for part in ("**/swagger-ui-bundle.js", "**/openapi.json*"):
            page.route(part, lambda route: route.abort())
            button.click()
            expect(alert).to_contain_text("could not be loaded")
            page.unroute(part)
        button.click()
        expect(page.locator("[id$='-me_get']")).to_be_visible(timeout=60_000)
        expect(page.locator("#swagger-ui")).to_have_count(0)


# The operations of each group, and the schemas that are named and not there.
_GROUPS = """async () => {
  whole = await documentOfAll();
  return [...choice.options].map(({value}) => {
    const {paths, components} = of(value);
    const text = JSON.stringify([paths, components]);
    const named = text.matchAll(/"#\\/components\\/schemas\\/([^"]+)"/g);
    const missing = [...named].map(([, name]) => name).filter((name) => !components.schemas[name]);
    return [Object.values(paths).flatMap(Object.values).map((one) => one.operationId), missing];
  });
}"""


def test_each_group_is_whole_and_each_operation_is_in_one(
    browser: Any, live_server: Any, transactional_db: None, user_in: Callable[[str], Any]
) -> None:
    with _opened(browser, live_server.url, user_in("viewer")) as context:
        page = context.new_page()
        page.goto("/docs/api/try/")
        *groups, (every, _) = found = page.evaluate(_GROUPS)
    assert not any(missing for _, missing in found)
    assert sorted(name for names, _ in groups for name in names) == sorted(every)
    assert all(0 < len(names) < len(every) / 2 for names, _ in groups)


def test_the_page_needs_a_log_in_and_has_its_files(client_of: Callable[[str], Client]) -> None:
    assert Client().get("/docs/api/try/").status_code == 302
    client = client_of("viewer")
    html = client.get("/docs/api/try/").content.decode()
    for name in ("ninja/swagger-ui.css", "ninja/swagger-ui-bundle.js", "js/api_try.js"):
        assert f"/static/{name}" in html
        assert finders.find(name)
        assert client.get(f"/static/{name}").status_code == 200
    assert 'data-document="/api/v1/openapi.json"' in html


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("language", "title", "document"),
    [
        ("en", "Try requests", "openapi.json"),
        ("ko", "요청 실행해 보기", "openapi.json?language=ko"),
    ],
)
def test_the_page_speaks_both_languages(
    client_of: Callable[[str], Client], language: str, title: str, document: str
) -> None:
    client = client_of("viewer")
    html = client.get("/docs/api/try/", headers={"Accept-Language": language}).content.decode()
    assert f"<h1>{title}</h1>" in html
    assert f'data-document="/api/v1/{document}"' in html
    assert f'href="/api/v1/{document.partition("?")[0]}"' in html
    assert client.get(f"/api/v1/{document}").status_code == 200


# Each text and label of the page, but code.
_TEXTS = """() => {
  const found = new Set();
  const walker = document.createTreeWalker(
    document.getElementById("api-docs"), NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.nodeType === Node.ELEMENT_NODE) {
      for (const label of ["title", "aria-label", "alt"]) {
        found.add(node.getAttribute(label) || "");
      }
    } else if (!node.parentElement.closest("pre, code, textarea, .opblock-summary-path")) {
      found.add(node.data.trim());
    }
  }
  return [...found];
}"""


def test_swagger_ui_speaks_korean(
    browser: Any, live_server: Any, transactional_db: None, user_in: Callable[[str], Any]
) -> None:
    described = json.loads(document("ko"))
    names = set(described["components"]["schemas"]) | {
        parameter["name"]
        for methods in described["paths"].values()
        for one in methods.values()
        for parameter in one.get("parameters", ())
    }
    texts: set[str] = set()
    with _opened(browser, live_server.url, user_in("operator")) as context:
        context.set_extra_http_headers({"Accept-Language": "ko"})
        page = context.new_page()
        page.goto("/docs/api/try/#/tokens/me_get")
        expect(page.locator("#group")).to_have_value("tokens")
        page.goto("/docs/api/try/")
        _load(page, "Swagger UI 불러오기")
        groups = {"me_get": "tokens", "aliases_put": "aliases", "invocations_create": "invocations"}
        for name, group in groups.items():
            _choose(page, group)
            operation = page.locator(f"[id$='-{name}']")
            operation.locator(".opblock-summary-control").click(timeout=60_000)
            operation.get_by_role("button", name="직접 실행").click()
            texts.update(page.evaluate(_TEXTS))
            if name == "me_get":
                operation.get_by_role("button", name="실행", exact=True).click()
                expect(operation.get_by_text("요청 URL")).to_be_visible()
                # What the portal answers is shown as it is.
                expect(operation.locator(".live-responses-table")).to_contain_text('"role"')
            for tab in operation.get_by_role("tab", name="스키마").all():
                tab.click()
            operation.get_by_role("button", name="모두 펼치기").first.click()
            texts.update(page.evaluate(_TEXTS))
        page.get_by_role("button", name="인증", exact=True).first.click()
        page.locator("#auth-bearer-value").fill("mme_none")
        texts.update(page.evaluate(_TEXTS))
        page.get_by_role("button", name="자격 증명 적용").first.click()
        expect(page.get_by_text("인증됨")).to_be_visible()
        texts.update(page.evaluate(_TEXTS))
        mark = page.locator(".parameter__name.required").first
        assert mark.evaluate("one => getComputedStyle(one, '::after').content") == '"필수"'
    assert {"응답", "≤ 500자", "예시 값"} <= texts
    english = re.compile(r"^[A-Z][a-z]+\b|[a-z]{3,} [a-z]{3,}")
    left = {
        text
        for text in texts - names
        if english.search(text) and not re.search("[가-힣]", text) and "/" not in text
    }
    assert not left, f"Name them in mmeportal/swagger_ui.py: {sorted(left)}"
