"""Celery's way to Redis, for workers that outlive a Redis which goes while they hold messages.

kombu 5.7 gives such messages back, and acknowledges them, over a connection that Celery 5.7 has
closed already, and the worker ends of an AttributeError. Here it hears of a lost connection, as
kombu's callers expect. Nothing is lost by it: the database says what is due, not Redis.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as LostConnection


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel whose commands fail with a connection error once its connection is closed."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise LostConnection("The connection to Redis was closed meanwhile.")
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """kombu's transport for ``redis://`` and ``rediss://``, with this module's channels."""

    Channel = Channel


def use() -> None:
    """Let every connection of kombu's to Redis that is made from now on be of this kind."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
