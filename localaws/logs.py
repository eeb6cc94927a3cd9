"""Log lines of containers, in moto's CloudWatch Logs, and no more of them than is good.

moto offers no way to forget events, so this reaches into its memory (moto 5). What is kept: the
last lines of each stream, the last streams of each group, and a bound on the bytes of all, for
which the streams that were written to longest ago go first.
"""

import collections

from moto.logs.models import LogEvent, logs_backends

MAX_EVENTS = 5_000
MAX_STREAMS = 50
MAX_BYTES = 100 * 1024 * 1024
_BYTES_OF_AN_EVENT = 350  # besides its text
_SURPLUS = 1.2
"""A stream is cut back when it is over by this: cutting at each line would copy it each time."""

# moto keeps a list of every object ever made, for its own web page: these are too many for that.
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
        kept = self._forget(key)
        if stream not in streams:  # new, or deleted by a client
            kept = 0
            self._make_room_for_a_stream(group)
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

    def _make_room_for_a_stream(self, group: str) -> None:
        own = [key for key in self._bytes if key[0] == group]
        for key in own[: max(0, len(own) + 1 - MAX_STREAMS)]:
            self._remove(key)

    def _forget(self, key: tuple[str, str]) -> int:
        kept = self._bytes.pop(key, 0)
        self._total -= kept
        return kept

    def _remove(self, key: tuple[str, str]) -> None:
        self._forget(key)
        name, stream = key
        group = self._backend.groups.get(name)
        if group is not None:
            group.streams.pop(stream, None)
            if not group.streams:
                self._backend.groups.pop(name, None)


def _size(text: str) -> int:
    return len(text) + _BYTES_OF_AN_EVENT
