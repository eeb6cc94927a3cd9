"""Whatever is wished, fails, is killed or changed outside: an endpoint ends as it was wanted.

Hypothesis makes up sequences of wishes, steps of the reconciler that are killed or answered with
errors, time that passes, and changes outside the portal, against the AWS account in memory. Longer:
``MACHINE_EXAMPLES=500 make test ARGS="endpoints/tests/test_machine.py"``.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core import clock, errors
from endpoints import adopting, drift, images, orphans, reconciler, scaling, services
from endpoints.limits import Limits
from endpoints.models import Endpoint, Orphan, OrphanLook, Resource, Revision
from endpoints.services import SettingsChange
from endpoints.tests.account import Account, Crash

LONG = "MACHINE_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "25"))
# To make a failure small takes minutes.
PHASES = (Phase.generate, Phase.shrink) if LONG else (Phase.generate,)
STEPS = 80
NAMES = ("demo", "other")
TYPES = ("ml.m5.large", "ml.m5.xlarge")
REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
IMAGES = (f"{REGISTRY}/image:1", f"{REGISTRY}/image:2")
#: What goes wrong in one step of the reconciler.
FAULTS = (
    "",
    "",
    "",
    "killed before",
    "killed after",
    "throttled",
    "busy",
    "lost answer",
    "refused",
)
REASON = "The container did not answer the ping."


_READS = ("describe", "list", "scaling_has", "scaling_act")


class FaultyAccount(Account):
    """One call of a step can be killed, refused, or made with its answer lost."""

    def __init__(self) -> None:
        super().__init__()
        self.fault, self.fault_in = "", 0

    def _wrapped(self, name: str) -> Callable[..., Any]:
        act = getattr(self, f"_{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            self.fault_in -= 1
            fault = self.fault if self.fault_in == 0 else ""
            if fault == "killed before":
                raise Crash(name)
            if fault == "throttled":
                raise errors.Throttled("Rate exceeded.")
            if fault == "busy":
                raise errors.Busy("Cannot update in-progress endpoint.")
            if fault == "refused" and not name.startswith(_READS):
                raise errors.AwsError("You have no instances of this type left.")
            answer = act(*args, **kwargs)
            if fault == "killed after":
                raise Crash(name)
            if fault == "lost answer":
                raise errors.Throttled("The connection was lost.")
            return answer

        return call


class Machine(RuleBasedStateMachine):
    """The portal, two endpoints, and an account."""

    now: datetime
    account: FaultyAccount
    patch: pytest.MonkeyPatch
    taken: Counter[str]

    @initialize()
    def begin(self) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.account = FaultyAccount()
        self.account.install(self.patch)
        self.outside: list[str] = []
        self.patch.setattr(clock, "now", self._tick)
        self.patch.setattr(images, "chosen", lambda image: images.ChosenImage(image, ""))
        # Without one that serves, few sequences come to anything.
        services.create_endpoint(name=NAMES[0], instance_type=TYPES[0], actor=None)
        self.quiet_steps(8)

    def _tick(self, *_: object) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def _living(self, name: str) -> Endpoint | None:
        return Endpoint.objects.filter(name=name, gone_at=None).first()

    # --- what people wish

    @rule(name=st.sampled_from(NAMES), kind=st.sampled_from(TYPES), count=st.integers(1, 3))
    def create(self, name: str, kind: str, count: int) -> None:
        there = self._living(name) is not None or name in self.account.endpoints
        try:
            services.create_endpoint(
                name=name, instance_type=kind, instance_count=count, actor=None
            )
        except ValidationError:
            assert there, "a free name was refused"
        else:
            assert not there, "two endpoints of one name"

    @rule(
        name=st.sampled_from(NAMES),
        change=st.builds(
            SettingsChange,
            instance_type=st.none() | st.sampled_from(TYPES),
            instance_count=st.none() | st.integers(1, 3),
            image=st.none() | st.sampled_from(IMAGES),
        ),
    )
    def change(self, name: str, change: SettingsChange) -> None:
        self._request(name, change)

    @rule(name=st.sampled_from(NAMES), back=st.integers(1, 3))
    def roll_back(self, name: str, back: int) -> None:
        row = self._living(name)
        known = [one.number for one in row.revisions.all()] if row else []
        if row is not None and known:
            number = known[min(back, len(known)) - 1]
            self._request(name, services.back_to(endpoint=row, number=number))

    def _request(self, name: str, change: SettingsChange) -> None:
        row = self._living(name)
        if row is None:
            return
        try:
            services.request_change(endpoint=row, change=change, actor=None)
        except ValidationError:
            assert not row.may_be_changed or row.tearing_down or row.limits is not None

    @rule(
        name=st.sampled_from(NAMES),
        limits=st.none() | st.builds(Limits, st.integers(1, 2), st.integers(2, 3), st.just(50)),
    )
    def scale(self, name: str, limits: Limits | None) -> None:
        row = self._living(name)
        if row is None:
            return
        try:
            scaling.set_scaling(endpoint=row, limits=limits, actor=None)
        except ValidationError:
            assert not row.serving
        else:
            self.taken["scaled"] += 1

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 3))
    def autoscaling_acts(self, name: str, count: int) -> None:
        found, limits = self.account.endpoints.get(name), self.account.targets.get(name)
        if found is None or limits is None or name not in self.account.policies:
            return
        if found.status == "InService" and name not in self.account.moving:
            self.account.scaled(name, min(max(count, limits.least), limits.most))

    @rule(name=st.sampled_from(NAMES))
    def deregistered_outside(self, name: str) -> None:
        self.account.targets.pop(name, None)
        self.account.policies.pop(name, None)

    @rule(name=st.sampled_from(NAMES))
    def tear_down(self, name: str) -> None:
        row = self._living(name)
        if row is not None:
            services.request_teardown(endpoint=row, typed_name=name, actor=None)

    @rule(
        name=st.sampled_from(NAMES),
        accepted=st.booleans(),
        drift=st.sampled_from(("", "deleted", "scaled")),
    )
    def decide_on_drift(self, name: str, accepted: bool, drift: str) -> None:
        if drift == "deleted":
            self.deleted_outside(name=name)
        elif drift == "scaled":
            self.scaled_outside(name=name, count=3)
        self.step(name, "", 1)
        self._decide(name, accepted)

    def _decide(self, name: str, accepted: bool) -> None:
        row = self._living(name)
        if row is None:
            return
        decide = drift.accept if accepted else drift.put_back
        with contextlib.suppress(ValidationError):
            decide(endpoint=row, actor=None)
            self.taken["accepted" if accepted else "put back"] += 1

    # --- what the portal does, and what happens to it

    @rule(name=st.sampled_from(NAMES), fault=st.sampled_from(FAULTS), at=st.integers(1, 4))
    def step(self, name: str, fault: str, at: int) -> None:
        row = self._living(name)
        if row is not None:
            Endpoint.objects.filter(pk=row.pk).update(check_after=self.now)
            self._advance(row, fault, at)

    @rule(
        name=st.sampled_from(NAMES),
        faults=st.lists(st.sampled_from(FAULTS), min_size=3, max_size=12),
    )
    def steps(self, name: str, faults: list[str]) -> None:
        for number, fault in enumerate(faults):
            self.step(name, fault, 1 + number % 4)
            self.now += timedelta(seconds=5)

    @rule(rounds=st.integers(3, 12))
    def quiet_steps(self, rounds: int) -> None:
        for name in NAMES * rounds:
            self.step(name, "", 1)

    def _advance(self, row: Endpoint, fault: str = "", at: int = 1) -> None:
        self.account.fault, self.account.fault_in = fault, at
        before = len(self.account.changes)
        try:
            reconciler.advance(row.pk)
        except Crash:
            assert Endpoint.objects.get(pk=row.pk).leased_until is not None  # until it is over
        finally:
            self.account.fault = ""
        assert len(self.account.changes) - before <= 1, "two changing calls in one step"
        self.taken["steps"] += 1
        self.taken[fault or "no fault"] += 1

    @rule(seconds=st.sampled_from((1, 10, 70, 600)))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(rolls_back=st.booleans())
    def container(self, rolls_back: bool) -> None:
        self.account.roll_back_with = REASON if rolls_back else ""

    @rule(looks=st.integers(0, 2))
    def reads_lag(self, looks: int) -> None:
        self.account.update_unseen = looks

    # --- what the database lost, and what others left

    @rule(name=st.sampled_from(NAMES), adopted=st.booleans())
    def the_database_loses(self, name: str, adopted: bool) -> None:
        """As a restored one does: what was made stays in the account, and no row knows it."""
        row = self._living(name)
        quiet = name not in self.account.moving and row is not None and not row.updating
        if row is not None and quiet and row.serving:
            Resource.objects.filter(endpoint=row).delete()
            self.account.targets.pop(row.name, None)
            self.account.policies.pop(row.name, None)
            row.delete()
            self.taken["lost"] += 1
            for one in self._look_for_orphans() if adopted else ():
                if (one.kind, one.name) == (Resource.Kind.ENDPOINT, name):
                    self._adopt(one)

    def _adopt(self, one: Orphan) -> None:
        with contextlib.suppress(ValidationError):
            adopting.adopt(orphan=one, actor=None)
            self.taken["adopted"] += 1

    def _look_for_orphans(self) -> list[Orphan]:
        look = orphans.the_look()
        OrphanLook.objects.filter(pk=look.pk).update(check_after=self.now)
        orphans.look()
        return list(Orphan.objects.filter(state=Orphan.State.FOUND))

    @rule(
        which=st.integers(0, 5),
        adopted=st.booleans(),
        rounds=st.integers(0, 6),
        fault=st.sampled_from(FAULTS),
    )
    def orphans_are_found(self, which: int, adopted: bool, rounds: int, fault: str) -> None:
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
                self.account.fault, self.account.fault_in = fault, 2
                before = len(self.account.changes)
                with contextlib.suppress(Crash):
                    reconciler.advance_orphan(row.pk)
                self.account.fault, fault = "", ""
                assert len(self.account.changes) - before <= 1, "two changing calls in one step"
                self.taken["orphans' steps"] += 1
            self.now += timedelta(seconds=5)

    # --- what others do outside

    @precondition(lambda self: self.account.endpoints)
    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 3), named=st.booleans())
    def other_config(self, name: str, count: int, named: bool) -> None:
        found = self.account.endpoints.get(name)
        if found is None or found.status != "InService" or name in self.account.moving:
            return
        config = self.account.configs.get(found.config_name)
        if config is not None:
            # As the portal would name its own next one, or of their own.
            theirs = f"theirs-{len(self.outside)}"
            if named:
                theirs = f"{name}-r{Endpoint.objects.next_revision(name)}"
            if theirs not in self.account.configs:
                self.outside.append(theirs)
                self.account.update_outside(name, theirs, model=config.model_name, count=count)

    @rule(name=st.sampled_from(NAMES))
    def deleted_outside(self, name: str) -> None:
        found = self.account.endpoints.get(name)
        if found is not None and found.status == "InService" and name not in self.account.moving:
            del self.account.endpoints[name]
            self.account.counts.pop(name, None)
            self.account.targets.pop(name, None)  # SageMaker ends it, too
            self.account.policies.pop(name, None)

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 3))
    def scaled_outside(self, name: str, count: int) -> None:
        found = self.account.endpoints.get(name)
        if found is not None and found.status == "InService" and name not in self.account.moving:
            self.account.counts[name] = count

    # --- what always holds

    @invariant()
    def what_serves_has_what_it_needs(self) -> None:
        for name, found in self.account.endpoints.items():
            if found.status in ("InService", "Updating"):
                config = self.account.configs.get(found.config_name)
                assert config is not None, f"{name} lost its config {found.config_name}"
                assert config.model_name in self.account.models, f"{name} lost its model"

    @invariant()
    def rows_agree(self) -> None:
        living = Counter(Endpoint.objects.filter(gone_at=None).values_list("name", flat=True))
        assert all(count == 1 for count in living.values())
        for state in (Revision.State.SERVING, Revision.State.WANTED):
            rows = Revision.objects.filter(state=state, endpoint__gone_at=None)
            many = Counter(rows.values_list("endpoint_id", flat=True))
            assert all(count == 1 for count in many.values()), state
        derived = Resource.objects.exclude(kind=Resource.Kind.ENDPOINT)
        names = [*derived.values_list("kind", "name")]
        assert len(names) == len(set(names)) or self.outside, "a derived name was used twice"

    # --- how it ends

    def teardown(self) -> None:
        if not hasattr(self, "transaction"):
            return
        try:
            self.account.roll_back_with, self.account.update_unseen = "", 0
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
            Endpoint.objects.filter(pk=row.pk).update(check_after=self.now)
            self._advance(row)
            row = Endpoint.objects.get(pk=row.pk)
            absent = row.wanted == Endpoint.Wanted.ABSENT
            if row.gone_at is not None or (row.settled and not absent and not row.failure):
                return row
            if not absent and (row.deleted_outside or self._names_are_taken(row)):
                return row
        raise AssertionError(f"{row} does not settle: {row.state} {row.failure} {row.hint}")

    @staticmethod
    def _names_are_taken(row: Endpoint) -> bool:
        """Whether it says that what the database lost has the names that it would give."""
        code = row.failure_said.stable_code or ""
        return bool(row.failure) and code.endswith(".foreign")

    def _ends_as_wanted(self, row: Endpoint) -> None:
        row = self._settled(row)
        if row.wanted == Endpoint.Wanted.ABSENT:
            assert row.gone_at is not None
            return
        if self._names_are_taken(row):
            assert self.taken["lost"] or self.outside, row.failure
            return
        # One look more: what was changed outside is seen then.
        row = self._settled(row)
        if row.deleted_outside:
            assert row.name not in self.account.endpoints
            row = self._settled(drift.put_back(endpoint=row, actor=None))
            if self._names_are_taken(row):
                return
        found = self.account.endpoints[row.name]
        assert found.status == "InService"
        config = self.account.configs[found.config_name]
        count = self.account.counts.get(row.name, config.instance_count)
        runs = (count, config.instance_type)
        assert runs == (row.running.instance_count, row.running.instance_type)
        wanted = (row.requested.instance_count, row.requested.instance_type)
        assert self.account.policies.get(row.name) == self.account.targets.get(row.name)
        assert self.account.policies.get(row.name) == row.limits
        if row.limits is not None or row.left_scaled:
            assert row.changed_outside == (
                runs[1] != wanted[1] or found.config_name != row.config_name
            )
        elif row.changed_outside:
            assert runs != wanted or found.config_name != row.config_name
        else:
            assert runs == wanted
            assert self.account.models[config.model_name].image == row.image
        assert not row.revisions.filter(state=Revision.State.WANTED).exists()

    def _all_goes(self) -> None:
        for name in NAMES:
            row = self._living(name)
            if row is not None:
                services.request_teardown(endpoint=row, typed_name=name, actor=None)
                row = self._settled(row)
                assert row.gone_at is not None
        self.now += timedelta(hours=1)
        for _ in range(3):  # what is used by another orphan goes after it
            orphans.request_deletion(orphans=self._look_for_orphans(), actor=None)
            self._delete_orphans(12)
        assert not self.account.endpoints
        assert not self.account.targets
        assert not self.account.configs, "orphans"
        assert not self.account.models, "orphans"


@pytest.mark.django_db
@pytest.mark.timeout(0 if LONG else 300)
def test_an_endpoint_ends_as_it_was_wanted(
    monkeypatch: pytest.MonkeyPatch, settings_of_portal: None
) -> None:
    taken: Counter[str] = Counter()

    class Patched(Machine):
        patch = monkeypatch

    Patched.taken = taken
    run_state_machine_as_test(
        Patched,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )

    assert taken["steps"] > 10 * EXAMPLES
    assert all(taken[fault] for fault in FAULTS if fault), taken
    assert taken["adopted"], taken
    assert taken["accepted"], taken
    assert taken["put back"], taken
    assert taken["orphans' steps"], taken


@pytest.fixture
def settings_of_portal(settings: Any) -> None:
    settings.INSTANCE_TYPES = list(TYPES)
    settings.CONTAINER_IMAGE = IMAGES[0]
