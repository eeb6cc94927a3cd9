"""``mme alias`` and ``Portal.aliases``: against a portal that answers what the real one does."""

import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem
from mme_client import Portal, ProblemError

Mme = Callable[..., Ran]
ALIAS = EXAMPLES["aliases_get"]["200"]
LIST = EXAMPLES["aliases_list"]["200"]
HISTORY = EXAMPLES["aliases_history"]["200"]


def _path(fake: FakePortal) -> list[str]:
    return [f"{one.method} {one.target.removeprefix('/api/v1')}" for one in fake.requests]


def test_an_alias_is_pointed_at_a_version(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ALIAS | {"number": 2})]
    ran = mme("alias", "digits@production", "2", "--reason", "Why", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{ALIAS['model']}@{ALIAS['name']} is {ALIAS['model']}:2, since ")
    assert _path(fake) == ["PUT /models/digits/aliases/production"]
    assert json.loads(fake.requests[0].body) == {"number": 2, "reason": "Why"}
    assert "If-Match" not in fake.requests[0].headers
    assert mme("alias", "digits@production", "2", "--quiet").out == "2\n"
    assert json.loads(mme("alias", "digits@production", "--json").out) == ALIAS | {"number": 2}


def test_if_now_sends_what_was_seen(mme: Mme, fake: FakePortal) -> None:
    seen = Says(document=ALIAS | {"number": 1}, headers={"ETag": '"one"'})
    fake.answers = [seen, problem("changed-meanwhile", 412)]
    ran = mme("alias", "digits@live", "2", "--if-now", "1", url=fake.url, token="t")
    assert ran.code == 1
    assert "changed-meanwhile" in ran.err
    assert fake.requests[1].headers["If-Match"] == '"one"'
    fake.requests.clear()
    fake.answers = [seen]
    assert mme("alias", "digits@live", "2", "--if-now", "7").code == 2
    assert _path(fake) == ["GET /models/digits/aliases/live"]


@pytest.mark.not_quick
def test_it_is_rolled_back_removed_and_listed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ALIAS)]
    assert mme("alias", "digits@live", "--rollback", url=fake.url, token="t").code == 0
    fake.answers = [Says(204)]
    assert mme("alias", "digits@live", "--remove", "--reason", "old").code == 0
    fake.answers = [Says(document=LIST)]
    assert LIST["items"][0]["name"] in mme("alias", "digits").out
    assert json.loads(mme("alias", "digits", "--json").out) == LIST
    fake.answers = [Says(document=HISTORY)]
    assert HISTORY["items"][0]["reason"] in mme("alias", "digits@live", "--history").out
    assert json.loads(mme("alias", "digits@live", "--history", "--json").out) == HISTORY
    assert _path(fake) == [
        "POST /models/digits/aliases/live/rollback",
        "DELETE /models/digits/aliases/live?reason=old",
        *["GET /models/digits/aliases"] * 2,
        *["GET /models/digits/aliases/live/history"] * 2,
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("digits", "2"),
        ("digits@", "2"),
        ("@live", "2"),
        ("digits@live", "2", "--rollback"),
        ("digits@live", "--remove", "--history"),
        ("digits@live", "--reason", "x"),
    ],
)
def test_what_makes_no_sense_is_wrong_use(
    mme: Mme, fake: FakePortal, arguments: tuple[str, ...]
) -> None:
    assert mme("alias", *arguments, url=fake.url, token="t").code == 2
    assert fake.requests == []


def test_the_library_moves_an_alias_where_it_is_as_it_was_read(fake: FakePortal) -> None:
    fake.answers = [
        Says(document=ALIAS, headers={"ETag": '"one"'}),
        Says(document=ALIAS | {"number": 2}, headers={"ETag": '"two"'}),
        problem("changed-meanwhile", 412),
    ]
    with Portal(fake.url, "t") as portal:
        seen = portal.aliases.get("digits@live")
        moved = portal.aliases.put("digits@live", 2, etag=seen.etag)
        assert (moved.number, moved.etag) == (2, '"two"')
        with pytest.raises(ProblemError, match="changed-meanwhile"):
            portal.aliases.put("digits@live", 3, etag=seen.etag)
        with pytest.raises(ValueError, match="digits@production"):
            portal.aliases.get("digits:2")


def test_a_model_without_aliases_says_so(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [], "next": None})]
    ran = mme("alias", "digits", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, "", "There are none.\n")
    assert mme("alias", "digits", "--json").out == '{\n  "items": [],\n  "next": null\n}\n'
    assert mme("alias", "digits", "--quiet").out == ""
