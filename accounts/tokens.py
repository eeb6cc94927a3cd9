"""Tokens of the API: how they are made, found and revoked, and what each may be used for.

A token is ``mme_``, 43 characters that hold 256 random bits, and 6 that are their CRC32, both in
base 62, as GitHub's tokens have it: scanners for secrets find it by its form, and a typing error is
told without the database. It is shown once. A plain SHA-256 of it is kept: nobody can try 2^256
values, so a slow hash would protect nothing, and each call would wait for it.

A token may do what its scopes *and* its owner's role allow, both as they are now. It ends when it
expires, when it or the token that made it is revoked, and when its owner is deactivated or gets a
new password.
"""

import hashlib
import re
import secrets
import string
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import roles, services
from accounts.events import Person
from accounts.models import Token
from activity.models import Event
from activity.services import record
from core import clock
from core.api.caller import Scope
from core.logging import without_secrets

PREFIX = "mme_"
#: The tokens that a person may have at a time.
MOST = 100
# The days that the form offers; the API takes any number.
_DAYS = (7, 30, 90, 180, 365)

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECKSUM = 43, 6  # characters
_FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECKSUM}}})", re.ASCII)

#: The role that each scope needs.
ROLES: dict[Scope, str] = {
    Scope.READ: roles.VIEWER,
    Scope.INVOKE: roles.VIEWER,
    Scope.UPLOAD: roles.OPERATOR,
    Scope.OPERATE: roles.OPERATOR,
    Scope.ADMIN: roles.ADMIN,
}


# --- their form --------------------------------------------------------------------------------


def new_secret() -> str:
    """A new token, as its owner gets it."""
    value = _base62(secrets.randbits(256), _RANDOM)
    return PREFIX + value + _checksum(value)


def is_well_formed(secret: str) -> bool:
    """Whether it has the form and the checksum of a token."""
    found = _FORM.fullmatch(secret)
    return found is not None and _checksum(found[1]) == found[2]


