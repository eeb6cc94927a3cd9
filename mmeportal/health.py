"""Whether the portal can do its work: `/healthz`."""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

PATH = "/healthz"


class HealthMiddleware:
    """Answers `/healthz` before all else: to any host name, in plain HTTP, to anybody.

    A load balancer asks with the machine's address as the host, which is none of ALLOWED_HOSTS.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The state of things, or what the site answers to any other path."""
        return report() if request.path_info == PATH else self.get_response(request)


def report() -> JsonResponse:
    """200 while the database answers; 503 with the reason where it does not.

    A silent Redis is told but is no reason to take the site away: every state is in the
    database, and the jobs go on when Redis is back.
    """
    database = database_problem()
    body = {
        "status": "down" if database else "ok",
        "database": database or "ok",
        "redis": broker_problem() or "ok",
    }
    return JsonResponse(body, status=503 if database else 200)


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
