"""The calls of an experiment, made by threads of one process under its lease.

The numbers of the calls are handed out in order. About once a second the row is written: what came
of the calls, which numbers are under way, and up to which number calls may be begun before the row
is written again. Each call is also noted in a file before it is made (call_log.py). So whatever
ends the process, the next one knows which calls may have been made: of those it has no answer of,
it makes none again, and counts them as unknown.

Closed loop: each caller makes its next call when it has its answer. Open loop (a rate): each call
has its planned moment, and its latency counts from there, also where all callers were busy then. So
calls that had to wait show it: what is called coordinated omission is avoided.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction

from core import clock, errors
from core.lease import Lease, LeaseLost
from core.sentences import Sentence, phrase
from invocations.experiments import call_log, drawing, listed_calls, sending, tally
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.tally import MadeCall, TargetTally
from invocations.experiments.targets import CallTarget
from invocations.models import Experiment
from invocations.payload import Payload

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)
MOST_ATTEMPTS = 5
"""After so many processes that wrote nothing it is given up."""
MOST_FAILED = 50
"""After so many failed calls in a row it ends."""
#: The row is written after so long, and where writing takes long, so much more seldom.
WRITE_EVERY_S = 1.0
_SHARE_OF_WRITING = 10
_LOOK_EVERY_S = 0.1
# How long a process that is to end waits for the calls that are under way.
_END_WITHIN_S = 1.0
# No call begins in the last part of a lease that could not be renewed.
_SAFE_S = 5.0


@dataclass
class Clockwork:
    """The time by which calls are planned and measured; a test has another one."""

    now: Callable[[], float] = time.perf_counter
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait


class CannotGoOn(Exception):
    """The experiment ends early; ``sentence`` says why."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def run(
    pk: int, *, ending: threading.Event | None = None, clockwork: Clockwork | None = None
) -> None:
    """Make the calls of an experiment that is due, to its end; idempotent.

    ``ending``: set where the process is to end; the experiment is due again then, and the next
    process goes on.
    """
    experiment = Experiment.objects.select_related("endpoint").claim(pk, lease=LEASE)
    if experiment is None:
        return
    lease = Lease(Experiment.objects.all(), experiment, LEASE)
    try:
        _run(experiment, lease, ending or threading.Event(), clockwork or Clockwork())
    except LeaseLost:
        log.warning("Another process has taken over the experiment %s.", experiment.uid)


def _run(
    experiment: Experiment,
    lease: Lease[Experiment],
    ending: threading.Event,
    clockwork: Clockwork,
) -> None:
    targets = CallTarget.all_from(experiment.targets)
    state = _Begun.of(experiment, targets)
    # Its process was killed before it saw the wish: the next one begins no call.
    if experiment.stop_wanted and state.next < experiment.calls:
        end(experiment, lease, state, Experiment.State.STOPPED)
        return
    try:
        if experiment.attempts > MOST_ATTEMPTS:
            raise CannotGoOn(phrase("Its processes ended again and again; the log says why."))
        try:
            given = sending.payloads(
                experiment.pictures,
                targets,
                experiment.given or (),
                person=experiment.created_by,
            )
            noted = call_log.CallLog(experiment.uid)
        except ExperimentRefused as problem:
            raise CannotGoOn(Sentence.verbatim(str(problem))) from None
        except errors.AwsError as problem:
            raise CannotGoOn(problem.sentence) from None
        except OSError as problem:
            raise CannotGoOn(_no_log(problem)) from None
    except CannotGoOn as problem:
        end(experiment, lease, state, Experiment.State.FAILED, problem.sentence)
        return
    callers = Callers(experiment, targets, given, noted, state, clockwork)
    try:
        callers.make_all(lease, ending)
    finally:
        noted.close()


def _no_log(problem: OSError) -> Sentence:
    return phrase(
        "The calls cannot be noted in JOURNAL_DIR, and none is made without that: %(error)s",
        error=str(problem),
    )


