"""Models are warmed: called once each by a job, kept warm, and warmed after a change."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from activity.models import Event
from core import clock, errors
from core.sentences import phrase
from endpoints import planning, services
from endpoints.models import Endpoint
from endpoints.tests.account import Account
from invocations import own_calls, runtime, tasks
from invocations.capacity import traffic
from invocations.models import Invocation, Warming, WarmSchedule
from invocations.runtime import Answer
from invocations.tests.test_thrash import demo, versions
from invocations.warming import keeping, running
from invocations.warming.running import WarmingRefused
from invocations.windows import Range, Window
from models_catalog.models import Alias, AliasMove, Version
from tests.bearer import secret_of

__all__ = ["demo", "versions"]
pytestmark = pytest.mark.django_db(transaction=True)
ClientOf = Callable[[str], Client]
LEFT_COLD: dict[str, Exception] = {}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The target models that were called, in order; each is loaded for its first call."""
    called: list[str] = []

    def invoke(*, target_model: str, **_: Any) -> Answer:
        cold = target_model not in called
        called.append(target_model)
        if target_model in LEFT_COLD:
            raise LEFT_COLD[target_model]
        return Answer(
            body=b'["probability=0.9, class=cat"]',
            content_type="application/json",
            custom_attributes=f"cold={int(cold)};load_ms=90",
            request_id="r",
            variant="AllTraffic",
        )

    monkeypatch.setattr(runtime, "invoke", invoke)
    LEFT_COLD.clear()
    yield called
    LEFT_COLD.clear()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """An AWS account, which is asked whether a name is free."""
    made = Account()
    made.install(monkeypatch)
    return made


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", password="x")


def work(warming: Warming, *, steps: int = 100) -> Warming:
    """Let the job work, at most so many steps."""
    for _n in range(steps):
        tasks.warm(warming.pk)
        warming.refresh_from_db()
        if not warming.running:
            break
    return warming


def point(version: Version, name: str = "live") -> None:
    move = AliasMove.objects.create(
        model=version.model, name=name, kind=AliasMove.Kind.MOVED, version=version
    )
    Alias.objects.create(model=version.model, name=name, version=version, move=move)


@pytest.mark.not_quick
def test_each_version_is_called_once(
    demo: Endpoint, versions: list[Version], boss: User, asked: list[str]
) -> None:
    warming = work(running.start(endpoint=demo, models="*", actor=boss))
    assert warming.state == Warming.State.DONE
    assert sorted(asked) == sorted(one.target_model for one in versions)
    assert (warming.made, warming.loaded, warming.refused) == (14, 14, 0)
    assert Invocation.objects.filter(warming=True).count() == 14
    again = work(running.start(endpoint=demo, models="m1:1", actor=boss))
    assert (again.made, again.loaded) == (1, 0)
    assert Event.objects.filter(action="warming.requested").count() == 2


@pytest.mark.not_quick
def test_all_that_aliases_point_at_comes_first(
    demo: Endpoint, versions: list[Version], boss: User, asked: list[str]
) -> None:
    point(versions[7])
    point(versions[3], "beta")
    work(running.start(endpoint=demo, models="@*,m7:1,m1:1", actor=boss))
    assert asked == [versions[n].target_model for n in (3, 7, 1)]


@pytest.mark.not_quick
def test_warming_counts_not_as_traffic(demo: Endpoint, versions: list[Version], boss: User) -> None:
    work(running.start(endpoint=demo, models="*", actor=boss))
    window = Window.until(clock.now(), Range.HOUR)
    assert own_calls.calls_of(demo, window).calls == 0
    assert not traffic.lately(demo).versions
    assert not Invocation.objects.traffic().exists()


@pytest.mark.not_quick
def test_what_is_stopped_calls_no_further(
    demo: Endpoint, versions: list[Version], boss: User, asked: list[str]
) -> None:
    warming = work(running.start(endpoint=demo, models="*", actor=boss), steps=3)
    running.stop(warming=warming, actor=boss)
    assert work(warming).state == Warming.State.STOPPED
    assert len(asked) == 3
    running.stop(warming=warming, actor=boss)
    assert Event.objects.filter(action="warming.stopped").count() == 1


@pytest.mark.not_quick
def test_a_killed_worker_loses_one_call_at_most(
    demo: Endpoint, versions: list[Version], boss: User, asked: list[str]
) -> None:
    warming = work(running.start(endpoint=demo, models="*", actor=boss), steps=2)
    dead = Warming.objects.claim(warming.pk, lease=running.LEASE)
    assert dead is not None  # and is killed before it writes what came of its call
    tasks.warm(warming.pk)
    warming.refresh_from_db()
    assert warming.made == 2, "a lease keeps other workers away"
    past = clock.now() - timedelta(seconds=1)
    Warming.objects.filter(pk=warming.pk).update(leased_until=past)
    assert work(warming).state == Warming.State.DONE
    assert [one["name"] for one in warming.results] == [one["name"] for one in warming.targets]
    assert len(asked) == 14


