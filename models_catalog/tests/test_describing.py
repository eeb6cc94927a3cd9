"""What is said of a model: tags and owner, on the page and by the API alike; found by them."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import roles
from activity.models import Event
from models_catalog import describing, services, tags
from models_catalog.models import RegisteredModel
from models_catalog.tests.test_aliases import make_model
from models_catalog.tests.test_api_changing import code, operator, token_of
from models_catalog.tests.test_api_reading import V1, got, made

__all__ = ["operator", "token_of"]

DIGITS = f"{V1}/models/digits"


def patch(client: Client, path: str = DIGITS, *, etag: str = "", **body: Any) -> Any:
    sent = {"If-Match": etag} if etag else {}
    data = json.dumps(body)
    return client.patch(path, data, content_type="application/json", headers=sent)


def said() -> list[str]:
    """The sentences of the events about models, the oldest first."""
    return [str(one.sentence) for one in Event.objects.filter(subject_kind="model").order_by("pk")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["Vision"], ["vision"]),
        ([" two  words ", "TWO-WORDS"], ["two-words"]),
        (["손글씨", "\u1109\u1169\u11ab\u1100\u1173\u11af\u110a\u1175"], ["손글씨"]),
        (["ＶＩＳＩＯＮ", ""], ["vision"]),
        (["team:a/b", "v1.2"], ["team:a/b", "v1.2"]),
        ([], []),
    ],
)
def test_a_tag_has_one_spelling(given: list[str], kept: list[str]) -> None:
    assert tags.read(given) == kept
    assert tags.unframed(tags.framed(kept)) == kept


@pytest.mark.parametrize(
    "given",
    [["a,b"], ["-a"], ["a-"], ["<b>"], ["a\0b"], ['"'], ["x" * 41], [f"t{n}" for n in range(21)]],
)
def test_what_is_no_tag_is_refused(given: list[str]) -> None:
    with pytest.raises(ValidationError):
        tags.read(given)


@pytest.mark.not_quick
def test_the_api_changes_tags_and_owner_and_says_so(operator: Client, user_in: Any) -> None:
    kim = user_in(roles.VIEWER)
    made("digits")
    assert (got(operator, "/models/digits")["tags"], got(operator, "/models/digits")["owner"]) == (
        [],
        None,
    )
    answer = patch(operator, tags=["Old", "digits"])
    assert answer.status_code == 200, answer.content
    assert answer.json()["tags"] == ["digits", "old"]
    answer = patch(operator, add_tags=["손 글씨"], remove_tags=["OLD"], owner=kim.username)
    assert answer.json()["tags"] == ["digits", "손-글씨"]
    assert answer.json()["owner"] == kim.username
    assert patch(operator, add_tags=["digits"], owner=kim.username).status_code == 200
    patch(operator, tags=[])
    assert said() == [
        "Gave the model digits these tags: digits, old.",
        "Changed the tags of the model digits. Added: 손-글씨. Removed: old.",
        f"Changed the owner of the model digits from – to {kim.username}.",
        "Took these tags off the model digits: digits, 손-글씨.",
    ]


@pytest.mark.not_quick
def test_the_owner_is_who_made_it_until_one_is_named(operator: Client, user_in: Any) -> None:
    kim = user_in(roles.VIEWER)
    assert (
        operator.post(f"{V1}/models", {"name": "digits"}, content_type="application/json").json()[
            "owner"
        ]
        == "operator-user"
    )
    assert patch(operator, owner=kim.username).json()["owner"] == kim.username
    assert patch(operator, owner="").json()["owner"] == "operator-user"


@pytest.mark.not_quick
def test_nothing_is_changed_where_a_part_is_wrong(operator: Client, user_in: Any) -> None:
    gone = user_in(roles.VIEWER)
    gone.is_active = False
    gone.save()
    made("digits")
    answer = patch(operator, tags=["a b", "<script>"], owner=gone.username)
    assert code(answer) == (422, "invalid")
    assert set(answer.json()["errors"]) == {"tags", "owner"}
    assert code(patch(operator, tags=["good"], owner="nobody")) == (422, "invalid")
    assert got(operator, "/models/digits")["tags"] == []
    assert said() == []
    assert code(patch(operator, f"{V1}/models/none", tags=[])) == (404, "not-found")
    full = [f"t{n}" for n in range(20)]
    assert patch(operator, tags=full).status_code == 200
    assert code(patch(operator, add_tags=["one-more"])) == (422, "invalid")
    assert patch(operator, add_tags=["one-more"], remove_tags=["t0"]).status_code == 200


@pytest.mark.not_quick
def test_if_match_refuses_what_was_changed_meanwhile(operator: Client) -> None:
    made("digits")
    etag = operator.get(DIGITS).headers["ETag"]
    answer = patch(operator, etag=etag, tags=["one"])
    assert answer.status_code == 200
    assert code(patch(operator, etag=etag, tags=["two"])) == (412, "changed-meanwhile")
    assert patch(operator, etag=answer.headers["ETag"], tags=["two"]).json()["tags"] == ["two"]


def test_who_may_not_upload_may_not_describe(
    token_of: Callable[..., Client], client_of: Callable[[str], Client]
) -> None:
    made("digits")
    assert code(patch(token_of(roles.ADMIN, "read"), tags=["x"])) == (403, "scope-missing")
    assert code(patch(token_of(roles.OPERATOR, "read", "operate"), tags=["x"]))[0] == 403
    browser = client_of(roles.VIEWER)
    assert browser.post("/models/digits/describe/", {"tags": "x"}).status_code == 403
    page = browser.get("/models/digits/").content.decode()
    assert "/models/digits/describe/" not in page


@pytest.mark.not_quick
def test_models_are_found_by_tag_and_owner(
    operator: Client, client_of: Callable[[str], Client], user_in: Any
) -> None:
    kim = user_in(roles.VIEWER)
    for name in ("ant", "bee", "cat"):
        made(name)
    patch(operator, f"{V1}/models/ant", tags=["insect", "손글씨"])
    patch(operator, f"{V1}/models/bee", tags=["insects"], owner=kim.username)
    browser = client_of(roles.ADMIN)
    for query, by_page, names in (
        ("tag=insect", "tag=insect", "ant"),
        ("tag=Insect&tag=손글씨", "", "ant"),
        ("tag=insect&tag=insects", "", ""),
        (f"owner={kim.username}", f"owner={kim.username}", "bee"),
        ("owner=nobody", "", ""),
        ("search=글씨", "q=글씨", "ant"),
        (f"search={kim.username}", f"q={kim.username}", "bee"),
        ("search=insect", "q=insect", "ant bee"),
        ("tag=%25", "", ""),
    ):
        found = got(operator, f"/models?{query}&sort=name")["items"]
        assert " ".join(one["name"] for one in found) == names, query
        if by_page:
            page = browser.get(f"/models/?{by_page}").content.decode()
            shown = re.findall(r'<td class="name" title="([^"]+)"', page)
            assert " ".join(sorted(shown)) == names, by_page
    page = browser.get("/models/").content.decode()
    assert '<span class="badge plain">손글씨</span>' in page
    assert '<option value="insects">' in page
    first = browser.get("/models/?sort=-owner").content.decode()
    assert re.findall(r'<td class="name" title="([^"]+)"', first)[0] == "bee"


@pytest.mark.not_quick
def test_the_page_changes_them_and_says_who_was_faster(
    client_of: Callable[[str], Client], user_in: Any
) -> None:
    kim = user_in(roles.VIEWER)
    made("digits")
    browser = client_of(roles.OPERATOR)
    url = "/models/digits/describe/"
    page = browser.get(url).content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen
    sent = {"tags": "Vision, 손글씨,", "owner": kim.username, "seen": seen[1]}
    assert browser.post(url, sent).headers["Location"] == "/models/digits/"
    model = RegisteredModel.objects.get()
    assert (model.tags, model.owned_by) == (["vision", "손글씨"], kim.username)
    page = browser.get("/models/digits/").content.decode()
    assert "?tag=vision" in page
    assert f"?owner={kim.username}" in page
    late = browser.post(url, sent | {"tags": "mine"})
    assert late.status_code == 409
    body = late.content.decode()
    assert "Somebody else changed it" in body
    assert "vision, 손글씨" in body
    assert 'value="mine"' in body
    assert RegisteredModel.objects.get().tags == ["vision", "손글씨"]
    again = re.search(r'name="seen" value="(\w+)"', body)
    assert again
    wrong = browser.post(url, sent | {"tags": "<b>", "seen": again[1]})
    assert wrong.status_code == 422
    assert "&lt;b&gt;" in wrong.content.decode()
    assert browser.post(url, sent | {"tags": "mine", "seen": again[1]}).status_code == 302
    assert RegisteredModel.objects.get().tags == ["mine"]


TEXT = "# Digits\n\nReads **숫자**.\n\n<script>alert(1)</script>\n\n![x](https://elsewhere.example/x.png)"


@pytest.mark.not_quick
def test_a_description_is_markdown_on_the_page_and_text_in_the_list(
    operator: Client, client_of: Callable[[str], Client]
) -> None:
    made("digits")
    answer = patch(operator, description=TEXT)
    assert answer.json()["description"] == TEXT
    patch(operator, description=f"{TEXT}\n")  # the same
    browser = client_of(roles.ADMIN)
    page = browser.get("/models/digits/").content.decode()
    assert "<strong>숫자</strong>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<img src" not in page.partition('class="prose"')[2].partition("</div>")[0]
    assert '<a href="https://elsewhere.example/x.png"' in page
    row = browser.get("/models/?q=숫자").content.decode()
    assert 'title="Digits"' in row
    assert "# Digits" not in row
    assert [one["name"] for one in got(operator, "/models?search=숫자")["items"]] == ["digits"]
    patch(operator, description="")
    assert said() == [
        f"Changed the description of the model digits (0 characters before, {len(TEXT)} now).",
        f"Changed the description of the model digits ({len(TEXT)} characters before, 0 now).",
    ]


def test_a_description_is_limited(operator: Client, client_of: Callable[[str], Client]) -> None:
    made("digits")
    assert patch(operator, description="가" * 10_000).status_code == 200
    assert code(patch(operator, description="x" * 10_001)) == (422, "invalid")
    browser = client_of(roles.ADMIN)
    sent = {"description": "x" * 10_001, "tags": "", "owner": ""}
    answer = browser.post("/models/digits/describe/", sent)
    assert answer.status_code == 422
    assert "A description may have 10000 characters." in answer.content.decode()
    assert len(RegisteredModel.objects.get().description) == 10_000


def test_a_preview_shows_and_saves_nothing(client_of: Callable[[str], Client]) -> None:
    made("digits")
    browser = client_of(roles.ADMIN)
    sent = {"description": TEXT, "tags": "new", "owner": "", "preview": "1"}
    page = browser.post("/models/digits/describe/", sent).content.decode()
    assert "<strong>숫자</strong>" in page
    assert "<script>alert" not in page
    assert 'value="new"' in page
    model = RegisteredModel.objects.get()
    assert (model.description, model.tags) == ("", [])
    assert said() == []


def test_a_model_that_has_tags_can_be_deleted(token_of: Callable[..., Client]) -> None:
    admin = token_of(roles.ADMIN, "read", "upload", "admin")
    RegisteredModel.objects.create(name="digits")
    patch(admin, tags=["x"], owner="admin-user")
    assert admin.delete(DIGITS).status_code == 204


@pytest.mark.parametrize("page", ["", "v1/"])
def test_what_somebody_deletes_meanwhile_is_not_there(
    client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    make_model("gone", 1, state="rejected")
    change = describing.describe_version if page else describing.describe_model

    def late(**what: Any) -> Any:
        services.delete_model(name="gone", actor=None)
        return change(**what)

    monkeypatch.setattr(describing, change.__name__, late)
    answer = client_of("operator").post(f"/models/gone/{page}describe/", {"note": "x"})
    assert answer.status_code == 404
