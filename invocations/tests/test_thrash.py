"""Whether models take turns in memory: what is said of the calls, and on what it is based."""

import html
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from core import clock
from endpoints import instance_memory
from endpoints.models import Endpoint, Revision
from invocations import cache_simulation
from invocations.capacity import thrash
from invocations.capacity.thrash import Verdict
from invocations.experiments import tally
from invocations.experiments.tally import MadeCall, TargetTally
from invocations.experiments.targets import CallTarget
from invocations.models import Experiment, Invocation
from models_catalog.models import RegisteredModel, Version
from tests.bearer import secret_of

ClientOf = Callable[[str], Client]
MODELS = 14
FIT = 9
LARGE, XLARGE = "ml.m5.large", "ml.m5.xlarge"


@pytest.fixture(autouse=True)
def _types(settings: Any) -> None:
    settings.INSTANCE_TYPES = [LARGE, XLARGE, "ml.m5.2xlarge"]
    settings.MAX_INSTANCES = 1


@pytest.fixture
def versions(db: None, settings: Any) -> list[Version]:
    """Models of which an ml.m5.large holds nine."""
    room = instance_memory.room_mb(LARGE)
    assert room is not None
    return [
        Version.objects.create(
            model=RegisteredModel.objects.create(name=f"m{number}"),
            number=1,
            key=f"{settings.MODEL_PREFIX}/m{number}.tar.gz",
            bucket=settings.MODEL_BUCKET,
            prefix=settings.MODEL_PREFIX,
            size=1,
            state=Version.State.READY,
            report={"ok": True, "memory_mb": room / (FIT + 0.5)},
        )
        for number in range(MODELS)
    ]


@pytest.fixture
def demo(db: None, settings: Any) -> Endpoint:
    return Endpoint.objects.create(
        name="demo",
        bucket=settings.MODEL_BUCKET,
        prefix=settings.MODEL_PREFIX,
        state=Endpoint.State.IN_SERVICE,
        instance_type=LARGE,
    )


def call(
    endpoint: Endpoint,
    versions: Sequence[Version],
    *,
    calls: int = 300,
    minutes: int = 60,
    cold: bool | None = True,
) -> None:
    """Call the models as Zipf's law has it; cold as a memory of nine would have it.

    ``cold`` None: the container does not say; False: all were warm.
    """
    weights = [1 / rank for rank in range(1, len(versions) + 1)]
    drawn = cache_simulation.drawn(range(len(versions)), weights, calls=calls, seed=3)
    begin = clock.now() - timedelta(minutes=minutes)
    met = 0
    rows = []
    sizes = dict.fromkeys(range(len(versions)), 1.0)
    for number, index in enumerate(drawn):
        before = met
        sofar = cache_simulation.simulate(drawn[: number + 1], sizes=sizes, room=FIT)
        met = sofar.first + sofar.again
        was_cold = met > before
        rows.append(
            Invocation(
                endpoint=endpoint,
                version=versions[index],
                target_model=versions[index].target_model,
                created_at=begin + timedelta(seconds=number * 60 * minutes / calls),
                state=Invocation.State.DONE,
                cold=None if cold is None else was_cold and cold,
                latency_ms=1820.0 if was_cold else 20.0,
                request_id="r",
            )
        )
    Invocation.objects.bulk_create(rows)


@pytest.mark.not_quick
def test_thrash_is_said_with_what_would_help(demo: Endpoint, versions: list[Version]) -> None:
    call(demo, versions)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.THRASH
    assert found.calls == 300
    assert found.traffic.wait_ms == 1800
    assert found.held == FIT
    assert found.predicted == pytest.approx(found.measured, abs=0.001)
    assert found.better is not None
    assert found.better.instance_type == XLARGE
    first, second, third = found.sentences
    assert first == (
        "14 models take turns in memory for 9: one call in six waits 1.8 s for its model."
    )
    assert second == "ml.m5.xlarge would hold all 14 (+ 0.115 USD an hour)."
    assert third.startswith("Or call these 5 versions less: m")
    assert {one.pk for one in found.less}.isdisjoint({one.pk for one in versions[:5]})
    assert "300 calls of 14 versions in the last 24 hours" in found.basis


def test_of_few_calls_nothing_is_said(demo: Endpoint, versions: list[Version]) -> None:
    call(demo, versions, calls=thrash.FEWEST_CALLS - 1)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.FEW_CALLS
    assert found.better is None
    assert not found.less


@pytest.mark.not_quick
def test_models_that_fit_together_are_said_to(demo: Endpoint, versions: list[Version]) -> None:
    call(demo, versions[:FIT])
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.FITS
    assert found.sentences == [
        "All 9 versions that were called lately have room in memory together."
    ]


@pytest.mark.not_quick
def test_calls_that_were_warm_outweigh_the_simulation(
    demo: Endpoint, versions: list[Version]
) -> None:
    """The memory of an instance is not what was reckoned with: nobody is told to pay more."""
    call(demo, versions, cold=False)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.OTHERWISE
    assert found.better is None
    assert "there is no advice" in found.sentences[0]


@pytest.mark.not_quick
def test_without_a_word_of_the_container_the_simulation_stands(
    demo: Endpoint, versions: list[Version]
) -> None:
    call(demo, versions, cold=None)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.THRASH
    assert found.measured is None
    assert found.traffic.wait_ms is None
    assert found.sentences[0].endswith("one call in six waits for its model.")


@pytest.mark.not_quick
def test_what_was_never_measured_is_taken_for_the_average(
    demo: Endpoint, versions: list[Version]
) -> None:
    Version.objects.filter(pk=versions[3].pk).update(report={})
    call(demo, versions)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.THRASH
    assert found.estimated == 1
    Version.objects.update(report={})
    thrash._kept.clear()
    assert thrash.of_endpoint(demo).verdict == Verdict.NOT_KNOWN


