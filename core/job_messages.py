"""What a worker takes from the queue: a known job with arguments of the declared types.

An attacker who can write to Redis can write any message: a task of Celery's own that starts other
tasks, callbacks, an ETA, a million digits. So no message is handed to Celery unchanged. It is
parsed, and a new one is made from the name, the id and the arguments. A message with anything that
the portal never sends is refused.

A message is dropped when it is older than its sender said it may become. Its age is by Redis's
clock alone: the sender notes Redis's time in it (:mod:`core.broker`). Celery's own ``expires``
is a time by the sender's clock, which the worker would compare with its own; it is not handed on.
"""

import base64
import binascii
import inspect
import json
import re
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

from core import request_id

MAX_BYTES = 65_536
SENT_AT = "mme_sent_at"
"""The property with Redis's time at which a message was sent, in seconds since 1970."""
_MILLISECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_LARGEST = 2**63 - 1  # of a primary key: BigAutoField
_LONGEST = 1000
# Headers that ask for more than one run, now; they are unset in all messages of the portal.
_ASKING = (
    *("eta", "group", "retries", "shadow", "chord", "chain", "callbacks", "errbacks"),
    *("stamped_headers", "replaced_task_nesting", "compression"),
)


class Refused(Exception):  # untranslated: for the log
    """The portal cannot have sent this message; ``str()`` says why, in one line."""


class Expired(Exception):  # untranslated: for the log
    """The message is older than it may be: another one was sent meanwhile."""


def read(raw: Any, tasks: Mapping[str, Any], now: float | None = None) -> dict[str, Any]:
    """The message to hand to Celery for ``raw``, which came out of Redis.

    ``tasks`` are the registered ones by name. Each is a job if its arguments are annotated with
    ``int`` (a primary key) or ``str``. ``now`` is Redis's time, in seconds since 1970; without it
    no message is too old. Raises :class:`Refused` and :class:`Expired`.
    """
    raw = _mapping(raw, "the message")
    headers = _mapping(raw.get("headers"), "its headers")
    properties = _mapping(raw.get("properties"), "its properties")
    name = headers.get("task")
    # Celery registers tasks of its own, which run what their arguments say.
    if not isinstance(name, str) or name not in tasks or name.startswith("celery."):
        raise Refused(f"there is no job {_shown(name)}")
    for header in _ASKING:
        if headers.get(header):
            raise Refused(f"{name} with {header} {_shown(headers[header])}")
    if any(limit is not None for limit in _list(headers.get("timelimit") or [], "timelimit")):
        raise Refused(f"{name} with timelimit {_shown(headers['timelimit'])}")
    arguments = _arguments(name, _body(raw, properties))
    expected = _parameters(tasks[name].run)
    if len(arguments) != len(expected):
        raise Refused(f"{name} with {len(arguments)} arguments in place of {len(expected)}")
    for value, kind in zip(arguments, expected, strict=True):
        _check(name, value, kind)
    identifier = _identifier(headers.get("id"))
    sent_at, may_age_s = _sent_at(properties), _may_age_s(properties)
    if now is not None and sent_at is not None and may_age_s is not None:
        age_s = now - sent_at
        if age_s > may_age_s:
            raise Expired(f"{name} was sent {age_s:.0f} s ago, and is over after {may_age_s:.0f}")
    return _message(name, identifier, arguments, request_id.accepted(headers.get("request_id")))


def sent_at(raw: str) -> float | None:
    """When a message in the queue was sent, by Redis's clock; None where it does not say so."""
    try:
        return _sent_at(_mapping(json.loads(raw)["properties"], "its properties"))
    except (ValueError, KeyError, TypeError, RecursionError, Refused):
        return None


@cache
def _parameters(run: Any) -> tuple[type[int | str], ...]:
    """The types of a job's arguments; TypeError where it declares others than a job may have."""
    hints = get_type_hints(run)
    kinds = tuple(hints.get(name) for name in inspect.signature(run).parameters)
    if not all(kind in (int, str) for kind in kinds):
        raise TypeError(f"the arguments of job {run} must be annotated with int or str")
    return tuple(kind for kind in kinds if kind is not None)


def _check(name: str, value: Any, kind: type[int | str]) -> None:
    if type(value) is not kind:  # True is an int, too
        raise Refused(f"{name} with {_shown(value)} in place of {kind.__name__}")
    fits = len(value) <= _LONGEST if isinstance(value, str) else 1 <= value <= _LARGEST
    if not fits:
        raise Refused(f"{name} with {_shown(value)}, which is out of range")


def _body(raw: Mapping[str, Any], properties: Mapping[str, Any]) -> Any:
    if raw.get("content-type") != "application/json" or raw.get("content-encoding") != "utf-8":
        raise Refused(
            f"it is {_shown(raw.get('content-type'))} in {_shown(raw.get('content-encoding'))}"
        )
    body = raw.get("body")
    if not isinstance(body, str) or properties.get("body_encoding") != "base64":
        raise Refused("its body is not in Base64")
    if len(body) > MAX_BYTES:
        raise Refused(f"its body is of {len(body)} bytes")
    try:
        return json.loads(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise Refused("its body is not JSON") from None


def _arguments(name: str, body: Any) -> list[Any]:
    parts = _list(body, "its body")
    if len(parts) != 3:
        raise Refused(f"{name} with a body of {len(parts)} parts in place of 3")
    arguments = _list(parts[0], "its arguments")
    if _mapping(parts[1], "its keywords"):
        raise Refused(f"{name} with keywords {_shown(sorted(parts[1]))}")
    for key, value in _mapping(parts[2], "what follows it").items():
        if value:
            raise Refused(f"{name} with {_shown(key)} {_shown(value)}")
    return arguments


def _identifier(value: Any) -> str:
    try:
        return str(uuid.UUID(value))
    except (AttributeError, TypeError, ValueError):
        raise Refused(f"its id is {_shown(value)}") from None


def _sent_at(properties: Mapping[str, Any]) -> float | None:
    """When it was sent, by Redis's clock; None where Redis does not tell its time."""
    value = properties.get(SENT_AT)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1e11:  # NaN is not, either
        raise Refused(f"it was sent at {_shown(value)}")
    return float(value)


def _may_age_s(properties: Mapping[str, Any]) -> float | None:
    """How old it may become, in seconds: kombu's ``expiration``, milliseconds in a text."""
    value = properties.get("expiration")
    if value is None:
        return None
    if not isinstance(value, str) or not _MILLISECONDS.fullmatch(value):
        raise Refused(f"it is over after {_shown(value)}")
    return int(value) / 1000


def _message(name: str, identifier: str, arguments: list[Any], request: str) -> dict[str, Any]:
    """A message as Celery's protocol 2 has it."""
    nothing_more = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([arguments, {}, nothing_more]).encode()
    return {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": name,
            "id": identifier,
            "root_id": identifier,
            "parent_id": None,
            "group": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": repr(tuple(arguments)),
            "kwargsrepr": "{}",
            "ignore_result": True,
            "request_id": request,
        },
        "properties": {
            "correlation_id": identifier,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            # A new tag: two messages with the sender's tag would count as one.
            "delivery_tag": str(uuid.uuid4()),
        },
    }


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{what}: {_shown(value)} in place of an object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{what}: {_shown(value)} in place of a list")
    return value


def _shown(value: Any) -> str:
    """Short, and in one line."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an integer of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"
