"""The log lines of an endpoint's containers, from CloudWatch Logs.

A line is a text that a container wrote: it may hold anything, and is shown, never obeyed. Those of
this portal's image are JSON (container/json_log.py); others are shown as they are.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import aws, errors
from core.remembered import Remembered
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations import recording
from invocations.models import Invocation
from models_catalog.models import Version

logger = logging.getLogger(__name__)

#: What is shown before and after a call.
AROUND: Final = timedelta(seconds=30)
#: Characters of a line that are shown.
LONGEST: Final = 4_000
#: Characters of a text that is searched for. A filter pattern may have 1,024 (Logs API).
LONGEST_SEARCH: Final = 200
_LONGEST_PATTERN = 1_024
_LONGEST_DETAIL = 80
_SHOWN_APART = {"time", "level", "event", "message", "thread"}
# Of one FilterLogEvents, whose answer has a megabyte at most (Logs API).
_MOST_EVENTS = 10_000
#: Answers of Logs that are read for one page: each takes up to 4 s.
_MOST_ANSWERS = 4
# A model's name is looked for so long before the lines: it was loaded then.
_NAMED_WITHIN = timedelta(days=1)
_MOST_NAMES = 10


class LogLevel(models.TextChoices):
    """How bad a line is; a filter takes those that are as bad or worse."""

    DEBUG = "debug", gettext_lazy("Debug")
    INFO = "info", gettext_lazy("Info")
    WARNING = "warning", gettext_lazy("Warning")
    ERROR = "error", gettext_lazy("Error")


_LEVELS = list(LogLevel)
# What Python and log4j call them.
_SAID = {"TRACE": LogLevel.DEBUG, "WARN": LogLevel.WARNING, "FATAL": LogLevel.ERROR}
_SAID |= {"CRITICAL": LogLevel.ERROR} | {level.value.upper(): level for level in LogLevel}


@dataclass(frozen=True)
class LogLine:
    """A line. ``level`` is None where it does not say.

    ``event`` and ``message`` are what a JSON line says, ``details`` what else is short in it;
    ``message`` is all of another line. ``model`` is the container's name of a model, and
    ``target_model`` that by which it is called; ``request_id`` the one that its caller gave the
    call, a call's uid for one by the portal. Each is "" where it is not known.
    """

    id: str
    at: datetime
    instance: str
    level: LogLevel | None
    event: str
    message: str
    details: str
    text: str
    model: str = ""
    target_model: str = ""
    request_id: str = ""

    @property
    def is_json(self) -> bool:
        """Whether there is more to it than its message."""
        return self.text != self.message


@dataclass(frozen=True)
class LogSearch:
    """Which lines. ``until`` None: up to now. ``version``: those that name its model.

    ``request_id``: those that name a call (named_by()).
    """

    since: datetime
    until: datetime | None = None
    text: str = ""
    request_id: str = ""
    version: Version | None = None
    instance: str = ""
    level: LogLevel | None = None


@dataclass(frozen=True)
class LogPage:
    """Lines, the oldest first; ``token``: what AWS goes on with, "" where there are no more."""

    lines: Sequence[LogLine]
    token: str = ""


_NAMES: Remembered[tuple[str, str, int], list[str]] = Remembered(keep_s=60)
_TARGETS: Remembered[tuple[str, int], dict[str, str]] = Remembered(keep_s=60)
# What SageMaker's request IDs look like, and the portal's own.
_AWS_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UID = re.compile(r"[0-9a-f]{32}")
# A call's request ID comes with its answer: the call itself may have begun so long before.
_LONGEST_CALL = timedelta(minutes=10)


def named_by(endpoint: Endpoint, id: str, *, since: datetime) -> tuple[str, datetime | None]:
    """What the lines of a call name it by, and when it was made; None: it is none of the portal's.

    ``id``: the one that a caller gave it, that of a call by the portal, or SageMaker's request ID
    of one, which the container is not told; by that it is looked for ``since`` then.
    """
    rows = Invocation.objects.filter(endpoint=endpoint).only("uid", "created_at")
    found = None
    recording.recorder().settle()
    if _UID.fullmatch(id):
        found = rows.filter(uid=id).first()
    elif _AWS_ID.fullmatch(id):
        found = rows.filter(request_id=id, created_at__gte=since - _LONGEST_CALL).first()
    return (id, None) if found is None else (found.uid or id, found.created_at)


def page(endpoint: Endpoint, search: LogSearch, *, limit: int, token: str = "") -> LogPage:
    """Up to ``limit`` lines from ``search.since`` on. A page may be empty and have more after it.

    Raises core.errors. An endpoint without a log has no lines.
    """
    wanted = _Wanted.of(endpoint, search)
    answer = _ask(endpoint, search, wanted.pattern, limit=limit, token=token)
    lines = list(_matching(answer, wanted))
    return LogPage(_with_targets(endpoint, wanted, lines), answer.get("nextToken", ""))


def latest(endpoint: Endpoint, search: LogSearch, *, most: int) -> LogPage:
    """The last ``most`` lines of ``search``; with a token where not all of its time was read."""
    wanted = _Wanted.of(endpoint, search)
    found: list[LogLine] = []
    token = ""
    for _n in range(_MOST_ANSWERS):
        answer = _ask(endpoint, search, wanted.pattern, limit=_MOST_EVENTS, token=token)
        found = [*found, *_matching(answer, wanted)][-most:]
        token = answer.get("nextToken", "")
        if not token:
            break
    return LogPage(_with_targets(endpoint, wanted, found), token)


def instances(lines: Sequence[LogLine]) -> list[str]:
    """The instances that have written them."""
    return sorted({line.instance for line in lines})


@dataclass(frozen=True)
class _Wanted:
    """A search as Logs is asked, and as lines are tested: a pattern cannot say all of it."""

    search: LogSearch
    names: Sequence[str]
    pattern: str

    @classmethod
    def of(cls, endpoint: Endpoint, search: LogSearch) -> "_Wanted":
        names: list[str] = []
        if search.version is not None:
            names = _names(endpoint, search, search.version)
        texts = [one for one in (search.text, search.request_id) if one]
        if texts:
            pattern = " ".join(_quoted(one) for one in texts)  # all of them
        else:
            # Terms of which one is enough.
            pattern = " ".join(f"?{_quoted(name)}" for name in names)
        if len(pattern) > _LONGEST_PATTERN:
            pattern = ""  # all lines are read, and tested here
        return cls(search, names, pattern)

    def has(self, line: LogLine) -> bool:
        """Whether a line is one of them."""
        search = self.search
        if search.level is not None and (
            line.level is None or _LEVELS.index(line.level) < _LEVELS.index(search.level)
        ):
            return False
        if search.instance and line.instance != search.instance:
            return False
        if search.request_id and search.request_id not in line.text:
            return False
        return search.version is None or any(name in line.text for name in self.names)


def _names(endpoint: Endpoint, search: LogSearch, version: Version) -> list[str]:
    """What lines call a version: its target model, and the names that the container had for it.

    The container logs once for each load which is whose (container/model_handler.py).
    """
    target = version.target_model
    hour = int(search.since.timestamp()) // 3600
    found = _NAMES.get(
        (endpoint.name, target, hour), lambda: [target, *_opaque(endpoint, search, target)]
    )
    return found or [target]


def _opaque(endpoint: Endpoint, search: LogSearch, target: str) -> list[str]:
    earlier = LogSearch(since=search.since - _NAMED_WITHIN, until=search.until)
    pattern = f'"model_named" {_quoted(json.dumps(target))}'
    answer = _ask(endpoint, earlier, pattern, limit=_MOST_EVENTS, token="")
    found: dict[str, None] = {}
    for event in answer["events"]:
        told = _fields(event["message"])
        if told.get("target_model") == target and isinstance(told.get("model"), str):
            found[told["model"]] = None
    return list(found)[-_MOST_NAMES:]


def _with_targets(endpoint: Endpoint, wanted: _Wanted, lines: Sequence[LogLine]) -> list[LogLine]:
    """The lines with the target models of those that have the container's name of one alone."""
    targets = {one.model: one.target_model for one in lines if one.model and one.target_model}
    if wanted.search.version is not None:
        targets |= dict.fromkeys(wanted.names, wanted.search.version.target_model)
    if any(line.model and line.model not in targets for line in lines):
        targets |= _targets(endpoint, wanted.search)
    return [_with_target(line, targets.get(line.model, "")) for line in lines]