@pytest.mark.not_quick
def test_a_model_that_fails_is_told_and_the_next_one_is_called(
    demo: Endpoint, versions: list[Version], boss: User
) -> None:
    LEFT_COLD[versions[0].target_model] = errors.Denied(phrase("No."))
    LEFT_COLD[versions[1].target_model] = errors.ModelFailed("no picture", status=400)
    warming = work(running.start(endpoint=demo, models="m0:1,m1:1,m2:1", actor=boss))
    told = [bool(one["error"]) for one in warming.results]
    assert told == [True, False, False], "who refuses the picture has loaded its model"


def test_a_sample_that_is_no_picture_keeps_nothing_from_being_warmed(
    demo: Endpoint, versions: list[Version], boss: User, tmp_path: Path, settings: Any
) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    settings.SAMPLES_DIR = str(tmp_path)
    warming = work(running.start(endpoint=demo, models="m1:1", actor=boss))
    assert (warming.state, warming.made, warming.refused) == (Warming.State.DONE, 1, 0)


def test_two_at_a_time_are_refused_and_so_is_what_cannot_be_called(
    demo: Endpoint, versions: list[Version], boss: User
) -> None:
    running.start(endpoint=demo, models="*", actor=boss)
    for models, code in (("*", "conflict"),):
        with pytest.raises(WarmingRefused) as refused:
            running.start(endpoint=demo, models=models, actor=boss)
        assert refused.value.code == code
    Warming.objects.all().delete()
    with pytest.raises(WarmingRefused, match="No alias"):
        running.start(endpoint=demo, models="@*", actor=boss)
    Endpoint.objects.update(old_status="Creating", state=Endpoint.State.CREATING)
    demo.refresh_from_db()
    with pytest.raises(WarmingRefused, match="not in service"):
        running.start(endpoint=demo, models="*", actor=boss)


@pytest.mark.not_quick
def test_it_is_kept_warm_while_it_stands(
    demo: Endpoint, versions: list[Version], boss: User
) -> None:
    schedule = keeping.keep(
        endpoint=demo, models="*", every_minutes=10, after_change=False, actor=boss
    )
    assert keeping.calls_a_day(schedule) == 14 * 144
    keeping.sweep()
    keeping.sweep()
    (made,) = Warming.objects.all()
    assert made.reason == Warming.Reason.SCHEDULE
    work(made)
    WarmSchedule.objects.update(next_at=clock.now())
    keeping.sweep()
    assert Warming.objects.count() == 2
    Endpoint.objects.update(gone_at=clock.now())
    WarmSchedule.objects.update(next_at=clock.now())
    keeping.sweep()
    assert Warming.objects.count() == 2
    assert not WarmSchedule.objects.exists()


def test_after_each_change_the_models_are_warmed_once(
    demo: Endpoint, versions: list[Version], boss: User
) -> None:
    keeping.keep(endpoint=demo, models="*", every_minutes=None, after_change=True, actor=boss)
    keeping.sweep()
    assert not Warming.objects.exists(), "it serves already"
    Endpoint.objects.update(revision=2, update_state=Endpoint.Update.ASKED)
    keeping.sweep()
    assert not Warming.objects.exists(), "the change is under way"
    Endpoint.objects.update(update_state="")
    keeping.sweep()
    keeping.sweep()
    (made,) = Warming.objects.all()
    assert made.reason == Warming.Reason.CHANGE


@pytest.mark.parametrize("cut", ["by a warming that goes on", "by a kill"])
def test_a_change_is_warmed_for_later_where_it_could_not_begin(
    demo: Endpoint,
    versions: list[Version],
    boss: User,
    monkeypatch: pytest.MonkeyPatch,
    cut: str,
) -> None:
    keeping.keep(endpoint=demo, models="*", every_minutes=None, after_change=True, actor=boss)
    Endpoint.objects.update(revision=2)
    if cut == "by a kill":
        with monkeypatch.context() as patch:
            patch.setattr(running, "start", _killed)
            with pytest.raises(KeyboardInterrupt):
                keeping.sweep()
    else:
        before = running.start(endpoint=demo, models="*", actor=boss)
        keeping.sweep()
        assert Warming.objects.get() == before
        running.stop(warming=before, actor=boss)
    keeping.sweep()
    keeping.sweep()
    made = Warming.objects.unfinished().get()
    assert made.reason == Warming.Reason.CHANGE


