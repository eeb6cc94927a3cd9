"""Pages, styles and scripts are compressed, and nothing else; a page's length tells nothing."""

import gzip
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.rules.test_weight import MOST, all_of, loads

GZIP = {"Accept-Encoding": "gzip, deflate, br, zstd"}
_CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="(\w+)"')


@pytest.fixture
def client(client_of: Callable[[str], Client]) -> Client:
    return client_of("admin")


def _body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else bytes(response.content)


@pytest.mark.not_quick
def test_a_page_is_compressed_for_who_takes_it(client: Client) -> None:
    plain, packed = client.get("/"), client.get("/", headers=GZIP)
    assert not plain.has_header("Content-Encoding")
    assert packed.headers["Content-Encoding"] == "gzip"
    for response in (plain, packed):
        assert "Accept-Encoding" in response.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.content)
    assert b"</html>" in gzip.decompress(packed.content)
    assert len(packed.content) < len(plain.content) / 2
    refusing = client.get("/", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert not refusing.has_header("Content-Encoding")


@pytest.mark.not_quick
def test_two_answers_of_a_page_differ_in_the_token_and_in_length(client: Client) -> None:
    answers = [client.get("/preferences/", headers=GZIP).content for _ in range(12)]
    tokens = [_CSRF.search(gzip.decompress(answer)) for answer in answers]
    assert len({token[1] for token in tokens if token}) == len(answers)
    assert len({len(answer) for answer in answers}) > 3


@pytest.mark.parametrize("path", ["portal.css", "js/portal.js", "logo.svg"])
def test_a_static_file_is_compressed_and_known_by_its_date(path: str) -> None:
    client, url = Client(), f"/{settings.STATIC_URL.strip('/')}/{path}"
    plain = client.get(url)
    text = _body(plain)
    for _ in range(2):  # compressed, then as it was kept
        packed = client.get(url, headers=GZIP)
        sent = _body(packed)
        assert gzip.decompress(sent) == text
        assert packed.headers["Content-Encoding"] == "gzip"
        assert int(packed.headers["Content-Length"]) == len(sent)
        assert "ETag" not in packed.headers
        assert packed.headers["Cache-Control"] == plain.headers["Cache-Control"]
    since = packed.headers["Last-Modified"]
    assert client.get(url, headers=GZIP | {"If-Modified-Since": since}).status_code == 304


@pytest.mark.not_quick
def test_parts_heads_json_and_downloads_are_as_they_were(client: Client) -> None:
    url = f"/{settings.STATIC_URL.strip('/')}/portal.css"
    part = client.get(url, headers=GZIP | {"Range": "bytes=0-99"})
    assert (part.status_code, len(_body(part))) == (206, 100)
    for response in (
        part,
        client.head(url, headers=GZIP),
        client.head("/", headers=GZIP),
        client.get("/activity/export.csv", headers=GZIP),
        client.get("/api/v1/status", headers=GZIP),
    ):
        assert response.status_code in (200, 206)
        assert not response.has_header("Content-Encoding"), response


@pytest.mark.not_quick
def test_the_first_page_is_light_as_it_is_sent(client: Client) -> None:
    page = client.get("/", headers=GZIP)
    html = gzip.decompress(page.content).decode()
    urls = {url for one in loads(html) for url in all_of(one)}
    assert len(urls) > 4
    sent = {url: len(_body(Client().get(url, headers=GZIP))) for url in urls}
    assert len(page.content) + sum(sent.values()) < MOST / 2, sent