def _with_target(line: LogLine, target: str) -> LogLine:
    if line.target_model or not target:
        return line
    told = _clean(f"{line.details} target_model={target}".strip())
    return replace(line, target_model=target, details=told)


def _targets(endpoint: Endpoint, search: LogSearch) -> dict[str, str]:
    """The target models by the container's names, as far as it logged them lately."""
    hour = int(search.since.timestamp()) // 3600

    def find() -> dict[str, str]:
        earlier = LogSearch(since=search.since - _NAMED_WITHIN, until=search.until)
        answer = _ask(endpoint, earlier, '"model_named"', limit=_MOST_EVENTS, token="")
        named = [_line(event) for event in answer["events"]]
        return {one.model: one.target_model for one in named if one.model}

    try:
        return _TARGETS.get((endpoint.name, hour), find) or {}
    except errors.AwsError as problem:
        logger.info("Lines of %s are shown without their target models: %s", endpoint.name, problem)
        return {}


def _ask(
    endpoint: Endpoint, search: LogSearch, pattern: str, *, limit: int, token: str
) -> dict[str, Any]:
    until = endpoint.gone_at or search.until
    given: dict[str, Any] = {
        "logGroupName": f"/aws/sagemaker/Endpoints/{endpoint.name}",
        # What an earlier endpoint of the same name has written is not its own.
        "startTime": _ms(max(search.since, endpoint.created_at)),
        "limit": min(limit, _MOST_EVENTS),
        "interleaved": True,
    }
    if until is not None:
        given["endTime"] = _ms(until + timedelta(minutes=5) if endpoint.gone_at else until)
    if pattern:
        given["filterPattern"] = pattern
    if token:
        given["nextToken"] = token
    variants = endpoint.running.parts
    if search.instance and len(variants) == 1:  # else its variant is not known, nor its stream
        given["logStreamNames"] = [f"{variants[0].name}/{search.instance}"]
    try:
        with aws.translated(phrase("reading the logs of an endpoint"), _of_no_group):
            answer: dict[str, Any] = aws.logs().filter_log_events(**given)
    except errors.NotFound:
        return {"events": []}
    return answer