def digest(secret: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(value: str) -> str:
    return _base62(zlib.crc32(value.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _place in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def offered_days() -> list[int]:
    """For how many days the form offers tokens: API_TOKEN_DAYS is among them."""
    most = settings.API_TOKEN_MAX_DAYS
    return sorted({min(days, most) for days in (*_DAYS, settings.API_TOKEN_DAYS)})


# --- what they may be used for -----------------------------------------------------------------


def scopes_of(user: User) -> frozenset[str]:
    """The scopes that the user's role allows.

    Somebody with single permissions of a role has its scopes: each operation asks for its own
    permission all the same.
    """
    return frozenset(
        scope.value
        for scope, role in ROLES.items()
        if any(user.has_perm(name) for name in roles.own_permissions(role))
    )


@dataclass(frozen=True)
class Known:
    """A token that counts: whose it is, what it may be used for now, and until when that holds.

    ``until`` is a time of this process's monotonic clock. ``use_is_old``: its last use was more
    than a minute ago, by the row.
    """

    token_id: str
    user: User
    scopes: frozenset[str]
    until: float
    use_is_old: bool


class Unusable(Exception):
    """The token does not count; ``code`` is a key of core.api.problems.CODES."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


#: Where nothing is found: no token has this form, or none was made or kept.
BAD, EXPIRED, REVOKED = "bad-token", "token-expired", "token-revoked"
#: How often the last use of a token is written, at most.
USE_EVERY = timedelta(minutes=1)


def find(secret: str, *, keep_s: float) -> Known:
    """The token and its owner, as the database has them; it may be kept for ``keep_s`` seconds.

    Raises Unusable.
    """
    if not is_well_formed(secret):
        raise Unusable(BAD)
    until = time.monotonic() + keep_s  # from before the rows are read
    token = Token.objects.filter(digest=digest(secret)).select_related("user__preferences").first()
    if token is None:
        raise Unusable(BAD)
    now = clock.now()
    if token.revoked_at is not None or not token.user.is_active:
        raise Unusable(REVOKED)
    if token.expires_at <= now:
        raise Unusable(EXPIRED)
    left = (token.expires_at - now).total_seconds()
    used = token.last_used_at
    user = token.user
    user.get_all_permissions()  # kept with the user
    return Known(
        token_id=token.pk,
        user=user,
        scopes=frozenset(token.scopes) & scopes_of(user),
        until=min(until, time.monotonic() + left),
        use_is_old=used is None or used + USE_EVERY <= now,
    )


# --- changes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """The token with which another one is made: that one may have no more."""

    token_id: str
    scopes: frozenset[str]


def make(
    *,
    user: User,
    name: str,
    scopes: Iterable[str],
    days: int | None = None,
    within: Bounds | None = None,
    by_command: bool = False,
) -> tuple[Token, str]:
    """Make a token of ``user``; returns it, and the secret, which is shown once.

    Without ``days`` it counts for API_TOKEN_DAYS, or as long as the token of ``within``.
    ``by_command``: the event names nobody as who made it. Raises ValidationError by field.
    """
    wanted = [scope.value for scope in Scope if scope.value in set(scopes)]
    _check(user=user, name=name, given=set(scopes), wanted=wanted, days=days, within=within)
    secret = new_secret()
    # Under the lock of all changes of users: it ends the tokens of who is deactivated, or gets
    # another password, after which nobody makes one who was logged in with that before.
    with services.changing_users(actor=None, users=[user.pk]):
        now = clock.now()
        living = Token.objects.living(now).filter(user=user)
        parent = None if within is None else living.filter(pk=within.token_id).first()
        gone = within is not None and parent is None
        if gone or not services.still_has_password(user):
            raise ValidationError(_("Your account or your token has just ended. Log in again."))
        if living.count() >= MOST:
            said = _("You have %(most)s tokens, the most that are possible: revoke one first.")
            raise ValidationError(said % {"most": MOST})
        expires_at = now + timedelta(days=settings.API_TOKEN_DAYS if days is None else days)
        if parent is not None and expires_at > parent.expires_at:
            if days is not None:
                said = _("It may not count for longer than the token that makes it.")
                raise ValidationError({"days": said})
            expires_at = parent.expires_at
        token = Token.objects.create(
            user=user,
            name=name,
            digest=digest(secret),
            scopes=wanted,
            created_at=now,
            expires_at=expires_at,
            made_with=parent,
        )
        person = Person.of(user)
        record(
            action="token.made",
            subject=person,
            parameters={
                "name": person.name,
                "token": name,
                "scopes": ", ".join(wanted),
                "until": f"{expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            },
            actor=None if by_command else user,
        )
    return token, secret


def renew(*, user: User, name: str, days: int, old: str, at_least: timedelta) -> str:
    """The secret ``old`` where it is good enough, else that of a new token with all scopes.

    Good enough is a token of ``user`` with all scopes of its role now, which counts for
    ``at_least`` as long; another one is revoked. Both happen or neither. For commands; raises
    ValidationError where ``user`` has no role.
    """
    with transaction.atomic():
        before = Token.objects.filter(digest=digest(old)).select_related("user").first()
        if before is not None:
            if (
                before.user == user
                and before.revoked_at is None
                and before.expires_at - clock.now() > at_least
                and set(before.scopes) == scopes_of(user)
            ):
                return old
            revoke(actor=None, token=before)
        _, secret = make(user=user, name=name, scopes=scopes_of(user), days=days, by_command=True)
    return secret


def _check(
    *,
    user: User,
    name: str,
    given: set[str],
    wanted: list[str],
    days: int | None,
    within: Bounds | None,
) -> None:
    errors: dict[str, list[str]] = {}
    longest = 100
    if not name.strip():
        errors["name"] = [_("Give it a name, by which you know it again.")]
    elif len(name) > longest:
        errors["name"] = [_("It may have at most %(most)s characters.") % {"most": longest}]
    elif not name.isprintable():
        errors["name"] = [_("It may hold no control characters.")]
    elif without_secrets(name) != name:
        errors["name"] = [_("This is a token. A name is seen by others.")]
    if not given:
        errors["scopes"] = [_("Choose at least one.")]
    elif unknown := sorted(given - set(wanted)):
        said = _("There is no scope %(scope)s.")
        errors["scopes"] = [said % {"scope": one} for one in unknown]
    elif beyond := sorted(set(wanted) - scopes_of(user)):
        said = _("Your role does not allow the scope %(scope)s.")
        errors["scopes"] = [said % {"scope": one} for one in beyond]
    elif within is not None and (beyond := sorted(set(wanted) - within.scopes)):
        said = _("The token that makes it does not have the scope %(scope)s.")
        errors["scopes"] = [said % {"scope": one} for one in beyond]
    if days is not None and not 1 <= days <= settings.API_TOKEN_MAX_DAYS:
        most = settings.API_TOKEN_MAX_DAYS
        said = ngettext("It may be %(most)s day.", "It may be 1 to %(most)s days.", most)
        errors["days"] = [said % {"most": most}]
    if errors:
        raise ValidationError(errors)


def revoke(*, actor: User | None, token: Token) -> None:
    """Revoke a token, and those that were made with it. One that has ended stays as it is.

    Raises NotAllowed where ``actor`` is no superuser, and would do it for one.
    """
    owner = token.user
    if actor is not None and actor.pk != owner.pk:
        with services.changing_users(actor=actor, users=[owner.pk]):
            _revoke(actor, token)
    else:
        with services.changing_users(actor=None):
            _revoke(actor, token)


def _revoke(actor: User | None, token: Token) -> None:
    now = clock.now()
    person = Person.of(token.user)
    ending = [token.pk]
    while ending:
        living = Token.objects.living(now).filter(pk__in=ending)
        found = list(living.order_by("created_at"))
        living.update(revoked_at=now)
        for one in found:
            record(
                action="token.revoked",
                subject=person,
                parameters={"name": person.name, "token": one.name},
                actor=actor,
                level=Event.Level.WARNING,
            )
        ending = list(Token.objects.filter(made_with__in=ending).values_list("pk", flat=True))
