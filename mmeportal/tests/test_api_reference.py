"""The reference of the API, /docs/api/ and a page for each tag: all that its document says."""

import gzip
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from playwright.sync_api import expect

from accounts import roles
from core.api.operations import OPERATIONS
from mmeportal import api_reference
from mmeportal.api import document
from mmeportal.api_reference import reference
from tests.rules.test_weight import MOST, all_of, file_of, loads, size, size_of
from tests.test_page_policies import _database_beside_playwright, _opened, browser

__all__ = ["_database_beside_playwright", "browser"]

_TAG = re.compile(r"<[^>]+>")
languages = pytest.mark.parametrize("language", ["en", "ko"])


def _document(language: str = "en") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document(language))
    return found


def _operations(language: str = "en") -> list[tuple[str, str, dict[str, Any]]]:
    """The method, the path and what is said of each operation of the document."""
    return [
        (method.upper(), path, said)
        for path, methods in _document(language)["paths"].items()
        for method, said in methods.items()
    ]


def _tags() -> list[str]:
    return list(dict.fromkeys(said["tags"][0] for _method, _path, said in _operations()))


def _html(client: Client, path: str, language: str = "en") -> str:
    answer = client.get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200, path
    return answer.content.decode().replace("<wbr>", "")  # where a path may be broken


def _text(html: str) -> str:
    """What one reads, with one blank between words."""
    return " ".join(unescape(_TAG.sub(" ", html)).split())


def _told(sentences: str) -> str:
    """A text of the document as the page shows it: backticks mark code, which is set apart."""
    return " ".join(sentences.replace("`", " ").split())


def _part(html: str, anchor: str) -> str:
    """The fold in which an anchor stands, with its summary."""
    before, _, after = html.partition(f'id="{anchor}"')
    assert after, f"#{anchor} is not on the page."
    opened = before.rpartition('<details class="operation">')[2]
    return opened + after.partition('<details class="operation">')[0]


@pytest.mark.not_quick
@languages
def test_every_operation_is_listed_and_leads_to_its_page(
    client_of: Callable[[str], Client], language: str
) -> None:
    html = _html(client_of("viewer"), "/docs/api/", language)
    listed = re.findall(
        r'<li id="/(\S+)/(\S+)">\s*<a href="([^"]+)">\s*<span class="method" data-method="(\w+)">'
        r"\4</span>\s*<code>([^<]+)</code>\s*<span class=\"told\">(.*?)</span>\s*</a>",
        html,
    )
    expected = [
        (
            tag := said["tags"][0],
            said["operationId"],
            f"/docs/api/{tag}/#{said['operationId']}",
            method,
            path,
            _told(said["summary"]),
        )
        for method, path, said in _operations(language)
    ]
    found = [(*one[:5], _text(one[5])) for one in listed]
    squeezed = [(*one[:5], re.sub(r"\s", "", one[5])) for one in found]
    assert sorted(squeezed) == sorted((*one[:5], re.sub(r"\s", "", one[5])) for one in expected)


@pytest.mark.not_quick
@languages
def test_the_page_of_a_tag_says_all_that_the_document_says(
    client_of: Callable[[str], Client], language: str
) -> None:
    client = client_of("viewer")
    pages = {tag: _html(client, f"/docs/api/{tag}/", language) for tag in _tags()}
    schemas = _document(language)["components"]["schemas"]
    for method, path, said in _operations(language):
        id = said["operationId"]
        part = _part(pages[said["tags"][0]], id)
        text = re.sub(r"\s", "", _text(part))
        assert f'data-method="{method}">{method}</span>' in part, id
        assert f"<h3><code>{path}</code></h3>" in part, id
        expected = [said["summary"], said["description"]]
        for parameter in said["parameters"]:
            assert f"<code>{parameter['name']}</code>" in part, f"{id}: {parameter['name']}"
            expected.append(parameter.get("description", ""))
        for content in said.get("requestBody", {}).get("content", {}).values():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            for field, one in schemas.get(name, {}).get("properties", {}).items():
                assert f"<code>{field}</code>" in part, f"{id}: {field}"
                expected.append(one.get("description", ""))
        for status, answer in said["responses"].items():
            assert f"<code>{status}</code>" in part, f"{id}: {status}"
            expected.append(answer["description"])
            for content in answer.get("content", {}).values():
                if "example" in content:
                    shown = json.dumps(content["example"], indent=2, ensure_ascii=False)
                    assert shown in unescape(part), f"{id}: the example of {status}"
        missing = [one for one in expected if re.sub(r"[\s`]", "", one) not in text]
        assert not missing, f"{id} does not say {missing}"


