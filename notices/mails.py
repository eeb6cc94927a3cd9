"""Mails: what each person chose to be told of, as plain text in their language.

Nobody gets a mail unasked, about what they did themselves, or about what they may not see. A mail
is a row of the outbox as a webhook's message is (notices/delivering.py). One that is sent twice has
the same Message-ID, so most mail programs show it once.
"""

import smtplib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.preferences import of_user
from activity.models import Event
from core import guarded, languages
from core.sentences import phrase
from notices import kinds, payload
from notices.kinds import Concern, NewsKind
from notices.models import Delivery, MailChoice
from notices.sending import Answer

#: Of each answer of the server; a mail takes some ten of them, and must end within a lease.
_TIMEOUT_S: Final = 4
#: From here on a mail server says that a retry will not help.
_FOR_GOOD = 500


@dataclass(frozen=True)
class MailSetting:
    """What a person chose; ``only_own``: only of what is their own."""

    kinds: tuple[str, ...] = ()
    only_own: bool = True


def is_possible() -> bool:
    """Whether there is a mail server."""
    return bool(settings.EMAIL_HOST)


def offered(user: User) -> list[NewsKind]:
    """The kinds of which somebody may be told."""
    return [kind for kind in kinds.all_kinds() if user.has_perm(kind.permission)]


def chosen(user: User) -> MailSetting:
    """What somebody chose, as far as they may be told of it now."""
    row = MailChoice.objects.filter(user=user).first()
    if row is None:
        return MailSetting()
    known = {kind.name for kind in offered(user)}
    return MailSetting(tuple(name for name in row.kinds if name in known), row.only_own)


def choose(*, user: User, kinds: Iterable[str], only_own: bool) -> MailSetting:
    """Keep what somebody wants to be told of; raises ValidationError by field."""
    wanted = list(dict.fromkeys(kinds))
    known = [kind.name for kind in offered(user)]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        said = _("There is no kind %(kind)s. There are: %(known)s.")
        shown = {"kind": unknown[0], "known": ", ".join(known)}
        raise ValidationError({"kinds": said % shown})
    MailChoice.objects.update_or_create(user=user, defaults={"kinds": wanted, "only_own": only_own})
    return MailSetting(tuple(wanted), only_own)


def readers(event: Event, kind: NewsKind, concern: Concern) -> list[int]:
    """The ids of the people who are told of an event."""
    if not is_possible():
        return []
    rows = MailChoice.objects.filter(user__is_active=True).exclude(user__email="")
    rows = rows.select_related("user")
    return [
        row.user_id
        for row in rows
        if kind.name in row.kinds
        and row.user_id != event.actor_id
        and (not row.only_own or row.user_id in concern.people)
        and _may_see(row.user, event)
    ]


def _may_see(person: User, event: Event) -> bool:
    """Whether what the event is about is not hidden from somebody (core/guarded.py)."""
    with guarded.reading_as(person):
        return guarded.hidden() is None or Event.objects.filter(pk=event.pk).exists()


def send(row: Delivery, person: User) -> Answer:
    """Send one mail; whatever goes wrong is in the answer."""
    began = time.monotonic()
    kind = kinds.of_event(row.event.action)
    if not person.is_active or not person.email or not is_possible():
        return Answer(0, problem=phrase("There is no mail address or server now."), final=True)
    if kind is None or not person.has_perm(kind.permission) or not _may_see(person, row.event):
        return Answer(0, problem=phrase("The person may not see it any more."), final=True)
    problem, final = None, False
    try:
        _message(row, person).send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        said = str(error) or type(error).__name__
        problem = phrase("The mail server did not take it: %(said)s", said=said)
        final = _is_for_good(error)
    ms = int((time.monotonic() - began) * 1000)
    return Answer(ms, problem=problem, final=final)


def _is_for_good(error: Exception) -> bool:
    """Whether the server, and not the connection to it, refuses it for good."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _FOR_GOOD for code, _said in error.recipients.values())
    return isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= _FOR_GOOD


def _message(row: Delivery, person: User) -> EmailMessage:
    preferences = of_user(person)
    language = preferences.language if preferences is not None else ""
    with translation.override(language if language in languages.codes() else "en"):
        event = row.event
        subject = f"{kinds.label(row.kind)}: {event.subject_name}"
        page = payload.link(row.page)
        own = payload.link(reverse("preferences"))
        text = [event.sentence, *([page] if page else []), *_acts(row, person), "-- ", _why(own)]
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ") or "localhost"
    headers = {"Message-ID": f"<{row.uid}@{host}>", "Auto-Submitted": "auto-generated"}
    return EmailMessage(
        " ".join(subject.split()),  # a header is one line
        "\n\n".join(text) + "\n",
        None,
        [person.email],
        headers=headers,
        connection=_connection(),
    )


def _acts(row: Delivery, person: User) -> list[str]:
    """What the person may do about it at once, with where that is."""
    act = kinds.act_of(row.event.action)
    if act is None or not person.has_perm(act.permission):
        return []
    return [f"{act.label}: {payload.link(f'{row.page}{act.below}')}"]


def _why(preferences: str | None) -> str:
    said = _("You get this mail because you chose it. Choose otherwise: %(address)s")
    return said % {"address": preferences}


def _connection() -> Any:
    return get_connection(timeout=_TIMEOUT_S)
