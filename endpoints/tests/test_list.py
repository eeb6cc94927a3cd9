"""The list of endpoints: its columns, its filters, and its order."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from core import clock
from core.tables import PER_PAGE
from endpoints import last_calls, services, tables
from endpoints.models import Endpoint, InstanceRun, OrphanLook, Resource
from invocations.models import Invocation


def _made(name: str, **values: Any) -> Endpoint:
    state = values.pop("state", Endpoint.State.IN_SERVICE)
    given = {"bucket": "b", "instance_type": "ml.m5.large"} | values
    return Endpoint.objects.create(name=name, state=state, **given)


def _names(client: Any, query: str = "") -> list[str]:
    return [row.name for row in client.get(f"/endpoints/{query}").context["table"].rows]


@pytest.fixture
def some(db: None) -> dict[str, Endpoint]:
    owner = User.objects.create_user("min-ji")
    return {
        "b": _made("b", created_by=owner, instance_count=3),
        "a": _made("a", failure="AWS does not allow it."),
        "c": _made("c", state=Endpoint.State.CREATING),
        "d": _made("d", config_in_use="another"),
        "gone": _made("gone", state=Endpoint.State.GONE, gone_at=timezone.now()),
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["d", "c", "a", "b"]),
        ("?sort=name", ["a", "b", "c", "d"]),
        ("?sort=-name", ["d", "c", "b", "a"]),
        ("?sort=-size", ["b", "d", "c", "a"]),
        ("?q=B", ["b"]),
        ("?state=halted", ["a"]),
        ("?state=under-way", ["c"]),
        ("?state=changed", ["d"]),
        ("?state=answering&sort=name", ["a", "b", "d"]),
        ("?state=nonsense&sort=nonsense&page=99", ["d", "c", "a", "b"]),
    ],
)
def test_order_and_filters_stand_in_the_address(
    some: dict[str, Endpoint], client_of: Any, query: str, names: list[str]
) -> None:
    assert _names(client_of("viewer"), query) == names


def test_who_made_it_and_what_it_can_serve(
    some: dict[str, Endpoint], client_of: Any, make_version: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(1, 4):
        make_version("digits", number, bucket="b", prefix="", key=f"digits_v{number}.tar.gz")
    client = client_of("viewer")
    with django_assert_max_num_queries(12):
        answer = client.get("/endpoints/")
    page = answer.content.decode()
    assert {row.servable for row in answer.context["table"].rows} == {3}
    assert "min-ji" in page
    assert 'title="AWS does not allow it."' in page


@pytest.mark.not_quick
def test_the_last_call_is_shown_and_sorted_by(
    some: dict[str, Endpoint], client_of: Any, make_version: Any
) -> None:
    version = make_version()
    now = clock.now()
    for name, ago in (("a", 50), ("a", 9), ("c", 2), ("b", 5)):
        Invocation.objects.create(
            endpoint=some[name],
            version=version,
            target_model="t",
            created_at=now - timedelta(minutes=ago),
        )
    client = client_of("viewer")
    assert _names(client, "?sort=-called") == ["c", "b", "a", "d"]
    assert _names(client, "?sort=called") == ["d", "a", "b", "c"]
    rows = client.get("/endpoints/").context["table"].rows
    last = {row.name: row.last_call_at for row in rows}
    assert last["d"] is None
    assert last["a"] == now - timedelta(minutes=9)


@pytest.mark.not_quick
def test_one_that_others_call_is_not_idle(some: dict[str, Endpoint], client_of: Any) -> None:
    now = clock.now()
    Endpoint.objects.update(created_at=now - timedelta(days=20))
    client = client_of("viewer")
    assert "a" in _names(client, "?state=idle")
    Endpoint.objects.filter(name="a").update(others_called_at=now - timedelta(hours=1))
    Endpoint.objects.filter(name="b").update(idle_call_at=now - timedelta(hours=2))
    assert not {"a", "b"} & set(_names(client, "?state=idle"))
    assert _names(client, "?sort=-called")[:2] == ["a", "b"]
    rows = {row.name: row for row in client.get("/endpoints/").context["table"].rows}
    assert (rows["a"].last_call_at, rows["a"].last_call_by_others) == (
        now - timedelta(hours=1),
        True,
    )


@pytest.mark.not_quick
def test_the_calls_of_today_their_cold_share_and_the_owner(
    some: dict[str, Endpoint], client_of: Any, make_version: Any
) -> None:
    version = make_version()
    for name, cold, more in (
        ("a", True, {}),
        ("a", False, {}),
        ("a", None, {}),
        ("b", True, {"warming": True}),
        ("b", False, {"created_at": clock.now() - timedelta(days=2)}),
    ):
        Invocation.objects.create(
            endpoint=some[name], version=version, target_model="t", cold=cold, **more
        )
    found = last_calls.today(list(some.values()))
    assert found[some["a"].pk] == last_calls.CallsToday(3, 1)
    assert found[some["b"].pk] == last_calls.CallsToday()
    Endpoint.objects.filter(pk=some["a"].pk).update(owner=User.objects.create_user("jun"))
    client = client_of("viewer")
    page = " ".join(client.get("/endpoints/").content.decode().split())
    assert "33 % cold" in page
    rows = {one.name: one for one in client.get("/endpoints/?sort=-owner").context["table"].rows}
    assert rows["a"].calls_today == found[some["a"].pk]
    assert (rows["a"].owned_by.username, rows["b"].owned_by.username) == ("jun", "min-ji")
    assert list(rows)[:2] == ["b", "a"]


def test_one_that_is_as_it_should_be_has_no_badge(
    some: dict[str, Endpoint], client_of: Any
) -> None:
    rows = client_of("viewer").get("/endpoints/").context["table"].rows
    assert {row.name for row in rows if row.normal} == {"b", "d"}


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("role", "query", "labels"),
    [
        ("operator", "creat", ["Create an endpoint"]),
        ("viewer", "creat", []),
        ("viewer", "gon", ["gone"]),
        ("viewer", "", ["d", "c", "b", "a"]),
    ],
)
def test_the_search_finds_endpoints_and_the_action(
    some: dict[str, Endpoint], client_of: Any, role: str, query: str, labels: list[str]
) -> None:
    from endpoints.search import hits

    client = client_of(role)
    user = client.get("/endpoints/").wsgi_request.user
    assert sorted(str(hit.label) for hit in hits(user, query)) == sorted(labels)
    for hit in hits(user, query):
        assert client.get(hit.url).status_code == 200


@pytest.mark.not_quick
def test_an_opened_page_queues_one_look_where_the_last_one_is_old(
    serving: Endpoint, client_of: Any
) -> None:
    client = client_of("viewer")
    address = serving.get_absolute_url()
    assert "checking again" not in client.get(address).content.decode()
    assert not Endpoint.objects.due().exists()
    Endpoint.objects.update(checked_at=clock.now() - services.STALE - timedelta(seconds=1))
    page = client.get(address)
    assert "checking again" in page.content.decode()
    assert Endpoint.objects.due().exists()
    before = Endpoint.objects.values().get()
    client.get(address)
    assert Endpoint.objects.values().get() == before
    # A table that somebody searches meanwhile is left alone.
    table = f"{address}live/?tab=models&seen={page.context['live_query'].split('seen=')[1]}"
    assert "hx-swap-oob" not in client.get(f"{table}&looks=5").content.decode()
    assert "hx-swap-oob" in client.get(f"{address}live/?tab=models").content.decode()
    # The page asks what came of it, and stops when something did, or after some seconds.
    live = f"{address}live/?{page.context['live_query']}"
    assert "checking again" in client.get(live).content.decode()
    last = live.replace("looks=10", "looks=1")
    assert "checking again" not in client.get(last).content.decode()
    Endpoint.objects.update(checked_at=clock.now())
    assert "every 1s" not in client.get(live).content.decode()


@pytest.mark.parametrize("values", [{"attempts": 4}, {"failure": "AWS does not allow it."}])
def test_a_look_at_one_that_waits_after_errors_is_not_hurried(
    serving: Endpoint, client_of: Any, values: dict[str, Any]
) -> None:
    Endpoint.objects.update(checked_at=clock.now() - timedelta(minutes=5), **values)
    client_of("viewer").get(serving.get_absolute_url())
    assert not Endpoint.objects.due().exists()


def test_the_size_of_one_that_comes_up_is_what_was_requested_and_a_paused_one_has_none(
    client_of: Any, db: None
) -> None:
    _made("up", state=Endpoint.State.CREATING, instance_count=2, running_count=0)
    _made("off", state=Endpoint.State.PAUSED, to_pause=True, instance_count=3, running_count=3)
    client = client_of("viewer")
    for path in ("/endpoints/", "/"):
        page = " ".join(client.get(path).content.decode().split())
        assert "2 × ml.m5.large" in page.replace("\xa0", " "), path
        assert ">nothing now</span>" in page, path
    for name, said in (("up", "2 × ml.m5.large"), ("off", "3 × ml.m5.large when it resumes")):
        path = Endpoint.objects.get(name=name).get_absolute_url()
        page = " ".join(client.get(path).content.decode().split()).replace("\xa0", " ")
        assert said in page


def test_what_runs_has_a_cost_and_all_together_a_total(
    some: dict[str, Endpoint], client_of: Any
) -> None:
    _made("priceless", instance_type="ml.new.type", instance_count=1, running_count=1)
    answer = client_of("viewer").get("/endpoints/?sort=name")
    cost = {row.name: row.cost and row.cost.hourly for row in answer.context["table"].rows}
    # "c" is being created, so nothing runs yet; no price of the new type is known.
    assert cost == {"a": "0.115", "b": "0.345", "c": None, "d": "0.115", "priceless": None}
    total = answer.context["total"]
    assert (total.cost.hourly, total.counted, total.unknown) == ("0.575", 3, 1)
    page = " ".join(answer.content.decode().split())
    foot = page.partition("<tfoot>")[2].partition("</tfoot>")[0]
    assert "Together: 3 endpoints </th>" in foot
    assert 'class="number" title="0.575 USD an hour, 419.75 USD a month"' in foot
    assert "419.75 USD" in foot
    assert "Together" not in page.partition("</tfoot>")[2]
    assert "Not counted: 1 endpoint whose price is not known." in page
    assert "An estimate: prices of us-east-1" in page


@pytest.mark.not_quick
def test_what_each_cost_so_far_is_beside_its_cost(
    some: dict[str, Endpoint], client_of: Any
) -> None:
    def ran(endpoint: Endpoint, hours: int, kind: str, ended: bool = True) -> None:
        begin = clock.now() - timedelta(hours=hours)
        end = clock.now() if ended else None
        InstanceRun.objects.create(
            endpoint=endpoint, variant="AllTraffic", instance_type=kind, instance_count=2,
            begun_at=begin, ended_at=end,
        )  # fmt: skip

    ran(some["b"], 100, "ml.m5.large")
    ran(some["a"], 100, "ml.m5.large", ended=False)
    ran(some["a"], 10, "ml.new.type")
    ran(some["d"], 10, "ml.new.type")
    client = client_of("viewer")
    page = " ".join(client.get("/endpoints/?sort=name").content.decode().split())
    assert page.count("23.00 USD so far") == 2
    assert page.count("without ml.new.type") == 2
    items = client.get("/api/v1/endpoints").json()["items"]
    spent = {one["name"]: one["spent"] for one in items}
    assert {name: (one["cost"], one["instance_hours"]) for name, one in spent.items()} == {
        "a": ("23.00", "220.0"), "b": ("23.00", "200.0"), "c": ("0.00", "0.0"),
        "d": ("0.00", "20.0"),
    }  # fmt: skip


@pytest.mark.not_quick
def test_the_page_of_an_endpoint_says_what_it_cost_so_far(
    some: dict[str, Endpoint], client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, hours in (("ml.m5.large", 100), ("ml.new.type", 10)):
        begun = clock.now() - timedelta(hours=hours)
        InstanceRun.objects.create(
            endpoint=some["a"], variant="AllTraffic", instance_type=kind, instance_count=2,
            begun_at=begun, ended_at=clock.now(),
        )  # fmt: skip
    client = client_of("viewer")

    def said(name: str) -> str:
        page = client.get(some[name].get_absolute_url()).content.decode()
        after = page.partition("<dt>Cost so far</dt>")[2].partition("</div>")[0]
        return " ".join(re.sub(r"<[^>]+>", " ", after).split())

    assert said("a") == "23.00 USD estimate without ml.new.type"
    assert said("b") == "0.00 USD estimate"
    monkeypatch.setattr("core.where.is_local", lambda: True)
    assert said("a") == "23.00 USD would cost on AWS without ml.new.type"


@pytest.mark.not_quick
def test_the_total_is_of_all_pages(db: None, client_of: Any) -> None:
    for number in range(55):
        _made(f"e{number}", instance_count=1)
    answer = client_of("viewer").get("/endpoints/")
    assert len(answer.context["table"].rows) == 50
    assert answer.context["total"].counted == 55


@pytest.mark.not_quick
def test_what_nobody_called_for_a_week_is_told(
    some: dict[str, Endpoint], client_of: Any, make_version: Any
) -> None:
    now, version = clock.now(), make_version()
    Endpoint.objects.filter(name__in="abc").update(created_at=now - timedelta(days=12))
    call = Invocation.objects.create(
        endpoint=some["a"], version=version, target_model=version.target_model
    )
    Invocation.objects.filter(pk=call.pk).update(created_at=now - timedelta(days=2))
    client = client_of("viewer")
    assert _names(client, "?state=idle") == ["b"]  # "c" does not run, "d" is new
    page = " ".join(client.get("/endpoints/").content.decode().split())
    assert "idle 12 days" in page
    assert "idle 2 days" not in page


@pytest.mark.not_quick
def test_several_are_torn_down_after_their_names_were_typed(
    some: dict[str, Endpoint], client_of: Any
) -> None:
    client, address = client_of("admin"), "/endpoints/teardown/"
    page = client.get("/endpoints/").content.decode()
    assert f'value="{some["a"].pk}"' in page
    chosen = [str(some["a"].pk), str(some["b"].pk), str(some["gone"].pk), "x", ""]
    page = client.post(address, {"pk": chosen}).content.decode()
    assert "Tear down 2 endpoints" in page
    assert set(Endpoint.objects.values_list("wanted", flat=True)) == {Endpoint.Wanted.PRESENT}
    answer = client.post(address, {"pk": chosen, "typed_names": "a"})
    assert answer.status_code == 400
    assert "Missing: b. Not chosen: –." in answer.content.decode()
    answer = client.post(address, {"pk": chosen, "typed_names": "a, b c"})
    assert "Missing: –. Not chosen: c." in answer.content.decode()
    assert set(Endpoint.objects.values_list("wanted", flat=True)) == {Endpoint.Wanted.PRESENT}
    answer = client.post(address, {"pk": chosen, "typed_names": "b,a"})
    assert answer.status_code == 302
    absent = Endpoint.objects.filter(wanted=Endpoint.Wanted.ABSENT)
    assert set(absent.values_list("name", flat=True)) == {"a", "b"}
    answer = client.post(address, {"pk": chosen}, follow=True)
    assert "No endpoint was chosen that can be torn down." in answer.content.decode()


@pytest.mark.not_quick
def test_more_than_go_at_once_are_told_of(db: None, client_of: Any) -> None:
    chosen = [_made(f"e{number:02}").pk for number in range(PER_PAGE + 3)]
    gone = _made("gone", state=Endpoint.State.GONE, gone_at=timezone.now())
    Resource.objects.create(
        endpoint_id=chosen[0], kind="config", name="e00-r1", state=Resource.State.GONE
    )
    answer = client_of("admin").post("/endpoints/teardown/", {"pk": [*chosen, gone.pk]})
    page = " ".join(answer.content.decode().split())
    assert f"Tear down {PER_PAGE} endpoints" in page
    assert "4 more of those chosen are not in this list" in page
    assert "e00-r1" not in page


@pytest.mark.not_quick
def test_all_that_a_page_shows_are_torn_down_at_once_and_that_is_undone(
    db: None, client_of: Any, settings: Any
) -> None:
    settings.TEARDOWN_UNDO_S = 60
    for number in range(PER_PAGE + 3):
        _made(f"e{number:02}")
    client = client_of("admin")
    page = client.get("/endpoints/").content.decode()
    chosen = re.findall(r'name="pk" value="(\d+)"', page)
    assert len(chosen) == PER_PAGE
    names = [Endpoint.objects.get(pk=pk).name for pk in chosen]
    asked = {"pk": chosen, "typed_names": ", ".join(names)}
    answer = client.post("/endpoints/teardown/", asked, follow=True)
    absent = Endpoint.objects.filter(wanted=Endpoint.Wanted.ABSENT)
    assert absent.count() == PER_PAGE
    undo = re.search(r'action="(/endpoints/teardown/undo/\?[^"]+)"', answer.content.decode())
    assert undo is not None, answer.content.decode()
    client.post(html.unescape(undo[1]))
    assert absent.count() == 0


def test_others_have_nothing_to_tear_several_down_with(
    some: dict[str, Endpoint], client_of: Any
) -> None:
    client = client_of("operator")
    assert 'name="pk"' not in client.get("/endpoints/").content.decode()
    answer = client.post("/endpoints/teardown/", {"pk": [some["a"].pk], "typed_names": "a"})
    assert answer.status_code == 403


def test_what_was_torn_down_is_counted_and_whether_the_account_was_looked_at(
    some: dict[str, Endpoint],
) -> None:
    found = tables.counted()
    assert (found.torn_down, found.looked) == (Endpoint.objects.gone().count(), False)
    look = OrphanLook.objects.create(check_after=clock.now())
    assert not tables.counted().looked
    OrphanLook.objects.filter(pk=look.pk).update(looked_at=clock.now())
    Endpoint.objects.update(gone_at=clock.now())
    found = tables.counted()
    assert (found.torn_down, found.looked) == (Endpoint.objects.count(), True)


@pytest.mark.not_quick
def test_names_are_sorted_as_people_count(db: None, client_of: Any) -> None:
    for name in ("camera-10", "Camera-2", "camera-1"):
        _made(name)
    client = client_of("viewer")
    assert _names(client, "?sort=name") == ["camera-1", "Camera-2", "camera-10"]
    assert [one.name for one in Endpoint.objects.serving()] == _names(client, "?sort=name")
