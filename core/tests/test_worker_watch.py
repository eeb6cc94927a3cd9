"""The banner while no worker is there, with a clock that the test moves."""

import os
import subprocess
import sys
import threading
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client

from core import heartbeat, worker_watch
from core.tests.test_heartbeat import client, url  # noqa: F401 - fixtures
from core.worker_watch import GRACE_S, HOLDS_S, NO_REDIS, NO_WORKER, STALE_S, WorkerWatch


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A watch whose looks end at once, and what they find."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.found = ""
        self.looks = 0
        self.watch = WorkerWatch(self._look, self.clock)

    def _look(self) -> str:
        self.looks += 1
        return self.found

    def problem(self, after: float) -> str:
        self.clock.now += after
        self.watch._begin().wait(10)
        return self.watch.problem()


def test_a_worker_that_is_away_for_long_is_told_and_one_that_is_back_is_not():
    watched = Watched()
    assert watched.problem(0) == ""
    watched.found = NO_WORKER
    assert watched.problem(HOLDS_S) == ""
    assert watched.problem(GRACE_S - HOLDS_S - 1) == ""
    assert watched.problem(HOLDS_S) == NO_WORKER
    watched.found = ""
    assert watched.problem(HOLDS_S) == ""


def test_the_first_page_after_hours_tells_it():
    watched = Watched()
    assert watched.problem(0) == ""
    watched.found = NO_WORKER
    assert watched.problem(3600) == NO_WORKER


def test_a_worker_that_begins_with_the_portal_has_time_to_report():
    watched = Watched()
    watched.found = NO_WORKER
    assert watched.problem(1) == ""
    assert watched.problem(GRACE_S) == NO_WORKER


def test_an_old_finding_is_not_told():
    watched = Watched()
    watched.found = NO_WORKER
    watched.problem(0)
    watched.found = ""
    assert watched.problem(24 * 3600) == ""


def test_many_pages_cost_one_look():
    watched = Watched()
    for _ in range(50):
        watched.problem(0)
    assert watched.looks == 1


def test_a_look_that_hangs_holds_no_page():
    hangs = threading.Event()
    clock = Clock()

    def look() -> str:
        hangs.wait(60)
        return NO_WORKER

    watch = WorkerWatch(look, clock)
    try:
        assert watch.problem() == ""
        clock.now += STALE_S
        assert watch.problem() == ""
    finally:
        hangs.set()
        watch._begin().wait(10)


def test_it_asks_redis(client: "redis.Redis", monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    assert worker_watch.look() == NO_WORKER
    writer = heartbeat.Writer("worker")
    writer.beat()
    assert worker_watch.look() == ""
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")
    assert worker_watch.look() == NO_REDIS


@pytest.mark.not_quick
def test_pages_show_it_to_who_is_logged_in(client_of: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.context.WATCH.problem", lambda: NO_WORKER)
    assert str(NO_WORKER) in client_of("viewer").get("/").content.decode()
    admin = client_of("admin").get("/").content.decode()
    assert str(NO_WORKER) in admin
    assert str(NO_WORKER) not in Client().get("/login/").content.decode()
    monkeypatch.setattr("core.context.WATCH.problem", lambda: "")
    assert str(NO_WORKER) not in client_of("operator").get("/").content.decode()


def test_the_time_of_the_watch_begins_with_the_process():
    """Not with the first page, which would then be shown without the banner."""
    program = "import django, sys; django.setup(); print('core.worker_watch' in sys.modules)"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mmeportal.settings",
        "SECRET_KEY": settings.SECRET_KEY,
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "True"