@dataclass
class _Begun:
    """How far an experiment is: what a process starts from, and what it writes.

    ``next``: the number of the call that is begun next. ``open``: the numbers of calls that are
    under way. ``noted``: how many ends of the process's file are counted.
    """

    tallies: list[TargetTally]
    next: int = 0
    open: set[int] = field(default_factory=set)
    noted: int = 0
    active_s: float = 0.0
    lasts: dict[int, MadeCall] = field(default_factory=dict)
    listed: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment, targets: Sequence[CallTarget]) -> "_Begun":
        """What the row has, and the file of the process that wrote it last."""
        stored = experiment.progress
        if not stored:
            return cls([TargetTally() for _one in targets])
        found = cls(
            [TargetTally.from_json(one) for one in stored["tallies"]],
            next=stored["next"],
            open=set(stored["open"]),
            active_s=stored["active_s"],
            lasts={int(key): MadeCall(*one) for key, one in stored["lasts"].items()},
            listed={int(key): one for key, one in stored["listed"].items()},
        )
        draw = draw_of(experiment, len(targets))
        left = call_log.read(stored["log"])
        if left is None:
            # It may have begun any call that it was allowed to.
            found.open |= set(range(found.next, stored["allowed"]))
            found.next = stored["allowed"]
        else:
            begun = {number for number in left.begun if number >= found.next}
            last = max(begun, default=found.next - 1)
            found.open |= set(range(found.next, last + 1))
            found.next = last + 1
            for call in left.ended[stored["noted"] :]:
                found.count(call, draw.targets[call.number])
        for number in found.open:
            found.tallies[draw.targets[number]].unknown += 1
        found.open = set()
        return found

    def count(self, call: MadeCall, target: int) -> None:
        """Count a call that has ended."""
        self.open.discard(call.number)
        self.tallies[target].add(call)
        self.lasts[target] = call
        self.active_s = max(self.active_s, call.at_s)

    def stored(self, *, log_name: str, allowed: int) -> dict[str, Any]:
        """What the row has of it."""
        return {
            "tallies": [one.as_json() for one in self.tallies],
            "next": self.next,
            "open": sorted(self.open),
            "noted": self.noted,
            "active_s": self.active_s,
            "lasts": {str(key): one.as_list() for key, one in self.lasts.items()},
            "listed": {str(key): one for key, one in self.listed.items()},
            "log": log_name,
            "allowed": allowed,
        }


def draw_of(experiment: Experiment, targets: int) -> drawing.Drawn:
    """What each call of an experiment is."""
    return drawing.drawn(
        experiment.draw,
        seed=experiment.seed,
        calls=experiment.calls,
        targets=targets,
        recorded=experiment.recorded,
    )


