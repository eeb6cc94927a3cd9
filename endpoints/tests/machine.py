"""The portal, two endpoints and an AWS account, as Hypothesis drives them for test_machine.py.

A rule is a wish, a step of a worker with something that goes wrong in it, time that passes, or what
others do outside. Everything is in one transaction that is rolled back at the end.
"""

import contextlib
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from activity.models import Event
from core import clock
from core.errors import CONFLICT
from endpoints import (
    adopting,
    alarms,
    budgets,
    cloudwatch,
    drift,
    expiry,
    idling,
    images,
    last_calls,
    orphans,
    pausing,
    reconciler,
    scaling,
    services,
    tasks,
)
from endpoints.alarm_presets import PRESETS, AlarmKind
from endpoints.limits import Limits, ScheduledLimits
from endpoints.models import (
    AlarmWatch,
    Budget,
    Endpoint,
    EndpointAlarm,
    Orphan,
    OrphanLook,
    Resource,
    Revision,
    alarm_prefix,
)
from endpoints.policies import DeploymentPolicy, PolicyKind
from endpoints.reconciler import writing
from endpoints.reconciler.run import LEASE
from endpoints.services import SettingsChange
from endpoints.tests.account import Crash
from endpoints.tests.faulty_account import CALL_FAULTS, WRITE_FAULTS, FaultyAccount, StepPlan
from endpoints.variants import ProductionVariant, Variants, with_types
from models_catalog.models import Store

NAMES = ("demo", "other")
TYPES = ("ml.m5.large", "ml.m5.xlarge")
REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
IMAGES = (f"{REGISTRY}/image:1", f"{REGISTRY}/image:2")
REASON = "The container did not answer the ping."
#: Rules of one sequence, at most.
STEPS = 60
#: Sequences of one run of Hypothesis; the next one has the next seed. After its first ten it varies
#: those that it has, of six five times, and so comes to less that is new.
SEQUENCES = 10
WHOLE_FAULTS = (*CALL_FAULTS, *WRITE_FAULTS)
#: Most steps go well, so that something comes of them.
FAULTS = ("",) * len(WHOLE_FAULTS) + WHOLE_FAULTS
#: A wish: what it is called, and with what.
Wish = tuple[str, Any]

BLUE = ProductionVariant("blue", TYPES[0], 1, 3)
GREEN = ProductionVariant("green", TYPES[1], 2, 1)
VARIANTS: tuple[Variants, ...] = ((BLUE, GREEN), (BLUE,), (GREEN, replace(BLUE, weight=0)))
POLICIES = (
    DeploymentPolicy(PolicyKind.AT_ONCE, wait_s=60),
    DeploymentPolicy(PolicyKind.CANARY, 10, 60, ("errors",)),
    DeploymentPolicy(PolicyKind.LINEAR, 20, 60),
    DeploymentPolicy(PolicyKind.ROLLING, 50, 60),
)
#: Beside the default one.
STORES = ("team-a", "team-b")
ROLES = tuple(f"arn:aws:iam::123456789012:role/{name}" for name in ("one", "two"))
OPTIONS = (
    {"tags": {"team": "a"}},
    {"tags": {"team": None}},
    {"environment": {"OMP_NUM_THREADS": "2"}},
    {"environment": None},
    {"startup_timeout_s": 300},
    {"model_cache": False},
)


def _seldom(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | strategy


_name = st.sampled_from(NAMES)
_change = st.one_of(
    st.builds(
        SettingsChange,
        instance_type=_seldom(st.sampled_from(TYPES)),
        instance_count=st.none() | st.integers(1, 3),
        image=_seldom(st.sampled_from(IMAGES)),
        options=_seldom(st.sampled_from(OPTIONS)),
        role_arn=_seldom(st.sampled_from(ROLES)),
        policy=_seldom(st.sampled_from(POLICIES)),
    ),
    st.builds(
        SettingsChange,
        variants=st.sampled_from(VARIANTS),
        policy=_seldom(st.sampled_from(POLICIES)),
    ),
    st.builds(
        SettingsChange,
        store=st.sampled_from(("default", *STORES)),
        options=_seldom(st.sampled_from(OPTIONS)),
    ),
    st.builds(
        SettingsChange,
        weights=st.sampled_from(({"blue": 5.0}, {"green": 0.0}, {"blue": 0.0, "green": 2.5})),
    ),
)
_faults = st.lists(st.sampled_from(FAULTS), min_size=2, max_size=8)
_alarm = st.sampled_from((AlarmKind.ERRORS, AlarmKind.LATENCY))
SCHEDULED = (
    ScheduledLimits("mon-fri 08:00", 2, 3),
    ScheduledLimits("mon-fri 19:00", 1, 2),
    ScheduledLimits("sun 00:30", 1, 1),
)
_schedules = st.lists(st.sampled_from(SCHEDULED), unique=True, max_size=2).map(tuple)
_limits = st.builds(
    Limits, st.integers(1, 2), st.integers(2, 3), st.just(50),
    schedule=_schedules, zone=st.just("Asia/Seoul"),
)  # fmt: skip
WISHES: st.SearchStrategy[Wish] = st.one_of(
    st.tuples(st.just("change"), _change),
    st.tuples(st.just("change"), _change),
    st.tuples(st.just("change"), _change),
    st.tuples(st.just("change"), _change),
    st.tuples(st.just("roll_back"), st.integers(1, 3)),
    st.tuples(st.just("scale"), st.none() | _limits),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("hours"), st.sampled_from(("", "mon-fri 08:00-19:00", "sat 10:00-12:00"))),
    st.tuples(st.just("longer"), st.none()),
    st.tuples(st.just("end"), st.none() | st.sampled_from((1, 2, 30))),
    st.tuples(st.just("postpone"), st.none()),
    st.tuples(st.just("decide"), st.booleans()),
    st.tuples(st.just("tear_down"), st.integers(0, 3)),
    st.tuples(st.just("tear_down_and_keep"), st.integers(0, 3)),
    st.tuples(st.just("undo"), st.booleans()),
    st.tuples(st.just("idle"), st.booleans()),
    st.tuples(st.just("alarm"), st.tuples(_alarm, st.integers(1, 2))),
    st.tuples(st.just("alarm"), st.tuples(_alarm, st.integers(1, 2))),
    st.tuples(st.just("alarm_removed"), _alarm),
    st.tuples(st.just("budget"), st.none() | st.sampled_from(("0.50", "5", "30"))),
    st.tuples(st.just("check"), st.none()),
)


