"""The broker is only a shortcut: without it nothing is lost, and nobody waits for it."""

import logging
from datetime import timedelta

import pytest
from celery import Celery
from django.utils import timezone
from kombu.exceptions import OperationalError

from core.jobs import enqueue_on_commit
from endpoints import services, tasks
from endpoints.models import Endpoint
from mmeportal.settings import CELERY_BEAT_SCHEDULE


@pytest.fixture
def sent(monkeypatch):
    sent = []

    def apply_async(args, **options):
        assert options["retry"] is False
        sent.append(args)

    monkeypatch.setattr(tasks.advance, "apply_async", apply_async)
    return sent


def test_creating_sends_the_first_step_on_commit(
    db, account, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        endpoint = services.create_endpoint(
            name="demo", instance_type="ml.m5.large", instance_count=1, actor=None
        )
        assert sent == []
    assert sent == [(endpoint.pk,)]
    assert tasks.advance.name == "endpoints.tasks.advance"


def test_a_step_that_can_go_on_at_once_sends_the_next(
    endpoint, sent, advance, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        advance(endpoint)
    assert sent == [(endpoint.pk,)]


def test_a_broker_that_is_away_is_left_to_the_sweep(
    endpoint, monkeypatch, caplog, django_capture_on_commit_callbacks
):
    def away(*args, **kwargs):
        raise OperationalError("Connection refused")

    monkeypatch.setattr(tasks.advance, "apply_async", away)
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit("endpoints.tasks.advance", endpoint.pk)
    assert "Redis took no job" in caplog.text
    assert Endpoint.objects.due().filter(pk=endpoint.pk).exists()


def test_a_dead_redis_holds_nobody_up(endpoint, settings, monkeypatch):
    waits = []
    monkeypatch.setattr("kombu.utils.functional.sleep", waits.append)
    app = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    with pytest.raises(OperationalError):
        app.send_task("endpoints.tasks.advance", args=[endpoint.pk], retry=False)
    assert waits, "it tries more than once"
    assert sum(waits) < 3


def test_the_sweep_sends_what_is_due_and_only_that(
    endpoint, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        assert services.sweep() == 1
    assert sent == [(endpoint.pk,)]
    later = timezone.now() + timedelta(minutes=1)
    Endpoint.objects.update(check_after=later)
    assert services.sweep() == 0
    Endpoint.objects.update(check_after=timezone.now(), leased_until=later)
    assert services.sweep() == 0


def test_the_sweep_finds_what_a_dead_worker_held(endpoint, sent):
    Endpoint.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert services.sweep() == 1


def test_beat_calls_the_sweep():
    assert tasks.sweep.name in {entry["task"] for entry in CELERY_BEAT_SCHEDULE.values()}
