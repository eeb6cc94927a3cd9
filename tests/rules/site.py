"""The site with one row of everything, and what a request to it writes; for rules about access."""

import copy
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from celery import Celery
from celery.app.task import Task
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client

from accounts import roles, token_auth
from accounts.backends import PortalBackend
from endpoints.tests.account import Account
from invocations import services as calls
from mmeportal.access import LEVELS, OPERATOR, SUPERUSER, USER
from tests.rules import rows as rows_of
from tests.rules.rows import Rows

TOKEN = "a" * 32
OTHER = "another operator"
_read_user = PortalBackend.get_user
# As whom each address is visited. All rows are the operator's; OTHER has the same role.
VISITORS = LEVELS
# All that may be said to the database by a request that changes nothing.
READS = ("SELECT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "PRAGMA", "EXPLAIN")
# A query that begins with WITH may write in any of its parts.
_WRITES_WITHIN = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b")


def reads(sql: str) -> bool:
    """Whether a statement changes nothing."""
    said = sql.lstrip(" (\n").upper()
    return said.startswith(READS) or (said.startswith("WITH ") and not _WRITES_WITHIN.search(said))


class Site:
    """The site with one row of everything, as each visitor sees it."""

    def __init__(self, rows: Rows, sessions: dict[str, str]) -> None:
        self.rows = rows
        self.sessions = sessions
        self.sent: list[str] = []  # jobs, and calls of AWS that write
        self.users: dict[int, User | None] = {}  # of sessions, as they were last read
        self._written: list[str] = []  # statements
        # One for all: each new one reads the list of static files anew.
        self._client = Client(enforce_csrf_checks=True)

    def ask(
        self,
        visitor: str,
        method: str,
        url: str,
        *,
        token: bool,
        bearer: str = "",
        content: tuple[str, bytes] | None = None,
    ) -> tuple[Any, list[str]]:
        """The answer, and what the request wrote: statements, jobs, calls. All is taken back.

        ``token``: whether the request brings a CSRF token; ``bearer``: one of the API.
        ``content``: the type of a body, and the body.
        """
        client = self._client
        client.cookies.clear()
        if visitor in self.sessions:
            client.cookies[django_settings.SESSION_COOKIE_NAME] = self.sessions[visitor]
        headers = {}
        if token:
            client.cookies[django_settings.CSRF_COOKIE_NAME] = TOKEN
            headers["X-CSRFToken"] = TOKEN
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        more: dict[str, Any] = {}
        if content is not None:
            more = {"content_type": content[0], "data": content[1]}
        self.sent.clear()
        self._written.clear()
        before = len(connection.run_on_commit)
        with transaction.atomic():
            answer = (
                client.generic(method, url, headers=headers, **more)
                if more
                else getattr(client, method.lower())(url, headers=headers)
            )
            written = list(self._written)
            written += [f"on commit: {one[1]!r}" for one in connection.run_on_commit[before:]]
            transaction.set_rollback(True)
        if written:
            self._forget()  # what is kept may be what was taken back
        return answer, written + self.sent

    def answers_faults(self) -> None:
        """Answer a view's error with 500, as the web server does; else it is the test's error."""
        self._client.raise_request_exception = False

    def watch(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """Note a statement that writes; after it, whoever asks is read anew."""
        if not reads(sql):
            self._written.append(sql)
            self._forget()
        return execute(sql, *rest)

    def user(self, backend: PortalBackend, user_id: int) -> User | None:
        """The user of a session, with what they may do: read once, as long as nothing is written.

        There are thousands of requests, and two fifths of the time of a refused one were these
        queries. Each has a copy of the user, as the portal itself does for tokens.
        """
        if user_id not in self.users:
            found = _read_user(backend, user_id)
            if found is not None:
                found.get_all_permissions()  # kept with the user
            self.users[user_id] = found
        return copy.copy(self.users[user_id])

    def _forget(self) -> None:
        self.users.clear()
        token_auth.CACHE.clear()


def make(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, owner: str = OPERATOR
) -> Site:
    """One row of everything, an account in memory, and a queue that only notes what it is given.

    ``owner``: which visitor's the rows are.
    """
    settings.SAMPLES_DIR = str(tmp_path)
    Account().install(monkeypatch)
    sessions, users = _visitors()
    site = Site(rows_of.build(1, owner=users[owner], samples=tmp_path), sessions)

    wrappers = [*connection.execute_wrappers, site.watch]
    monkeypatch.setattr(connection, "execute_wrappers", wrappers)
    monkeypatch.setattr(PortalBackend, "get_user", lambda *asked: site.user(*asked))
    monkeypatch.setattr(token_auth.CACHE, "_keep_s", 3600)
    # Each refusal is a warning, and pytest would write and keep thousands of them.
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)

    def queued(task: Any, *args: Any, **kwargs: Any) -> None:
        site.sent.append(f"job {getattr(task, 'name', args[:1])}")

    def called(client: Any, operation: str, parameters: Any) -> None:
        if not operation.startswith(("Describe", "Filter", "Get", "Head", "List")):
            site.sent.append(f"AWS {operation}")
        raise EndpointConnectionError(endpoint_url="none in tests")

    monkeypatch.setattr(Task, "apply_async", queued)
    monkeypatch.setattr(Celery, "send_task", queued)
    monkeypatch.setattr(BaseClient, "_make_api_call", called)
    monkeypatch.setattr(calls, "BETWEEN_TRIES_S", 0)  # a call is tried again where AWS is not there
    return site


def _visitors() -> tuple[dict[str, str], dict[str, User]]:
    """Sessions of all who have a log-in, and who they are."""
    roles.ensure_roles()
    sessions = {}
    users = {}
    for visitor in (*VISITORS[1:], OTHER):
        users[visitor] = user = User.objects.create_user(
            f"{visitor}-visitor", is_superuser=visitor == SUPERUSER
        )
        if visitor not in {USER, SUPERUSER}:
            user.groups.add(Group.objects.get(name=OPERATOR if visitor == OTHER else visitor))
        client = Client()
        client.force_login(user)
        sessions[visitor] = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    return sessions, users
