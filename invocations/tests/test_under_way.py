"""A call counts as lost when its process is gone, and never because it waits long."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from core.tests.locked import locked_by_another_program
from invocations import recording, runtime, services, views
from invocations.models import Invocation
from invocations.pool import Pool
from invocations.recording import Recorded
from invocations.tests.test_invoke import Runtime, upload
from invocations.tests.test_invoke_threads import wait_until
from invocations.under_way import UnderWay

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timedelta(hours=1)


@pytest.fixture
def under_way(monkeypatch):
    under_way = UnderWay(every_s=0.02)
    monkeypatch.setattr(services, "_under_way", under_way)
    yield under_way
    wait_until(lambda: not under_way._beating)


@pytest.mark.not_quick
def test_a_call_that_stands_in_line_for_an_hour_is_not_lost(
    serving, make_version, client_of, under_way, monkeypatch
):
    gate, fake, pool = threading.Event(), Runtime(), Pool(threads=1, waiting=1)

    def slow(**call):
        assert gate.wait(20)
        return fake.invoke(**call)

    monkeypatch.setattr(services, "pool", lambda: pool)
    monkeypatch.setattr(runtime, "invoke", slow)
    monkeypatch.setattr(views, "PATIENCE_S", 0.01)
    client, version = client_of("viewer"), make_version()
    for _ in range(2):
        data = {"endpoint": serving.pk, "version": version.pk, "picture": upload()}
        client.post(reverse("invocations:run"), data, HTTP_HX_REQUEST="true")
    past = timezone.now() - LONG_AGO
    Invocation.objects.update(created_at=past, seen_at=past, leased_until=past)
    wait_until(lambda: not Invocation.objects.due().exists())
    services.sweep()
    assert {call.state for call in Invocation.objects.all()} == {"running"}
    gate.set()
    wait_until(lambda: all(call.settled for call in Invocation.objects.all()))
    assert {(call.state, call.error) for call in Invocation.objects.all()} == {("done", "")}


def test_a_call_whose_process_was_killed_is_given_up_within_half_a_minute(serving, make_version):
    call = Invocation.objects.create(endpoint=serving, version=make_version(), target_model="t")
    services.sweep()
    assert Invocation.objects.get().state == "running"
    Invocation.objects.update(seen_at=call.seen_at - timedelta(seconds=27))
    services.sweep()
    assert Invocation.objects.get().state == "failed"


def test_what_is_settled_is_not_touched(serving, make_version, under_way):
    make = Invocation.objects.create
    settled = make(endpoint=serving, version=make_version(), target_model="t", state="done")
    running = make(endpoint=serving, version=settled.version, target_model="t")
    recorded = [Recorded(call) for call in (settled, running)]
    for call in recorded:
        under_way.add(call)
    wait_until(lambda: Invocation.objects.get(pk=running.pk).seen_at > running.seen_at)
    assert Invocation.objects.get(pk=settled.pk).seen_at == settled.seen_at
    for call in recorded:
        under_way.discard(call)


def test_heartbeats_go_on_after_a_lock_of_the_database(
    serving, make_version, under_way, monkeypatch, caplog
):
    call = Invocation.objects.create(endpoint=serving, version=make_version(), target_model="t")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    with locked_by_another_program():
        recorded = Recorded(call)
        under_way.add(recorded)
        wait_until(lambda: "Could not renew the leases of 1 calls" in caplog.text)
    wait_until(lambda: Invocation.objects.get(pk=call.pk).leased_until is not None)
    first = Invocation.objects.get(pk=call.pk).leased_until
    wait_until(lambda: Invocation.objects.get(pk=call.pk).leased_until > first)
    services.sweep()
    assert Invocation.objects.get(pk=call.pk).state == "running"
    under_way.discard(recorded)


@pytest.mark.not_quick
def test_the_answer_of_a_call_whose_lease_ran_out_is_not_written(
    serving, make_version, client_of, under_way, monkeypatch
):
    """The process was frozen for so long that the sweep has told the user that it is gone."""
    frozen = UnderWay(every_s=3600)
    monkeypatch.setattr(services, "_under_way", frozen)

    def late(**call):
        for each in frozen.calls():
            each.write_now()
        past = timezone.now() - LONG_AGO
        Invocation.objects.update(leased_until=past, seen_at=past)
        services.sweep()
        return Runtime().invoke(**call)

    monkeypatch.setattr(runtime, "invoke", late)
    data = {"endpoint": serving.pk, "version": make_version().pk, "picture": upload()}
    client_of("viewer").post(reverse("invocations:run"), data, HTTP_HX_REQUEST="true")
    wait_until(lambda: not frozen.calls())
    call = Invocation.objects.get()
    assert (call.state, call.predictions, call.leased_until) == ("failed", [], None)


def test_a_call_that_has_ended_is_not_written_by_the_heartbeat_too(
    serving, make_version, under_way, caplog
):
    """Its row is written with others, a moment after the answer."""
    call = Invocation(
        endpoint=serving,
        version=make_version(),
        target_model="t",
        created_at=timezone.now(),
        state=Invocation.State.DONE,
        predictions=[],
    )
    ended, going_on = Recorded(call), Recorded(Invocation(endpoint=serving, target_model="t"))
    going_on.row.version = call.version
    going_on.row.created_at = timezone.now()
    under_way.add(ended)
    under_way.add(going_on)
    wait_until(lambda: Invocation.objects.filter(pk=going_on.row.pk).exists())
    assert not ended.written
    recording._write_rows([ended])
    first = Invocation.objects.get(pk=going_on.row.pk).leased_until
    wait_until(lambda: Invocation.objects.get(pk=going_on.row.pk).leased_until > first)
    assert Invocation.objects.filter(uid=ended.uid).count() == 1
    assert "Could not renew" not in caplog.text
    under_way.discard(ended)
    under_way.discard(going_on)


def test_the_heartbeat_writes_no_row_of_a_call_that_is_not_made(serving, make_version):
    """It has read which calls are under way, and then there is no place for one of them."""
    told = {"target_model": "t", "asked": "", "asked_variant": "", "created_at": timezone.now()}
    call = Invocation(endpoint=serving, version=make_version(), **told)
    recorded = Recorded(call)
    recorded.begin()
    recorded.drop()
    assert not UnderWay._has_row(recorded)
    assert not Invocation.objects.exists()
