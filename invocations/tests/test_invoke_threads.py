"""A model that loads blocks nobody; two workers take one step between them."""

import contextlib
import sqlite3
import threading
import time

import pytest
from django.db import connection, connections
from django.urls import reverse

from endpoints.models import Endpoint
from endpoints.reconciler import advance
from invocations import recording, runtime, services, views
from invocations.models import Invocation
from invocations.pool import Pool
from invocations.tests.test_invoke import Runtime, upload
from tests.html import one_line
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(monkeypatch):
    pool = Pool(threads=2, waiting=0)
    monkeypatch.setattr(services, "pool", lambda: pool)
    return pool


def wait_until(done):
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.not_quick
def test_a_model_that_loads_does_not_hold_the_response(
    serving, make_version, client_of, pool, monkeypatch
):
    gate, fake = threading.Event(), Runtime()

    def slow(**call):
        assert gate.wait(20)
        return fake.invoke(**call)

    monkeypatch.setattr(runtime, "invoke", slow)
    monkeypatch.setattr(views, "PATIENCE_S", 0.05)
    client = client_of("viewer")
    data = {"endpoint": serving.pk, "version": make_version().pk, "picture": upload()}
    page = one_line(client.post(reverse("invocations:run"), data, HTTP_HX_REQUEST="true"))
    call = Invocation.objects.get()
    address = reverse("invocations:result", args=[call.pk])
    assert f'hx-get="{address}"' in page
    assert "Waiting for the answer" in page
    gate.set()
    wait_until(lambda: Invocation.objects.get().settled)
    assert "tabby" in client.get(address, HTTP_HX_REQUEST="true").content.decode()


@pytest.mark.not_quick
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a lock of the whole database")
def test_an_answer_outlasts_a_lock_of_the_database(
    serving, make_version, client_of, pool, monkeypatch, caplog
):
    """A backup holds the lock for longer than a write waits, while SageMaker answers."""
    gate, fake = threading.Event(), Runtime()

    def slow(**call):
        assert gate.wait(20)
        return fake.invoke(**call)

    monkeypatch.setattr(runtime, "invoke", slow)
    monkeypatch.setattr(recording, "BETWEEN_TRIES_S", 0.05)
    monkeypatch.setattr(views, "PATIENCE_S", 0.05)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.2)
    client = client_of("viewer")
    data = {"endpoint": serving.pk, "version": make_version().pk, "picture": upload()}
    client.post(reverse("invocations:run"), data, HTTP_HX_REQUEST="true")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        gate.set()
        wait_until(lambda: caplog.text.count("an answer waits for the database") > 1)
        assert not Invocation.objects.get().settled
    wait_until(lambda: Invocation.objects.get().settled)
    assert Invocation.objects.get().predictions[0]["label"]
    assert Invocation.objects.get().state == Invocation.State.DONE


def test_two_workers_that_race_take_one_step(endpoint, account):
    took = together([lambda: advance(endpoint.pk)] * 4)
    # Where one began after another had ended, it took the next step: each step once.
    assert len(took) == 4
    assert account.changes == ["+model demo-r1", "+config demo-r1", "+endpoint demo"][: sum(took)]
    assert sum(took) >= 1
    assert Endpoint.objects.get().leased_until is None


@pytest.mark.not_quick
def test_racing_to_the_end_makes_one_of_each(endpoint, account):
    def work():
        try:
            for _ in range(40):
                Endpoint.objects.filter(pk=endpoint.pk).update(check_after=endpoint.created_at)
                advance(endpoint.pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert account.changes == ["+model demo-r1", "+config demo-r1", "+endpoint demo"]
    assert Endpoint.objects.get().state == Endpoint.State.IN_SERVICE
