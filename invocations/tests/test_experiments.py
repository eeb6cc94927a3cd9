"""Experiments: the draw, the calls, stop, kill and go on, limits."""

import io
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from core import clock, errors, request_id
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations import experiment_views, runtime, services
from invocations.capacity import traffic
from invocations.experiments import call_log, drawing, process, running, sending, tally
from invocations.experiments import services as experiments
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.running import Clockwork
from invocations.experiments.services import Wanted
from invocations.models import (
    Experiment,
    Invocation,
    LabelledPicture,
    Picture,
    VersionHalfDay,
)
from models_catalog.models import Version
from tests.bearer import secret_of

State = Experiment.State


class Runtime:
    """SageMaker: what was asked for, and what it says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.named: list[tuple[str, str]] = []
        self.answers: list[Any] = []
        self.warm: set[str] = set()
        self.lock = threading.Lock()
        self.before: Callable[[int], None] = lambda _number: None

    def invoke(self, **call: Any) -> runtime.Answer:
        target = call["target_model"]
        with self.lock:
            self.asked.append(target)
            self.named.append((request_id.current(), call["custom_attributes"]))
            number = len(self.asked)
            said = self.answers.pop(0) if self.answers else None
            cold = target not in self.warm
            if not isinstance(said, BaseException):
                self.warm.add(target)
        self.before(number)
        if isinstance(said, BaseException):
            raise said
        body = json.dumps({"predictions": [{"label": f"of {target}", "probability": 0.75}]})
        told = f"cold={int(cold)};infer_ms=2.0"
        if cold:
            told += ";load_ms=3.5;put_out_n=2;put_out=team%2Fold.tar.gz"
        return runtime.Answer(body.encode(), "application/json", told, "r-1", "AllTraffic")


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    fake = Runtime()
    monkeypatch.setattr(runtime, "invoke", fake.invoke)
    monkeypatch.setattr(services, "BETWEEN_TRIES_S", 0)
    return fake


@pytest.fixture(autouse=True)
def sample(tmp_path: Path, settings: Any) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    settings.SAMPLES_DIR = str(folder)
    Image.new("L", (8, 8)).save(folder / "digit-3.png", "PNG")


@pytest.fixture
def three(serving: Endpoint, make_version: Callable[..., Version]) -> list[Version]:
    return [make_version(number=number) for number in (1, 2, 3)]


@pytest.fixture
def operator(user_in: Callable[[str], User]) -> User:
    return user_in("operator")


def _start(actor: User, **wanted: Any) -> Experiment:
    given: dict[str, Any] = {"models": "digits:*", "calls": 30, "callers": 4, "seed": 7} | wanted
    return experiments.start(wanted=Wanted(**given), endpoint=Endpoint.objects.get(), actor=actor)


def _run(experiment: Experiment, **how: Any) -> dict[str, Any]:
    running.run(experiment.pk, **how)
    experiment.refresh_from_db()
    return experiment.result


def test_zipf_draws_the_first_target_most_often_and_a_seed_draws_the_same() -> None:
    shares = drawing.shares("zipf:1.1", 4)
    assert sum(shares) == pytest.approx(1)
    assert shares[0] / shares[3] == pytest.approx(4**1.1)
    assert drawing.shares("uniform", 4) == [0.25] * 4
    one = drawing.drawn("zipf:1.1", seed=3, calls=10_000, targets=4)
    found = Counter(one.targets)
    for index, share in enumerate(shares):
        assert found[index] / 10_000 == pytest.approx(share, abs=0.02)
    assert drawing.drawn("zipf:1.1", seed=3, calls=10_000, targets=4) == one
    assert drawing.drawn("zipf:1.1", seed=4, calls=10_000, targets=4) != one
    for wrong in ("zipf", "zipf:", "zipf:0", "zipf:9", "zipf:nan", "normal", ""):
        with pytest.raises(ExperimentRefused):
            drawing.shares(wrong, 2)


def test_where_the_time_of_cold_and_warm_calls_went_is_told_apart() -> None:
    def made(cold: bool | None, attempts: int = 1, **times: float) -> tally.MadeCall:
        told = {"attempts": attempts, "timings": times}
        return tally.MadeCall(0, 0.0, 10.0, cold=cold, told=told)

    warm = {"call_ms": 10.0, "decode_ms": 1.0, "infer_ms": 4.0, "load_ms": 300.0}
    cold = {"call_ms": 1010.0, "ready_ms": 400.0} | {
        name: ms for name, ms in warm.items() if name != "call_ms"
    }
    one, other = tally.TargetTally(), tally.TargetTally()
    one.add(made(True, **cold))
    assert tally.parts_of([one])["warm"] is None
    alone = tally.parts_of([one])["cold"]
    assert alone is not None
    assert (alone["network"], alone["fetch"]) == (605.0, None)
    one.add(made(True, attempts=3, **cold))  # nobody knows what it waited for
    one.add(made(None, **warm))
    one.add(tally.MadeCall(1, 0.0, 5.0, error="model-failed"))
    for ms in (10.0, 14.0):
        other.add(made(False, **warm | {"call_ms": ms}))
    again = [tally.TargetTally.from_json(json.loads(json.dumps(t.as_json()))) for t in (one, other)]
    assert tally.parts_of(again) == {
        "cold": {
            "calls": 1, "network": 7.0, "fetch": 598.0, "load": 400.0, "decode": 1.0, "infer": 4.0,
        },
        "warm": {
            "calls": 2, "network": 7.0, "fetch": 0.0, "load": 0.0, "decode": 1.0, "infer": 4.0,
        },
    }  # fmt: skip
    before = one.as_json()
    del before["spent"]
    assert tally.TargetTally.from_json(before).spent == {}, "as the release before wrote it"


@pytest.mark.not_quick
def test_the_calls_are_made_once_each_and_everything_is_counted(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator, draw="zipf:1.1")
    result = _run(experiment)
    assert experiment.state == State.DONE
    assert experiment.finished_at is not None
    assert len(sagemaker.asked) == 30
    assert (result["calls"], result["succeeded"], result["failed"]) == (30, 30, 0)
    assert result["unknown"] == 0
    assert (result["cold"], result["cold_share"]) == (3, 0.1)
    assert result["calls_per_second"] > 0
    drawn = Counter(drawing.drawn("zipf:1.1", seed=7, calls=30, targets=3).targets)
    for index, version in enumerate(three):
        name = f"digits:{version.number}"
        assert result["targets"][name]["calls"] == drawn[index]
        assert result["targets"][name]["cold"] == 1
        assert result["labels"][name] == {f"of {version.target_model}": drawn[index]}
        assert set(result["latency_ms"]["targets"][name]) == {"p50", "p90", "p99"}
        assert sagemaker.asked.count(version.target_model) == drawn[index]
    for part in ("all", "cold", "warm"):
        assert result["latency_ms"][part]["p50"] > 0
    assert sum(bar[2] for bar in result["bars"]) == 3
    assert sum(bar[3] for bar in result["bars"]) == 27
    assert not list(Path(call_log.settings.JOURNAL_DIR).glob("experiment-*"))
    # Their lines in the logs of the portal and of the container name the experiment.
    ids = {f"{experiment.uid}.{number}" for number in range(30)}
    assert set(sagemaker.named) == {(id, f"request_id={id}") for id in ids}


@pytest.mark.not_quick
def test_of_each_target_the_first_and_the_last_call_are_in_the_list_of_calls(
    three: list[Version], sagemaker: Runtime, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WRITE_EVERY_S", 0.0)
    monkeypatch.setattr(running, "_LOOK_EVERY_S", 0.0)
    _run(_start(operator))
    calls = Invocation.objects.filter(state=Invocation.State.DONE)
    assert 3 <= len(calls) <= 6
    assert {call.version for call in calls} == set(three)
    assert {call.created_by for call in calls} == {operator}
    assert calls[0].predictions[0]["label"].startswith("of ")
    lately = traffic.lately(calls[0].endpoint)
    assert (len(lately.versions), lately.cold.total()) == (30, 3), "each counts once"
    for call in calls:
        assert call.timings["infer_ms"] == 2.0
        assert 0 < call.timings["call_ms"] <= call.latency_ms
        assert (call.attempts, call.request_id, call.variant) == (1, "", "AllTraffic")
        assert (call.put_out is not None, "load_ms" in call.timings) == (call.cold, call.cold)


@pytest.mark.not_quick
def test_a_listed_call_tells_where_its_time_went_and_what_was_unloaded_for_it(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    sagemaker.answers = [errors.NotReady(phrase("loading"))]
    _run(_start(operator, calls=1, callers=1))
    call = Invocation.objects.get()
    assert (call.cold, call.attempts) == (True, 2)
    assert call.put_out == {"names": ["team/old.tar.gz"], "count": 2}
    times = call.timings
    assert times["load_ms"] == 3.5
    assert 0 < times["waited_ms"] < times["waited_ms"] + times["call_ms"] <= call.latency_ms


class Moved:
    """A clock that is moved by what waits, and by the model."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.time += seconds
        return event.is_set()


