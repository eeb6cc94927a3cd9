"""Whether the portal can do its work: what `/healthz` answers from."""

import redis
from django.conf import settings
from django.db import DatabaseError, connection


def database_problem() -> str | None:
    """Say what is wrong with the database, or None."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"The database does not answer: {error}"
    return None


def broker_problem() -> str | None:
    """Say what is wrong with Redis, or None; gives it two seconds."""
    try:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2
        )
        with client:
            client.ping()
    except redis.RedisError as error:
        return f"Redis does not answer: {error}"
    return None