def _of_no_group(error: aws.ServiceError) -> errors.AwsError | None:
    """A group, or a stream, that is not there: no container has written yet."""
    if error.code == "ResourceNotFoundException":
        return errors.NotFound(error.message)
    return None


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _quoted(text: str) -> str:
    r"""A term of a filter pattern; ``\`` and ``"`` are escaped (Logs, "Filter pattern syntax")."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _matching(answer: Mapping[str, Any], wanted: _Wanted) -> Iterator[LogLine]:
    for event in answer["events"]:
        line = _line(event)
        if wanted.has(line):
            yield line


def _line(event: Mapping[str, Any]) -> LogLine:
    text = event["message"].rstrip("\n")
    told = _fields(text)
    name, message = told.get("event"), told.get("message")
    return LogLine(
        id=event["eventId"],
        at=datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
        instance=_clean(event["logStreamName"].rpartition("/")[2]),
        level=_SAID.get(str(told.get("level", "")).upper()),
        event=_clean(name) if isinstance(name, str) else "",
        message=_clean(message) if isinstance(message, str) else "" if told else _clean(text),
        details=_clean(_details(told)),
        text=_clean(text),
        model=_text_of(told, "model"),
        target_model=_text_of(told, "target_model"),
        request_id=_text_of(told, "request_id"),
    )


def _text_of(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return _clean(value) if isinstance(value, str) else ""


def _details(told: Mapping[str, Any]) -> str:
    """Other fields of a JSON line: short texts and numbers, as ``load_ms=84.1``."""
    short = (
        f"{name}={value}"
        for name, value in told.items()
        if name not in _SHOWN_APART and isinstance(value, str | int | float) and value != ""
    )
    return " ".join(one for one in short if len(one) <= _LONGEST_DETAIL)


def _clean(text: str) -> str:
    """What can be shown of a text: no control characters, half letters, or what turns a line."""
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return "".join(
        one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in shown
    )


def _fields(text: str) -> dict[str, Any]:
    """The fields of a line that is a JSON object; else none."""
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def checked_text(text: str) -> str:
    """A text to search for, without blanks around it; raises ValueError with a sentence."""
    text = text.strip()
    if len(text) > LONGEST_SEARCH:
        raise ValueError(_("Search for %(most)s letters at most.") % {"most": LONGEST_SEARCH})
    if not text.isprintable():
        raise ValueError(_("Search for letters that can be printed."))
    return text