@pytest.mark.not_quick
def test_in_an_open_loop_a_call_that_had_to_wait_counts_from_its_planned_moment(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    moved = Moved()

    def slow_at_first(number: int) -> None:
        moved.time += 3.0 if number == 1 else 0.5

    sagemaker.before = slow_at_first
    wanted = {"calls": 5, "callers": 1}
    how = {"clockwork": Clockwork(moved.now, moved.wait)}
    result = _run(_start(operator, **wanted, rate=1.0), **how)
    # Planned at 0, 1, 2, 3, 4 s; ended at 3, 3.5, 4, 4.5, 5 s.
    assert result["seconds"] == 5.0
    assert result["latency_ms"]["all"]["p50"] == pytest.approx(2000, rel=0.01)
    assert result["latency_ms"]["all"]["p99"] == pytest.approx(3000, rel=0.01)
    sagemaker.asked.clear()
    closed = _run(_start(operator, **wanted), **how)
    assert closed["seconds"] == 5.0
    assert closed["latency_ms"]["all"]["p50"] == pytest.approx(500, rel=0.01)


@pytest.mark.not_quick
def test_what_is_planned_later_is_not_called_before(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    moved = Moved()
    how = {"clockwork": Clockwork(moved.now, moved.wait)}
    result = _run(_start(operator, calls=5, callers=1, rate=2.0), **how)
    assert result["seconds"] == 2.0
    assert result["calls_per_second"] == 2.5


@pytest.mark.not_quick
def test_one_is_stopped_between_two_calls_and_what_was_made_is_kept(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator, calls=1000, callers=2)
    go_on = threading.Event()

    def hold(number: int) -> None:
        if number > 20:
            go_on.wait(20)

    sagemaker.before = hold
    seen: list[str] = []
    stopped = running.Callers._stop_wanted

    def stop_now(self: Any) -> bool:
        if len(sagemaker.asked) >= 22 and not seen:
            experiments.stop(experiment=experiment, actor=operator)
            seen.append(str(experiment.badge.label))
            go_on.set()
        return stopped(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(running.Callers, "_stop_wanted", stop_now)
    patch.setattr(running, "WRITE_EVERY_S", 0.0)
    try:
        result = _run(experiment)
    finally:
        patch.undo()
    assert seen == ["Stopping"]
    assert experiment.state == State.STOPPED
    assert result["succeeded"] == result["calls"] == len(sagemaker.asked)
    assert result["calls"] < 1000


@pytest.mark.not_quick
def test_one_that_waits_is_stopped_at_once(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator)
    experiments.stop(experiment=experiment, actor=operator)
    assert experiment.state == State.STOPPED
    assert not process.start(experiment.pk)
    _run(experiment)
    assert sagemaker.asked == []


class Killed(BaseException):
    """What stands for SIGKILL: nothing is written after it."""


def _killed_after(experiment: Experiment, sagemaker: Runtime, calls: int) -> None:
    """Run it until so many calls began; its callers are cut off in the midst of one."""
    hold = threading.Event()

    def stuck(number: int) -> None:
        if number > calls:
            hold.wait(30)
            raise Killed

    sagemaker.before = stuck
    killed = pytest.MonkeyPatch()

    def kill(self: Any, lease: Any, ending: Any, threads: Any) -> None:
        while len(sagemaker.asked) < calls + len(threads):
            threading.Event().wait(0.01)
        raise Killed

    killed.setattr(running.Callers, "_watch", kill)
    killed.setattr(threading, "excepthook", lambda _args: None)
    with pytest.raises(Killed):
        running.run(experiment.pk)
    hold.set()
    for thread in threading.enumerate():
        if thread.name.startswith("caller-"):
            thread.join(10)
    killed.undo()
    sagemaker.before = lambda _number: None
    past = clock.now() - timedelta(seconds=1)
    Experiment.objects.update(leased_until=past, check_after=past)


@pytest.mark.not_quick
def test_after_a_kill_no_call_is_made_twice_and_what_was_under_way_is_unknown(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator, calls=12, callers=2)
    _killed_after(experiment, sagemaker, 5)
    experiment.refresh_from_db()
    assert experiment.state == State.RUNNING
    assert experiment.result["calls"] == 0, "the row was written before the calls"
    result = _run(experiment)
    assert experiment.state == State.DONE
    assert len(sagemaker.asked) == 12
    assert (result["succeeded"], result["failed"], result["unknown"]) == (10, 0, 2)
    assert result["calls"] == 12
    drawn = Counter(drawing.drawn("uniform", seed=7, calls=12, targets=3).targets)
    for index, version in enumerate(three):
        assert result["targets"][f"digits:{version.number}"]["calls"] == drawn[index]
        assert sagemaker.asked.count(version.target_model) == drawn[index]


@pytest.mark.not_quick
def test_one_that_is_stopped_after_a_kill_begins_no_further_call(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator, calls=200, callers=2)
    _killed_after(experiment, sagemaker, 5)
    made = len(sagemaker.asked)
    experiments.stop(experiment=experiment, actor=operator)
    assert experiment.badge.label == "Stopping"
    result = _run(experiment)
    assert (experiment.state, len(sagemaker.asked)) == (State.STOPPED, made)
    assert (result["succeeded"], result["unknown"]) == (5, 2)


@pytest.mark.not_quick
def test_on_another_host_all_that_may_have_begun_is_unknown_and_nothing_is_made_twice(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator, calls=40, callers=2)
    _killed_after(experiment, sagemaker, 3)
    call_log.drop_others(experiment.uid)
    result = _run(experiment)
    assert experiment.state == State.DONE
    assert result["calls"] == 40
    assert result["unknown"] == 8, "as many as the row allowed to begin"
    assert len(sagemaker.asked) == 5 + 32


def test_what_a_process_left_that_was_killed_at_the_end_goes(
    three: list[Version],
    sagemaker: Runtime,
    operator: User,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.JOURNAL_DIR = str(tmp_path)
    ended, waits = _start(operator, calls=3), _start(operator, calls=3)
    with monkeypatch.context() as patch:
        patch.setattr(call_log, "drop_others", lambda *_given, **_how: None)
        _run(ended)
    call_log.CallLog(waits.uid).close()
    assert len(list(tmp_path.glob("*.calls"))) == 2
    experiments.resume()
    (left,) = tmp_path.glob("*.calls")
    assert waits.uid in left.name


def test_a_log_whose_process_lives_is_not_read(tmp_path: Path, settings: Any) -> None:
    settings.JOURNAL_DIR = str(tmp_path)
    made = call_log.CallLog("a" * 32)
    made.begins(3)
    made.ended(tally.MadeCall(3, 0.5, 12.0, cold=True, label="eight", probability=0.5))
    assert call_log.read(made.name) is None
    made.close()
    with open(made.path, "ab") as file:
        file.write(b"\n[4]\n[5,0.")
    found = call_log.read(made.name)
    assert found is not None
    assert found.begun == {3, 4}
    assert [(one.number, one.label, one.cold) for one in found.ended] == [(3, "eight", True)]
    assert call_log.read("../etc/passwd") is None
    call_log.drop_others("a" * 32)
    assert os.listdir(tmp_path) == ["samples"]


@pytest.mark.not_quick
def test_a_process_that_is_to_end_gives_it_back_and_the_next_one_goes_on(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    ending = threading.Event()
    sagemaker.before = lambda number: ending.set() if number == 6 else None
    experiment = _start(operator, calls=20, callers=2)
    result = _run(experiment, ending=ending)
    assert experiment.state == State.RUNNING
    assert experiment.leased_until is None
    assert 6 <= result["succeeded"] < 20
    result = _run(experiment)
    assert experiment.state == State.DONE
    assert (result["succeeded"], result["unknown"]) == (20, 0)
    assert len(sagemaker.asked) == 20


@pytest.mark.not_quick
def test_one_that_lost_its_lease_writes_nothing_more(
    three: list[Version], sagemaker: Runtime, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WRITE_EVERY_S", 0.0)
    experiment = _start(operator, calls=200, callers=1)

    def taken(number: int) -> None:
        threading.Event().wait(0.01)

    sagemaker.before = taken
    stop_wanted = running.Callers._stop_wanted

    def take_over(self: Any) -> bool:
        Experiment.objects.update(leased_until=clock.now() + timedelta(hours=1))
        return stop_wanted(self)

    monkeypatch.setattr(running.Callers, "_stop_wanted", take_over)
    result = _run(experiment)
    assert experiment.state == State.RUNNING
    assert result["calls"] == 0
    asked = len(sagemaker.asked)
    assert asked < 200
    assert list(Path(call_log.settings.JOURNAL_DIR).glob("experiment-*")), "the next one reads it"


@pytest.mark.not_quick
def test_what_sagemaker_did_not_take_is_tried_again_and_a_lost_answer_is_not(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    class Response(Exception):
        response = {"ResponseMetadata": {"HTTPStatusCode": 503}}

    refused = errors.Throttled(phrase("No."))
    refused.__cause__ = Response()
    sagemaker.answers = [
        errors.NotReady(phrase("It is loading.")), refused, None,
        errors.Throttled(phrase("It did not answer.")),
        errors.ModelFailed("no picture", status=400),
    ]  # fmt: skip
    result = _run(_start(operator, models="digits:1", calls=4, callers=1))
    assert len(sagemaker.asked) == 6
    assert result["errors"] == {"unavailable": 1, "model-refused": 1}
    assert (result["succeeded"], result["failed"], result["cold"]) == (2, 2, 1)


@pytest.mark.not_quick
def test_it_ends_when_too_many_calls_in_a_row_fail(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    gone = errors.NotFound(phrase("AWS has no endpoint demo."))
    sagemaker.answers = [gone] * 1000
    experiment = _start(operator, calls=1000, callers=4)
    result = _run(experiment)
    assert experiment.state == State.FAILED
    assert "50 calls in a row failed" in str(experiment.said)
    assert 50 <= result["failed"] < 60
    assert result["latency_ms"]["all"] == {"p50": None, "p90": None, "p99": None}


@pytest.mark.not_quick
def test_one_that_ends_its_processes_is_given_up(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    experiment = _start(operator)
    Experiment.objects.update(attempts=running.MOST_ATTEMPTS)
    _run(experiment)
    assert experiment.state == State.FAILED
    assert "ended again and again" in str(experiment.said)
    assert sagemaker.asked == []


@pytest.mark.not_quick
def test_targets_are_named_by_models_versions_aliases_lists_and_prefixes(
    three: list[Version], make_version: Callable[..., Version], settings: Any
) -> None:
    from invocations.experiments.targets import resolve

    prefix = settings.MODEL_PREFIX
    make_version("squeezenet", key=f"{prefix}/demo-subfolder/squeezenet_0.tar.gz")
    make_version("squeezenet", number=2, key=f"{prefix}/demo-subfolder/squeezenet_1.tar.gz")
    make_version("digits", number=4, state=Version.State.RETIRED)
    endpoint = Endpoint.objects.get()

    def names(text: str) -> list[str]:
        return [one.name for one in resolve(text, endpoint)]

    assert names("digits:*") == ["digits:1", "digits:2", "digits:3"]
    assert names("digits") == ["digits:3"]
    assert names("digits:2, digits:1,digits:*") == ["digits:2", "digits:1", "digits:3"]
    assert names("demo-subfolder/*") == ["squeezenet:1", "squeezenet:2"]
    assert len(names("*")) == 5
    for wrong in ("", "cats:*", "digits@live", "digits:9", "elsewhere/*", "digits:1:2"):
        with pytest.raises(ExperimentRefused):
            resolve(wrong, endpoint)


@pytest.mark.not_quick
def test_limits_are_by_role(
    three: list[Version], operator: User, user_in: Callable[[str], User], settings: Any
) -> None:
    viewer = user_in("viewer")
    settings.EXPERIMENT_CALLS_VIEWER = 50
    settings.EXPERIMENT_CALLERS_VIEWER = 2
    assert _start(viewer, calls=50, callers=2).callers == 2
    assert _start(viewer, calls=10, callers=None).callers == 2

    def refused(actor: User, **wanted: Any) -> ExperimentRefused:
        with pytest.raises(ExperimentRefused) as raised:
            _start(actor, **wanted)
        return raised.value

    assert "1 to 50 calls" in str(refused(viewer, calls=51, callers=1))
    assert refused(viewer, calls=5, callers=3).field == "callers"
    assert "1 to 10000 calls" in str(refused(operator, calls=10_001))
    assert refused(operator, callers=33).field == "callers"
    assert refused(operator, calls=0).field == "calls"
    for rate in (0.0, -1.0, float("nan"), 1001.0, 0.0001):
        assert refused(operator, rate=rate).field == "rate"
    assert refused(operator, seed=-1).field == "seed"
    assert refused(operator, draw="zipf:x").field == "draw"
    _start(viewer, calls=1, callers=1)
    assert "3 of your experiments" in str(refused(viewer, calls=1, callers=1))
    ours = Experiment.objects.filter(created_by=viewer)[0]
    theirs = _start(operator)
    with pytest.raises(ExperimentRefused):
        experiments.stop(experiment=theirs, actor=viewer)
    with pytest.raises(ExperimentRefused):
        experiments.rename(experiment=theirs, name="mine", actor=viewer)
    experiments.rename(experiment=ours, name=" a name ", actor=operator)
    assert ours.title == "a name"


def test_room_is_looked_for_under_a_lock(three: list[Version], operator: User) -> None:
    """Of two requests at a time the second counts what the first has begun."""
    with CaptureQueriesContext(connection) as queries:
        _start(operator)
    told = [query["sql"] for query in queries]
    begins = next(at for at, sql in enumerate(told) if sql.startswith(("SAVEPOINT", "BEGIN")))
    counts = next(at for at, sql in enumerate(told) if "COUNT(*)" in sql and "state" in sql)
    writes = next(at for at, sql in enumerate(told) if "INSERT" in sql and "experiment" in sql)
    assert begins < counts < writes
    if connection.features.has_select_for_update:
        assert any("FOR UPDATE" in sql for sql in told[begins:counts])


@pytest.mark.not_quick
def test_the_pictures_are_samples_or_the_test_set_of_each_model(
    three: list[Version], sagemaker: Runtime, operator: User, settings: Any
) -> None:
    with pytest.raises(ExperimentRefused, match="test set of digits is empty"):
        _start(operator, pictures="test-set")
    LabelledPicture.objects.create(
        model=three[0].model, version=three[0], label="eight", predicted="x", probability=0.5,
        sha256=f"{9:064}", name="digit.png", content_type="image/png", size=1,
        data=_png(), thumbnail=b"",
    )  # fmt: skip
    assert _run(_start(operator, pictures="test-set"))["succeeded"] == 30
    with pytest.raises(ExperimentRefused, match="No picture of a call is kept"):
        _start(operator, pictures="kept")
    Picture.objects.create(
        sha256="a" * 64, name="mine.png", content_type="image/png", data=_png(),
        thumbnail=b"",
    )  # fmt: skip
    settings.SAMPLES_DIR = ""
    experiment = _start(operator, pictures="kept")
    assert _run(experiment)["succeeded"] == 30
    with pytest.raises(ExperimentRefused, match="no sample pictures"):
        _start(operator)
    again = _start(operator, pictures="kept")
    Picture.objects.all().delete()
    _run(again)
    assert str(again.said) == "No picture of a call is kept any more."


@pytest.mark.not_quick
@pytest.mark.parametrize("pictures", ["kept", "test-set"])
def test_a_picture_whose_object_is_gone_is_left_out(
    three: list[Version], sagemaker: Runtime, operator: User, pictures: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The others are sent. While S3 gives none, the experiment ends with what S3 said."""

    def reading(problem: errors.AwsError) -> Callable[..., Iterator[bytes]]:
        def read(**asked: Any) -> Iterator[bytes]:
            raise problem

        return read

    version = three[0]
    for number, key in (("a", "gone"), ("b", "")):
        if pictures == "kept":
            _own_picture(number * 64)
            Picture.objects.filter(sha256=number * 64).update(key=key)
        else:
            LabelledPicture.objects.create(
                model=version.model, version=version, label="three", predicted="eight", key=key,
                probability=0.5, sha256=number * 64, name="p.png", content_type="image/png",
                size=1, data=_png(), thumbnail=b"",
            )  # fmt: skip
    monkeypatch.setattr("models_catalog.s3.download", reading(errors.NotFound("Not there.")))
    monkeypatch.setattr("invocations.pictures_kept.s3.download", reading(errors.NotFound("No.")))
    assert _run(_start(operator, pictures=pictures))["succeeded"] == 30
    away = errors.Throttled("S3 is away.")
    monkeypatch.setattr("models_catalog.s3.download", reading(away))
    monkeypatch.setattr("invocations.pictures_kept.s3.download", reading(away))
    experiment = _start(operator, pictures=pictures)
    _run(experiment)
    assert (experiment.state, str(experiment.said)) == (State.FAILED, "S3 is away.")


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), 5).save(out, "PNG")
    return out.getvalue()


def _own_picture(sha256: str) -> None:
    Picture.objects.create(
        sha256=sha256, name="mine.png", content_type="image/png", data=_png(), thumbnail=b""
    )


def test_a_picture_of_ones_own_that_is_deleted_while_it_begins_is_said(
    three: list[Version], operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _own_picture("a" * 64)
    real = sending.check_pictures

    def overtaken(*asked: Any) -> None:
        real(*asked)
        Picture.objects.all().delete()

    monkeypatch.setattr(sending, "check_pictures", overtaken)
    with pytest.raises(ExperimentRefused, match="that are not kept"):
        _start(operator, given=["a" * 64])
    assert not Experiment.objects.exists()


@pytest.mark.not_quick
def test_pictures_of_ones_own_are_sent_and_kept_meanwhile(
    three: list[Version], sagemaker: Runtime, operator: User, settings: Any
) -> None:
    settings.SAMPLES_DIR = ""
    mine, other = "a" * 64, "b" * 64
    _own_picture(mine)
    long_ago = clock.now() - timedelta(hours=23)
    Picture.objects.update(used_at=long_ago)
    with pytest.raises(ExperimentRefused, match="not kept"):
        _start(operator, given=[mine, other])
    with pytest.raises(ExperimentRefused, match="Give the pictures"):
        _start(operator, pictures="given")
    settings.EXPERIMENT_PICTURES = 1
    with pytest.raises(ExperimentRefused, match="1 pictures at most"):
        _start(operator, given=[mine, other])
    experiment = _start(operator, given=[mine, mine])
    assert (experiment.pictures, experiment.given) == ("given", [mine])
    assert Picture.objects.get().used_at > long_ago + timedelta(hours=1)
    assert _run(experiment)["succeeded"] == 30
    again = _start(operator, given=[mine])
    Picture.objects.all().delete()
    _run(again)
    assert str(again.said) == "The pictures that were given are not kept any more."


DAY = datetime(2026, 1, 27, tzinfo=UTC)
AS_THAT_DAY = "day:2026-01-27"


def _called(version: Version, at: datetime, times: int = 1, **more: Any) -> None:
    Invocation.objects.bulk_create(
        Invocation(
            endpoint=Endpoint.objects.get(), version=version, target_model=version.target_model,
            created_at=at, state=Invocation.State.DONE, **more,
        )
        for _n in range(times)
    )  # fmt: skip


@pytest.mark.not_quick
def test_a_recorded_day_is_drawn_by_its_shares_and_in_order_of_time(
    three: list[Version], sagemaker: Runtime, operator: User
) -> None:
    first, second, third = three
    _called(first, DAY + timedelta(hours=1), 30)
    _called(second, DAY + timedelta(hours=1, minutes=20), 10)
    _called(first, DAY + timedelta(hours=23, minutes=59), 60)
    _called(third, DAY - timedelta(seconds=1), 5)
    _called(third, DAY + timedelta(days=1), 5)
    _called(third, DAY, 5, warming=True)
    experiment = _start(operator, draw=AS_THAT_DAY, calls=200)
    experiment.refresh_from_db()
    assert experiment.recorded == [[[0, 30]], [[1, 10]], [[0, 60]]]
    draw = running.draw_of(experiment, 3)
    assert list(draw.targets) == [0] * 60 + [1] * 20 + [0] * 120
    _run(experiment)
    assert Counter(sagemaker.asked) == {first.target_model: 180, second.target_model: 20}
    wanted = Wanted(models="digits:*", calls=100, draw=AS_THAT_DAY)
    plan = experiments.plan(wanted=wanted, endpoint=Endpoint.objects.get(), actor=operator)
    assert [one.calls for one in plan.targets] == [90.0, 10.0, 0.0]


@pytest.mark.not_quick
def test_of_deleted_calls_the_sums_of_half_days_are_drawn(
    three: list[Version], operator: User
) -> None:
    _called(three[0], DAY + timedelta(hours=2))  # the last one of a version stays
    for version, hours, calls in ((three[0], 0, 40), (three[1], 12, 60)):
        VersionHalfDay.objects.create(
            endpoint=Endpoint.objects.get(), version=version, begin=DAY + timedelta(hours=hours),
            calls=calls, last_call_at=DAY,
        )  # fmt: skip
    experiment = _start(operator, draw=AS_THAT_DAY, calls=10)
    assert list(running.draw_of(experiment, 3).targets) == [0] * 4 + [1] * 6


def test_a_piece_of_a_day_has_all_its_targets_and_a_seed_draws_the_same() -> None:
    recorded = [[(0, 50), (1, 50)], [(2, 100)]]
    one = drawing.drawn(AS_THAT_DAY, seed=3, calls=1000, targets=3, recorded=recorded)
    assert set(one.targets[:500]) == {0, 1}
    assert Counter(one.targets[:500])[0] == pytest.approx(250, abs=40)
    assert set(one.targets[500:]) == {2}
    assert drawing.drawn(AS_THAT_DAY, seed=3, calls=1000, targets=3, recorded=recorded) == one


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        ("day:2026-01-26", "No call of these versions on demo is recorded of 2026-01-26"),
        ("day:2026-02-30", "2026-02-30 is no day"),
        ("day:9999-12-31", "is not over"),
        ("day:yesterday", "Draw by uniform"),
    ],
)
def test_a_day_without_calls_or_that_is_none_is_refused(
    three: list[Version], operator: User, draw: str, said: str
) -> None:
    _called(three[0], DAY)
    with pytest.raises(ExperimentRefused, match=said):
        _start(operator, draw=draw)
    today = f"day:{clock.now().date().isoformat()}"
    with pytest.raises(ExperimentRefused, match="is not over"):
        _start(operator, draw=today)


@pytest.mark.not_quick
def test_the_page_takes_pictures_and_keeps_them_from_the_plan_on(
    three: list[Version], client_of: Callable[[str], Client], settings: Any
) -> None:
    client, address = client_of("operator"), "/invoke/experiments/new/"
    form = {
        "endpoint": Endpoint.objects.get().pk, "models": "digits:*", "calls": 10, "callers": 2,
        "draw": "uniform", "pictures": "samples",
    }  # fmt: skip
    files = [_file("one.png", 1), _file("two.png", 2)]
    text = client.post(address, form | {"plan": "1", "files": files}).content.decode()
    assert "2 pictures are kept for this experiment." in text
    kept = ",".join(Picture.objects.order_by("pk").values_list("sha256", flat=True))
    assert f'name="given" value="{kept}"' in text
    assert '<option value="given" selected>' in text
    client.post(address, form | {"pictures": "given", "given": kept})
    assert Experiment.objects.get().given == kept.split(",")
    wrong = client.post(address, form | {"files": [_file("no.png", None)]})
    assert wrong.status_code == 400
    assert "no.png" in wrong.content.decode()
    settings.EXPERIMENT_PICTURES = 1
    text = client.post(address, form | {"files": [_file("a", 1), _file("b", 2)]}).content.decode()
    assert "Give 1 pictures at most." in text
    # Who chooses the samples again sends these.
    client.post(address, form | {"given": kept})
    assert Experiment.objects.order_by("pk").last().pictures == "samples"  # type: ignore[union-attr]


def _file(name: str, grey: int | None) -> SimpleUploadedFile:
    out = io.BytesIO(b"" if grey is not None else b"no picture")
    if grey is not None:
        Image.new("L", (8, 8), grey).save(out, "PNG")
    return SimpleUploadedFile(name, out.getvalue(), "image/png")


@pytest.mark.not_quick
def test_the_plan_says_how_many_calls_each_target_gets(
    three: list[Version], make_version: Callable[..., Version], operator: User
) -> None:
    make_version("other")
    for version in three:
        version.report = {"warm_ms": 15.0, "load_ms": 100.0, "memory_mb": 80}
        version.save()
    wanted = Wanted(models="digits:*", calls=120, callers=2, draw="zipf:1.0")
    plan = experiments.plan(wanted=wanted, endpoint=Endpoint.objects.get(), actor=operator)
    assert [one.calls for one in plan.targets] == [65.5, 32.7, 21.8]
    assert plan.memory_mb == 240
    assert plan.others == 1
    assert plan.seconds == pytest.approx((120 * 20 + 300) / 1000 / 2)
    assert plan.cost is not None
    assert plan.cost_meanwhile == f"{float(plan.cost.per_hour) * round(plan.seconds) / 3600:.6f}"
    assert not Experiment.objects.exists()


@pytest.mark.not_quick
def test_the_plan_reckons_with_the_vcpus_and_with_models_that_take_turns_in_memory(
    three: list[Version], operator: User
) -> None:
    # 2 vCPUs, and room for two of these models.
    Endpoint.objects.update(instance_type="ml.c5.large", instance_count=1)
    for version in three:
        version.report = {"warm_ms": 15.0, "load_ms": 100.0, "memory_mb": 1500}
        version.save()
    endpoint = Endpoint.objects.get()
    wanted = Wanted(models="digits:*", calls=120, callers=8, seed=3)
    plan = experiments.plan(wanted=wanted, endpoint=endpoint, actor=operator)
    held: list[int] = []
    loads = 0
    for target in drawing.drawn("uniform", seed=3, calls=120, targets=3).targets:
        if target in held:
            held.remove(target)
        else:
            loads += 1
            del held[:-1]
        held.append(target)
    assert loads > 30
    assert plan.seconds == pytest.approx((120 * 20 + loads * 100) / 1000 / 2)


def test_the_sweep_takes_up_what_is_due_and_a_process_is_started_unless_too_many_run(
    three: list[Version], operator: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.EXPERIMENTS_AT_ONCE = 1
    first, second = _start(operator), _start(operator)
    queued: list[int] = []
    monkeypatch.setattr(experiments, "enqueue_on_commit", lambda _task, pk: queued.append(pk))
    experiments.resume()
    assert queued == [first.pk, second.pk]

    class Process:
        def __init__(self, command: list[str], **how: Any) -> None:
            self.command = command
            self.stdin = io.BytesIO()
            self.code: int | None = None

        def poll(self) -> int | None:
            return self.code

    monkeypatch.setattr(process, "_processes", {})
    monkeypatch.setattr(process.subprocess, "Popen", Process)
    assert process.start(first.pk)
    assert not process.start(first.pk)
    assert not process.start(second.pk), "one runs"
    made: Any = process._processes[first.pk]
    assert made.command[1:] == ["-m", "invocations.experiments", str(first.pk)]
    made.code = 0
    assert process.start(second.pk)
    process.end_all()
    ended: Any = process._processes[second.pk]
    assert ended.stdin.closed


API = "/api/v1/experiments"


@pytest.fixture
def ask(operator: User) -> Callable[..., Any]:
    """Ask the API as an operator: ``ask("POST", "/stop", scopes=…, **body)``."""

    def asked(
        method: str, path: str = "", scopes: tuple[str, ...] = ("read", "invoke"), **body: Any
    ) -> Any:
        secret = secret_of(operator, scopes)
        headers = {"Authorization": f"Bearer {secret}"}
        given = json.dumps(body)
        return Client().generic(method, API + path, given, "application/json", headers=headers)

    return asked


@pytest.mark.not_quick
def test_the_api_begins_one_waits_for_it_and_says_all_of_it(
    three: list[Version], sagemaker: Runtime, ask: Callable[..., Any]
) -> None:
    wanted = {"endpoint": "demo", "models": "digits:*", "calls": 20, "draw": "zipf:1.1", "seed": 3}
    assert ask("POST", scopes=("read",), **wanted).status_code == 403
    assert ask("POST", **wanted | {"endpoint": "none"}).status_code == 404
    assert ask("POST", **wanted | {"models": "cats:*"}).status_code == 404
    refused = json.loads(ask("POST", **wanted | {"calls": 20_000}).content)
    assert list(refused["errors"]) == ["calls"]
    assert ask("POST", **wanted | {"draw": "normal"}).status_code == 422
    plan = json.loads(ask("POST", "/plan", scopes=("read",), **wanted).content)
    assert [one["name"] for one in plan["targets"]] == ["digits:1", "digits:2", "digits:3"]
    assert sum(one["calls"] for one in plan["targets"]) == pytest.approx(20, abs=0.2)
    assert plan["cost"]["currency"] == "USD"
    assert float(plan["cost_meanwhile"]) < float(plan["cost"]["per_hour"])
    assert not Experiment.objects.exists()

    answer = ask("POST", **wanted)
    assert answer.status_code == 202
    made = json.loads(answer.content)
    assert (made["state"], made["calls"], made["asked"]["calls"]) == ("waiting", 0, 20)
    assert answer["Location"] == f"{API}/{made['id']}"
    running.run(Experiment.objects.get().pk)
    found = json.loads(ask("GET", f"/{made['id']}?wait=30").content)
    assert found["state"] == "done"
    assert set(found) >= {
        *("calls", "succeeded", "failed", "unknown", "cold", "cold_share", "calls_per_second"),
        *("latency_ms", "targets", "labels"),
    }
    assert set(found["latency_ms"]) == {"all", "cold", "warm", "targets"}
    assert set(found["latency_ms"]["targets"]) == set(found["targets"]) == set(found["labels"])
    assert found["calls"] == sum(one["calls"] for one in found["targets"].values()) == 20
    assert {kind: parts["calls"] for kind, parts in found["parts_ms"].items()} == {
        "cold": 3, "warm": 17,
    }  # fmt: skip
    reader = Client()
    reader.force_login(Experiment.objects.get().created_by)
    page = reader.get(f"/invoke/experiments/{made['id']}/").content.decode()
    assert "Fetching and unpacking the archive, about" in page
    bars = found["histogram"]
    assert (sum(one["cold"] for one in bars), sum(one["warm"] for one in bars)) == (3, 17)
    assert [one["to_ms"] for one in bars[:-1]] == [one["from_ms"] for one in bars[1:]]
    assert {name: len(times) for name, times in found["loads"].items()} == {
        name: one["cold"] for name, one in found["targets"].items()
    }
    assert all(
        0 <= at <= found["seconds"] + 0.1 for times in found["loads"].values() for at in times
    )
    (item,) = json.loads(ask("GET", "?endpoint=demo&state=done").content)["items"]
    assert (item["id"], item["succeeded"]) == (made["id"], 20)
    assert json.loads(ask("GET", "?state=failed").content)["items"] == []
    named = json.loads(ask("PATCH", f"/{made['id']}", name="nightly").content)
    assert named["name"] == "nightly"
    text = ask("GET", f"/{made['id']}/csv").content.decode()
    assert "digits:3,digits_v3.tar.gz," in text
    assert json.loads(ask("POST", f"/{made['id']}/stop").content)["state"] == "done"
    assert ask("GET", "/nothing").status_code == 404


@pytest.mark.not_quick
def test_two_are_compared_by_id_and_by_name(
    three: list[Version],
    sagemaker: Runtime,
    ask: Callable[..., Any],
    client_of: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = {"endpoint": "demo", "models": "digits:*", "calls": 6, "seed": 3}

    def made(name: str, calls: int) -> Any:
        found = json.loads(ask("POST", **wanted | {"name": name, "calls": calls}).content)
        running.run(Experiment.objects.get(uid=found["id"]).pk)
        return found["id"]

    def compared(one: str, query: str = "") -> Any:
        return json.loads(ask("GET", f"/{one}/comparison{query}", scopes=("read",)).content)

    first = made("nightly", 6)
    assert compared(first)["detail"] == "There is no other experiment."
    second, third = made("nightly", 9), made("", 4)
    by_id = compared(third, f"?other={first}")
    assert (by_id["one"]["id"], by_id["other"]["id"]) == (third, first)
    figures = {one["name"]: one for one in by_id["figures"]}
    assert figures["calls"] == {"name": "calls", "kind": "number", "one": 4.0, "other": 6.0}
    whole = json.loads(ask("GET", f"/{first}").content)
    assert figures["latency_ms.warm.p90"]["other"] == whole["latency_ms"]["warm"]["p90"]
    assert figures["cold_share"]["other"] == whole["cold_share"]
    assert compared(third, "?other=nightly")["other"]["id"] == second, "the newest of that name"
    assert compared(second, "?other=nightly")["other"]["id"] == first, "not itself"
    assert compared(first)["other"]["id"] == third, "the newest other one"
    assert ask("GET", f"/{first}/comparison?other={first}").status_code == 404
    monkeypatch.setattr(experiment_views, "OTHERS", 1)
    page = client_of("viewer").get(f"/invoke/experiments/{third}/?other={first}").content.decode()
    assert f'<option value="{first}" selected>' in page, "it is older than those that are offered"
    assert f'<option value="{second}"' in page


@pytest.mark.not_quick
def test_the_page_plans_begins_watches_stops_names_and_compares(
    three: list[Version], sagemaker: Runtime, client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")
    endpoint = Endpoint.objects.get()
    detail = client.get(endpoint.get_absolute_url()).content.decode()
    assert f"/invoke/experiments/new/?endpoint={endpoint.pk}" in detail
    new = "/invoke/experiments/new/"
    assert "Your limits" in client.get(f"{new}?endpoint={endpoint.pk}").content.decode()
    form = {
        "endpoint": endpoint.pk, "models": "digits:*", "calls": 20, "callers": 2,
        "draw": "zipf:1.1", "pictures": "samples", "seed": 3,
    }  # fmt: skip
    refused = client.post(new, form | {"calls": 5000})
    assert refused.status_code == 400
    assert "Your role may make 1 to 1000 calls." in refused.content.decode()
    planned = client.post(new, form | {"plan": "1"}).content.decode()
    assert "Nothing was called yet." in planned.replace("\n", " ")
    assert "while it runs" in planned, "what its instances cost meanwhile"
    assert not Experiment.objects.exists()
    answer = client.post(new, form)
    experiment = Experiment.objects.get()
    address = experiment.get_absolute_url()
    assert answer["Location"] == address
    page = client.get(address).content.decode()
    for said in ('hx-trigger="every 1s"', "0 of 20", "No call has ended yet", "Stop"):
        assert said in page
    _run(experiment)
    part = client.get(address, HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part
    assert "hx-trigger" not in part, "it is done"
    for said in ("20 of 20", "Cold starts: 3", "Warm calls: 17", "of digits_v1.tar.gz", "p99"):
        assert said in part
    second = _start(experiment.created_by, calls=5, callers=1)  # type: ignore[arg-type]
    client.post(f"/invoke/experiments/{second.uid}/stop/")
    second.refresh_from_db()
    assert second.state == State.STOPPED
    assert "No call was made" in client.get(second.get_absolute_url()).content.decode()
    client.post(f"{address}name/", {"name": "the first"})
    beside = client.get(f"{second.get_absolute_url()}?with={experiment.uid}").content.decode()
    assert "Share of cold starts" in beside
    assert "Latency of both" in beside
    by_name = client.get(f"{second.get_absolute_url()}?other=the+first").content.decode()
    assert "Latency of both" in by_name
    missing = client.get(f"{second.get_absolute_url()}?other=%3Cnone%3E").content.decode()
    assert "There is no other experiment &lt;none&gt;." in missing
    assert "Latency of both" not in missing
    own = client.get(f"{second.get_absolute_url()}?other={second.uid}").content.decode()
    assert "There is no other experiment" in own
    long = client.get(f"{second.get_absolute_url()}?other={'x' * 101}").content.decode()
    assert "at most 100 characters" in long
    assert "the first" in client.get("/invoke/experiments/").content.decode()
    exported = json.loads(client.get(f"{address}json/").content)
    assert (exported["name"], exported["succeeded"]) == ("the first", 20)
    assert sum(one["cold"] for one in exported["histogram"]) == 3
    table = b"".join(client.get(f"{address}csv/")).decode()  # type: ignore[arg-type]
    assert "of digits_v1.tar.gz: " in table
    other = client_of("operator")
    assert other.post(f"{address}name/", {"name": "x" * 101}).status_code == 400
    experiment.refresh_from_db()
    assert experiment.name == "the first"
