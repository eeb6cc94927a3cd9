"""``mme orphans``: listed, adopted and deleted, against a portal that answers as the real one."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Request, Says, problem

Mme = Callable[..., Ran]
PATH = "/api/v1/orphans"
COST = {"per_hour": "0.2", "per_month": "146.00", "currency": "USD"}


def _orphan(kind: str, name: str, **more: Any) -> dict[str, Any]:
    made = {
        "kind": kind, "name": name, "arn": f"arn:{name}", "state": "orphaned", "ours": True,
        "made_for": "demo", "uses": "", "sagemaker_status": "", "instance_type": "",
        "instance_count": None, "cost": None, "made_at": "2026-11-01T00:00:00Z",
        "found_at": "2026-11-02T00:00:00Z", "failure": None, "adopted_by": None,
    }  # fmt: skip
    return made | more


DEMO = _orphan("endpoint", "demo", instance_type="ml.m5.large", instance_count=2, cost=COST)
MODEL, CONFIG = _orphan("model", "demo-r1"), _orphan("config", "demo-r1")
THEIRS = _orphan("model", "theirs", ours=False, made_for="")


def _page(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    page = {
        "items": list(items), "next": None, "looking": False, "looked_at": "2026-11-02T00:00:00Z",
        "problems": [], "cost": COST,
    }  # fmt: skip
    return page | more


def _portal(fake: FakePortal, *items: dict[str, Any], **more: Any) -> None:
    """It lists these; what is asked of one is done at once."""

    def answer(request: Request) -> Says:
        path, _question, query = request.target.partition("?")
        if path == PATH:
            shown = [one for one in items if one["ours"] or "others=true" in query]
            return Says(document=_page(*shown, **more))
        kind, name = path.removeprefix(f"{PATH}/").removesuffix("/adopt").split("/")
        (one,) = (one for one in items if (one["kind"], one["name"]) == (kind, name))
        if request.method == "POST":
            return Says(document=one | {"state": "adopted", "adopted_by": "demo"})
        if request.method == "DELETE":
            return Says(202, document=one | {"state": "to_delete"})
        gone = any(asked.method == "DELETE" for asked in fake.requests)
        return Says(document=one | {"state": "gone" if gone else "orphaned"})

    fake.answers = [answer]


def test_what_cannot_be_adopted_is_listed_with_its_size_and_left_out(
    mme: Mme, fake: FakePortal
) -> None:
    logs = _orphan("log_group", "demo", size_bytes=5 << 30, adoptable=False)
    _portal(fake, logs)
    assert "5.0 GB" in mme("orphans", url=fake.url, token="t").out
    ran = mme("orphans", "--adopt")
    assert (ran.code, _changes(fake)) == (0, []), ran.err


def _changes(fake: FakePortal) -> list[str]:
    asked = [one for one in fake.requests if one.method != "GET"]
    return [f"{one.method} {one.target.removeprefix(PATH)}" for one in asked]


def test_they_are_listed_with_what_they_cost(mme: Mme, fake: FakePortal) -> None:
    _portal(fake, DEMO, MODEL, THEIRS)
    ran = mme("orphans", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "2 × ml.m5.large" in ran.out
    assert "0.2 USD" in ran.out
    assert "Together: " in ran.err
    assert "theirs" not in ran.out
    assert "theirs" in mme("orphans", "--all").out
    assert mme("orphans", "-q").out.splitlines() == ["endpoint/demo", "model/demo-r1"]
    assert json.loads(mme("orphans", "--json").out)["items"] == [DEMO, MODEL]


def test_a_list_ends_with_0_whatever_it_finds(mme: Mme, fake: FakePortal) -> None:
    _portal(fake)
    ran = mme("orphans", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, "", "There are none.\n")
    _portal(fake, problems=["AWS does not let the portal list models."], looking=True)
    ran = mme("orphans")
    assert ran.code == 0
    assert "does not let the portal list models" in ran.err
    assert "still looking" in ran.err


def test_all_pages_are_read(mme: Mme, fake: FakePortal) -> None:
    first, last = _page(DEMO, next="here"), _page(MODEL)
    fake.answers = [Says(document=first), Says(document=last)]
    assert len(json.loads(mme("orphans", "--json", url=fake.url, token="t").out)["items"]) == 2


def test_all_of_the_portals_are_deleted_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    _portal(fake, DEMO, MODEL, CONFIG, THEIRS)
    assert mme("orphans", "--delete", url=fake.url, token="t").code == 2
    assert not fake.requests
    ran = mme("orphans", "--all", "--delete", "--yes", "--wait")
    assert ran.code == 0, ran.err
    assert [line.split()[-1] for line in ran.out.splitlines()] == ["gone"] * 3
    assert _changes(fake) == [
        "DELETE /endpoint/demo", "DELETE /model/demo-r1", "DELETE /config/demo-r1",
    ]  # fmt: skip


def test_those_named_are_deleted_of_others_too(mme: Mme, fake: FakePortal) -> None:
    _portal(fake, DEMO, MODEL, CONFIG, THEIRS)
    ran = mme("orphans", "config/demo-r1", "theirs", "--delete", "--yes", "-q", url=fake.url,
              token="t")  # fmt: skip
    assert (ran.code, ran.out) == (0, "config/demo-r1\nmodel/theirs\n"), ran.err
    assert _changes(fake) == ["DELETE /config/demo-r1", "DELETE /model/theirs"]
    ran = mme("orphans", "nobody", "--delete", "--yes")
    assert (ran.code, "nobody" in ran.err) == (3, True)


@pytest.mark.parametrize(("typed", "code"), [("demo-r1 demo\n", 0), ("demo\n", 2)])
def test_the_names_are_typed_at_a_terminal(
    mme: Mme, fake: FakePortal, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    class AtATerminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    _portal(fake, DEMO, MODEL, CONFIG)
    monkeypatch.setattr(sys, "stdin", AtATerminal(typed))
    ran = mme("orphans", "--delete", url=fake.url, token="t")
    assert ran.code == code
    assert len(_changes(fake)) == (3 if code == 0 else 0)


def test_what_stays_is_a_failure_that_says_why(mme: Mme, fake: FakePortal) -> None:
    kept = CONFIG | {"failure": "The endpoint theirs uses it."}
    fake.answers = [
        Says(document=_page(CONFIG)), Says(202, document=CONFIG | {"state": "to_delete"}),
        Says(document=kept),
    ]  # fmt: skip
    ran = mme("orphans", "--delete", "--yes", "--wait", url=fake.url, token="t")
    assert ran.code == 1
    assert "The endpoint theirs uses it." in ran.err


def test_an_endpoint_is_adopted_with_what_it_uses(mme: Mme, fake: FakePortal) -> None:
    adopted = {"state": "adopted", "adopted_by": "demo"}
    fake.answers = [
        Says(document=_page(CONFIG, DEMO)), Says(document=DEMO), Says(document=DEMO | adopted),
        Says(document=CONFIG | adopted),
    ]  # fmt: skip
    ran = mme("orphans", "--adopt", url=fake.url, token="t")
    assert (ran.code, len(ran.out.splitlines())) == (0, 2), ran.err
    assert _changes(fake) == ["POST /endpoint/demo/adopt"]


def test_wrong_use_and_refusals(mme: Mme, fake: FakePortal) -> None:
    assert mme("orphans", "--adopt", "--delete", url=fake.url, token="t").code == 2
    assert mme("orphans", "demo").code == 2
    fake.answers = [Says(document=_page(DEMO)), Says(document=DEMO), problem("conflict", 409)]
    ran = mme("orphans", "demo", "--adopt")
    assert (ran.code, "This is conflict." in ran.err) == (1, True)


def test_the_list_of_endpoints_notes_those_of_others(mme: Mme, fake: FakePortal) -> None:
    others = {"endpoint_count": 2, "cost": COST, "unpriced": 0, "looked_at": "2026-11-02T00:00:00Z"}
    page = {"items": [], "next": None, "others": others}
    fake.answers = [Says(document=page)]
    ran = mme("endpoints", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "")
    assert "2 more endpoints, not by this portal: 0.2 USD an hour" in ran.err
    assert "Last looked at: 2026-11-02" in ran.err
    assert "mme endpoints --others" in ran.err
    assert "more endpoints" not in mme("endpoints", "--gone").err
    assert mme("endpoints", "--quiet").err == ""
    assert json.loads(mme("endpoints", "--json").out) == page
    fake.answers = [Says(document=page | {"others": others | {"endpoint_count": 0}})]
    assert "more endpoints" not in mme("endpoints").err


def test_the_list_of_endpoints_has_a_sum_below_it(mme: Mme, fake: FakePortal) -> None:
    one = EXAMPLES["endpoints_update"]["202"]
    rows = [
        one | {"name": "a", "cost": {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"}},
        one | {"name": "b", "cost": {"per_hour": "0.46", "per_month": "80.05", "currency": "USD"}},
        one | {"name": "c", "cost": None, "serving": True},
        one | {"name": "d", "cost": None, "serving": False},
    ]
    page = {"items": rows, "next": None, "others": None}
    fake.answers = [Says(document=page)]
    ran = mme("endpoints", url=fake.url, token="t")
    assert ran.out.splitlines()[-1] == (
        "Together: 0.575 USD an hour, 164.00 USD a month; Not counted, as no price is known: 1"
    )
    assert len(ran.out.splitlines()) == 1 + len(rows) + 1
    assert mme("endpoints", "--quiet").out.splitlines() == ["a", "b", "c", "d"]
    assert json.loads(mme("endpoints", "--json").out) == page
    assert "Together" not in mme("endpoints", "--gone").out
    fake.answers = [Says(document=page | {"items": rows[3:]})]
    assert "Together" not in mme("endpoints").out


def test_all_pages_of_endpoints_are_read(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [
        Says(document={"items": [{"name": "a"}], "next": "here"}),
        Says(document={"items": [{"name": "b"}], "next": None}),
    ]
    assert mme("endpoints", "-q", url=fake.url, token="t").out.splitlines() == ["a", "b"]
    assert "cursor=here" in fake.requests[-1].target


def test_the_endpoints_of_others_are_listed_with_the_way_to_adopt(
    mme: Mme, fake: FakePortal
) -> None:
    theirs = DEMO | {"name": "theirs", "ours": False, "made_for": ""}
    _portal(fake, theirs)
    ran = mme("endpoints", "--others", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    for part in ("theirs", "2 × ml.m5.large", "0.2 USD", "others"):
        assert part in ran.out
    assert "mme orphans --adopt NAME" in ran.err
    (asked,) = {one.target for one in fake.requests}
    assert "kind=endpoint" in asked
    assert "others=true" in asked
    assert json.loads(mme("endpoints", "--others", "--json").out)["items"] == [theirs]
    for wrong in (("demo", "--others"), ("--others", "--gone")):
        assert mme("endpoints", *wrong).code == 2
    _portal(fake)
    ran = mme("endpoints", "--others")
    assert (ran.code, ran.out, ran.err) == (0, "", "There are none.\n")
