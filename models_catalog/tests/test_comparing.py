"""Two versions beside each other: on the page and by the API."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from models_catalog import aliases
from models_catalog.tests.test_api_reading import V1, got, made, viewer

__all__ = ["viewer"]


def _report(labels: list[str], **layers: int) -> dict[str, Any]:
    return {
        "ok": True,
        "load_ms": 10.0 + len(labels),
        "memory_mb": 80,
        "artifact": {
            "labels": labels, "label_count": len(labels), "layers": layers,
            "outputs": [{"name": "softmax", "shape": [1, len(labels)]}],
        },
    }  # fmt: skip


@pytest.fixture
def two(viewer: Client) -> None:
    first = _report(["zero", "one", "two", "<b>"], Convolution=2, Pooling=1)
    second = _report(["zero", "two", "one", "three"], Convolution=3)
    made("digits", 1, report=first, metadata={"accuracy": 0.9}, parameters=10, note="First")
    made("digits", 2, report=second, metadata={"accuracy": 0.93, "seed": 1}, parameters=10)


@pytest.mark.usefixtures("two")
def test_what_differs_is_said(viewer: Client) -> None:
    found = got(viewer, "/models/digits/versions/1/comparison?other=digits:2")
    assert (found["one"]["number"], found["other"]["number"]) == (1, 2)
    facts = {fact.pop("name"): fact for fact in found["facts"]}
    assert facts["note"] == {"one": "First", "other": "", "differs": True}
    assert facts["parameters"] == {"one": 10, "other": 10, "differs": False}
    assert facts["load_ms"] == {"one": 14.0, "other": 14.0, "differs": False}
    assert facts["outputs"]["one"] == "softmax 1 × 4"
    assert [(one["name"], one["one"], one["other"]) for one in found["layers"]] == [
        ("Convolution", 2, 3), ("Pooling", 1, None),
    ]  # fmt: skip
    assert [(one["name"], one["one"], one["other"]) for one in found["metadata"]] == [
        ("accuracy", 0.9, 0.93), ("seed", None, 1),
    ]  # fmt: skip
    assert found["labels"] == {
        "added": ["three"],
        "removed": ["<b>"],
        "moved": [
            {"label": "one", "one": 1, "other": 2},
            {"label": "two", "one": 2, "other": 1},
        ],
    }


@pytest.mark.not_quick
@pytest.mark.usefixtures("two")
def test_the_other_one_is_a_reference_or_the_version_before(viewer: Client) -> None:
    made("cats")
    aliases.move(model="digits", name="live", number=1, actor=None)
    path = "/models/digits/versions/2/comparison"
    assert got(viewer, path)["other"] == {"model": "digits", "number": 1}
    assert got(viewer, f"{path}?other=digits@live")["other"]["number"] == 1
    assert got(viewer, f"{path}?other=cats")["other"] == {"model": "cats", "number": 1}
    for query, status in (("digits:7", 404), ("digits@", 422), ("digits:7@x", 422)):
        assert viewer.get(f"{V1}{path}?other={query}").status_code == status
    assert got(viewer, "/models/digits/versions/1/comparison")["other"]["number"] == 1  # live
    assert viewer.get(f"{V1}/models/digits/versions/9/comparison").status_code == 404
    refused = viewer.get(f"{V1}/models/digits/versions/1/comparison?other=digits:7")
    assert refused.status_code == 404
    assert refused.json()["detail"] == "There is no version to compare it with: digits:7."


@pytest.mark.not_quick
@pytest.mark.usefixtures("two")
def test_the_page_shows_both_and_leaves_out_what_is_alike(
    client_of: Callable[[str], Client],
) -> None:
    client = client_of("admin")
    url = "/models/digits/v2/compare/"
    assert f'href="{url}"' in client.get("/models/digits/v2/").content.decode()

    def rows(query: str = "") -> list[str]:
        page = client.get(url + query).content.decode()
        assert "<b>" not in page
        return [one.strip() for one in re.findall(r'<th scope="row">([^<]+)<', page)]

    assert {"Parameters", "Note", "accuracy", "Convolution"} <= set(rows())
    differing = rows("?with=digits:1&differ=1")
    assert {"Note", "accuracy", "Pooling"} <= set(differing)
    assert "Parameters" not in differing
    page = client.get(f"{url}?with=digits:1").content.decode()
    assert "What differs is bold." in page
    # Who does not see the page is told so of each.
    said = dict(re.findall(r'<th scope="row">([^<]+)<(/th|span)', page))
    told = {label.strip(): end == "span" for label, end in said.items()}
    assert (told["Note"], told["Parameters"]) == (True, False)
    assert page.index("v1</a></th>") < page.index("v2</a></th>")
    for label in ("three", "&lt;b&gt;", "one 1 → 2"):
        assert f"<span>{label}</span>" in page
    assert "There is no version digits:9." in client.get(f"{url}?with=digits:9").content.decode()
    assert "Write it as digits:2" in client.get(f"{url}?with=a@b@c").content.decode()
    assert client.get(f"{url}?with=%00").status_code == 200


@pytest.mark.not_quick
@pytest.mark.usefixtures("two")
def test_two_ticked_versions_lead_to_their_comparison(client_of: Callable[[str], Client]) -> None:
    client = client_of("admin")
    page = client.get("/models/digits/").content.decode()
    assert re.findall(r'name="version" value="(\d)" form="bulk"', page) == ["2", "1"]
    form = page[page.index('id="bulk"') : page.index("</form>", page.index('id="bulk"'))]
    assert 'method="get"' in form
    assert 'action="/models/digits/compare/"' in form
    assert "csrf" not in form

    def led(query: str) -> str:
        answer = client.get(f"/models/digits/compare/{query}")
        assert answer.status_code == 302
        return str(answer["Location"])

    assert led("?version=2&version=1") == "/models/digits/v2/compare/?with=digits%3A1"
    assert led("?version=2&version=2") == "/models/digits/v2/compare/"
    for query in ("", "?version=1&version=2&version=3", "?version=x", f"?version={10**20}"):
        assert led(query) == "/models/digits/"
    said = "Choose two versions to compare."
    assert said in client.get("/models/digits/compare/", follow=True).content.decode()


@pytest.mark.not_quick
def test_a_long_note_is_shown_by_its_beginning_and_whole_on_request(
    db: None, client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")
    note = "Learning rate 0.01 until epoch 30. " * 14
    made("digits", 1, note="Short.")
    made("digits", 2, note=note.strip())
    page = client.get("/models/digits/v1/compare/?with=digits:2").content.decode()
    assert re.search(r"<td[^>]*>\s*Short\.\s*</td>", page)
    folded = re.search(r'<details class="long">(.*?)</details>', page, re.S)
    assert folded
    summary, _, whole = folded[1].partition("</summary>")
    assert note[:100] in summary
    assert note[:200] not in summary
    assert note.strip() in whole
    version = client.get("/models/digits/v2/").content.decode()
    assert '<details class="long">' in version