@pytest.mark.not_quick
def test_a_type_whose_memory_is_not_known_gets_no_word(
    demo: Endpoint, versions: list[Version]
) -> None:
    demo.instance_type = "ml.new.type"
    demo.save()
    call(demo, versions)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.NOT_KNOWN
    assert "ml.new.type" in found.sentences[0]


@pytest.mark.not_quick
def test_calls_of_an_earlier_configuration_do_not_count(
    demo: Endpoint, versions: list[Version]
) -> None:
    call(demo, versions)
    Revision.objects.create(
        endpoint=demo,
        number=2,
        state=Revision.State.SERVING,
        instance_type=LARGE,
        instance_count=1,
        created_at=clock.now(),
        settled_at=clock.now() - timedelta(minutes=10),
    )
    found = thrash.of_endpoint(demo)
    assert found.calls < 60
    assert "10 minutes" in found.basis


def test_calls_of_experiments_count_each_once(demo: Endpoint, versions: list[Version]) -> None:
    targets = [CallTarget(f"{one.model.name}:1", one.pk, one.target_model, "*") for one in versions]
    tallies = [TargetTally() for _ in targets]
    for number in range(200):
        cold = number % 4 == 0
        made = MadeCall(number, number / 10, 500.0 if cold else 10.0, cold, "cat")
        tallies[number % MODELS].add(made)
    began = clock.now() - timedelta(minutes=5)
    Experiment.objects.create(
        endpoint=demo,
        named="*",
        targets=[one.as_json() for one in targets],
        calls=200,
        callers=1,
        draw="uniform",
        seed=1,
        state=Experiment.State.DONE,
        started_at=began,
        finished_at=clock.now(),
        result=tally.result([one.name for one in targets], tallies, 20.0),
    )
    # What is written of an experiment into the list of calls.
    Invocation.objects.create(
        endpoint=demo,
        version=versions[0],
        target_model="m0.tar.gz",
        state=Invocation.State.DONE,
        cold=True,
        latency_ms=1.0,
        created_at=began + timedelta(minutes=1),
    )
    found = thrash.of_endpoint(demo)
    assert found.calls == 200
    assert found.traffic.said == 200
    assert found.traffic.cold.total() == 50
    assert found.traffic.wait_ms == pytest.approx(490, rel=0.02)
    assert found.verdict == Verdict.THRASH


@pytest.mark.not_quick
def test_the_page_leads_to_the_filled_in_form_whoever_may_change_it(
    demo: Endpoint, versions: list[Version], client_of: ClientOf
) -> None:
    call(demo, versions)
    page = f"/endpoints/{demo.pk}/metrics/"
    operator = client_of("operator")
    shown = operator.get(page).content.decode()
    assert "14 models take turns in memory for 9" in shown
    (address,) = re.findall(rf'href="(/endpoints/{demo.pk}/change/[^"]+)"', shown)
    form = operator.get(html.unescape(address)).context["form"]
    assert form.initial["instance_type"] == XLARGE
    seen = client_of("viewer").get(page).content.decode()
    assert "14 models take turns in memory for 9" in seen
    assert "/change/" not in seen


@pytest.mark.not_quick
def test_the_page_shows_nothing_of_few_calls(
    demo: Endpoint, versions: list[Version], client_of: ClientOf
) -> None:
    call(demo, versions, calls=10)
    shown = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    assert "take turns" not in shown
    assert 'id="memory"' not in shown


@pytest.mark.parametrize("query", ["instance_type=no&instance_count=x", "instance_count=99"])
def test_a_form_is_preset_with_what_can_be_alone(
    demo: Endpoint, client_of: ClientOf, query: str
) -> None:
    form = client_of("operator").get(f"/endpoints/{demo.pk}/change/?{query}").context["form"]
    assert form.initial["instance_type"] == LARGE
    assert form.initial["instance_count"] == 1


@pytest.mark.not_quick
def test_the_operation_says_the_same(
    demo: Endpoint, versions: list[Version], user_in: Callable[[str], User]
) -> None:
    call(demo, versions)
    user = user_in("viewer")
    token = secret_of(user, tokens.scopes_of(user))
    headers = {"Authorization": f"Bearer {token}"}
    told = Client().get("/api/v1/endpoints/demo/thrash", headers=headers).json()
    assert told["verdict"] == "thrash"
    assert told["calls"] == 300
    assert told["sentences"] == thrash.of_endpoint(demo).sentences
    assert told["better"]["instance_type"] == XLARGE
    assert told["better"]["cost"]["per_hour"] == "0.23"
    assert sum(one["calls"] for one in told["versions"]) == 300


@pytest.mark.not_quick
def test_it_is_found_once_for_all_who_look(
    demo: Endpoint, versions: list[Version], django_assert_max_num_queries: Any
) -> None:
    call(demo, versions)
    with django_assert_max_num_queries(5):
        thrash.of_endpoint(demo)
    with django_assert_max_num_queries(1):  # the settings of the running endpoint
        thrash.of_endpoint(demo)


@pytest.mark.not_quick
def test_two_variants_are_not_one_memory(demo: Endpoint, versions: list[Version]) -> None:
    demo.variants = [
        {"name": "large", "instance_type": LARGE, "instance_count": 1, "weight": 1.0},
        {"name": "small", "instance_type": LARGE, "instance_count": 1, "weight": 1.0},
    ]
    demo.save()
    call(demo, versions)
    found = thrash.of_endpoint(demo)
    assert found.verdict == Verdict.NOT_KNOWN
    assert "variants" in found.sentences[0]
