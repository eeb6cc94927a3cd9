"""Fault injection, so that clients can be tested against errors of AWS.

A plan is a list of faults, given by ``--faults FILE`` or put at ``/_localaws/faults``
(docs/localaws.md, section "Faults"). Each request asks :meth:`FaultPlan.next` for its
faults.
"""

import json
import math
import threading
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from .aws_errors import AwsError
from .shapes import OPERATIONS, PRICE_OPERATIONS, QUOTA_OPERATIONS, SCALING_OPERATIONS

Action = Literal["throttle", "error", "capacity", "drop", "delay", "unhealthy"]
_ACTIONS = ("throttle", "error", "capacity", "drop", "delay", "unhealthy")
_OPERATIONS = (
    *("*", "InvokeEndpoint", *OPERATIONS),
    *SCALING_OPERATIONS,
    *QUOTA_OPERATIONS,
    *PRICE_OPERATIONS,
)
_LEAST = {"skip": 0, "every": 1, "times": 0, "seconds": 0}
_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
    "error. Please retry using a different ML instance type or after some time."
)


class InvalidFaultPlan(ValueError):
    """The plan is invalid; the message says where."""


@dataclass(slots=True)
class Fault:
    """One fault.

    It applies to requests of ``operation`` ("*": any), for the resource ``name`` where given,
    skipping the first ``skip``, then every ``every``-th, ``times`` times (0: for ever).

    ``throttle`` answers ThrottlingException; ``error`` what ``code``, ``message`` and
    ``status`` say; ``capacity`` lets CreateEndpoint begin and then fail for lack of
    capacity; ``delay`` waits ``seconds`` first; ``drop`` closes the connection without an
    answer, after having acted (or before, where ``before`` is true). ``unhealthy`` is of no
    request: a container whose image is like ``name`` (as file names: ``*:broken``) never becomes
    healthy.
    """

    action: Action
    operation: str = "*"
    name: str | None = None
    skip: int = 0
    every: int = 1
    times: int = 1
    seconds: float = 0.0
    code: str = "InternalFailure"
    message: str = "A requested fault."
    status: int = 500
    before: bool = False
    seen: int = 0
    struck: int = 0

    def applies_to(self, operation: str, names: set[str]) -> bool:
        if self.action == "unhealthy":
            return False
        if self.operation not in ("*", operation) or (self.name and self.name not in names):
            return False
        if self.times and self.struck >= self.times:
            return False
        self.seen += 1
        due = self.seen - self.skip
        if due <= 0 or due % self.every:
            return False
        self.struck += 1
        return True

    def as_error(self) -> AwsError:
        if self.action == "throttle":
            return AwsError("ThrottlingException", "Rate exceeded", status=400)
        return AwsError(self.code, self.message, status=self.status)

    @property
    def reason(self) -> str:
        """FailureReason of an endpoint that found no capacity."""
        return _CAPACITY


class FaultPlan:
    """The faults in force; safe to use from many threads."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        if file is not None:
            try:
                self.replace(file.read_bytes())
            except OSError as error:
                raise InvalidFaultPlan(f"The fault plan {file} cannot be read: {error}") from error

    def replace(self, plan: bytes) -> None:
        """Replace the plan by ``{"faults": [{…}]}``; raises InvalidFaultPlan."""
        try:
            faults = [_fault(entry) for entry in json.loads(plan)["faults"]]
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InvalidFaultPlan):
                raise
            raise InvalidFaultPlan(
                f'A plan is {{"faults": [{{"action": …}}]}}: {error!r}'
            ) from error
        with self._lock:
            self._faults = faults

    def clear(self) -> None:
        with self._lock:
            self._faults = []

    def describe(self) -> dict[str, Any]:
        with self._lock:
            return {"faults": [asdict(fault) for fault in self._faults]}

    def lets_start(self, image: str) -> bool:
        """Whether a container of this image may become healthy; one that may not is counted."""
        with self._lock:
            for fault in self._faults:
                if fault.action == "unhealthy" and fnmatchcase(image, fault.name or "*"):
                    fault.seen += 1
                    if not fault.times or fault.struck < fault.times:
                        fault.struck += 1
                        return False
        return True

    def next(self, operation: str, body: bytes = b"", *, name: str | None = None) -> list[Fault]:
        """The faults of this request, which is counted."""
        with self._lock:
            if not self._faults:
                return []
            names = _names(body) if name is None else {name}
            return [fault for fault in self._faults if fault.applies_to(operation, names)]


def _names(body: bytes) -> set[str]:
    """The resource names in a control-plane request; of a scalable target, the endpoint's."""
    try:
        members = json.loads(body or b"{}")
    except ValueError:
        return set()
    if not isinstance(members, dict):
        return set()
    found = {str(value) for member, value in members.items() if member.endswith("Name")}
    kind, _, rest = str(members.get("ResourceId", "")).partition("/")
    return found | {rest.partition("/")[0]} if kind == "endpoint" else found


def _fault(entry: dict[str, Any]) -> Fault:
    known = {field.name for field in fields(Fault)} - {"seen", "struck"}
    unknown = set(entry) - known
    if unknown:
        raise InvalidFaultPlan(
            f"A fault has no {', '.join(sorted(unknown))}; it has {sorted(known)}."
        )
    if entry.get("action") not in _ACTIONS:
        raise InvalidFaultPlan(
            f"A fault's action is one of {', '.join(_ACTIONS)}, not {entry.get('action')}."
        )
    if entry["action"] == "capacity":
        entry = {"operation": "CreateEndpoint"} | entry
    if entry["action"] == "unhealthy":
        entry = {"times": 0} | entry
    fault = Fault(**entry)
    for field in fields(Fault):
        value = getattr(fault, field.name)
        if field.name in entry and not _fits(value, field.type):
            raise InvalidFaultPlan(
                f"A fault's {field.name} is {_KINDS[field.type]}, not {value!r}."
            )
    for name, least in _LEAST.items():
        if not least <= getattr(fault, name) < math.inf:
            raise InvalidFaultPlan(f"A fault's {name} is {least} or more.")
    if not 400 <= fault.status <= 599:
        raise InvalidFaultPlan("A fault's status is that of an error, 400 to 599.")
    if fault.operation not in _OPERATIONS:
        raise InvalidFaultPlan(f"A fault's operation is one of {', '.join(_OPERATIONS)}.")
    if fault.action == "unhealthy" and fault.operation != "*":
        raise InvalidFaultPlan("An unhealthy image is of no operation.")
    if fault.action == "capacity" and fault.operation != "CreateEndpoint":
        raise InvalidFaultPlan("Only CreateEndpoint can find no capacity.")
    return fault


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    str | None: "a text",
}


def _fits(value: object, kind: Any) -> bool:
    if kind not in _KINDS:
        return True  # the action, which was checked before
    if kind is float:
        kind = int | float
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
