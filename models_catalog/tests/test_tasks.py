"""Checks leave threads for the endpoints, however many wait and however long they take."""

import threading
from functools import partial

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from core import clock
from core.errors import Denied
from models_catalog import drift, publication, stores, tasks
from models_catalog.models import Upload


@pytest.fixture
def checked(monkeypatch):
    """Checks that go on until the gate is opened; gives the gate and what has begun."""
    gate, begun = threading.Event(), []

    def slow(*, version_pk):
        begun.append(version_pk)
        assert gate.wait(20)

    monkeypatch.setattr(publication, "check_version", slow)
    yield gate, begun
    gate.set()


def test_checks_take_half_of_the_threads_and_the_others_come_back_later(checked):
    gate, begun = checked
    half = settings.WORKER_THREADS // 2
    threads = [threading.Thread(target=tasks.check, args=[pk]) for pk in range(half)]
    for thread in threads:
        thread.start()
    while len(begun) < half:
        assert all(thread.is_alive() for thread in threads)
    tasks.check(99)  # returns at once: this thread is free for others
    assert 99 not in begun
    gate.set()
    for thread in threads:
        thread.join(20)
    tasks.check(99)
    assert 99 in begun


def test_a_check_that_fails_gives_its_place_back(monkeypatch):
    def broken(*, version_pk):
        raise RuntimeError("a bug")

    monkeypatch.setattr(publication, "check_version", broken)
    for _ in range(settings.WORKER_THREADS + 1):
        with pytest.raises(RuntimeError):
            tasks.check(1)


def test_messages_do_not_outlive_the_sweep_that_sends_them_again():
    every = settings.CELERY_BEAT_SCHEDULE["sweep-uploads"]["schedule"]
    assert tasks.check.expires is not None
    assert every <= tasks.check.expires <= 2 * every


def test_a_bucket_that_is_denied_keeps_no_sweep_from_the_rest(db, monkeypatch):
    done = []

    def denied(*_):
        raise Denied("No.")

    monkeypatch.setattr(stores, "each_bucket", denied)
    for room in (publication.clear_labels, drift.prepare):
        monkeypatch.setattr(
            f"{room.__module__}.{room.__name__}", partial(done.append, room.__name__)
        )
    owner = User.objects.create(username="o")
    Upload.objects.create(owner=owner, length=1, bucket="b", expires_at=clock.now())
    with pytest.raises(Denied):
        tasks.sweep_staging()
    assert done == ["clear_labels", "prepare"]
    assert not Upload.objects.exists()
