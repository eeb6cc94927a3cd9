"""Whether the portal can do its work, part by part; asked by `/readyz` and the page `/status/`.

Each app registers the checks of its parts when Django starts (``AppConfig.ready``). Each part is
checked in a thread of its own, one at a time, whoever asks; a result is kept for five seconds. So
many requests cost no more than one. A check that hangs holds one thread, and no request waits
longer than :data:`PATIENCE_S` for it: until it answers, its part counts as not well.
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

HOLDS_S = 5.0
PATIENCE_S = 1.4


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"  # something is missing, but the portal does its work
    DOWN = "down"


class NotWell(Exception):
    """A check's finding: the sentence that says what is wrong."""


class Short(NotWell):
    """As NotWell, but of something with which the portal can still do its work."""


@dataclass(frozen=True)
class Found:
    """What a check found, and when (by the monotonic clock)."""

    name: str
    state: State
    sentence: str
    at: float

    @property
    def age_s(self) -> float:
        """Seconds since it was found."""
        return time.monotonic() - self.at


@dataclass(frozen=True)
class Report:
    """All parts at one time."""

    parts: list[Found]

    @property
    def state(self) -> State:
        """That of the part that is worst."""
        states = {part.state for part in self.parts}
        return next(state for state in (State.DOWN, State.DEGRADED, State.OK) if state in states)

    @property
    def ready(self) -> bool:
        """Whether the portal can do its work."""
        return self.state != State.DOWN

    def part(self, name: str) -> Found:
        """What was found of one part; KeyError where there is none of that name."""
        return {part.name: part for part in self.parts}[name]

    def as_json(self) -> dict[str, Any]:
        """For whoever may see it all."""
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
    """One part: how it is looked at, and what was found last.

    ``look`` returns a sentence where all is well, and raises NotWell where it is not. ``vital``
    says whether the portal is down without it.
    """

    def __init__(self, name: str, look: Callable[[], str], *, vital: bool) -> None:
        self.name = name
        self._look = look
        self._vital = vital
        self._lock = threading.Lock()
        self._found: Found | None = None
        self._began: float | None = None  # of the look that is under way
        self._done = threading.Event()
        self._told = State.OK

    def begin(self) -> None:
        """See that what was found is fresh, or that somebody looks; does not wait."""
        with self._lock:
            fresh = self._found is not None and self._found.age_s < HOLDS_S
            if fresh or self._began is not None:
                return
            self._began = time.monotonic()
            self._done = threading.Event()
            thread = threading.Thread(target=self._run, name=f"ready-{self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the machine has no thread left
                self._began = None
                self._found = Found(
                    self.name, State.DOWN, f"No thread could look: {error}.", time.monotonic()
                )

    def result(self) -> Found:
        """What was found; waits for a look that is under way, but only as long as it may take."""
        with self._lock:
            began, found, done = self._began, self._found, self._done
        if began is not None:
            done.wait(max(0.0, began + PATIENCE_S - time.monotonic()))
            with self._lock:
                found = self._found if self._began != began else None
        if found is not None:
            return found
        waited = time.monotonic() - (began or time.monotonic())
        late = Found(
            self.name, self._bad(), f"It has not answered for {waited:.1f} s.", time.monotonic()
        )
        self._tell(late)
        return late

    def _bad(self) -> State:
        return State.DOWN if self._vital else State.DEGRADED

    def _run(self) -> None:
        state, sentence = State.OK, ""
        try:
            sentence = self._look()
        except Short as finding:
            state, sentence = State.DEGRADED, str(finding)
        except NotWell as finding:
            state, sentence = self._bad(), str(finding)
        except Exception as error:
            # Nobody foresaw it, and the thread must say something; the log has the traceback.
            log.exception("The check of %s failed", self.name)
            state, sentence = self._bad(), f"It could not be checked: {type(error).__name__}."
        sentence = " ".join(sentence.split())  # a server's answer may have lines
        found = Found(self.name, state, sentence, time.monotonic())
        self._tell(found)
        with self._lock:
            self._found, self._began = found, None
            self._done.set()

    def _tell(self, found: Found) -> None:
        """Log a change; what stays as it is, is not said again every five seconds."""
        with self._lock:
            before, self._told = self._told, found.state
        if found.state != before:
            level = logging.INFO if found.state == State.OK else logging.WARNING
            log.log(level, "Ready check: %s is %s. %s", self.name, found.state, found.sentence)


class Board:
    """All checks of this process."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks

    def report(self) -> Report:
        """How all parts are; within :data:`PATIENCE_S`, whatever hangs."""
        for check in self._checks:
            check.begin()
        return Report([check.result() for check in self._checks])


_registered: dict[str, tuple[Callable[[], str], bool]] = {}
_clocks: dict[str, Callable[[], float | None]] = {}


def register(name: str, look: Callable[[], str], *, vital: bool) -> None:
    """Make a part known: it is shown under ``name``; of ``look`` and ``vital`` see Check.

    A name that has another check already is a ValueError.
    """
    if _registered.setdefault(name, (look, vital)) != (look, vital):
        raise ValueError(f"The part {name!r} is registered twice.")


def register_clock(name: str, look: Callable[[], float | None]) -> None:
    """Make a clock known that this host's is compared with; ``name`` stands in a sentence.

    ``look`` returns seconds since 1970, or None where there is no time. It may raise DatabaseError,
    redis.RedisError and errors.AwsError.
    """
    if _clocks.setdefault(name, look) != look:
        raise ValueError(f"The clock of {name} is registered twice.")


def clocks() -> dict[str, Callable[[], float | None]]:
    """The clocks that were registered, by name."""
    return dict(_clocks)


def all_checks() -> Board:
    """A new board with every registered part, those first that the portal is down without."""
    ordered = sorted(_registered.items(), key=lambda item: not item[1][1])
    return Board([Check(name, look, vital=vital) for name, (look, vital) in ordered])


@cache
def board() -> Board:
    """The board that all requests of this process share."""
    return all_checks()
