"""Webhooks: admins make, change, pause, test and remove them, and send deliveries again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from activity.models import Event
from activity.services import record
from core import clock
from core.errors import CONFLICT
from core.jobs import enqueue_on_commit
from notices import addresses, delivering, kinds, signing
from notices.events import TEST
from notices.models import NOTE_LENGTH, Delivery, DeliveryQuerySet, Webhook

MAY_MANAGE: Final = "notices.manage_webhooks"
#: The webhooks that a portal may have: each event is written for each of them.
MOST = 50
MOST_MODELS = 100
_LONGEST_NAME = 200
#: How long the secret before the last one counts.
OLD_COUNTS = timedelta(hours=24)


@dataclass(frozen=True)
class Change:
    """What to change of a webhook; None leaves a field as it is."""

    url: str | None = None
    note: str | None = None
    kinds: Iterable[str] | None = None
    models: Iterable[str] | None = None
    language: str | None = None


class WebhookGone(Exception):
    """There is no such webhook, or no such delivery of it."""


Check = Callable[[Webhook], None]


def make(
    *,
    url: str,
    kinds: Iterable[str],
    models: Iterable[str] = (),
    note: str = "",
    language: str = "en",
    actor: User | None,
) -> tuple[Webhook, str]:
    """Make a webhook; returns it, and its secret, which is shown once.

    Raises ValidationError by field.
    """
    webhook = Webhook(
        created_by=actor, created_by_name=actor.get_username() if actor else "", digest=""
    )
    _take(webhook, Change(url, note, kinds, models, language))
    with transaction.atomic():
        # Of two that are made at once, the second waits for the first, and counts it.
        list(Webhook.objects.select_for_update(no_key=True).values_list("pk"))
        if Webhook.objects.count() >= MOST:
            said = _("There are %(most)s webhooks, the most that are possible: remove one first.")
            raise ValidationError(said % {"most": MOST}, code=CONFLICT)
        secret = signing.secret_of(webhook.uid, webhook.generation)
        webhook.digest = signing.digest(secret)
        webhook.save()
        _record(webhook, "webhook.made", actor, kinds=", ".join(webhook.kinds))
    return webhook, secret


def get(uid: str) -> Webhook:
    """One webhook; raises WebhookGone."""
    found = Webhook.objects.filter(uid=_asked(uid)).first()
    if found is None:
        raise WebhookGone
    return found


def _asked(id: str) -> str:
    """An id as the database can be asked for it; raises WebhookGone for one that it never has."""
    if "\0" in id:  # PostgreSQL has no such text
        raise WebhookGone
    return id


def change(
    *,
    uid: str,
    change: Change,
    paused: bool | None = None,
    actor: User | None,
    check: Check | None = None,
) -> Webhook:
    """Change a webhook, and pause or resume it; raises ValidationError by field, and WebhookGone.

    ``check`` is called with it when nobody else can change it; what it raises keeps all as it was.
    What happens in a pause is not told later, and what was on its way is given up.
    """
    with transaction.atomic():
        webhook = _locked(uid, check)
        changed = _take(webhook, change)
        if changed:
            fields = [*changed]
            if "url" in changed:  # how long the receiver before failed says nothing of this one
                webhook.failing_since = None
                fields.append("failing_since")
            webhook.save(update_fields=fields)
            _record(webhook, "webhook.changed", actor, fields=", ".join(changed))
        if paused is not None:
            _set_paused(webhook, paused, actor)
    return webhook


def _set_paused(webhook: Webhook, paused: bool, actor: User | None) -> None:
    if paused and webhook.paused_at is None:
        delivering.pause(webhook, "webhook.paused", actor=actor)
    elif not paused and webhook.paused_at is not None:
        webhook.paused_at = webhook.failing_since = None
        webhook.paused_by_portal = False
        webhook.save(update_fields=["paused_at", "failing_since", "paused_by_portal"])
        _record(webhook, "webhook.resumed", actor)


def rotate(*, uid: str, at_once: bool = False, actor: User | None) -> tuple[Webhook, str]:
    """Make a new secret; the old one signs, too, for a day, unless ``at_once``. Raises WebhookGone.

    The one before the old one ends now.
    """
    with transaction.atomic():
        webhook = _locked(uid, None)
        until = None if at_once else clock.now() + OLD_COUNTS
        webhook.old_generation = webhook.generation
        webhook.old_digest = webhook.digest
        webhook.old_until = until
        webhook.generation += 1
        secret = signing.secret_of(webhook.uid, webhook.generation)
        webhook.digest = signing.digest(secret)
        webhook.save()
        if until is None:
            _record(webhook, "webhook.rotated_at_once", actor)
        else:
            _record(webhook, "webhook.rotated", actor, until=f"{until:%Y-%m-%d %H:%M} UTC")
    return webhook, secret


def remove(*, uid: str, actor: User | None, check: Check | None = None) -> None:
    """Remove a webhook with its deliveries; raises WebhookGone."""
    with transaction.atomic():
        webhook = _locked(uid, check)
        _record(webhook, "webhook.removed", actor, level=Event.Level.WARNING)
        webhook.delete()


def test(*, uid: str, actor: User | None) -> Delivery:
    """Send a test now, also to one that is paused; returns how it went. Raises WebhookGone.

    It takes as long as the receiver takes (notices/sending.py has a limit), and is sent once.
    """
    with transaction.atomic():
        webhook = _locked(uid, None)
        event = _record(webhook, "webhook.tested", actor)
        row = Delivery.objects.create(
            webhook=webhook,
            event=event,
            kind=TEST,
            page=webhook.get_absolute_url(),
            **delivering.claimed(),
        )
    delivering.try_claimed(row)
    return delivery(uid, row.uid)


def deliveries(uid: str, *, state: str = "", kind: str = "") -> DeliveryQuerySet:
    """The deliveries of a webhook, with their events and attempts; raises WebhookGone."""
    rows = Delivery.objects.filter(webhook=get(uid))
    if state:
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(kind=kind)
    return rows.select_related("event").prefetch_related("tries")


def delivery(uid: str, message: str) -> Delivery:
    """One delivery of a webhook, with its attempts; raises WebhookGone."""
    rows = Delivery.objects.filter(webhook__uid=_asked(uid), uid=_asked(message))
    found = rows.select_related("event").prefetch_related("tries").first()
    if found is None:
        raise WebhookGone
    return found


def redeliver(*, uid: str, message: str) -> Delivery:
    """Send a delivery again, with the same id: one that was delivered, or that failed.

    Raises WebhookGone, and ValidationError while the webhook is paused. One that is on its way is
    left as it is.
    """
    with transaction.atomic():
        webhook = _locked(uid, None)
        row = delivery(uid, message)
        if webhook.paused_at is not None:
            said = _("The webhook is paused. Resume it, then send again.")
            raise ValidationError({"id": ValidationError(said, code=CONFLICT)})
        if row.state != Delivery.State.PENDING:
            now = clock.now()
            pending = {"state": Delivery.State.PENDING, "attempts": 0, "settled_at": None}
            pending |= {"begun_at": now, "check_after": now}
            if not Delivery.objects.filter(pk=row.pk).update(**pending):  # it was cleared away
                raise WebhookGone
            row.refresh_from_db()
        enqueue_on_commit("notices.tasks.deliver", row.pk)
    return row


def _locked(uid: str, check: Check | None) -> Webhook:
    webhook = Webhook.objects.select_for_update().filter(uid=_asked(uid)).first()
    if webhook is None:
        raise WebhookGone
    if check is not None:
        check(webhook)
    return webhook


def _record(
    webhook: Webhook,
    action: str,
    actor: User | None,
    level: str = Event.Level.INFO,
    **parameters: Any,
) -> Event:
    given = {"host": webhook.host, **parameters}
    return record(action=action, subject=webhook, parameters=given, actor=actor, level=level)


def _take(webhook: Webhook, change: Change) -> list[str]:
    """Set what is valid, and return the fields that changed. Raises ValidationError by field."""
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    if change.url is not None:
        try:
            addresses.parse(change.url)
        except ValidationError as error:
            errors["url"] = error.error_dict["url"]
        values["url"] = change.url
    if change.note is not None:
        values["note"] = change.note.strip()
        if len(values["note"]) > NOTE_LENGTH:
            said = _("It may have at most %(most)s characters.")
            errors["note"] = [said % {"most": NOTE_LENGTH}]
        elif not values["note"].isprintable():
            errors["note"] = [_("It may hold no control characters.")]
    if change.kinds is not None:
        values["kinds"] = wanted = list(dict.fromkeys(change.kinds))
        if not wanted:
            errors["kinds"] = [_("Choose at least one.")]
        elif unknown := [name for name in wanted if not kinds.is_known(name)]:
            said = _("There is no kind %(kind)s. There are: %(known)s.")
            known = ", ".join(kind.name for kind in kinds.all_kinds())
            errors["kinds"] = [said % {"kind": unknown[0], "known": known}]
    if change.models is not None:
        values["only_models"] = names = list(dict.fromkeys(change.models))
        if len(names) > MOST_MODELS or any(
            not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() for name in names
        ):
            said = _("Name at most %(most)s models, each by its name.")
            errors["models"] = [said % {"most": MOST_MODELS}]
    if change.language is not None:
        values["language"] = change.language
        codes = [code for code, _name in settings.LANGUAGES]
        if change.language not in codes:
            said = _("It must be one of: %(expected)s.") % {"expected": ", ".join(codes)}
            errors["language"] = [said]
    if errors:
        raise ValidationError(errors)
    changed = [name for name, value in values.items() if getattr(webhook, name) != value]
    for name in changed:
        setattr(webhook, name, values[name])
    return changed
