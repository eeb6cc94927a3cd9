"""Links with which a person sets a password once: invitations and resets.

The secret of a link has 256 random bits. It is shown once, and kept as a digest. A new link of a
person replaces the one before. It is deleted when it is used, when the person is deactivated,
gets another password, or becomes a superuser or no longer one, and when whoever made it may no
longer manage users.
"""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts import services
from accounts.events import Person
from accounts.models import PasswordLink
from activity.models import Event
from activity.services import record
from core import clock


class Gone(Exception):
    """The link was used, was replaced, has expired, or never was one."""


def lifetime() -> timedelta:
    """How long a link can be used."""
    return timedelta(days=settings.PASSWORD_LINK_DAYS)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def invite(*, actor: User, name: str, email: str, role: str) -> tuple[User, str]:
    """Create a user without a password; returns it, and the secret of a link to set one.

    Raises ValidationError, by field, where the name is taken or a value is not valid; NotAllowed.
    """
    if email:
        _checked_email(email)
    user = User(username=User.normalize_username(name), email=email)
    user.set_unusable_password()
    with services.changing_users(actor=actor):
        user.full_clean(exclude=["password"])
        user.save()
        user.groups.set(Group.objects.filter(name=role))
        services.record_created(user=user, actor=actor)
        secret = _make(user=user, actor=actor)
    return user, secret


def _checked_email(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError({"email": error}) from None


def make(*, actor: User, user: User) -> str:
    """Make a link for a user who exists; returns its secret. The password stays until it is used.

    Raises NotAllowed for a superuser, unless ``actor`` is one, for oneself, and for who is
    deactivated.
    """
    if user.pk == actor.pk:
        raise services.NotAllowed(_("Change your own password on its own page."))
    # Under the lock, so that nobody becomes a superuser, or is deactivated, in between.
    with services.changing_users(actor=actor, users=[user.pk]):
        if not User.objects.filter(pk=user.pk, is_active=True).exists():
            raise services.NotAllowed(_("Activate the account first. Nothing was changed."))
        return _make(user=user, actor=actor)


def _make(*, user: User, actor: User) -> str:
    secret = secrets.token_urlsafe(32)
    expires_at = clock.now() + lifetime()
    values = {"digest": _digest(secret), "expires_at": expires_at, "made_by": actor}
    PasswordLink.objects.update_or_create(user=user, defaults=values)
    person = Person.of(user)
    record(action="user.link_made", subject=person, parameters={"name": person.name}, actor=actor)
    return secret


def revoke(*, actor: User, user: User) -> None:
    """Delete the link of a user, if there is one. Raises NotAllowed for a superuser's link."""
    with services.changing_users(actor=actor, users=[user.pk]):
        if PasswordLink.objects.filter(user=user).delete()[0]:
            person = Person.of(user)
            record(
                action="user.link_revoked",
                subject=person,
                parameters={"name": person.name},
                actor=actor,
                level=Event.Level.WARNING,
            )


def find(secret: str) -> User:
    """Whose link it is. Raises Gone."""
    link = _living().filter(digest=_digest(secret)).select_related("user").first()
    if link is None:
        raise Gone
    return link.user


def _living() -> QuerySet[PasswordLink]:
    return PasswordLink.objects.filter(expires_at__gt=clock.now(), user__is_active=True)


def use(*, secret: str, password: str) -> User:
    """Set the password of the link's user; the link, and all sessions of the user, end.

    Raises Gone, also for all but one who use it at the same time; ValidationError for a weak
    password: then the link stays.
    """
    user = find(secret)
    validate_password(password, user)
    user.set_password(password)  # slow, so it is done before the lock
    with services.changing_users(actor=user, users=[user.pk]):
        if not _living().filter(digest=_digest(secret)).delete()[0]:
            raise Gone
        user.save(update_fields=["password"])
    return user
