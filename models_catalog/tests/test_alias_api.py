"""The operations of aliases: what they answer, and what they ask of a token."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from models_catalog.models import Alias
from models_catalog.tests.test_aliases import make_model, point
from tests.bearer import secret_of

LIST = "/api/v1/models/digits/aliases"
LIVE = f"{LIST}/live"


@pytest.fixture(autouse=True)
def _no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models_catalog.alias_mirror.enqueue_on_commit", lambda *_: None)


@pytest.fixture
def api(user_in: Callable[[str], Any]) -> Callable[..., Client]:
    """A client with a token of an operator, with these scopes."""
    user = user_in("operator")

    def make(*scopes: str) -> Client:
        secret = secret_of(user, list(scopes))
        return Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})

    return make


def _put(client: Client, number: int, path: str = LIVE, **more: Any) -> Any:
    headers = {"If-Match": more.pop("match")} if "match" in more else {}
    body = {"number": number, **more}
    return client.put(path, body, content_type="application/json", headers=headers)


@pytest.mark.not_quick
@pytest.mark.django_db
def test_an_alias_is_made_moved_rolled_back_and_deleted(api: Callable[..., Client]) -> None:
    make_model()
    client = api("read", "upload")
    assert client.get(LIVE).status_code == 404
    assert _put(client, 1).status_code == 201
    answer = _put(client, 2, reason="Better.")
    assert answer.status_code == 200
    found = client.get(LIVE)
    assert found.headers["ETag"] == answer.headers["ETag"]
    shown = found.json()
    assert shown.pop("moved_at")
    assert shown == {
        "model": "digits",
        "name": "live",
        "number": 2,
        "target_model": "digits_v2.tar.gz",
        "protected": False,
        "moved_by": "operator-user",
        "reason": "Better.",
        "back_to": 1,
    }
    back = client.post(f"{LIVE}/rollback", {}, content_type="application/json")
    assert (back.status_code, back.json()["number"]) == (200, 1)
    again = client.post(f"{LIVE}/rollback", {}, content_type="application/json")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert client.delete(LIVE).status_code == 204
    assert client.delete(LIVE).status_code == 404
    assert client.get(LIST).json() == {"items": [], "next": None}
    kinds = [line["kind"] for line in client.get(f"{LIVE}/history").json()["items"]]
    assert kinds == ["removed", "rolled_back", "moved", "made"]
    assert client.get(f"{LIST}/never/history").status_code == 404


@pytest.mark.not_quick
@pytest.mark.django_db
def test_if_match_holds_a_move_to_what_was_read(api: Callable[..., Client]) -> None:
    make_model()
    client = api("read", "upload")
    assert _put(client, 1, match="*").status_code == 412  # there is none
    _put(client, 1)
    tag = client.get(LIVE).headers["ETag"]
    assert _put(client, 2, match=tag).status_code == 200
    assert _put(client, 2, match=tag).status_code == 200  # its repetition, after a lost answer
    late = _put(client, 3, match=tag)
    assert (late.status_code, late.json()["type"]) == (412, "/problems/changed-meanwhile")
    assert "digits v2 now" in late.json()["detail"]
    assert client.delete(LIVE, headers={"If-Match": tag}).status_code == 412
    body = {"content_type": "application/json", "headers": {"If-Match": tag}}
    assert client.post(f"{LIVE}/rollback", {}, **body).status_code == 412
    assert _put(client, 3, match="*").status_code == 200


@pytest.mark.django_db
def test_what_cannot_be_is_explained(api: Callable[..., Client]) -> None:
    make_model()
    client = api("read", "upload")
    missing = _put(client, 9)
    assert missing.status_code == 422
    assert "no version 9" in missing.json()["errors"]["number"][0]
    wrong = _put(client, 1, f"{LIST}/v3")
    assert "must not look like" in wrong.json()["errors"]["alias"][0]
    assert _put(client, 1, "/api/v1/models/cats/aliases/live").status_code == 404
    for path, named in (
        ("/api/v1/models/cats/aliases", "There is no model cats."),
        ("/api/v1/models/cats/aliases/live/history", "There is no model cats."),
        (f"{LIST}/never", "The model digits has no alias never."),
        (f"{LIST}/never/history", "The model digits has no alias never."),
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        assert named in answer.json()["detail"]


@pytest.mark.django_db
def test_a_protected_alias_takes_a_token_that_operates_and_a_reason(
    api: Callable[..., Client], settings: Any
) -> None:
    make_model()
    settings.PROTECTED_ALIASES = ["production"]
    path = f"{LIST}/production"
    uploads, operates = api("read", "upload"), api("read", "upload", "operate")
    refused = _put(uploads, 1, path, reason="Why not.")
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/scope-missing")
    silent = _put(operates, 1, path)
    assert "say why" in silent.json()["errors"]["reason"][0]
    assert _put(operates, 1, path, reason="The first.").json()["protected"] is True
    assert uploads.delete(f"{path}?reason=Gone").status_code == 403
    assert operates.delete(path).status_code == 422
    assert operates.delete(f"{path}?reason=Gone").status_code == 204


@pytest.mark.django_db
def test_a_token_that_reads_moves_nothing(api: Callable[..., Client]) -> None:
    make_model()
    assert _put(api("read"), 1).status_code == 403
    assert not Alias.objects.exists()


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_ten_programs_at_once_each_get_a_true_answer(api: Callable[..., Client]) -> None:
    make_model(versions=11)
    point(11)
    client = api("read", "upload")
    tag = client.get(LIVE).headers["ETag"]
    begin = threading.Barrier(10)

    def try_it(number: int) -> int:
        begin.wait()
        try:
            return int(_put(client, number, match=tag).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        said = list(threads.map(try_it, range(1, 11)))
    assert Counter(said) == {200: 1, 412: 9}
    assert said[Alias.objects.get().version.number - 1] == 200


@pytest.mark.django_db
def test_aliases_by_name_are_in_the_order_in_which_people_count(
    api: Callable[..., Client],
) -> None:
    make_model()
    client = api("read", "upload")
    for number in (10, 2, 1):
        assert _put(client, 1, path=f"{LIST}/site-{number}").status_code == 201
    first = client.get(LIST, {"limit": 2}).json()
    second = client.get(LIST, {"limit": 2, "cursor": first["next"]}).json()
    names = [one["name"] for one in (*first["items"], *second["items"])]
    assert names == ["site-1", "site-2", "site-10"]