class Callers:
    """The threads that make the calls, and the row that is written meanwhile."""

    def __init__(
        self,
        experiment: Experiment,
        targets: Sequence[CallTarget],
        payloads: Sequence[Sequence[Payload]],
        noted: call_log.CallLog,
        state: _Begun,
        clockwork: Clockwork,
    ) -> None:
        self._experiment = experiment
        self._targets = targets
        self._payloads = payloads
        self._log = noted
        self._state = state
        self._clockwork = clockwork
        self._draw = draw_of(experiment, len(targets))
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._may_go_on = threading.Event()
        self._stop = threading.Event()
        self._short = threading.Event()
        self._allowed = 0
        self._safe_until = 0.0
        self._failed_in_a_row = 0
        self._done_before = sum(one.calls for one in state.tallies)
        self._broken: Sentence | None = None
        self._began = clockwork.now() - state.active_s
        # In an open loop the plan begins anew with each process.
        self._plan_from = (clockwork.now(), state.next)

    # --- the thread that writes the row ----------------------------------------------------------

    def make_all(self, lease: Lease[Experiment], ending: threading.Event) -> None:
        """Make the calls, and write the row; raises LeaseLost."""
        threads: list[threading.Thread] = []
        try:
            self._write(lease, state=Experiment.State.RUNNING)
            call_log.drop_others(self._experiment.uid, keep=self._log.name)
            self._began = self._clockwork.now() - self._state.active_s
            self._plan_from = (self._clockwork.now(), self._state.next)
            for number in range(self._experiment.callers):
                name = f"caller-{number}"
                threads.append(threading.Thread(target=self._calls, name=name, daemon=True))
            for thread in threads:
                thread.start()
            self._watch(lease, ending, threads)
        except BaseException:
            self._halt()
            raise
        if ending.is_set() and any(thread.is_alive() for thread in threads):
            # The next process counts what is under way as unknown.
            self._write(lease, release=True)
            return
        self._finish(lease, ending)

    def _watch(
        self, lease: Lease[Experiment], ending: threading.Event, threads: list[threading.Thread]
    ) -> None:
        """Write the row until no thread makes calls any more."""
        written = looked = time.monotonic()
        every_s = WRITE_EVERY_S
        end_by = None
        while any(thread.is_alive() for thread in threads):
            self._short.wait(_LOOK_EVERY_S)
            if ending.is_set():
                self._halt()
                end_by = end_by or time.monotonic() + _END_WITHIN_S
                if time.monotonic() > end_by:
                    return
            if self._broken is not None:
                self._halt()
            # A wish to stop does not wait for a slow database to write the row.
            if time.monotonic() - looked >= WRITE_EVERY_S:
                self._halt_if_wanted()
                looked = time.monotonic()
            if self._short.is_set() or time.monotonic() - written >= every_s:
                self._short.clear()
                began = time.monotonic()
                try:
                    self._write(lease)
                except DatabaseError as error:
                    # Calls begin as long as the row allows it; then they wait.
                    log.warning("The row of an experiment waits for the database: %s", error)
                    connection.close_if_unusable_or_obsolete()
                written = time.monotonic()
                every_s = max(WRITE_EVERY_S, _SHARE_OF_WRITING * (written - began))

    def _halt_if_wanted(self) -> None:
        try:
            if self._stop_wanted():
                self._halt()
        except DatabaseError as error:
            log.warning("Whether an experiment is to stop is not known yet: %s", error)
            connection.close_if_unusable_or_obsolete()

    def _stop_wanted(self) -> bool:
        mine = Experiment.objects.filter(pk=self._experiment.pk)
        return bool(mine.values_list("stop_wanted", flat=True).first())

    def _halt(self) -> None:
        """No further call begins."""
        self._stop.set()
        self._may_go_on.set()

    def _finish(self, lease: Lease[Experiment], ending: threading.Event) -> None:
        state = Experiment.State
        if self._broken is not None:
            end(self._experiment, lease, self._state, state.FAILED, self._broken)
        elif self._state.next >= self._experiment.calls:
            end(self._experiment, lease, self._state, state.DONE)
        elif ending.is_set() and not self._stop_wanted():
            self._write(lease, release=True)
        else:
            end(self._experiment, lease, self._state, state.STOPPED)

    def _write(self, lease: Lease[Experiment], *, release: bool = False, **changes: Any) -> None:
        """Write the row, and allow as many further calls as about two seconds take."""
        if not self._experiment.started_at:
            changes["started_at"] = self._experiment.started_at = clock.now()
        with self._lock:
            done = sum(one.calls for one in self._state.tallies)
            if done > self._done_before:
                changes["attempts"] = 0
            speed = done / self._state.active_s if self._state.active_s else 0.0
            ahead = max(4 * self._experiment.callers, int(3 * WRITE_EVERY_S * speed))
            allowed = self._state.next
            if not release:
                allowed = min(self._experiment.calls, allowed + ahead)
            changes["progress"] = self._state.stored(log_name=self._log.name, allowed=allowed)
            changes["result"] = result_of(self._targets, self._state)
            lasts = dict(self._state.lasts)
        first = {key: call for key, call in lasts.items() if key not in self._state.listed}
        changes["progress"]["listed"] |= {str(key): call.at_s for key, call in first.items()}
        began = time.monotonic()
        with transaction.atomic():
            if first:
                listed_calls.write(self._experiment, self._targets, first)
            if release:
                lease.release(check_after=clock.now(), **changes)
            else:
                lease.renew(**changes)
        with self._lock:
            self._state.listed |= {key: call.at_s for key, call in first.items()}
            self._allowed = allowed
            self._safe_until = began + LEASE.total_seconds() - _SAFE_S
        self._may_go_on.set()

    # --- the threads that call ----------------------------------------------------------------

    def _calls(self) -> None:
        while (taken := self._take()) is not None:
            number, planned = taken
            target = self._draw.targets[number]
            payloads = self._payloads[target]
            try:
                self._log.begins(number)
            except OSError as problem:
                self._break(_no_log(problem))
                with self._lock:  # it was not made
                    self._state.open.discard(number)
                    self._state.tallies[target].unknown += 1
                return
            call = sending.send(
                number,
                named=f"{self._experiment.uid}.{number}",
                endpoint_name=self._experiment.endpoint.name,
                target_model=self._targets[target].target_model,
                given=payloads[self._draw.pictures[number] % len(payloads)],
                planned=planned if planned is not None else self._clockwork.now(),
                began=self._began,
                now=self._clockwork.now,
                pause=self._pause,
            )
            self._count(call, target)

    def _take(self) -> tuple[int, float | None] | None:
        """The number of the next call, and its planned moment; None: there is none."""
        with self._turn:  # one caller at a time waits for the next moment
            while not self._stop.is_set():
                with self._lock:
                    number = self._state.next
                    if number >= self._experiment.calls:
                        return None
                    allowed = number < self._allowed and time.monotonic() < self._safe_until
                    if not allowed:
                        self._may_go_on.clear()
                        self._short.set()
                if not allowed:
                    self._may_go_on.wait(1.0)
                    continue
                planned = self._planned(number)
                if planned is not None:
                    early_s = planned - self._clockwork.now()
                    if early_s > 0 and self._clockwork.wait(self._stop, early_s):
                        return None
                with self._lock:
                    self._state.next = number + 1
                    self._state.open.add(number)
                return number, planned
        return None

    def _planned(self, number: int) -> float | None:
        if self._experiment.rate is None:
            return None
        began, first = self._plan_from
        return began + (number - first) / self._experiment.rate

    def _pause(self, seconds: float) -> bool:
        """Wait before a call is tried again; False: the experiment ends."""
        return not self._clockwork.wait(self._stop, seconds)

    def _count(self, call: MadeCall, target: int) -> None:
        with self._lock:
            try:
                self._log.ended(call)
                self._state.noted += 1
            except OSError as problem:
                self._broken = self._broken or _no_log(problem)
            self._state.count(call, target)
            self._failed_in_a_row = self._failed_in_a_row + 1 if call.error else 0
            if self._failed_in_a_row >= MOST_FAILED:
                self._broken = self._broken or phrase(
                    "%(count)s calls in a row failed, so the rest was not made. The last one "
                    "failed with %(code)s.",
                    count=MOST_FAILED,
                    code=call.error,
                )
        if self._broken is not None:
            self._halt()

    def _break(self, said: Sentence) -> None:
        with self._lock:
            self._broken = self._broken or said
        self._halt()


def result_of(targets: Sequence[CallTarget], state: _Begun) -> dict[str, Any]:
    """What came of it so far."""
    return tally.result([one.name for one in targets], state.tallies, state.active_s)


def end(
    experiment: Experiment,
    lease: Lease[Experiment],
    state: _Begun,
    how: str,
    said: Sentence | None = None,
) -> None:
    """Write the end, once no thread makes calls any more."""
    targets = CallTarget.all_from(experiment.targets)
    changes: dict[str, Any] = {}
    if said is not None:
        changes = {"error": said.english(), "error_code": said.as_json()}
    last = {key: call for key, call in state.lasts.items() if state.listed.get(key) != call.at_s}
    with transaction.atomic():
        listed_calls.write(experiment, targets, last)
        lease.release(
            state=how,
            finished_at=clock.now(),
            attempts=0,
            progress=state.stored(log_name="", allowed=state.next),
            result=result_of(targets, state),
            **changes,
        )
    call_log.drop_others(experiment.uid)
