"""Models are found by what is known of them, on the page and by the API alike."""

import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import roles
from endpoints.models import Endpoint
from invocations.models import Invocation
from models_catalog import aliases, finding
from models_catalog.models import LabelFile, RegisteredModel, Version
from models_catalog.tests.test_api_reading import V1, got, made, viewer

__all__ = ["viewer"]


@pytest.fixture
def zoo(viewer: Client, user_in: Any) -> None:
    """Three models that differ in all that one searches by; `cat` was called, `ant` long ago."""
    ann = user_in(roles.OPERATOR)
    endpoint = Endpoint.objects.create(name="demo")
    now = timezone.now()
    for size, (name, days) in enumerate({"bee": None, "ant": 40, "cat": 2}.items(), start=1):
        version = made(
            name, state=Version.State.READY, published_size=size, file_name=f"{name}.tar.gz",
            sha256=f"{size:x}" * 64, note=f"메모 {name}",
            created_by=ann if name == "bee" else None,
        )  # fmt: skip
        if days is not None:
            Invocation.objects.create(
                endpoint=endpoint, version=version, target_model="t", state="done",
                created_at=now - timedelta(days=days),
            )  # fmt: skip
    labels = {"bee": ["insect", "numbat"], "cat": ["고양이", "numbat"]}
    for name, of in labels.items():
        Version.objects.filter(model__name=name).update(label_file=LabelFile.of(of))
    made("cat", 2, state=Version.State.REJECTED)
    RegisteredModel.objects.create(name="empty", description="숫자를 분류합니다")
    aliases.move(model="ant", name="production", number=1, actor=None)


@pytest.mark.not_quick
@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=고양이", "cat"),
        ("search=numbat insect", "bee"),
        ("search=숫자", "empty"),
        ("search=메모 cat", "cat"),
        ("search=메모", "ant bee cat"),
        ("search=a.tar.gz", ""),
        ("search=bee.tar.gz", "bee"),
        ("search=production", "ant"),
        ("search=operator", "bee"),
        ("search=222222", "ant"),
        ("search=SHA-256: 333333", "cat"),
        ("search=nothing of this", ""),
        ("search=%25", ""),
        ("state=ready", "ant bee"),
        ("state=rejected", "cat"),
        ("state=none", "empty"),
        ("state=validating", ""),
        ("alias=production", "ant"),
        ("alias=live", ""),
        ("never_called=true", "bee empty"),
        ("called_in_days=7", "cat"),
        ("called_in_days=41", "ant cat"),
        ("called_in_days=41&search=ant", "ant"),
    ],
)
def test_models_are_found_by_what_is_known_of_them(
    viewer: Client, client_of: Callable[[str], Client], query: str, names: str
) -> None:
    found = got(viewer, f"/models?{query.replace(' ', '+')}&sort=name")
    assert " ".join(one["name"] for one in found["items"]) == names
    by_page = {"never_called=true": "called=never", "called_in_days=7": "called=7"}
    if "41" not in query and query != "alias=live":  # the page offers no such choice
        page = client_of(roles.ADMIN).get(
            f"/models/?{by_page.get(query, query.replace('search=', 'q='))}"
        )
        shown = re.findall(r'<td class="name" title="([^"]+)"', page.content.decode())
        assert " ".join(sorted(shown)) == names


@pytest.mark.not_quick
@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("sort", "names"), [("called", "cat ant empty bee"), ("size", "cat ant bee empty")]
)
def test_models_are_sorted_over_pages(viewer: Client, sort: str, names: str) -> None:
    found = got(viewer, f"/models?sort={sort}&limit=2")
    rest = got(viewer, f"/models?sort={sort}&limit=2&cursor={quote(found['next'])}")
    assert " ".join(one["name"] for one in found["items"] + rest["items"]) == names
    assert rest["next"] is None


@pytest.mark.not_quick
@pytest.mark.usefixtures("zoo", "remembering")
def test_a_list_says_alias_and_last_call_by_as_many_queries_for_any_number(
    viewer: Client, client_of: Callable[[str], Client]
) -> None:
    browser = client_of(roles.ADMIN)

    def counted(url: str) -> int:
        client = viewer if url.startswith(V1) else browser
        client.get(url)  # what is remembered is known then
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    shown = {one["name"]: one for one in got(viewer, "/models")["items"]}
    assert shown["ant"]["aliases"] == [{"name": "production", "number": 1}]
    assert shown["ant"]["last_call_at"] < shown["cat"]["last_call_at"]
    assert shown["bee"]["last_call_at"] is None
    before = [counted(url) for url in ("/models/", f"{V1}/models")]
    for number in range(60):
        made(f"m{number}", state=Version.State.READY)
        aliases.move(model=f"m{number}", name="live", number=1, actor=None)
    assert [counted(url) for url in ("/models/", f"{V1}/models")] == before
    assert before[0] <= 12
    page = browser.get("/models/?q=ant").content.decode()
    assert "production v1" in page


def test_labels_and_file_names_are_found_however_their_letters_are_composed(
    viewer: Client,
) -> None:
    """macOS decomposes: `기` is one character there, or two."""
    apart = unicodedata.normalize("NFD", "고양이")
    made("zoo", label_file=LabelFile.of([apart, "dog"]))
    made("named", file_name=f"{apart}.tar.gz")
    for text in ("고양이", apart):
        found = got(viewer, f"/models?search={quote(text)}")["items"]
        assert {one["name"] for one in found} == {"zoo", "named"}


def test_the_search_of_the_site_finds_models_by_tag_alias_and_owner(
    viewer: Client, user_in: Any
) -> None:
    ann = user_in(roles.OPERATOR)
    RegisteredModel.objects.create(name="tagged", tag_lines="\nann-arbor\n")
    RegisteredModel.objects.create(name="owned", owner=ann)
    RegisteredModel.objects.create(name="operator-net", created_by=None)
    assert [hit.label for hit in finding.models(ann, "arbor")] == ["tagged"]
    # Those that are named so come first.
    found = [hit.label for hit in finding.models(ann, ann.get_username()[:8])]
    assert found == ["operator-net", "owned"]
