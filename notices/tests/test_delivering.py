"""From an event to its receiver: signed, once or more, for a day; also cut off at each step."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections, transaction
from django.db.models import F
from standardwebhooks import WebhookVerificationError

from activity.models import Event
from activity.services import record
from core import clock
from core.tests import locks
from models_catalog.models import Version
from notices import delivering, sending, services, tasks
from notices.models import Delivery, DeliveryAttempt, Webhook
from notices.tests.conftest import Hook, make_version, ready, rejected
from notices.tests.receiver import Receiver
from tests.together import together

DAY = timedelta(days=1)


class _Killed(BaseException):
    """As a SIGKILL: no handler of the code that runs may do anything about it."""


def _deliver() -> Delivery:
    """Try what is due, and give the newest delivery."""
    for row in Delivery.objects.due():
        delivering.deliver(delivery_pk=row.pk)
    return Delivery.objects.order_by("-pk")[0]


def _pass(time: timedelta) -> None:
    """Move the clock on: all that was noted was noted so much earlier."""
    Delivery.objects.update(
        check_after=F("check_after") - time,
        begun_at=F("begun_at") - time,
        created_at=F("created_at") - time,
        leased_until=F("leased_until") - time,
        settled_at=F("settled_at") - time,
    )
    Webhook.objects.update(failing_since=F("failing_since") - time, old_until=F("old_until") - time)


def test_a_ready_version_is_told_of_with_a_signature(
    hook: Hook, receiver: Receiver, version: Version, settings: Any, jobs: list[int]
) -> None:
    settings.PORTAL_URL = "https://portal.example"
    _, secret = hook()
    ready(version)
    row = Delivery.objects.get()
    assert jobs == [row.pk]
    assert _deliver().state == Delivery.State.DELIVERED
    (got,) = receiver.got
    said = got.verified(secret)
    assert got.path == "/hook?of=portal"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Host"] == receiver.url.split("/")[2]
    assert got.headers["webhook-id"] == row.uid
    event = Event.objects.get(action="version.published")
    assert said == {
        "type": "version.ready",
        "timestamp": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "id": str(event.pk),
            "event": "version.published",
            "sentence": f"Validated digits v1 and published it as {version.target_model}.",
            "level": "success",
            "actor": None,
            "subject": {"kind": "version", "name": "digits v1"},
            "model": "digits",
            "parameters": {"version": "digits v1", "target_model": version.target_model},
            "page": "https://portal.example/models/digits/v1/",
            "api": "https://portal.example/api/v1/models/digits/versions/1",
            "act": None,
        },
    }
    (attempt,) = DeliveryAttempt.objects.all()
    assert (attempt.status, attempt.problem) == (204, "")
    with pytest.raises(WebhookVerificationError):
        got.verified("whsec_" + "A" * 43 + "=")


def test_sentences_are_in_the_language_of_the_webhook(
    hook: Hook, receiver: Receiver, version: Version
) -> None:
    _, secret = hook(language="ko")
    ready(version)
    _deliver()
    said = receiver.got[0].verified(secret)
    assert "검증" in said["data"]["sentence"]


def test_only_what_was_chosen_is_told(hook: Hook, version: Version) -> None:
    hook(kinds=["version.rejected"])
    hook(kinds=["version.ready"], models=["cats"])
    paused, _ = hook(kinds=["version.ready"])
    services.change(uid=paused.uid, change=services.Change(), paused=True, actor=None)
    ready(version)
    record(action="model.registered", subject=version.model, parameters={"name": "digits"})
    assert not Delivery.objects.exists()
    ready(make_version("cats"))
    assert [row.model for row in Delivery.objects.all()] == ["cats"]


def test_what_is_rolled_back_is_told_to_nobody(hook: Hook, version: Version) -> None:
    hook()

    def change() -> None:
        with transaction.atomic():
            ready(version)
            raise _Killed

    with pytest.raises(_Killed):
        change()
    assert not Delivery.objects.exists()
    assert not Event.objects.filter(action="version.published").exists()


def test_an_event_outside_of_a_transaction_is_one_with_its_deliveries(
    transactional_db: None, hook: Hook, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook()

    def killed(*_: object, **__: object) -> None:
        raise _Killed

    monkeypatch.setattr(delivering, "_new", killed)
    with pytest.raises(_Killed):
        ready(version)
    assert not Event.objects.filter(action="version.published").exists()


@pytest.mark.not_quick
def test_what_fails_is_tried_again_with_the_same_id_for_a_day(
    hook: Hook, receiver: Receiver, version: Version
) -> None:
    hook()
    ready(version)
    receiver.answers = [(500, {}, b"no " * 1000)] * 100
    pauses = []
    row = _deliver()
    while row.state == Delivery.State.PENDING:
        pause = row.check_after - clock.now()
        pauses.append(round(pause.total_seconds()))
        assert not Delivery.objects.due().exists()
        _pass(pause)
        row = _deliver()
    assert row.state == Delivery.State.FAILED
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == 4 * 3600
    assert 20 * 3600 < sum(pauses) <= 24 * 3600
    assert len(receiver.got) == len(pauses) + 1 == DeliveryAttempt.objects.count()
    assert {got.headers["webhook-id"] for got in receiver.got} == {row.uid}
    assert {got.body for got in receiver.got} == {receiver.got[0].body}
    attempt = DeliveryAttempt.objects.order_by("-pk")[0]
    assert (attempt.status, attempt.problem) == (500, "It answered 500.")
    assert attempt.answer == ("no " * 1000)[:1024]


def test_after_a_day_of_failures_it_is_paused(
    hook: Hook, receiver: Receiver, version: Version
) -> None:
    webhook, _ = hook()
    ready(version)
    receiver.answers = [(500, {}, b"")] * 3
    _deliver()
    _pass(timedelta(hours=12))
    assert _deliver().state == Delivery.State.PENDING
    rejected(version)
    webhook.refresh_from_db()
    assert webhook.paused_at is None
    assert webhook.failing_since is not None
    _pass(timedelta(hours=12, minutes=1))
    first = Delivery.objects.order_by("pk")[0]
    delivering.deliver(delivery_pk=first.pk)
    webhook.refresh_from_db()
    assert webhook.paused_at is not None
    assert webhook.paused_by_portal
    event = Event.objects.get(action="webhook.paused_failing")
    assert "It answered 500." in event.sentence
    # What was on its way to it is given up, and nothing new is written for it.
    assert {row.state for row in Delivery.objects.all()} == {Delivery.State.FAILED}
    ready(version)
    assert Delivery.objects.count() == 2
    services.change(uid=webhook.uid, change=services.Change(), paused=False, actor=None)
    ready(version)
    assert _deliver().state == Delivery.State.DELIVERED


def test_another_address_begins_anew(hook: Hook, receiver: Receiver, version: Version) -> None:
    webhook, _ = hook()
    ready(version)
    receiver.says(500)
    _deliver()
    _pass(DAY - timedelta(minutes=1))
    moved = services.Change(url=f"{receiver.url}?moved")
    services.change(uid=webhook.uid, change=moved, actor=None)
    _pass(timedelta(minutes=2))
    rejected(version)
    receiver.answers = [(503, {}, b"")] * 2  # it is just starting
    _deliver()
    webhook.refresh_from_db()
    assert webhook.paused_at is None, "only the one before failed for a day"
    services.change(uid=webhook.uid, change=services.Change(note="a note"), actor=None)
    webhook.refresh_from_db()
    assert webhook.failing_since is not None


def test_a_success_ends_the_failing(hook: Hook, receiver: Receiver, version: Version) -> None:
    webhook, _ = hook()
    ready(version)
    receiver.says(503)
    _deliver()
    _pass(timedelta(hours=30))
    rejected(version)
    _deliver()
    webhook.refresh_from_db()
    assert webhook.failing_since is None
    assert webhook.paused_at is None


def test_a_receiver_that_says_gone_is_told_no_more(
    hook: Hook, receiver: Receiver, version: Version
) -> None:
    hook()
    ready(version)
    rejected(version)
    receiver.says(410)
    delivering.deliver(delivery_pk=Delivery.objects.order_by("pk")[0].pk)
    assert Event.objects.filter(action="webhook.paused_gone").exists()
    assert not Delivery.objects.unfinished().exists()
    assert len(receiver.got) == 1


def test_a_new_secret_and_the_old_one_sign_for_a_day(
    hook: Hook, receiver: Receiver, version: Version
) -> None:
    webhook, old = hook()
    _, new = services.rotate(uid=webhook.uid, actor=None)
    assert new != old
    ready(version)
    _deliver()
    assert receiver.got[0].verified(old) == receiver.got[0].verified(new)
    _pass(DAY)
    rejected(version)
    _deliver()
    receiver.got[1].verified(new)
    with pytest.raises(WebhookVerificationError):
        receiver.got[1].verified(old)
    _, newest = services.rotate(uid=webhook.uid, at_once=True, actor=None)
    ready(version)
    _deliver()
    receiver.got[2].verified(newest)
    with pytest.raises(WebhookVerificationError):
        receiver.got[2].verified(new)


def test_a_secret_outlives_a_key_that_is_kept_as_a_fallback(
    hook: Hook, receiver: Receiver, version: Version, settings: Any
) -> None:
    _, secret = hook()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one of sixty characters, which nobody has seen before"
    ready(version)
    _deliver()
    receiver.got[0].verified(secret)
    # Without it nothing is signed with a secret that the receiver does not have.
    settings.SECRET_KEY_FALLBACKS = []
    rejected(version)
    _deliver()
    assert len(receiver.got) == 1
    assert "SECRET_KEY" in DeliveryAttempt.objects.order_by("-pk")[0].problem


@pytest.mark.parametrize("sent", [False, True], ids=["before it was sent", "after it was sent"])
def test_a_worker_that_is_killed_loses_nothing(
    sent: bool,
    hook: Hook,
    receiver: Receiver,
    version: Version,
    jobs: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, secret = hook()
    ready(version)
    whole = sending.post

    def killed(*arguments: Any) -> Any:
        if sent:
            whole(*arguments)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending, "post", killed)
        with pytest.raises(_Killed):
            _deliver()
    assert not Delivery.objects.due().exists()  # its lease still runs
    _pass(delivering.LEASE + timedelta(seconds=1))
    jobs.clear()
    delivering.resume()
    assert jobs == [Delivery.objects.get().pk]
    assert _deliver().state == Delivery.State.DELIVERED
    assert len(receiver.got) == 1 + sent
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    receiver.got[-1].verified(secret)


def test_a_worker_whose_lease_was_taken_writes_nothing(
    hook: Hook, receiver: Receiver, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook()
    ready(version)
    whole = sending.post

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(sending, "post", whole)
        _pass(delivering.LEASE + timedelta(seconds=1))
        _deliver()
        return whole(*arguments)

    monkeypatch.setattr(sending, "post", slow)
    assert _deliver().state == Delivery.State.DELIVERED
    assert (len(receiver.got), DeliveryAttempt.objects.count()) == (2, 1)


def test_a_delivery_is_sent_again_when_asked(
    hook: Hook, receiver: Receiver, version: Version, jobs: list[int]
) -> None:
    webhook, _ = hook()
    ready(version)
    row = _deliver()
    jobs.clear()
    services.redeliver(uid=webhook.uid, message=row.uid)
    assert jobs == [row.pk]
    assert _deliver().state == Delivery.State.DELIVERED
    assert [got.headers["webhook-id"] for got in receiver.got] == [row.uid] * 2
    assert receiver.got[0].body == receiver.got[1].body


@pytest.mark.not_quick
def test_the_sweep_lets_no_webhook_take_all_places(
    hook: Hook, version: Version, jobs: list[int]
) -> None:
    first, _ = hook()
    for _n in range(400):
        ready(version)
    second, _ = hook()
    rejected(version)
    jobs.clear()
    delivering.resume()
    of = {row.pk: row.webhook_id for row in Delivery.objects.all()}
    assert sum(of[pk] == first.pk for pk in jobs) == 5
    assert sum(of[pk] == second.pk for pk in jobs) == 1


@pytest.mark.not_quick
def test_who_has_a_place_works_off_what_the_others_left(
    hook: Hook, receiver: Receiver, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "_WORKS_S", 60)
    hook()
    for _n in range(30):
        ready(version)
    receiver.says(500)
    tasks.deliver(Delivery.objects.order_by("pk")[0].pk)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 30
    assert Delivery.objects.filter(state=Delivery.State.DELIVERED).count() >= 29


def test_without_a_place_a_job_leaves_the_row_due(
    hook: Hook, receiver: Receiver, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook()
    ready(version)
    monkeypatch.setattr(tasks, "_places", threading.BoundedSemaphore(1))
    with tasks._places:
        tasks.deliver(Delivery.objects.get().pk)
    assert receiver.got == []
    tasks.deliver(Delivery.objects.get().pk)
    assert len(receiver.got) == 1


def test_a_webhook_that_is_removed_meanwhile_is_no_fault(
    hook: Hook, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = hook()
    ready(version)
    whole = sending.post

    def removed(*arguments: Any) -> Any:
        services.remove(uid=webhook.uid, actor=None)
        return whole(*arguments)

    monkeypatch.setattr(sending, "post", removed)
    delivering.deliver(delivery_pk=Delivery.objects.get().pk)
    assert not DeliveryAttempt.objects.exists()


def test_old_deliveries_are_deleted(hook: Hook, version: Version, settings: Any) -> None:
    hook()
    ready(version)
    _deliver()
    ready(version)  # on its way
    _pass(timedelta(days=settings.NOTICES_KEPT_DAYS, seconds=1))
    delivering.clear()
    assert Delivery.objects.count() == 1
    assert not DeliveryAttempt.objects.exists()


def test_no_worker_takes_a_test_before_who_asked_for_it(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = hook()
    usual = Delivery.objects.create

    def create(**given: Any) -> Delivery:
        row: Delivery = usual(**given)
        Delivery.objects.claim(row.pk, lease=delivering.LEASE)  # as another worker that finds it
        return row

    monkeypatch.setattr(Delivery.objects, "create", create)
    row = services.test(uid=webhook.uid, actor=None)
    assert (row.state, row.attempts, len(receiver.got)) == (Delivery.State.DELIVERED, 1, 1)
    assert row.tries.count() == 1


def test_a_test_that_is_cut_off_is_sent_by_the_next_worker(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = hook()

    def killed(*_: Any) -> Any:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending, "post", killed)
        with pytest.raises(_Killed):
            services.test(uid=webhook.uid, actor=None)
    assert not Delivery.objects.due().exists()
    _pass(delivering.LEASE + timedelta(seconds=1))
    assert _deliver().state == Delivery.State.DELIVERED
    assert len(receiver.got) == 1


def test_one_that_is_cleared_away_meanwhile_is_not_sent_again(
    hook: Hook, version: Version, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    webhook, _ = hook()
    ready(version)
    _deliver()
    found = services.delivery(webhook.uid, Delivery.objects.get().uid)
    monkeypatch.setattr(services, "delivery", lambda *_: found)  # it was read a moment ago
    _pass(timedelta(days=settings.NOTICES_KEPT_DAYS, seconds=1))
    delivering.clear()
    with pytest.raises(services.WebhookGone):
        services.redeliver(uid=webhook.uid, message=found.uid)


@pytest.mark.django_db(transaction=True)
def test_an_old_one_that_is_delivered_again_while_others_are_deleted_stays(
    hook: Hook, version: Version, settings: Any
) -> None:
    webhook, _ = hook()
    ready(version)
    row = _deliver()
    _pass(timedelta(days=settings.NOTICES_KEPT_DAYS, seconds=1))
    again, cleared = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic():
            services.redeliver(uid=webhook.uid, message=row.uid)
            again.set()
            if connection.vendor == "postgresql":  # on SQLite the other one waits for this
                cleared.wait(30)
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert again.wait(30)
        delivering.clear()
    finally:
        cleared.set()
        worker.join()
    assert Delivery.objects.get().settled_at is None


def test_the_log_holds_no_more_of_an_address_than_its_host(hook: Hook, receiver: Receiver) -> None:
    _, secret = hook(url=receiver.url + "&key=hidden")
    text = json.dumps([event.parameters for event in Event.objects.all()])
    assert "hidden" not in text
    assert secret not in text


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_removed_while_a_delivery_to_it_is_settled(
    hook: Hook, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = hook()
    ready(version)
    row = Delivery.objects.get()
    settled, usual = threading.Event(), delivering._tell_webhook
    failed: list[BaseException] = []

    def tell(*given: Any) -> None:
        settled.set()
        locks.wait_for_waiter()
        usual(*given)

    def work() -> None:
        try:
            delivering.deliver(delivery_pk=row.pk)
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    monkeypatch.setattr(delivering, "_tell_webhook", tell)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert settled.wait(30)
        services.remove(uid=webhook.uid, actor=None)
    finally:
        worker.join()
    assert not failed
    assert not Webhook.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_told_is_kept_where_its_webhook_is_removed_before_it_is_committed(
    hook: Hook, version: Version, jobs: list[int]
) -> None:
    """On PostgreSQL the whole of it was refused, as a delivery named what was gone."""
    webhook, _ = hook()
    noted = threading.Event()

    def remove() -> None:
        assert noted.wait(30)
        services.remove(uid=webhook.uid, actor=None)
        connections.close_all()

    worker = threading.Thread(target=remove)
    worker.start()
    with transaction.atomic():
        ready(version)
        noted.set()
        locks.wait_for_waiter(or_until=lambda: not worker.is_alive())
    worker.join(30)
    assert Event.objects.filter(action="version.published").exists()
    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_webhooks_that_are_made_at_once_the_second_counts_the_first(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook()
    real, counted = services.signing.secret_of, []

    def make() -> bool:
        try:
            hook()
        except ValidationError:
            return False
        return True

    def secret_of(*given: Any) -> str:
        counted.append(given)
        locks.wait_for_waiter(or_until=lambda: len(counted) == 2)
        return real(*given)

    monkeypatch.setattr(services, "MOST", 2)
    monkeypatch.setattr(services.signing, "secret_of", secret_of)
    assert sorted(together([make, make])) == [False, True]
    assert Webhook.objects.count() == 2