_record = budgets.record


def _compiled(rows: Callable[[], QuerySet[Any, Any]]) -> Callable[[], list[tuple[Any, ...]]]:
    """What gives the rows of a query that has no arguments, and makes its SQL once.

    To make it takes a hundred times as long as to ask SQLite, and rules ask thousands of times.
    """
    sql = cache(lambda: rows().order_by().query.sql_with_params())

    def ask() -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(*sql())
            return list(cursor.fetchall())

    return ask


_LIVING_NAMES = _compiled(lambda: Endpoint.objects.filter(gone_at=None).values_list("name"))
_AT_WORK = _compiled(
    lambda: Revision.objects.filter(
        state__in=(Revision.State.SERVING, Revision.State.WANTED), endpoint__gone_at=None
    ).values_list("endpoint_id", "state")
)
_DERIVED_NAMES = _compiled(
    lambda: (
        Resource.objects.exclude(kind=Resource.Kind.ENDPOINT)
        .exclude(state=Resource.State.KEPT)
        .values_list("kind", "name")
    )
)


class Machine(RuleBasedStateMachine):
    """What may happen to two endpoints, and what must hold whatever happens.

    ``taken`` counts what was done over all sequences; ``patch`` is of the test.
    """

    patch: ClassVar[pytest.MonkeyPatch]
    taken: ClassVar[Counter[str]]

    @initialize(skew=st.sampled_from((0, -3600, 3600)))
    def begin(self, skew: int) -> None:
        self.taken["sequences"] += 1
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        #: How far the workers' own clocks are from the database's.
        self.skews = itertools.cycle((timedelta(seconds=skew), timedelta(seconds=-skew)))
        self.skew = next(self.skews)
        for store in STORES:
            Store.objects.create(
                name=store, bucket=f"{store}-models", prefix="mme", region="ap-northeast-2"
            )
        self.account = FaultyAccount()
        self.account.install(self.patch)
        self.outside: list[str] = []  # configs that others made
        self.lost = False
        self.told: dict[int, datetime] = {}  # since when an end is told of, by endpoint
        self.called = False  # by others, as the metrics say
        self.budget = 0  # how often one was set
        self.told_of: dict[tuple[int, str], int] = {}  # percent, by budget and month
        self.events_seen = 0
        self.killed_telling = False
        self.patch.setattr(budgets, "record", self._killed_record())
        measured: Any = lambda *_: self.now if self.called else None  # noqa: E731
        self.patch.setattr(last_calls, "measured_since", measured)
        self.patch.setattr(clock, "now", self._tick)
        self.patch.setattr("django.utils.timezone.now", lambda: self.now + self.skew)
        self.patch.setattr(images, "chosen", lambda image: images.ChosenImage(image, ""))
        real = writing.write if not hasattr(writing.write, "real") else writing.write.real
        self.patch.setattr(writing, "write", self._killed_writing(real))
        # Without one that serves, few sequences come to anything.
        self._person(services.create_endpoint, name=NAMES[0], instance_type=TYPES[0], actor=None)
        self.quiet_steps(8)

    def _tick(self, *_: object) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def _killed_writing(self, real: Callable[[Any], None]) -> Callable[[Any], None]:
        def write(run: Any) -> None:
            fault = self.account.plans[-1].fault
            if fault == WRITE_FAULTS[0]:
                raise Crash(fault)
            if fault == WRITE_FAULTS[1]:
                with transaction.atomic():
                    real(run)
                    raise Crash(fault)
            real(run)
            if fault == WRITE_FAULTS[2]:
                raise Crash(fault)

        write.real = real  # type: ignore[attr-defined]
        return write

    def _killed_record(self) -> Callable[..., Any]:
        def record_and_die(**facts: Any) -> Any:
            made = _record(**facts)
            if self.killed_telling:
                raise Crash("telling of a budget")
            return made

        return record_and_die

    def _living(self, name: str) -> Endpoint | None:
        return Endpoint.objects.filter(name=name, gone_at=None).first()

    # --- what people wish

    def _person(self, act: Callable[..., Any], **wanted: Any) -> Any:
        """Have a person do something; no fault of a step is theirs."""
        with self.account.step(StepPlan()):
            return act(**wanted)

    @rule(
        name=_name,
        kind=st.sampled_from(TYPES),
        count=st.integers(1, 3),
        variants=_seldom(st.sampled_from(VARIANTS)),
        end=_seldom(st.sampled_from((2, 30))),
        fails=_seldom(st.just(REASON)),
        store=st.sampled_from(("", *STORES)),
    )
    def create(
        self,
        name: str,
        kind: str,
        count: int,
        variants: Variants | None,
        end: int | None,
        fails: str | None,
        store: str = "",
    ) -> None:
        there = self._living(name) is not None or name in self.account.endpoints
        size = {"variants": variants} if variants else {
            "instance_type": kind, "instance_count": count,
        }  # fmt: skip
        ends = self.now + timedelta(hours=end) if end else None
        try:
            self._person(
                services.create_endpoint,
                name=name,
                expires_at=ends,
                store=store,
                actor=None,
                **size,
            )
        except ValidationError:
            assert there, "a free name was refused"
        else:
            assert not there or self.account.lag, "two endpoints of one name"
            self.account.fail_with = fails or ""
            self.taken["created"] += 1

    def _any(self, name: str) -> Endpoint | None:
        """The living endpoint of this name, else another one; a new one where there is none."""
        found = self._living(name) or Endpoint.objects.filter(gone_at=None).first()
        if found is None:
            self.create(name, TYPES[0], 1, None, None, None)
            found = self._living(name)
        return found

    @rule(name=_name, wish=WISHES)
    def wish(self, name: str, wish: Wish) -> None:
        row = self._any(name)
        if row is not None:
            self._fulfil(row, wish)

    @rule(name=_name, wish=WISHES, faults=_faults)
    def one_more_wish_and_steps(self, name: str, wish: Wish, faults: list[str]) -> None:
        self.wish_and_steps(name, wish, faults)

    @rule(name=_name, wish=WISHES, faults=_faults)
    def wish_and_steps(self, name: str, wish: Wish, faults: list[str]) -> None:
        row = self._any(name)
        if row is not None:
            row = self._rested(row)
            self._fulfil(row, wish)
            self._steps(row.pk, faults)

    def _rested(self, row: Endpoint) -> Endpoint:
        """The row after some steps in which nothing goes wrong, so that most wishes are taken."""
        for _ in range(10):
            if row.gone_at is not None or (row.settled and not row.failure):
                break
            self._advance(row.pk, StepPlan())
            if row.tearing_down:
                self._watch_alarms(StepPlan())
            self.now += timedelta(seconds=5)
            row = Endpoint.objects.get(pk=row.pk)
        return row

    def _fulfil(self, row: Endpoint, wish: Wish) -> None:
        what, value = wish
        refused = None
        try:
            done = self._person(getattr(self, f"_wish_{what}"), row=row, value=value)
        except ValidationError as problem:
            refused = problem
        if refused is None:
            self.taken[what] += done is not False
            return
        self.taken["refused wishes"] += 1
        row.refresh_from_db()
        if what == "change" and getattr(refused, "code", "") == CONFLICT:
            assert not row.may_be_changed or row.tearing_down, refused

    def _wish_change(self, row: Endpoint, value: SettingsChange) -> None:
        services.request_change(endpoint=row, change=value, actor=None)

    def _wish_roll_back(self, row: Endpoint, value: int) -> None:
        known = [one.number for one in row.revisions.all()]
        if known:
            number = known[min(value, len(known)) - 1]
            self._wish_change(row, services.back_to(endpoint=row, number=number))

    def _wish_scale(self, row: Endpoint, value: Limits | None) -> None:
        scaling.set_scaling(endpoint=row, limits=value, actor=None)

    def _wish_pause(self, row: Endpoint, value: bool) -> None:
        pausing.pause_now(endpoint=row, actor=None)

    def _wish_resume(self, row: Endpoint, value: None) -> None:
        pausing.resume_now(endpoint=row, actor=None)

    def _wish_hours(self, row: Endpoint, value: str) -> None:
        pausing.set_hours(endpoint=row, hours=value, zone="Asia/Seoul", actor=None)

    def _wish_longer(self, row: Endpoint, value: None) -> None:
        pausing.extend(endpoint=row, actor=None)

    def _wish_end(self, row: Endpoint, value: int | None) -> None:
        ends = self.now + timedelta(hours=value) if value else None
        expiry.set_end(endpoint=row, expires_at=ends, actor=None)
        self.told.pop(row.pk, None)

    def _wish_postpone(self, row: Endpoint, value: None) -> None:
        expiry.postpone(endpoint=row, actor=None)
        self.told.pop(row.pk, None)

    def _wish_decide(self, row: Endpoint, value: bool) -> None:
        (drift.accept if value else drift.put_back)(endpoint=row, actor=None)
        self.taken["accepted" if value else "put back"] += 1

    def _wish_tear_down(self, row: Endpoint, value: int) -> bool:
        if value > 1:  # most sequences are of living ones
            return False
        rows = list(Endpoint.objects.filter(gone_at=None)) if value else [row]
        services.request_teardowns(endpoints=rows, actor=None)
        self.taken["tear down many"] += len(rows) > 1
        return True

    def _wish_tear_down_and_keep(self, row: Endpoint, value: int) -> bool:
        if value > 1:
            return False
        services.request_teardown(
            endpoint=row,
            typed_name=row.name,
            actor=None,
            keep_config=bool(value),
            keep_model=True,
        )
        return True

    def _wish_undo(self, row: Endpoint, value: bool) -> bool:
        """Tear it down, and think better of it: at once, or after a step."""
        services.request_teardown(endpoint=row, typed_name=row.name, actor=None)
        before = len(self.account.changes)
        if value:
            self._advance(row.pk, StepPlan())
        row = Endpoint.objects.get(pk=row.pk)
        could = row.may_be_undone
        try:
            services.undo_teardown(endpoint=row, actor=None)
        except ValidationError:
            assert not could
            return False
        assert could
        assert not [one for one in self.account.changes[before:] if one.startswith("-")]
        return True

    def _wish_idle(self, row: Endpoint, value: bool) -> bool:
        """Nobody calls it for more than its idle hours; ``value``: somebody else does."""
        if not row.serving:
            return False
        idling.set_idle_hours(endpoint=row, idle_hours=2, actor=None)
        self.called = value
        for _ in range(3):
            self.now += timedelta(minutes=66)
            idling.sweep()
        row = Endpoint.objects.get(pk=row.pk)
        assert row.tearing_down != value, "a call keeps it, and nothing else"
        if value:
            idling.set_idle_hours(endpoint=row, idle_hours=None, actor=None)
        return not value

    def _wish_alarm(self, row: Endpoint, value: tuple[str, int]) -> None:
        """Make one, or have it go off at another number."""
        kind, threshold = value
        variant = row.requested.parts[0].name
        alarms.set_alarm(
            endpoint=row, kind=kind, variant=variant, threshold=threshold, minutes=5, actor=None
        )

    def _wish_alarm_removed(self, row: Endpoint, value: str) -> bool:
        found = EndpointAlarm.objects.filter(endpoint=row, kind=value).first()
        if found is not None:
            alarms.remove(alarm=found, actor=None)
        return found is not None

    def _wish_budget(self, row: Endpoint, value: str | None) -> bool:
        """Of all endpoints; another amount is told of anew, and so is one that was removed."""
        before = Budget.objects.first()
        if value is None:
            return budgets.remove_budget(actor=None)
        made = budgets.set_budget(amount=Decimal(value), actor=None)
        self.budget += before is None or before.amount != made.amount
        return True

    def _wish_check(self, row: Endpoint, value: None) -> None:
        services.check_now(endpoint=row)
        services.look_if_old(endpoint=row)

    # --- what the portal does, and what happens to it

    def step(self, name: str, fault: str = "", at: int = 1) -> None:
        living = Endpoint.objects.filter(name=name, gone_at=None).order_by("-pk")
        pk = living.values_list("pk", flat=True).first()
        if pk is not None:
            self._advance(pk, StepPlan(fault, at))

    @rule(name=_name, faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=12))
    def steps(self, name: str, faults: list[str]) -> None:
        row = self._any(name)
        if row is not None:
            self._steps(row.pk, faults)

    def _steps(self, pk: int, faults: list[str]) -> None:
        for number, fault in enumerate(faults):
            self._advance(pk, StepPlan(fault, 1 + number % 5))
            self.now += timedelta(seconds=5)

    def quiet_steps(self, rounds: int) -> None:
        """Steps of both in which nothing goes wrong."""
        for name in NAMES * rounds:
            self.step(name)

    @rule(
        name=_name,
        at=st.integers(1, 5),
        wish=st.none() | WISHES,
        others=st.integers(0, 3),
        late=st.sampled_from((0, 5, LEASE.seconds + 1)),
        fault=st.sampled_from(FAULTS),
    )
    def meanwhile(
        self, name: str, at: int, wish: Wish | None, others: int, late: int, fault: str
    ) -> None:
        """A person asks for something, or another worker comes, while a step is under way.

        A read may take longer than the lease; a changing call ends before it, as its timeouts say.
        """
        row = self._any(name)
        if row is None:
            return
        pk = row.pk

        def act(changing: bool) -> None:
            self.now += timedelta(seconds=min(late, 5) if changing else late)
            if wish is not None and (living := Endpoint.objects.filter(pk=pk).first()):
                self._fulfil(living, wish)
            for _ in range(others):
                came = self._advance(pk, StepPlan())
                plan.lost = plan.lost or came
                assert not (changing and came), "two workers at once"
            self.taken["meanwhile"] += 1

        plan = StepPlan(fault, at, act)
        self._advance(pk, plan)

    @rule(which=st.integers(0, 9))
    def late_task(self, which: int) -> None:
        """A message that is old, or delivered twice: of what is not due, or gone."""
        rows = list(Endpoint.objects.values_list("pk", "gone_at"))
        if rows:
            pk, gone = rows[which % len(rows)]
            with self.account.step(StepPlan()) as plan:
                tasks.advance(pk)
            assert not (gone and plan.calls), "a step with what is gone"

    def _sweeps(self) -> None:
        """What beat does each minute, with a worker's own clock."""
        self.skew = next(self.skews)
        services.sweep()
        before = set(self._wanted_pks())
        expiry.sweep()
        for pk in before - set(self._wanted_pks()):
            assert self.now - self.told[pk] >= timedelta(minutes=54), "torn down untold"
            self.taken["expired"] += 1
        pausing.sweep()
        told = Endpoint.objects.filter(end_told=Endpoint.EndTold.HOUR, gone_at=None)
        for pk in told.values_list("pk", flat=True):
            self.told.setdefault(pk, self.now)

    @rule(seconds=st.sampled_from((1, 10, 70, 600)), hours=st.sampled_from((0, 0, 1, 12, 40)))
    def time_passes(self, seconds: int, hours: int) -> None:
        """Hour by hour what is due of ends and working hours is done."""
        self.now += timedelta(seconds=seconds)
        for _ in range(hours):
            self._sweeps()
            self.now += timedelta(hours=1)
        self._sweeps()

    @rule(killed=st.booleans(), often=st.integers(1, 2))
    def budgets_are_added_up(self, killed: bool, often: int) -> None:
        """What is used is told of once, however often this runs and whenever it is killed."""
        if not Budget.objects.exists():
            return
        self.killed_telling = killed
        with contextlib.suppress(Crash):
            budgets.sweep()
        self.killed_telling = False
        for _ in range(often):
            budgets.sweep()
        told = Event.objects.filter(action="budget.reached", pk__gt=self.events_seen)
        for one in told.order_by("pk"):
            self.events_seen = one.pk
            key = self.budget, str(one.parameters["month"])
            percent = int(one.parameters["percent"])
            level = max(each for each in budgets.TOLD_AT if each <= percent)
            assert level > self.told_of.get(key, 0), "told twice of the same part of a budget"
            self.told_of[key] = level
            self.taken["told of a budget"] += 1
        row = Budget.objects.get()
        key = self.budget, row.told_month
        assert self.told_of.get(key, 0) == row.told_percent, "noted as told, and not told"

    @rule(
        fault=st.sampled_from(FAULTS),
        at=st.integers(1, 4),
        name=_name,
        wish=st.none() | WISHES,
        rounds=st.integers(1, 2),
    )
    def alarms_are_watched(
        self, fault: str, at: int, name: str, wish: Wish | None, rounds: int
    ) -> None:
        """The job of alarms looks, and is killed or refused; somebody wishes for more meanwhile."""

        def act(changing: bool) -> None:
            row = self._living(name)
            if wish is not None and row is not None:
                self._fulfil(row, wish)

        # The work on endpoints has another lease, and may change them meanwhile.
        self._watch_alarms(StepPlan(fault, at, act, late=True))
        for _ in range(rounds - 1):
            self._watch_alarms(StepPlan())

    def _watch_alarms(self, plan: StepPlan) -> None:
        """One look at the alarms, where there are any, due or not."""
        if not EndpointAlarm.objects.exists():
            return
        alarms.the_watch()
        AlarmWatch.objects.update(check_after=self.now, leased_until=None)
        with self.account.step(plan), contextlib.suppress(Crash):
            alarms.watch()
        connection.run_on_commit.clear()
        self.taken["looks at alarms"] += 1

    @staticmethod
    def _wanted_pks() -> Sequence[int]:
        wanted = Endpoint.objects.filter(wanted=Endpoint.Wanted.PRESENT, gone_at=None)
        return wanted.values_list("pk", flat=True)

    def _advance(self, pk: int, plan: StepPlan) -> bool:
        """Take a step, due or not; False where another worker has the lease."""
        Endpoint.objects.filter(pk=pk).update(check_after=self.now)
        came = True
        with self.account.step(plan):
            try:
                came = reconciler.advance(pk)
            except Crash:
                with self.account.step(StepPlan()):
                    self._none_goes_on(pk)
                self.now += LEASE
        connection.run_on_commit.clear()
        assert plan.changes <= 1, "two changing calls in one step"
        if came:
            self.taken["steps"] += 1
            happened = plan.calls >= plan.at or plan.fault in WRITE_FAULTS
            self.taken[(plan.fault if happened else "") or "no fault"] += 1
        return came

    # --- what SageMaker does

    def _none_goes_on(self, pk: int) -> None:
        """Nobody else acts on what a killed worker had, before its lease is over."""
        held = Endpoint.objects.filter(pk=pk, leased_until__gt=self.now + timedelta(seconds=1))
        if held.exists():
            assert not reconciler.advance(pk), "two workers at once"

    @rule(
        name=_name,
        rolls_back=st.sampled_from(("", "", "rolls back", "rollback fails")),
        looks=st.integers(0, 2),
        lag=st.sampled_from((0, 0, 3, 40)),
        maintained=st.integers(0, 3),
        count=st.integers(1, 3),
    )
    def sagemaker(
        self, name: str, rolls_back: str, looks: int, lag: int, maintained: int, count: int
    ) -> None:
        """Updates fail from now on, reads lag, instances are maintained or scaled."""
        self.account.roll_back_with = REASON if rolls_back else ""
        self.account.rollback_fails = rolls_back == "rollback fails"
        self.account.update_unseen = looks
        self.account.lag = timedelta(seconds=lag)
        if not self.account.quiet(name):
            return
        limits = self.account.targets.get(name)
        if maintained:
            self.account.maintained[name] = maintained
            self.taken["maintained"] += 1
        elif limits is not None and name in self.account.policies:
            self.account.scaled(name, min(max(count, limits.least), limits.most))
            self.taken["scaled by AWS"] += 1

    # --- what the database lost, and what others left

    @rule(name=_name, adopted=st.booleans(), chance=st.integers(0, 5))
    def the_database_loses(self, name: str, adopted: bool, chance: int) -> None:
        """As a restored one does: what was made stays in the account, and no row knows it."""
        row = self._living(name)
        quiet = name not in self.account.moving and row is not None and not row.updating
        if chance or row is None or not quiet or not row.serving:
            return
        Resource.objects.filter(endpoint=row).delete()
        self.account.targets.pop(row.name, None)
        self.account.policies.pop(row.name, None)
        self.account.scheduled.pop(row.name, None)
        row.delete()
        self.lost = True
        self.taken["lost"] += 1
        for one in self._look_for_orphans() if adopted else ():
            if (one.kind, one.name) == (Resource.Kind.ENDPOINT, name):
                self._adopt(one)

    def _adopt(self, one: Orphan) -> None:
        with contextlib.suppress(ValidationError):
            self._person(adopting.adopt, orphan=one, actor=None)
            self.taken["adopted"] += 1

    def _look_for_orphans(self) -> list[Orphan]:
        look = orphans.the_look()
        OrphanLook.objects.filter(pk=look.pk).update(check_after=self.now)
        self._person(orphans.look)
        return list(Orphan.objects.filter(state=Orphan.State.FOUND))

    @rule(
        which=st.integers(0, 5),
        adopted=st.booleans(),
        rounds=st.integers(0, 6),
        fault=st.sampled_from(FAULTS),
    )
    def orphans_are_found(self, which: int, adopted: bool, rounds: int, fault: str) -> None:
        if not self.lost and not self.outside:
            return
        found = self._look_for_orphans()
        if found:
            one = found[which % len(found)]
            if adopted:
                self._adopt(one)
            else:
                with contextlib.suppress(ValidationError):
                    orphans.request_deletion(orphans=[one], actor=None)
        self._delete_orphans(rounds, fault)

    def _delete_orphans(self, rounds: int, fault: str = "") -> None:
        for _ in range(rounds):
            for row in Orphan.objects.unfinished():
                Orphan.objects.filter(pk=row.pk).update(check_after=self.now, leased_until=None)
                self.account.orphans_go = True
                with self.account.step(StepPlan(fault, 2)) as plan, contextlib.suppress(Crash):
                    reconciler.advance_orphan(row.pk)
                self.account.orphans_go = False
                fault = ""
                assert plan.changes <= 1, "two changing calls in one step"
                self.taken["orphans' steps"] += 1
            self.now += timedelta(seconds=5)
        connection.run_on_commit.clear()

    # --- what others do outside

    @rule(
        name=_name,
        what=st.sampled_from(
            (
                *("config", "named config", "deleted", "scaled", "deregistered", "unscheduled"),
                "alarm deleted",
            )
        ),
        count=st.integers(1, 3),
        decided=st.none() | st.booleans(),
        chance=st.integers(0, 1),
    )
    def outside_changes(
        self, name: str, what: str, count: int, decided: bool | None, chance: int
    ) -> None:
        if chance:  # else most sequences would be about this
            return
        if what == "deregistered":
            self.account.targets.pop(name, None)
            self.account.policies.pop(name, None)
            self.account.scheduled.pop(name, None)
        if what == "unscheduled" and self.account.scheduled.get(name):
            self.account.scheduled[name].popitem()
        if what == "alarm deleted":
            for alarm in [one for one in self.account.alarms if one.startswith(alarm_prefix(name))]:
                del self.account.alarms[alarm]
        if not self.account.quiet(name) or what in (
            *("deregistered", "unscheduled", "alarm deleted"),
        ):
            return
        if what == "deleted":
            del self.account.endpoints[name]
            self.account.counts.pop(name, None)
            self.account.weighed.pop(name, None)
            self.account.targets.pop(name, None)  # SageMaker ends it, too
            self.account.policies.pop(name, None)
            self.account.scheduled.pop(name, None)
        elif what == "scaled":
            self.account.counts[name] = count
        else:
            self._other_config(name, count, what == "named config")
        if decided is not None:
            self.step(name)
            self.wish(name, ("decide", decided))

    def _other_config(self, name: str, count: int, named: bool) -> None:
        config = self.account.configs.get(self.account.endpoints[name].config_name)
        if config is None:
            return
        # As the portal would name its own next one, or of their own.
        theirs = f"theirs-{len(self.outside)}"
        if named:
            theirs = f"{name}-r{Endpoint.objects.next_revision(name)}"
        if theirs not in self.account.configs:
            self.outside.append(theirs)
            self.account.weighed.pop(name, None)
            self.account.counts.pop(name, None)
            self.account.update_outside(name, theirs, model=config.model_name, count=count)

    # --- what always holds

    @invariant()
    def what_serves_has_what_it_needs(self) -> None:
        for name, found in self.account.endpoints.items():
            if found.status in ("InService", "Updating", "UpdateRollbackFailed"):
                config = self.account.configs.get(found.config_name)
                assert config is not None, f"{name} lost its config {found.config_name}"
                assert config.model_name in self.account.models, f"{name} lost its model"

    @invariant()
    def no_alarm_is_left_behind(self) -> None:
        if not self.account.alarms or self.lost:
            return
        living = Endpoint.objects.filter(gone_at=None).values_list("name", flat=True)
        prefixes = tuple(alarm_prefix(name) for name in living)
        left = [name for name in self.account.alarms if not name.startswith(prefixes)]
        assert not left, f"alarms of what is gone: {left}"

    @invariant()
    def rows_agree(self) -> None:
        self.taken["rules"] += 1
        names = [name for (name,) in _LIVING_NAMES()]
        assert len(names) == len(set(names))
        found = _AT_WORK()
        assert len(found) == len(set(found)), "two revisions serve, or are wanted"
        if not self.outside:
            # What a teardown was to keep, another endpoint may adopt.
            known = _DERIVED_NAMES()
            assert len(known) == len(set(known)), "a derived name was used twice"

    # --- how it ends

    def teardown(self) -> None:
        if not hasattr(self, "transaction"):
            return
        try:
            self.account.roll_back_with = self.account.fail_with = ""
            self.account.rollback_fails = False
            self.account.settle_reads()
            for name in NAMES:
                row = self._living(name)
                if row is not None:
                    self._ends_as_wanted(row)
            self._all_goes()
        finally:
            self.transaction.__exit__(Crash, Crash("the end"), None)

    def _settled(self, row: Endpoint) -> Endpoint:
        for _ in range(120):
            self.now += timedelta(seconds=5)
            self._advance(row.pk, StepPlan())
            if row.tearing_down:
                self._watch_alarms(StepPlan())
            row = Endpoint.objects.get(pk=row.pk)
            absent = row.wanted == Endpoint.Wanted.ABSENT
            if row.gone_at is not None or (row.settled and not absent and not row.failure):
                return row
            if not absent and (row.deleted_outside or self._says_why_not(row)):
                return row
        raise AssertionError(f"{row} does not settle: {row.state} {row.failure} {row.hint}")

    @staticmethod
    def _says_why_not(row: Endpoint) -> bool:
        """Whether it failed to start, or what the database lost has the names it would give."""
        code = row.failure_said.stable_code or ""
        final = row.rollback_failed or row.state == Endpoint.State.FAILED
        return bool(row.failure) and (code.endswith(".foreign") or final)

    def _ends_as_wanted(self, row: Endpoint) -> None:
        row = self._settled(row)
        if row.wanted == Endpoint.Wanted.ABSENT:
            assert row.gone_at is not None
            return
        if row.to_pause:
            row = self._paused(row)
        if row.rollback_failed:
            row = self._changed_to_the_same(row)
        if self._says_why_not(row):
            failed = row.state == Endpoint.State.FAILED
            assert failed or self.lost or self.outside, row.failure
            return
        # One look more: what was changed outside is seen then.
        row = self._settled(row)
        if row.deleted_outside:
            assert row.name not in self.account.endpoints
            row = self._settled(self._person(drift.put_back, endpoint=row, actor=None))
        if not self._says_why_not(row):
            self._runs_as_wanted(row)

    def _changed_to_the_same(self, row: Endpoint) -> Endpoint:
        """The way out of a roll-back that failed."""
        assert self._says_why_not(row)
        change = SettingsChange(instance_type=row.requested.parts[0].instance_type)
        if row.requested.variants:
            change = SettingsChange(variants=row.requested.variants)
        self._person(services.request_change, endpoint=row, change=change, actor=None)
        self.taken["mended"] += 1
        return self._settled(row)

    def _paused(self, row: Endpoint) -> Endpoint:
        if self._says_why_not(row):
            return row
        assert row.paused
        assert row.name not in self.account.endpoints, "what is paused costs money"
        assert row.name not in self.account.targets
        return self._settled(self._person(pausing.resume_now, endpoint=row, actor=None))

    def _runs_as_wanted(self, row: Endpoint) -> None:
        found = self._person(self.account._describe_endpoint, name=row.name)
        assert found.status == "InService"
        config = self.account.configs[found.config_name]
        if found.variants:
            runs = with_types(found.variants, config.variants)
        else:
            kind, count = config.instance_type, found.instance_count
            runs = (replace(ProductionVariant("AllTraffic", kind, count)),)
        assert set(runs) == set(row.running.parts)
        assert self.account.policies.get(row.name) == self.account.targets.get(row.name)
        assert self.account.policies.get(row.name) == row.limits
        scheduled = row.limits.schedule if row.limits is not None else ()
        crons = [one["Schedule"] for one in self.account.scheduled.get(row.name, {}).values()]
        assert sorted(crons) == sorted(one.cron for one in scheduled)
        wanted = row.requested.parts
        if row.limits is not None or row.left_scaled:
            types = [{one.name: one.instance_type for one in each} for each in (runs, wanted)]
            assert row.changed_outside == (
                types[0] != types[1] or found.config_name != row.config_name
            )
        elif row.changed_outside:
            assert set(runs) != set(wanted) or found.config_name != row.config_name
        else:
            assert set(runs) == set(wanted)
            model = self.account.models[config.model_name]
            assert model.image == row.image
            assert (model.data_url, model.role_arn) == (row.store_url, row.role_arn)
            places = {one.place for one in row.revisions.all()}
            self.taken["moved to another store"] += len(places) > 1
            arn = self.account.endpoints[row.name].arn
            tags = {key: one for key, one in self.account.tags[arn].items() if ":" not in key}
            assert tags == dict(row.chosen.tags)
        self._has_its_alarms(row)
        assert not row.revisions.filter(state=Revision.State.WANTED).exists()
        if not self._others_had_a_hand():
            begin = f"{row.name}-r"
            configs = {name for name in self.account.configs if name.startswith(begin)}
            models = {name for name in self.account.models if name.startswith(begin)}
            assert (configs, models) == ({config.name}, {config.model_name}), "left behind"

    def _has_its_alarms(self, row: Endpoint) -> None:
        for _ in range(2):  # the first forgets what AWS had refused
            self._watch_alarms(StepPlan())
        wanted = {
            one.name: cloudwatch.alarm_arguments(
                PRESETS[one.kind], endpoint=row.name, variant=one.variant,
                threshold=one.threshold, minutes=one.minutes,
            )
            for one in alarms.of_endpoint(row)
        }  # fmt: skip
        own = alarm_prefix(row.name)
        there = {
            name: one.does for name, one in self.account.alarms.items() if name.startswith(own)
        }
        # Those that the database lost go when the endpoint does.
        assert there == wanted or (self.lost and there.items() >= wanted.items())

    def _others_had_a_hand(self) -> bool:
        """Whether something may be left that the portal says it left."""
        kept = Resource.objects.filter(state=Resource.State.KEPT)
        return bool(self.lost or self.outside or kept.exists())

    def _all_goes(self) -> None:
        for name in NAMES:
            row = self._living(name)
            if row is not None:
                services.request_teardown(endpoint=row, typed_name=name, actor=None)
                row = self._settled(row)
                assert row.gone_at is not None
        if not self._others_had_a_hand():
            assert self.account.empty, "a teardown left something"
            return
        self.now += timedelta(hours=1)
        for _ in range(3):  # what is used by another orphan goes after it
            orphans.request_deletion(orphans=self._look_for_orphans(), actor=None)
            self._delete_orphans(12)
        assert self.account.empty, "orphans"


