"""The page of all calls, what an answer leads with, and errors in the reader's language."""

import csv
import html
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts import roles
from core import spreadsheet
from core.palette import search
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations import call_list
from invocations.models import Invocation, Picture
from models_catalog.models import Version
from tests.html import one_line


@pytest.fixture
def call(serving: Endpoint, make_version: Callable[..., Version]) -> Callable[..., Invocation]:
    """Make a call."""
    version = make_version()

    def make(**values: Any) -> Invocation:
        default: dict[str, Any] = {
            "endpoint": serving,
            "version": version,
            "target_model": version.target_model,
            "state": Invocation.State.DONE,
            "picture_name": "three.png",
            "predictions": [{"label": "three", "probability": 0.75}],
            "latency_ms": 12.0,
            "cold": False,
        }
        return Invocation.objects.create(**default | values)

    return make


def _page(client: Client, address: str, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return html.unescape(one_line(answer))


@pytest.mark.not_quick
def test_all_calls_are_filtered_by_the_address(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    serving: Endpoint,
    make_version: Callable[..., Version],
) -> None:
    client = client_of("viewer")
    other = Endpoint.objects.create(name="elsewhere")
    dogs = make_version(name="dogs")
    rows = {
        "plain": call(),
        "cold": call(cold=True),
        "failed": call(state="failed", predictions=[], error="It broke.", cold=None),
        "elsewhere": call(endpoint=other),
        "dogs": call(version=dogs),
        "alias": call(asked="digits@live"),
        "slow": call(latency_ms=1000.0),
        "cat": call(predictions=[{"label": "Tabby cat", "probability": 0.5}]),
        "mine": call(created_by=User.objects.get(username="viewer-user")),
    }

    def shown(query: str) -> set[str]:
        page = _page(client, f"/calls/?{query}")
        return {name for name, row in rows.items() if f'href="/calls/{row.pk}/"' in page}

    assert shown("") == set(rows)
    assert shown("cold=1") == {"cold"}
    assert shown("state=failed") == {"failed"}
    assert shown(f"endpoint={other.pk}") == {"elsewhere"}
    assert shown(f"model={dogs.model_id}") == {"dogs"}
    assert shown("model=dogs%3A1") == {"dogs"}
    assert shown("model=digits%3A1") == set(rows) - {"dogs"}
    assert shown("model=digits%40live") == {"alias"}
    assert shown("slow=1000") == {"slow"}
    assert shown("label=tabby") == {"cat"}
    mine = re.search(r'href="/calls/\?(by=\d+)"', _page(client, "/calls/"))
    assert mine is not None
    assert shown(mine[1]) == {"mine"}
    assert shown("day=2001-01-01") == set()
    assert shown("endpoint=nonsense&sort=nonsense") == set(rows)


def _csv(client: Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"/calls/export.csv{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.reader(io.StringIO(text.removeprefix(spreadsheet.BYTE_ORDER_MARK))))


@pytest.mark.not_quick
def test_the_file_has_what_the_list_has(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_of("viewer")
    for ms in (8.0, 9.0, 10.0):
        call(latency_ms=ms, timings={"call_ms": ms - 1, "load_ms": 40.0, "infer_ms": 3.0})
    cold = call(
        cold=True, latency_ms=200.0, timings={"call_ms": 199.0, "load_ms": 40.0, "ready_ms": 60.0}
    )
    call(predictions=[{"label": "=1+1", "probability": 0.5}], state="done")
    head, formula, first, *others = _csv(client)
    assert len(others) == 3
    row = dict(zip(head, first, strict=True))
    assert (row["id"], row["version"], row["cold"]) == (cold.uid, "digits:1", "True")
    assert (row["latency_ms"], row["portal_ms"], row["load_ms"]) == ("200.0", "1.0", "40.0")
    told = client.get(f"/api/v1/invocations/{cold.uid}").json()["timings"]
    assert {name: row[name] for name in told} == {
        name: "" if ms is None else str(ms) for name, ms in told.items()
    }
    assert row["fetch_ms"] not in ("", "0.0"), "by the usual network of the warm calls"
    assert dict(zip(head, formula, strict=True))["answer"] == "'=1+1"
    assert [line[0] for line in _csv(client, "?cold=1")[1:]] == [cold.uid]
    assert "/calls/export.csv?cold=1" in _page(client, "/calls/?cold=1")

    monkeypatch.setattr(call_list, "_AT_ONCE", 2)
    assert len(_csv(client)) == 6
    monkeypatch.setattr(call_list, "MOST_EXPORTED", 3)
    *listed, last = _csv(client)[1:]
    assert len(listed) == 3
    assert last == ["Only the first 3 calls are in this file. Filters choose others."]


def test_the_file_leaves_out_what_who_asks_may_not_see(
    call: Callable[..., Invocation], user_in: Callable[[str], User], settings: Any
) -> None:
    settings.VIEWERS_SEE_ALL_CALLS = False
    viewer = user_in("viewer")
    roles.ensure_roles()
    call(created_by=user_in("operator"))
    mine = call(created_by=viewer)
    client = Client()
    client.force_login(viewer)
    assert [line[0] for line in _csv(client)[1:]] == [mine.uid]


def test_calls_are_repeated_and_put_side_by_side_from_the_list(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")
    kept, other = call(picture_sha256="a" * 64), call(picture_sha256="b" * 64)
    Picture.objects.create(sha256="a" * 64, name="three.png", data=b"1", thumbnail=b"2")
    page = _page(client, "/calls/")
    assert page.count(f'name="again" value="{"a" * 64}"') == 1
    assert "b" * 64 not in page  # its picture is no longer kept
    answer = client.get(f"/calls/side/?pk={kept.pk}&pk={other.pk}&pk=nonsense")
    assert answer.headers["Location"] == f"/calls/side/{kept.pk}-{other.pk}/"
    assert client.get("/calls/side/").headers["Location"] == "/calls/"


@pytest.mark.not_quick
def test_the_addresses_that_calls_had_before_lead_to_where_they_are(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, made = client_of("viewer"), call()
    for old, new in (
        ("/invoke/calls/?cold=1&page=2", "/calls/?cold=1&page=2"),
        (f"/invoke/{made.pk}/", f"/calls/{made.pk}/"),
        (f"/invoke/{made.pk}/thumbnail/", f"/calls/{made.pk}/thumbnail/"),
        (f"/invoke/side/?pk={made.pk}", f"/calls/side/?pk={made.pk}"),
        (f"/invoke/side/{made.pk}/", f"/calls/side/{made.pk}/"),
    ):
        answer = client.get(old)
        assert (answer.status_code, answer.headers["Location"]) == (308, new)
        assert client.get(old, follow=True).status_code == 200
    # A page that was open during an upgrade sends its form there, too.
    assert client.post(f"/invoke/{made.pk}/forget/", follow=True).status_code == 200


@pytest.mark.not_quick
def test_fifty_calls_a_page_for_as_many_queries(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            _page(client, "/calls/")
        return len(captured)

    call()
    few = queries()
    for _ in range(55):
        call()
    assert queries() == few <= 12
    assert _page(client, "/calls/").count("/thumbnail/") == 50
    assert _page(client, "/calls/?page=2").count("/thumbnail/") == 6


def test_the_answer_leads_and_labels_of_nothing_have_no_bar(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    rows = [("three", 0.9989), ("eight", 0.001), ("nine", 0.0001), ("one", 0.0), ("two", 0.0)]
    answer = call(predictions=[{"label": label, "probability": p} for label, p in rows])
    page = _page(client_of("viewer"), answer.get_absolute_url())
    assert '<h2 class="headline">three</h2>' in page
    bars = page.partition('<ul class="bars">')[2].partition("</ul>")[0]
    assert bars.count("<li>") == 1
    assert "eight" in bars
    assert "The rest: each below 0.1 %." in page
    assert 'TargetModel="digits_v1.tar.gz"' in page
    assert "--endpoint-name demo" in page


@pytest.mark.parametrize(
    ("cold", "timings", "says"),
    [
        (True, {"load_ms": 410.0}, "Cold start: the model was loaded for this call, 410 ms."),
        (
            True,
            {"load_ms": 100.0, "ready_ms": 281.0},
            "Cold start: the model was loaded for this call, 281 ms.",
        ),
        (True, {}, "Cold start: the model was loaded for this call."),
        (False, {}, "Warm: the model was in memory already."),
    ],
)
def test_cold_and_warm_are_said_in_plain_words(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    cold: bool,
    timings: dict[str, float],
    says: str,
) -> None:
    answer = call(cold=cold, timings=timings)
    assert says in _page(client_of("viewer"), answer.get_absolute_url())


@pytest.mark.not_quick
def test_an_error_is_told_in_the_readers_language_and_quotes_the_container(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    said = phrase(
        "The model's container failed with status %(status)s. It says: “%(said)s”",
        status=500,
        said="Prediction failed",
    )
    answer = call(state="failed", predictions=[], **Invocation.told(said))
    assert answer.error.startswith("The model's container failed with status 500.")
    with translation.override("ko"):
        korean = str(answer.said)
    assert korean != answer.error
    assert "Prediction failed" in korean
    page = _page(client_of("viewer"), answer.get_absolute_url(), accept_language="ko")
    assert korean in page
    old = call(state="failed", predictions=[], error="As it was written then.")
    assert "As it was written then." in _page(client_of("operator"), old.get_absolute_url())


def test_the_search_finds_the_page_and_the_newest_version_to_call(
    make_version: Callable[..., Version], user_in: Callable[[str], Any], db: None
) -> None:
    make_version()
    newest = make_version(number=2)
    make_version(number=3, state=Version.State.REJECTED, reason="no")

    def found(query: str) -> dict[str, str]:
        groups = search(user_in_viewer, query)
        return {str(hit.label): hit.url for group in groups for hit in group.hits}

    user_in_viewer = user_in("viewer")
    assert found("call a")["Call a model"] == "/invoke/"
    assert found("digi")["Call digits v2"] == f"/invoke/?version={newest.pk}"
    assert "Call digits v1" not in found("digi")


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (Invocation.objects.order_by("-latency_ms", "-pk"), "invocation_by_latency"),
        (Invocation.objects.order_by("latency_ms", "pk"), "invocation_by_latency"),
        (
            Invocation.objects.filter(cold=True).order_by("-created_at", "-pk"),
            "invocation_cold_by_time",
        ),
    ],
)
def test_a_list_of_calls_is_read_in_the_order_of_an_index(
    rows: Any, index: str, call: Callable[..., Invocation]
) -> None:
    call()
    if connection.vendor == "sqlite":
        plan = rows[:50].explain()
        assert index in plan
        assert "TEMP B-TREE" not in plan


def test_the_cold_call_before_is_found_without_passing_the_warm_ones(
    call: Callable[..., Invocation],
) -> None:
    cold = call(cold=True)
    warm = call()
    assert Invocation.objects.cold_before(warm) == cold
    if connection.vendor == "sqlite":
        with CaptureQueriesContext(connection) as captured:
            Invocation.objects.cold_before(warm)
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {captured[0]['sql']}")
            assert "invocation_cold" in str(cursor.fetchall())
