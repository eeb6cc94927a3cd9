"""kombu's Redis transport, changed so that no fault of Redis and no message ends a worker.

kombu 5.7 puts messages back, and acknowledges them, over a connection that Celery 5.7 has closed
already, and the worker ends with an AttributeError. Here that raises a lost connection, which
kombu's callers handle. Nothing is lost: the database says what is due. kombu also counts a message
as held for ever that it cannot acknowledge; here its place is free.

Where Redis answers with a refusal (it is read-only or full, or the ACL of the portal's user allows
too little), that counts as a lost connection too: the worker reconnects some seconds later, to the
same Redis or to the one that replaced it. Notes that Redis refuses meanwhile are not written.

A message that the portal cannot have sent is refused on arrival (:mod:`core.job_messages`): it is
logged and dropped. So is a message that is too old, by Redis's clock alone.

Nothing here makes Redis run a script, so the portal's user needs no right to do so.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

import redis
from celery import current_app
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import LockNotOwnedError, WatchError
from redis.lock import Lock

from core import clock, job_messages, prometheus

log = logging.getLogger(__name__)

_PAUSE_S = 2.0
_SAY_AGAIN_S = 60.0


class RefusalLog:
    """Logs what Redis refuses, once a minute: it may refuse many times a second."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}

    def warn(self, doing: str, error: Exception) -> None:
        """Log it unless the same was logged within the last minute."""
        what = f"{doing}: {type(error).__name__}"
        now = time.monotonic()
        if now - self._logged.get(what, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
            self._logged[what] = now
            log.warning("Redis refuses %s: %s", doing, error)


refusal_log = RefusalLog()


@contextmanager
def _refusal_as_lost_connection(doing: str, *, pause: bool) -> Iterator[None]:
    """Raise LostConnection where Redis refuses.

    A worker reconnects at once, so it pauses first. A sender does not, as a user waits for it.
    """
    try:
        yield
    except redis.ResponseError as error:
        refusal_log.warn(doing, error)
        if pause:
            time.sleep(_PAUSE_S)
        raise LostConnection(f"Redis refuses {doing}: {error}") from error


@contextmanager
def _refusal_ignored(doing: str) -> Iterator[None]:
    """Log what Redis refuses, and go on without it: the database says what is due."""
    try:
        yield
    except redis.ResponseError as error:
        refusal_log.warn(doing, error)


class PlainLock(Lock):
    """redis-py's lock, given back by a transaction; its own runs a script in Redis."""

    def do_release(self, expected_token: Any) -> None:
        """Delete the key if it is still ours; LockNotOwnedError if not."""
        with self.redis.pipeline() as pipe:
            pipe.watch(self.name)
            if pipe.get(self.name) == expected_token:
                pipe.multi()
                pipe.delete(self.name)
                try:
                    pipe.execute()
                except WatchError:
                    pass
                else:
                    return
        raise LockNotOwnedError(
            "The lock ran out meanwhile.", self.name
        )  # untranslated: for the log


class Client(redis.Redis):
    """A client whose locks need no scripts."""

    def lock(self, name: str, *arguments: Any, **options: Any) -> Lock:
        """A lock as redis-py makes it."""
        made: Lock = super().lock(name, *arguments, **{"lock_class": PlainLock} | options)
        return made


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types
    """kombu's notes of what is not acknowledged yet; what cannot be read of them is dropped.

    kombu writes them with the time of the worker's clock, and another worker compares it with its
    own; here it is Redis's.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note that a message was taken."""
        where = message.delivery_info
        note = kombu_redis.dumps([message._raw, where["exchange"], where["routing_key"]])
        with _refusal_ignored("a note of a message that was taken"), self.pipe_or_acquire() as pipe:
            at = self.channel.redis_time() or time.time()
            pipe.zadd(self.unacked_index_key, {delivery_tag: at})
            pipe.hset(self.unacked_key, delivery_tag, note)
            pipe.execute()
        super(kombu_redis.QoS, self).append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that was worked on."""
        with (
            self._place_freed(delivery_tag),
            _refusal_ignored("to forget a message that was worked on"),
        ):
            self._remove_from_indices(delivery_tag).execute()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Forget a message, or put it back."""
        with (
            self._place_freed(delivery_tag),
            _refusal_ignored("to forget a message, or to put it back"),
        ):
            if requeue:
                self.restore_by_tag(delivery_tag, leftmost=True)
            else:
                self._remove_from_indices(delivery_tag).execute()

    @contextmanager
    def _place_freed(self, delivery_tag: str) -> Iterator[None]:
        """Let another message be taken instead of this one, also where the block fails.

        kombu does so only where Redis answers. A worker whose messages all end while Redis is away
        would never take another one: it reads nothing while it holds as many as it may, so it does
        not see either that its connection is lost.
        """
        try:
            yield
        finally:
            super(kombu_redis.QoS, self).ack(delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Put all messages back that this worker has taken and not worked on."""
        with _refusal_ignored("to put messages back"):
            super().restore_unacked(client)
        self._delivered.clear()

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Put back what workers took long ago and never acknowledged, at each tenth call."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        with (
            _refusal_ignored("to put back what killed workers held"),
            self.channel.conn_or_acquire() as redis_,
        ):
            ceiling = (self.channel.redis_time() or time.time()) - self.visibility_timeout
            try:
                with kombu_redis.Mutex(redis_, self.unacked_mutex_key, self.unacked_mutex_expire):
                    found = redis_.zrange(
                        self.unacked_index_key, ceiling, 0,
                        desc=True, byscore=True, offset=num and start, num=num,
                    )  # fmt: skip
                    for tag in found or []:
                        self.restore_by_tag(tag, redis_)
            except kombu_redis.MutexHeld:
                pass

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back into its queue, or drop it: it would fail again and again."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (redis.RedisError, OSError):
            raise
        except Exception as error:
            log.warning("A message was dropped: it cannot be read (%s).", type(error).__name__)
            self._remove_from_indices(tag).execute()


class Channel(kombu_redis.Channel):  # type: ignore[misc]
    """A channel that takes the portal's messages from the queue, and drops all others.

    Its commands fail with a connection error once its connection is closed.
    """

    QoS = QoS
    _handed_on = False
    _tells_time = True

    def redis_time(self) -> float | None:
        """Redis's time, in seconds since 1970; None where the portal's user may not ask for it."""
        if not self._tells_time:
            return None
        try:
            with self.conn_or_acquire() as client:
                return clock.of_redis(client)
        except redis.exceptions.NoPermissionError as error:
            self._tells_time = False  # until the next connection
            refusal_log.warn("to tell its time (the command TIME; docs/aws.md)", error)
            return None

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        """Send a message, with Redis's time in it."""
        sent_at = self.redis_time()
        if sent_at is not None:
            message["properties"][job_messages.SENT_AT] = sent_at
        try:
            super()._put(queue, message, **options)
        except redis.ResponseError:
            # Another server may have its address meanwhile.
            self.pool.disconnect()
            raise

    def _queue_bind(self, *arguments: Any) -> None:
        with _refusal_as_lost_connection("the queue", pause=self.connection.of_worker):
            super()._queue_bind(*arguments)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise LostConnection(
                "The connection to Redis was closed meanwhile."
            )  # untranslated: for the log
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters

    def _get_client(self) -> type[redis.Redis]:
        return Client

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        """As kombu does, but each message is checked first."""
        made = super().basic_consume(queue, *arguments, **options)
        callbacks = self.connection._callbacks
        callbacks[queue] = functools.partial(self._take, callbacks[queue])
        return made

    def _take(self, hand_on: Callable[[dict[str, Any]], Any], raw: Any) -> Any:
        self._handed_on = True
        try:
            now = self.redis_time()
            message = job_messages.read(raw, current_app.tasks, now)
        except job_messages.Expired as expiry:
            log.info("A message was dropped: %s.", expiry)
            return None
        except job_messages.Refused as refusal:
            log.warning("A message in the queue was refused: %s.", refusal)
            return None
        sent_at = raw["properties"].get(job_messages.SENT_AT)
        if now is not None and sent_at is not None:
            prometheus.JOB_WAIT_SECONDS.observe(max(0.0, now - sent_at))
        return hand_on(message)

    def _brpop_read(self, **options: Any) -> Any:
        self._handed_on = False
        try:
            with _refusal_as_lost_connection("to hand out messages", pause=True):
                return super()._brpop_read(**options)
        except (Empty, redis.RedisError, OSError):
            raise
        except Exception as error:
            if self._handed_on:
                raise
            # The message is not JSON, and no longer in the queue.
            log.warning(
                "A message in the queue was refused: it cannot be read (%s).",
                type(error).__name__,
            )
            raise Empty from None


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """kombu's transport for ``redis://`` and ``rediss://``, with this module's channels."""

    Channel = Channel
    of_worker = False
    """Whether a worker receives over it; senders have connections of their own."""

    def register_with_event_loop(self, *arguments: Any) -> None:
        """Let the worker's event loop receive messages over this connection."""
        self.of_worker = True
        super().register_with_event_loop(*arguments)


def use() -> None:
    """Use this transport for all connections of kombu to Redis that are made from now on."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