@pytest.mark.not_quick
@languages
def test_every_schema_that_a_page_names_stands_on_it(
    client_of: Callable[[str], Client], language: str
) -> None:
    client, schemas = client_of("viewer"), _document(language)["components"]["schemas"]
    seen = set()
    for tag in _tags():
        html = _html(client, f"/docs/api/{tag}/", language)
        links = set(re.findall(r'href="#(schema-[^"]+)"', html))
        assert links, tag
        for anchor in links:
            part = _part(html, anchor)
            assert html.count(f'id="{anchor}"') == 1
            [(name, schema)] = [
                one for one in schemas.items() if f"schema-{one[0].strip('_')}" == anchor
            ]
            assert f"<code>{schema['title']}</code>" in part
            for field in schema.get("properties", {}):
                assert f"<code>{field}</code>" in part, f"{name}.{field}"
            seen.add(name)
    bodies = {
        content["schema"]["$ref"].rpartition("/")[2]
        for _method, _path, said in _operations()
        for content in said.get("requestBody", {}).get("content", {}).values()
        if "$ref" in content["schema"]
    }
    named = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', document().decode()))
    assert seen | bodies == named  # the fields of a body stand with its operation


@pytest.mark.not_quick
def test_korean_is_korean(client_of: Callable[[str], Client]) -> None:
    client = client_of("viewer")
    paths = ["/docs/api/", *(f"/docs/api/{tag}/" for tag in _tags())]
    for path in paths:
        html = _html(client, path, "ko")
        main = html.partition("<main")[2].partition("</main>")[0]
        code = re.sub(r"(?s)<(code|pre)\b[^>]*>.*?</\1>", " ", main)
        english = {
            text
            for text in (one.strip() for one in re.split(r"<[^>]+>", code))
            if re.search(r"[a-z]{3,} [a-z]{3,}", text) and not re.search("[가-힣]", text)
        }
        assert not english, path
    assert "<h1>모델과 버전</h1>" in _html(client, "/docs/api/models/", "ko")
    assert "<h1>Models</h1>" in _html(client, "/docs/api/models/", "en")


@pytest.mark.not_quick
@pytest.mark.parametrize("tag", ["", *_tags()])
@languages
def test_a_page_is_light(client_of: Callable[[str], Client], language: str, tag: str) -> None:
    html = _html(client_of("viewer"), f"/docs/api/{tag}/" if tag else "/docs/api/", language)
    files = {url: file for one in loads(html) for url, file in all_of(one).items()}
    assert not [url for url in files if "swagger" in url]
    total = size(html.encode()) + sum(size_of(file) for file in files.values())
    assert 20_000 < total < MOST


@pytest.mark.not_quick
def test_the_button_says_what_it_loads(client_of: Callable[[str], Client]) -> None:
    client = client_of("viewer")
    html = _html(client, "/docs/api/try/")
    loaded = re.findall(r'data-(?:style|script)="([^"]+)"', html)
    assert len(loaded) == 2
    total = sum(size_of(file_of(url)) for url in loaded)
    document = client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "br, gzip"})
    assert document.headers["Content-Encoding"] == "gzip"
    total += len(document.content)
    said = re.search(r"Load Swagger UI \(([\d.]+) MB\)", html)
    assert said is not None
    assert float(said[1]) == pytest.approx(total / 1e6, abs=0.05)


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("language", "query", "operations"),
    [
        ("en", "describe models", {"models_describe"}),
        ("en", "PATCH /api/v1/models/{name}/versions", {"versions_describe"}),
        ("en", "idle_hours", {"endpoints_create", "endpoints_preview", "endpoints_set_idle"}),
        ("ko", "모델 하나", {"models_get"}),
        ("ko", "one model.", {"models_get"}),
        ("en", "<script>", set()),
        ("en", "no\0such", set()),
    ],
)
def test_the_filter_finds_by_name_path_and_word(
    client_of: Callable[[str], Client], language: str, query: str, operations: set[str]
) -> None:
    client = client_of("viewer")
    answer = client.get("/docs/api/", {"q": query}, headers={"Accept-Language": language})
    html = answer.content.decode()
    found = set(re.findall(r'<li id="/\w+/(\w+)">', html))
    assert operations <= found
    assert len(found) < len(OPERATIONS) / 4
    assert "<script>" not in html.partition("<main")[2]
    if not operations:
        assert not found
        assert "No operation is like this" in html


def test_scopes_and_roles_are_those_of_the_operations() -> None:
    listed = {one.id: one for tag in reference("en").values() for one in tag.operations}
    assert listed.keys() == OPERATIONS.keys()
    for id, rules in OPERATIONS.items():
        one = listed[id]
        assert one.scope == str(rules.scope or "")
        allowed = [
            role
            for role in roles.ALL
            if rules.permission and rules.permission in roles.permissions_of(role)
        ]
        assert list(one.roles) == allowed
        assert bool(allowed) == bool(rules.permission)


def test_the_examples_send_what_the_operation_takes() -> None:
    listed = {one.id: one for tag in reference("en").values() for one in tag.operations}
    for method, path, said in _operations():
        one = listed[said["operationId"]]
        address = re.sub(r"{(\w+)}", lambda match: match[1].upper(), path)
        assert f'"$MME_URL{address}' in one.curl
        if method not in {"GET", "HEAD"}:
            assert f"-X {method}" in one.curl
        assert ("$MME_TOKEN" in one.curl) == ("x-scope" in said)
        body = said.get("requestBody", {}).get("content", {})
        assert ("-d " in one.curl) == ("application/json" in body)
        assert ("--data-binary" in one.curl) == bool(body and "application/json" not in body)
    known = {
        said["operationId"]: {parameter["name"] for parameter in said["parameters"]}
        for _method, _path, said in _operations()
    }
    for needed in (api_reference.HEADERS, api_reference.PARAMETERS):
        for id, values in needed.items():
            assert values.keys() <= known[id], id
            assert all(name in listed[id].curl for name in values), id


