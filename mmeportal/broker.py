"""Celery's way to Redis, for workers that live on whatever is in it, and whatever becomes of it.

kombu 5.7 gives messages that it holds back, and acknowledges them, over a connection that Celery
5.7 has closed already, and the worker ends of an AttributeError. Here it hears of a lost
connection, as kombu's callers expect. Nothing is lost by it: the database says what is due.

A message that is none of ours is refused as it comes (:mod:`mmeportal.messages`): it is a line in
the log, and gone.

And nothing here makes Redis run a script, so that the portal's user needs no right to.
"""

import functools
import logging
from collections.abc import Callable
from queue import Empty
from typing import Any

import redis
from celery import current_app
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import LockNotOwnedError, WatchError
from redis.lock import Lock

from mmeportal import messages

log = logging.getLogger(__name__)


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
        raise LockNotOwnedError("The lock ran out meanwhile.", self.name)


class Client(redis.Redis):
    """A client whose locks need no scripts."""

    def lock(self, name: str, *arguments: Any, **options: Any) -> Lock:
        """A lock as redis-py makes it."""
        made: Lock = super().lock(name, *arguments, **{"lock_class": PlainLock} | options)
        return made


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types
    """kombu's notes of what is not acknowledged yet; what cannot be read of them is dropped."""

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
    """A channel that takes from the queue what is ours, and drops the rest.

    Its commands fail with a connection error once its connection is closed.
    """

    QoS = QoS
    _handed_on = False

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise LostConnection("The connection to Redis was closed meanwhile.")
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters

    def _get_client(self) -> type[redis.Redis]:
        return Client

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        """As kombu does, with a look at each message before it is taken for one."""
        made = super().basic_consume(queue, *arguments, **options)
        callbacks = self.connection._callbacks
        callbacks[queue] = functools.partial(self._take, callbacks[queue])
        return made

    def _take(self, hand_on: Callable[[dict[str, Any]], Any], raw: Any) -> Any:
        self._handed_on = True
        try:
            message = messages.read(raw, current_app.tasks)
        except messages.Refused as refusal:
            log.warning("A message in the queue was refused: %s.", refusal)
            return None
        return hand_on(message)

    def _brpop_read(self, **options: Any) -> Any:
        self._handed_on = False
        try:
            return super()._brpop_read(**options)
        except (Empty, redis.RedisError, OSError):
            raise
        except Exception as error:
            if self._handed_on:
                raise
            # It is out of the queue already, and not even JSON.
            log.warning(
                "A message in the queue was refused: it cannot be read (%s).",
                type(error).__name__,
            )
            raise Empty from None


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """kombu's transport for ``redis://`` and ``rediss://``, with this module's channels."""

    Channel = Channel


def use() -> None:
    """Let every connection of kombu's to Redis that is made from now on be of this kind."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
