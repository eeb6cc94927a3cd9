"""Whether the portal can do its work, part by part; asked by `/readyz` and the page `/status/`.

Each app registers the checks of its parts when Django starts (``AppConfig.ready``). Each part is
checked in a thread of its own, one at a time, whoever asks; a result is kept for five seconds. So
many requests cost no more than one. A check that hangs holds one thread, and no request waits
longer than :data:`TIMEOUT_S` for it: until it answers, its part counts as unhealthy.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

log = logging.getLogger(__name__)

FRESH_S = 5.0
TIMEOUT_S = 1.4


class State(StrEnum):
    """The state of a part."""

    OK = "ok"
    DEGRADED = "degraded"  # something is missing, but the portal does its work
    DOWN = "down"


class Unhealthy(Exception):
    """A part does not work; ``str()`` says what is wrong."""


class Degraded(Unhealthy):
    """As Unhealthy, but the portal can still do its work, even where the part is vital."""


@dataclass(frozen=True)
class Result:
    """The result of a check, and its time by the monotonic clock."""

    name: str
    state: State
    sentence: str
    at: float

    @property
    def age_s(self) -> float:
        """Seconds since the check."""
        return time.monotonic() - self.at


@dataclass(frozen=True)
class Report:
    """The results of all checks at one time."""

    parts: list[Result]

    @property
    def state(self) -> State:
        """The worst state of any part."""
        states = {part.state for part in self.parts}
        return next(state for state in (State.DOWN, State.DEGRADED, State.OK) if state in states)

    @property
    def ready(self) -> bool:
        """Whether the portal can do its work."""
        return self.state != State.DOWN

    def part(self, name: str) -> Result:
        """The result of one part; KeyError where no part has that name."""
        return {part.name: part for part in self.parts}[name]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON, for admins."""
        return {
            "status": self.state.value,
            "parts": {
                part.name: {
                    "state": part.state.value,
                    "sentence": part.sentence,
                    "age_s": round(part.age_s, 1),
                }
                for part in self.parts
            },
        }


class Check:
    """The check of one part, and its last result.

    ``probe`` returns a sentence where the part works, and raises Unhealthy where it does not.
    ``vital`` says whether the portal is down without the part.
    """

    def __init__(self, name: str, probe: Callable[[], str], *, vital: bool) -> None:
        self.name = name
        self._probe = probe
        self._vital = vital
        self._lock = threading.Lock()
        self._found: Result | None = None
        self._began: float | None = None  # of the probe that is under way
        self._done = threading.Event()
        self._logged = State.OK

    def begin(self) -> None:
        """Start the probe, unless it runs or its last result is fresh; does not wait."""
        with self._lock:
            fresh = self._found is not None and self._found.age_s < FRESH_S
            if fresh or self._began is not None:
                return
            self._began = time.monotonic()
            self._done = threading.Event()
            thread = threading.Thread(target=self._run, name=f"ready-{self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the machine has no thread left
                self._began = None
                self._found = Result(
                    self.name, State.DOWN, f"No thread could probe: {error}.", time.monotonic()
                )

    def result(self) -> Result:
        """The last result; waits for a probe that runs, but no longer than TIMEOUT_S."""
        with self._lock:
            began, found, done = self._began, self._found, self._done
        if began is not None:
            done.wait(max(0.0, began + TIMEOUT_S - time.monotonic()))
            with self._lock:
                found = self._found if self._began != began else None
        if found is not None:
            return found
        waited = time.monotonic() - (began or time.monotonic())
        late = Result(
            self.name, self._bad(), f"It has not answered for {waited:.1f} s.", time.monotonic()
        )
        self._log_change(late)
        return late

    def _bad(self) -> State:
        return State.DOWN if self._vital else State.DEGRADED

    def _run(self) -> None:
        state, sentence = State.OK, ""
        try:
            sentence = self._probe()
        except Degraded as finding:
            state, sentence = State.DEGRADED, str(finding)
        except Unhealthy as finding:
            state, sentence = self._bad(), str(finding)
        except Exception as error:
            # An unexpected error must give a result too; the log has the traceback.
            log.exception("The check of %s failed", self.name)
            state, sentence = self._bad(), f"It could not be checked: {type(error).__name__}."
        sentence = " ".join(sentence.split())  # a server's answer may have line breaks
        found = Result(self.name, state, sentence, time.monotonic())
        self._log_change(found)
        with self._lock:
            self._found, self._began = found, None
            self._done.set()

    def _log_change(self, found: Result) -> None:
        """Log a change of the state, and not every result."""
        with self._lock:
            before, self._logged = self._logged, found.state
        if found.state != before:
            level = logging.INFO if found.state == State.OK else logging.WARNING
            log.log(level, "Ready check: %s is %s. %s", self.name, found.state, found.sentence)


class Checks:
    """All checks of this process."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks

    def report(self) -> Report:
        """The results of all checks; takes at most TIMEOUT_S, even where a probe hangs."""
        for check in self._checks:
            check.begin()
        return Report([check.result() for check in self._checks])


_registered: dict[str, tuple[Callable[[], str], bool]] = {}
_clocks: dict[str, Callable[[], float | None]] = {}


def register(name: str, probe: Callable[[], str], *, vital: bool) -> None:
    """Register the check of a part, which is shown under ``name``; for the rest see Check.

    Raises ValueError for a name that has another check already.
    """
    if _registered.setdefault(name, (probe, vital)) != (probe, vital):
        raise ValueError(f"The part {name!r} is registered twice.")


def register_clock(name: str, probe: Callable[[], float | None]) -> None:
    """Register a clock that this host's is compared with; ``name`` is shown in a sentence.

    ``probe`` returns seconds since 1970, or None where there is no time. It may raise
    DatabaseError, redis.RedisError and errors.AwsError.
    """
    if _clocks.setdefault(name, probe) != probe:
        raise ValueError(f"The clock of {name} is registered twice.")


def clocks() -> dict[str, Callable[[], float | None]]:
    """The registered clocks, by name."""
    return dict(_clocks)


def all_checks() -> Checks:
    """New checks of every registered part, the vital ones first."""
    ordered = sorted(_registered.items(), key=lambda item: not item[1][1])
    return Checks([Check(name, probe, vital=vital) for name, (probe, vital) in ordered])


@cache
def shared_checks() -> Checks:
    """The checks that all requests of this process share."""
    return all_checks()