def test_types_and_limits_are_told() -> None:
    fields = {field.name: field for field in _one("versions_list").parameters}
    assert (fields["limit"].kind, fields["limit"].limits) == ("integer", ("1 – 200", "default 50"))
    body = {field.name: field for field in _one("models_create").body_fields}
    assert body["name"].required
    assert body["name"].limits == ("length ≤ 63",)
    assert not body["description"].required
    endpoint = {field.name: field for field in _one("endpoints_create").body_fields}
    assert endpoint["options"].kind == '<a href="#schema-OptionsIn">OptionsIn</a> | null'
    assert endpoint["preset"].kind == "&quot;try&quot; | &quot;production&quot; | null"
    weights = {field.name: field for field in _one("endpoints_weigh").body_fields}
    assert (weights["weights"].kind, weights["weights"].limits) == (
        "{name: number}",
        ("1 – 10 names",),
    )
    [answer] = _one("tokens_list").answers
    [content] = answer.contents
    assert content.kind == '<a href="#schema-Page_TokenOut">Page[TokenOut]</a>'


def _one(id: str) -> api_reference.OperationEntry:
    return next(one for tag in reference("en").values() for one in tag.operations if one.id == id)


def test_the_language_of_a_request_does_not_change_what_is_kept() -> None:
    with translation.override("ko"):
        korean = reference("ko")["models"].title
    assert (korean, reference("en")["models"].title) == ("모델과 버전", "Models")


def test_no_page_is_there_for_another_tag(client_of: Callable[[str], Client]) -> None:
    assert client_of("viewer").get("/docs/api/no-such-tag/").status_code == 404
    assert Client().get("/docs/api/models/").status_code == 302


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False])
def test_a_link_opens_its_operation(
    browser: Any, live_server: Any, transactional_db: None, user_in: Any, script: bool
) -> None:
    with _opened(
        browser, live_server.url, user_in("viewer"), java_script_enabled=script
    ) as context:
        page = context.new_page()
        page.goto("/docs/api/models/")
        expect(page.locator("#versions_get")).to_be_hidden()
        page.goto("/docs/api/models/#versions_get")
        expect(page.locator("#versions_get")).to_be_visible()
        expect(page.locator("#versions_list")).to_be_hidden()
        page.locator("#versions_get").get_by_role("link", name="VersionDetailOut").click()
        expect(page.locator("#schema-VersionDetailOut")).to_be_visible()
        # As Swagger UI named it when it was at this address.
        page.goto("/docs/api/#/models/versions_get")
        if script:
            page.wait_for_url("**/docs/api/models/#versions_get")
            expect(page.locator("#versions_get")).to_be_visible()
        else:
            link = page.locator(":target a")
            expect(link).to_be_in_viewport()
            link.click()
            expect(page.locator("#versions_get")).to_be_visible()


@pytest.mark.browser
def test_the_filter_answers_as_one_types_and_all_can_be_unfolded(
    browser: Any, live_server: Any, transactional_db: None, user_in: Any
) -> None:
    with _opened(browser, live_server.url, user_in("viewer")) as context:
        page = context.new_page()
        told: list[str] = []
        page.on("console", lambda one: told.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto("/docs/api/")
        page.get_by_role("searchbox").first.press_sequentially("tokens_create")
        expect(page.locator("#operations li")).to_have_count(1)
        expect(page.locator("#operations-count")).to_have_text(re.compile(r"^\s*1 operation\s*$"))
        assert page.url.endswith("?q=tokens_create")
        page.locator("#operations li a").click()
        expect(page.locator("#tokens_create")).to_be_visible()
        page.get_by_role("button", name="Unfold all").click()
        expect(page.locator("details.operation:not([open])")).to_have_count(0)
        page.get_by_role("button", name="Fold all", exact=True).click()
        expect(page.locator("details.operation[open]")).to_have_count(0)
        assert page.evaluate("window.violations") == []
        assert told == []


@pytest.mark.browser
def test_all_is_unfolded_on_paper(
    browser: Any, live_server: Any, transactional_db: None, user_in: Any
) -> None:
    with _opened(browser, live_server.url, user_in("viewer")) as context:
        page = context.new_page()
        page.goto("/docs/api/tokens/")
        assert page.locator("#tokens_create").is_hidden()
        page.emulate_media(media="print")
        assert page.locator("#tokens_create").is_visible()
        assert page.locator("#schema-TokenOut").is_visible()


@pytest.mark.not_quick
def test_a_page_is_sent_compressed(client_of: Callable[[str], Client]) -> None:
    answer = client_of("viewer").get("/docs/api/endpoints/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.content) < MOST
    assert b"endpoints_create" in gzip.decompress(answer.content)