@contextlib.contextmanager
def _patched(taken: Counter[str]) -> Iterator[type[Machine]]:
    with pytest.MonkeyPatch.context() as patch:
        # What a run logs, thousands of times, would be kept by pytest.
        patch.setattr(logging.getLogger("endpoints"), "disabled", True)
        for name in ("machine", "run", "writing", "orphan_steps"):
            logger = logging.getLogger(f"endpoints.reconciler.{name}")
            patch.setattr(logger, "disabled", True)
        yield type("Patched", (Machine,), {"patch": patch, "taken": taken})


def run(
    *, first_seed: int, steps: int, happened: Sequence[str] = (), shrink: bool = False
) -> Counter[str]:
    """Drive it until so many steps of the reconciler were taken, and all of ``happened`` did.

    Gives what was done, counted. The same seed and number are the same sequences. To make a
    failure small takes minutes, and is done with ``shrink`` alone.
    """
    taken: Counter[str] = Counter()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    for number in itertools.count(first_seed):
        with _patched(taken) as patched:
            run_state_machine_as_test(
                seed(number)(patched),
                settings=settings(
                    max_examples=SEQUENCES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    print_blob=False,
                    suppress_health_check=list(HealthCheck),
                    phases=phases,
                ),
            )
        taken["seeds"] += 1
        enough = taken["steps"] + taken["orphans' steps"] >= steps
        if enough and all(taken[name] for name in happened):
            return taken
        assert taken["steps"] < 2 * steps + 5000, f"it never comes to all: {taken}"
    raise AssertionError("there is always a next seed")
