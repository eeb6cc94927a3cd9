"""The outbox: what is to be told is written with the event, and delivered by jobs.

A row is written in the transaction of its event, so a state change is told of or did not happen. A
worker claims the row (core/lease.py), tries once, and writes what came of it with the release. What
fails is tried again for a day, with pauses that grow. A worker that is killed in between has
perhaps sent the message, and another one sends it again, with the same id: a receiver that keeps
ids tells the repetition.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from activity.models import Event
from activity.services import Subject, record
from core import backoff, clock
from core.jobs import enqueue_on_commit
from core.lease import LeaseLost
from core.sentences import Sentence, phrase
from notices import addresses, kinds, mails, payload, sending, signing
from notices.events import TEST
from notices.models import Delivery, DeliveryAttempt, Webhook
from notices.sending import Answer

log = logging.getLogger(__name__)

#: Longer than an attempt can take (addresses.RESOLVE_S, sending.TOTAL_S).
LEASE: Final = timedelta(seconds=60)
#: How long a delivery is tried, and after which time of failures alone a webhook is paused.
TRIED_FOR: Final = timedelta(days=1)
_FIRST, _LONGEST = timedelta(seconds=5), timedelta(hours=4)
_AT_ONCE = 300
_OF_ONE = 5
_WORKS_S = 5.0
_GONE = 410
_CLEARED_AT_ONCE = 1000

State = Delivery.State


def note(event: Event, subject: Subject) -> None:
    """Write a delivery for each webhook and person to be told of the event, in its transaction."""
    kind = kinds.of_event(event.action)
    if kind is None:
        return
    concern = kind.concern(subject)
    told = [
        webhook.pk
        for webhook in Webhook.objects.filter(paused_at=None)
        if kind.name in webhook.kinds
        and (not webhook.only_models or concern.model in webhook.only_models)
    ]
    rows = [_new(event, kind.name, concern, webhook_id=pk) for pk in _not_removed(told)]
    rows += [
        _new(event, kind.name, concern, person_id=pk) for pk in mails.readers(event, kind, concern)
    ]
    for row in Delivery.objects.bulk_create(rows):
        enqueue_on_commit("notices.tasks.deliver", row.pk)


def _not_removed(webhooks: list[int]) -> list[int]:
    """Those of the webhooks that are there, and that nobody removes until the transaction ends.

    On PostgreSQL alone could one be removed: what names it would be refused with all of its
    transaction. Its own lock for that hinders no change but a removal, and is none of Django's.
    """
    if not webhooks or connection.vendor != "postgresql":
        return webhooks
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM notices_webhook WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",
            [webhooks],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _new(event: Event, kind: str, concern: kinds.Concern, **to: Any) -> Delivery:
    return Delivery(
        event=event, kind=kind, model=concern.model, page=concern.page, api=concern.api, **to
    )


def resume() -> None:
    """Queue what is due: what Redis lost, was cut off, or failed before."""
    for pk in _due():
        enqueue_on_commit("notices.tasks.deliver", pk)


def _due() -> list[int]:
    """Some of what is due, of each webhook and of mails a few.

    So one that does not answer keeps no other one waiting.
    """
    of = Delivery.objects.due().order_by().values_list("webhook_id", flat=True).distinct()
    found: list[int] = []
    for webhook in list(of):  # None: mails
        rows = Delivery.objects.due().filter(webhook=webhook)
        found += rows.values_list("pk", flat=True)[:_OF_ONE]
    return found[:_AT_ONCE]


def work(*, delivery_pk: int) -> None:
    """Try one delivery, and then others that are due, for some seconds.

    There are few places for deliveries (notices/tasks.py): who has one works off what the others
    had to leave.
    """
    until = time.monotonic() + _WORKS_S
    deliver(delivery_pk=delivery_pk)
    while time.monotonic() < until and (found := _due()):
        for pk in found:
            if time.monotonic() < until:
                deliver(delivery_pk=pk)


def deliver(*, delivery_pk: int) -> None:
    """Try one delivery that is due; idempotent."""
    rows = Delivery.objects.select_related("webhook", "event", "person__preferences")
    row = rows.claim(delivery_pk, lease=LEASE)
    if row is not None:
        try_claimed(row)


def claimed() -> dict[str, Any]:
    """The columns of a new row that its maker delivers itself: the sweep finds it after a kill."""
    return {"attempts": 1, "leased_until": clock.now() + LEASE}


def try_claimed(row: Delivery) -> None:
    """Try a delivery whose lease is held, once."""
    try:
        if row.webhook is not None:
            _to_webhook(row, row.webhook)
        elif row.person is not None:
            _to_person(row, row.person)
    except LeaseLost:
        log.warning("Another worker has taken over the delivery %s, or it was removed.", row)


def _to_webhook(row: Delivery, webhook: Webhook) -> None:
    if webhook.paused_at is not None and row.kind != TEST:
        _give_up(row)
        return
    at = clock.now()
    answer = _posted(row, webhook, at)
    with transaction.atomic():
        # Locked before its delivery, as where somebody changes or removes it; and so that two
        # workers pause it once. Events that name it for a new delivery need not wait.
        locked = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook.pk).first()
        _settle(row, at, answer)
        _tell_webhook(locked, row, at, answer)


def _to_person(row: Delivery, person: User) -> None:
    at = clock.now()
    answer = mails.send(row, person)
    with transaction.atomic():
        _settle(row, at, answer)


def _posted(row: Delivery, webhook: Webhook, at: datetime) -> Answer:
    text = payload.body(row, webhook.language)
    try:
        target = addresses.parse(webhook.url)
        headers = signing.headers(webhook, row.uid, at, text)
    except ValidationError as error:
        said = phrase("The address is not allowed any more: %(said)s", said=error.messages[0])
        return Answer(0, problem=said)
    except signing.SecretLost:
        said = phrase("SECRET_KEY was changed since the secret was made: make a new secret.")
        return Answer(0, problem=said)
    return sending.post(target, headers, text.encode())


def _settle(row: Delivery, at: datetime, answer: Answer) -> None:
    """Write an attempt and what came of it, and give the lease back; raises LeaseLost."""
    problem = answer.problem
    _release(row, at, answer)
    DeliveryAttempt.objects.create(
        delivery=row,
        at=at,
        ms=answer.ms,
        status=answer.status,
        answer=answer.text,
        problem=problem.english() if problem else "",
        problem_code=problem.as_json() if problem else None,
    )


def _release(row: Delivery, at: datetime, answer: Answer) -> None:
    problem = answer.problem
    if problem is None:
        Delivery.objects.release(row, state=State.DELIVERED, settled_at=clock.now())
        return
    log.warning("The delivery %s failed: %s", row, problem.english())
    pause = backoff.pause(row.attempts - 1, first=_FIRST, longest=_LONGEST)
    if row.kind == TEST or answer.final or at + pause > row.begun_at + TRIED_FOR:
        Delivery.objects.release(row, state=State.FAILED, settled_at=clock.now())
    else:
        Delivery.objects.release(row, check_after=clock.now() + pause)


def _give_up(row: Delivery) -> None:
    Delivery.objects.release(row, state=State.FAILED, settled_at=clock.now())


def _tell_webhook(webhook: Webhook | None, row: Delivery, at: datetime, answer: Answer) -> None:
    """Note since when a webhook fails, and pause it after a day, or where its receiver is gone.

    Its row is locked; None: it was removed.
    """
    if webhook is None or webhook.paused_at is not None:
        return
    if answer.problem is None:
        if webhook.failing_since is not None:
            Webhook.objects.filter(pk=webhook.pk).update(failing_since=None)
        return
    if row.kind == TEST:
        return
    if webhook.failing_since is None:
        webhook.failing_since = at
        webhook.save(update_fields=["failing_since"])
    if answer.status == _GONE:
        pause(webhook, "webhook.paused_gone")
    elif at - webhook.failing_since >= TRIED_FOR:
        pause(webhook, "webhook.paused_failing", problem=answer.problem)


def pause(webhook: Webhook, action: str, *, actor: Any = None, **parameters: Sentence) -> None:
    """Tell a webhook, whose row is locked, of nothing any more. What was on its way is given up."""
    now = clock.now()
    webhook.paused_at = now
    webhook.paused_by_portal = actor is None
    webhook.save(update_fields=["paused_at", "paused_by_portal"])
    waiting = Delivery.objects.unfinished().filter(webhook=webhook, leased_until=None)
    waiting.exclude(kind=TEST).update(state=State.FAILED, settled_at=now)
    record(
        action=action,
        subject=webhook,
        parameters={"host": webhook.host, **parameters},
        actor=actor,
        level=Event.Level.INFO if actor else Event.Level.ERROR,
    )


def clear() -> None:
    """Delete deliveries that were settled NOTICES_KEPT_DAYS ago, with their attempts."""
    before = clock.now() - timedelta(days=settings.NOTICES_KEPT_DAYS)
    old = Delivery.objects.filter(settled_at__lt=before).order_by("settled_at")
    # Asked first: to begin a write takes SQLite's one lock.
    while old.exists():
        with transaction.atomic():
            # Locked, so that none is deleted that somebody has delivered again meanwhile.
            rows = old.select_for_update(skip_locked=True).values_list("pk", flat=True)
            found = list(rows[:_CLEARED_AT_ONCE])
            Delivery.objects.filter(pk__in=found).delete()
        if not found:  # others work on them
            return