def _killed(**_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.not_quick
def test_a_new_endpoint_loads_what_aliases_point_at_once_it_serves(
    account: Account, versions: list[Version], boss: User, asked: list[str]
) -> None:
    made = services.create_endpoint(name="new", warm_aliases=True, actor=boss)
    services.create_endpoint(name="plain", actor=boss)
    assert [one.endpoint for one in WarmSchedule.objects.all()] == [made]  # without an alias yet
    point(versions[3])
    keeping.sweep()
    assert not Warming.objects.exists()  # it does not serve yet
    Endpoint.objects.filter(pk=made.pk).update(state=Endpoint.State.IN_SERVICE)
    keeping.sweep()
    keeping.sweep()
    work(Warming.objects.get(endpoint=made))
    assert asked == [versions[3].target_model]
    notes = planning.plan_creation(name="other", warm_aliases=True, actor=boss).notes
    assert any(one.startswith("Once it serves, the portal loads the models") for one in notes)


@pytest.mark.not_quick
def test_the_form_and_the_operation_ask_for_it(
    account: Account, client_of: ClientOf, boss: User
) -> None:
    client = client_of("operator")
    form = {"name": "by-page", "instance_type": "ml.m5.large", "instance_count": 1, "tags": ""}
    answer = client.post("/endpoints/new/", form | {"warm_aliases": "on"})
    assert answer.status_code == 302, answer.content.decode()
    token = secret_of(boss, tokens.scopes_of(boss))
    told = {"name": "by-api", "warm_aliases": True}
    answer = Client().post(
        "/api/v1/endpoints", told, "application/json", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 201, answer.content
    found = WarmSchedule.objects.order_by("pk").values_list("endpoint__name", "named")
    assert list(found) == [("by-page", "@*"), ("by-api", "@*")]


def test_what_makes_no_sense_is_not_kept(
    demo: Endpoint, versions: list[Version], boss: User
) -> None:
    for minutes, after in ((0, True), (10_081, True), (None, False)):
        with pytest.raises(WarmingRefused):
            keeping.keep(
                endpoint=demo, models="*", every_minutes=minutes, after_change=after, actor=boss
            )
    assert not WarmSchedule.objects.exists()


@pytest.mark.not_quick
def test_the_page_warms_keeps_and_stops(
    demo: Endpoint, versions: list[Version], client_of: ClientOf
) -> None:
    client = client_of("operator")
    page = f"/endpoints/{demo.pk}/warm/"
    assert "Nothing is kept warm." in client.get(page).content.decode()
    assert client.post(page, {"models": "*"}).status_code == 302
    warming = work(Warming.objects.get(), steps=2)
    assert "2 / 14" in client.get(page).content.decode()
    client.post(f"{page}stop/")
    warming.refresh_from_db()
    assert warming.state == Warming.State.STOPPED
    told = {"models": "*", "minutes": "30", "after_change": "on"}
    assert client.post(f"{page}keep/", told).status_code == 302
    assert "672 calls a day" in client.get(page).content.decode()
    client.post(f"{page}off/")
    assert "Nothing is kept warm." in client.get(page).content.decode()
    assert client.post(page, {"models": "nobody:1"}).status_code == 400
    assert client.post(f"{page}keep/", {"models": "*"}).status_code == 400


@pytest.mark.not_quick
def test_viewers_warm_and_keep_nothing(
    demo: Endpoint, versions: list[Version], client_of: ClientOf
) -> None:
    client = client_of("viewer")
    page = f"/endpoints/{demo.pk}/warm/"
    assert client.post(page, {"models": "*"}).status_code == 302
    assert client.post(f"{page}keep/", {"models": "*", "minutes": "30"}).status_code == 403


@pytest.mark.not_quick
def test_the_operations_do_the_same(
    demo: Endpoint, versions: list[Version], user_in: Callable[[str], User]
) -> None:
    user = user_in("operator")
    token = secret_of(user, tokens.scopes_of(user))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    base = "/api/v1/endpoints/demo"
    json = {"content_type": "application/json"}
    made = client.post(f"{base}/warmings", {"models": "m1:1,m2:1"}, **json)
    assert made.status_code == 202
    assert made.json()["versions"] == ["m1:1", "m2:1"]
    work(Warming.objects.get())
    told = client.get(f"{base}/warmings/{made.json()['id']}?wait=1").json()
    assert (told["state"], [one["cold"] for one in told["called"]]) == ("done", [True, True])
    call = client.get(f"/api/v1/invocations/{told['called'][0]['call']}").json()
    assert call["warming"] is True
    kept = client.put(f"{base}/warmth", {"models": "*", "every_minutes": 60}, **json).json()
    assert kept["kept"]["calls_per_day"] == 14 * 24
    assert client.delete(f"{base}/warmth").json()["kept"] is None
    assert client.post(f"{base}/warmings/{made.json()['id']}/stop").json()["state"] == "done"
    assert client.post(f"{base}/warmings/nobody/stop").status_code == 404
    wrong = client.put(f"{base}/warmth", {"models": "*", "every_minutes": 0}, **json)
    assert wrong.status_code == 422
