"""Log lines of containers in moto's CloudWatch Logs, bounded.

moto has no way to delete events, so this changes its memory (moto 5). Kept are the last lines of
each stream and the last streams of each group; where all have too many bytes, the least recently
written streams are deleted. :mod:`localaws.log_patterns` matches filter patterns and refuses those
that it does not support: moto ignores them.
"""

import collections
from collections.abc import Callable
from typing import Any

from moto.logs import models, responses
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogEvent, LogStream, logs_backends

from .log_patterns import InvalidPattern, parse

MAX_EVENTS = 5_000
MAX_STREAMS = 50
MAX_BYTES = 100 * 1024 * 1024
_BYTES_OF_AN_EVENT = 350  # besides its text
_SURPLUS = 1.2
"""A stream is cut when it is longer by this factor: cutting copies it."""

# moto keeps every object for its web page; here that would fill the memory.
LogEvent.instances_tracked = collections.deque(maxlen=0)


class LogLines:
    """Writes lines; for use by one thread."""

    def __init__(self, account: str, region: str, *, max_bytes: int = MAX_BYTES) -> None:
        self._backend = logs_backends[account][region]
        self._max_bytes = max_bytes
        self._bytes: dict[tuple[str, str], int] = {}  # by group and stream, last written to last
        self._total = 0

    def append(self, group: str, stream: str, text: str, at: float) -> None:
        """Add a line to a stream of a group; ``at`` is in seconds since 1970."""
        self._backend.ensure_log_group(group)
        streams = self._backend.groups[group].streams
        key = (group, stream)
        kept = self._stop_counting(key)
        if stream not in streams:  # new, or deleted by a client
            kept = 0
            self._evict_streams(group)
            self._backend.groups[group].create_log_stream(stream)
        streams[stream].put_log_events([{"timestamp": int(at * 1000), "message": text}])
        kept += _size(text)
        events = streams[stream].events
        if len(events) > MAX_EVENTS * _SURPLUS:
            del events[:-MAX_EVENTS]
            kept = sum(_size(event.message) for event in events)
        self._bytes[key] = kept
        self._total += kept
        while self._total > self._max_bytes and len(self._bytes) > 1:
            self._remove(next(iter(self._bytes)))

    def _evict_streams(self, group: str) -> None:
        own = [key for key in self._bytes if key[0] == group]
        for key in own[: max(0, len(own) + 1 - MAX_STREAMS)]:
            self._remove(key)

    def _stop_counting(self, key: tuple[str, str]) -> int:
        kept = self._bytes.pop(key, 0)
        self._total -= kept
        return kept

    def _remove(self, key: tuple[str, str]) -> None:
        self._stop_counting(key)
        name, stream = key
        group = self._backend.groups.get(name)
        if group is not None:
            group.streams.pop(stream, None)
            if not group.streams:
                self._backend.groups.pop(name, None)


class EventMessageFilter:
    """Replaces moto's class of this name."""

    def __init__(self, pattern: str | None) -> None:
        self.matches = parse(pattern or "")


def _checked(method: Callable[[Any], Any], parameter: str) -> Callable[[Any], Any]:
    """An operation of moto's Logs that checks its pattern first."""

    def call(self: Any) -> Any:
        try:
            parse(self._get_param(parameter) or "")
        except InvalidPattern as error:
            raise InvalidParameterException(str(error)) from None
        return method(self)

    return call


_send: Any = LogStream._send_log_events


def _send_log_events(
    self: Any, service: str, destination_arn: str, filter_name: str, log_events: list[Any]
) -> None:
    """Send to a subscription the events that its pattern matches; moto sends all."""
    matches = parse(self.log_group.subscription_filters[filter_name].filter_pattern or "")
    matching = [event for event in log_events if matches(event["message"])]
    if matching:
        _send(self, service, destination_arn, filter_name, matching)


# moto looks these up by their names at each request.
models.EventMessageFilter = EventMessageFilter
LogStream._send_log_events = _send_log_events
for _operation, _parameter in (
    ("filter_log_events", "filterPattern"),
    ("put_metric_filter", "filterPattern"),
    ("put_subscription_filter", "filterPattern"),
    ("start_live_tail", "logEventFilterPattern"),
):
    _method = getattr(responses.LogsResponse, _operation)
    setattr(responses.LogsResponse, _operation, _checked(_method, _parameter))


def _size(text: str) -> int:
    return len(text) + _BYTES_OF_AN_EVENT
