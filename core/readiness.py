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

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core.sentences import Sentence, phrase

log = logging.getLogger(__name__)

FRESH_S = 5.0
TIMEOUT_S = 1.4


class State(StrEnum):
    """The state of a part."""

    OK = "ok"
    DEGRADED = "degraded"  # something is missing, but the portal does its work
    DOWN = "down"

    @property
    def label(self) -> Promise:
        """The state on a page, in the reader's language."""
        return {"ok": _("ok"), "degraded": _("degraded"), "down": _("down")}[self.value]


class Unhealthy(Exception):
    """A part does not work; ``said``, and ``str()``, is what is wrong."""

    def __init__(self, said: Sentence | str) -> None:
        super().__init__(said)
        self.said = Sentence.of(said)


class Degraded(Unhealthy):
    """As Unhealthy, but the portal can still do its work, even where the part is vital."""


@dataclass(frozen=True)
class Result:
    """The result of a check, and its time by the monotonic clock.

    ``name`` is the same in every language; ``label`` is what a page shows for it.
    """

    name: str
    state: State
    said: Sentence
    at: float
    label: Promise | str = ""

    @property
    def sentence(self) -> str:
        """What was found, on one line, in the reader's language."""
        return " ".join(str(self.said).split())  # a server's answer may have line breaks

    @property
    def english(self) -> str:
        """The same in English, for the log and programs."""
        return " ".join(self.said.english().split())

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
                    "sentence": part.english,
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

    def __init__(
        self,
        name: str,
        probe: Callable[[], Sentence | str],
        *,
        vital: bool,
        label: Promise | str = "",
    ) -> None:
        self.name = name
        self._label = label or name
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
                said = phrase("No thread could look: %(error)s", error=str(error))
                self._found = self._result(State.DOWN, said)

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
        late = self._result(
            self._bad(), phrase("It has not answered for %(seconds)s s.", seconds=f"{waited:.1f}")
        )
        self._log_change(late)
        return late

    def _result(self, state: State, said: Sentence) -> Result:
        return Result(self.name, state, said, time.monotonic(), self._label)

    def _bad(self) -> State:
        return State.DOWN if self._vital else State.DEGRADED

    def _run(self) -> None:
        state, said = State.OK, Sentence.verbatim("")
        try:
            said = Sentence.of(self._probe())
        except Degraded as finding:
            state, said = State.DEGRADED, finding.said
        except Unhealthy as finding:
            state, said = self._bad(), finding.said
        except Exception as error:
            # An unexpected error must give a result too; the log has the traceback.
            log.exception("The check of %s failed", self.name)
            state = self._bad()
            said = phrase("It could not be checked: %(error)s.", error=type(error).__name__)
        found = self._result(state, said)
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
            log.log(level, "Ready check: %s is %s. %s", self.name, found.state, found.english)


class Checks:
    """All checks of this process."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks

    def report(self) -> Report:
        """The results of all checks; takes at most TIMEOUT_S, even where a probe hangs."""
        for check in self._checks:
            check.begin()
        return Report([check.result() for check in self._checks])


_Probe = Callable[[], Sentence | str]
_registered: dict[str, tuple[_Probe, bool, Promise | str]] = {}
_clocks: dict[Promise | str, Callable[[], float | None]] = {}


def register(name: str, probe: _Probe, *, vital: bool, label: Promise | str = "") -> None:
    """Register the check of a part, by a ``name`` for programs; for the rest see Check.

    ``label`` is shown on the page. Raises ValueError for a name that has another check already.
    """
    if _registered.setdefault(name, (probe, vital, label))[:2] != (probe, vital):
        raise ValueError(f"The part {name!r} is registered twice.")


def register_clock(name: Promise | str, probe: Callable[[], float | None]) -> None:
    """Register a clock that this host's is compared with; ``name`` is shown in a sentence.

    ``probe`` returns seconds since 1970, or None where there is no time. It may raise
    DatabaseError, redis.RedisError and errors.AwsError.
    """
    if _clocks.setdefault(name, probe) != probe:
        raise ValueError(f"The clock of {name} is registered twice.")


def clocks() -> dict[Promise | str, Callable[[], float | None]]:
    """The registered clocks, by name."""
    return dict(_clocks)


def all_checks() -> Checks:
    """New checks of every registered part, the vital ones first."""
    ordered = sorted(_registered.items(), key=lambda item: not item[1][1])
    return Checks(
        [Check(name, probe, vital=vital, label=label) for name, (probe, vital, label) in ordered]
    )


@cache
def shared_checks() -> Checks:
    """The checks that all requests of this process share."""
    return all_checks()
