"""The rules about users: who may change whom, and which events are recorded.

Every change of users goes through :func:`changing_users`: that of the functions below, of Django's
admin and of commands.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from django.contrib.auth.hashers import is_password_usable
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts import roles, throttle
from accounts.events import Login, Person
from accounts.models import PasswordLink, Token
from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import clock
from core.sentences import phrase

# For this long a token that ended is still told from one that never was.
KEEP_ENDED_TOKENS = timedelta(days=30)
_FIELDS = ("first_name", "last_name", "email")
# What people call the fields, and the words of an event for all that were changed at once.
_NAMED = {"first_name": "name", "last_name": "name", "email": "mail"}
_CHANGED = {
    frozenset({"name"}): phrase("full name"),
    frozenset({"mail"}): phrase("mail address"),
    frozenset({"name", "mail"}): phrase("full name and mail address"),
}


class NotAllowed(Exception):
    """A rule forbids the change; nothing was changed. ``str()`` may be shown on a page."""


class Rank(IntEnum):
    """Who can manage users."""

    NONE = 0
    MANAGER = 1  # may change users, but no superusers
    SUPERUSER = 2


def managers() -> QuerySet[User]:
    """Everybody who can log in and manage users: superusers, and whose role allows it."""
    change = {"content_type__app_label": "auth", "codename": "change_user"}
    of_group = Q(groups__in=Group.objects.filter(permissions__in=_permissions(change)))
    own = Q(user_permissions__in=_permissions(change))
    able = User.objects.filter(Q(is_superuser=True) | of_group | own, is_active=True)
    # A user without a usable password cannot log in, and so cannot manage anybody.
    return able.exclude(password__startswith="!").exclude(password="").distinct()  # noqa: S106


def _permissions(lookup: dict[str, str]) -> QuerySet[Permission]:
    return Permission.objects.filter(**lookup)


def rank_of(user: User) -> Rank:
    """What ``user`` can do about users, as it stands in the database."""
    found = managers().filter(pk=user.pk).first()
    return Rank.NONE if found is None else _rank(found)


def _rank(manager: User) -> Rank:
    return Rank.SUPERUSER if manager.is_superuser else Rank.MANAGER


def _highest() -> Rank:
    ranks = [_rank(manager) for manager in managers()]
    return max(ranks, default=Rank.NONE)


@dataclass(frozen=True)
class _Snapshot:
    """What a user was before a change."""

    pk: int
    name: str
    active: bool
    superuser: bool
    password: str
    fields: tuple[str, ...]
    roles: frozenset[str]
    permissions: frozenset[str]
    rank: Rank

    @classmethod
    def of(cls, user: User) -> "_Snapshot":
        return cls(
            pk=user.pk,
            name=user.get_username(),
            active=user.is_active,
            superuser=user.is_superuser,
            password=user.password,
            fields=tuple(str(getattr(user, field)) for field in _FIELDS),
            roles=frozenset(group.name for group in user.groups.all()),
            permissions=frozenset(
                f"{permission.content_type.app_label}.{permission.codename}"
                for permission in user.user_permissions.select_related("content_type")
            ),
            rank=rank_of(user),
        )


@contextmanager
def changing_users(*, actor: User | None, users: Iterable[int] = ()) -> Iterator[None]:
    """Change users in this block: in one transaction, with the rules checked and events recorded.

    ``users`` are the ids of the users that may be changed or deleted. A user that is created in the
    block is recorded with :func:`record_created`. ``actor`` is None where the portal itself or a
    command makes the change.

    Raises NotAllowed and rolls back where nobody would be left who can manage users (or no
    superuser, where there was one), where ``actor`` would remove its own rights, and where it is no
    superuser and would change one or make one.
    """
    with transaction.atomic():
        _lock()
        highest = _highest()
        before = [_Snapshot.of(user) for user in User.objects.filter(pk__in=list(users))]
        others = [old for old in before if actor is None or old.pk != actor.pk]
        may = actor is None or User.objects.filter(pk=actor.pk, is_superuser=True).exists()
        if not may and any(old.superuser for old in others):
            raise NotAllowed(_("Only a superuser may change a superuser. Nothing was changed."))
        superusers = _superusers()
        yield
        if not may and not _superusers() <= superusers:
            raise NotAllowed(_("Only a superuser may make a superuser. Nothing was changed."))
        for old in before:
            new = User.objects.filter(pk=old.pk).first()
            if actor is not None and old.pk == actor.pk:
                _refuse_self_removal(old, new)
        if _highest() < highest:
            raise NotAllowed(
                _("This is the last active superuser. Nothing was changed: make another one first.")
                if highest is Rank.SUPERUSER
                else _(
                    "This is the last active user who can manage users. Nothing was changed: make "
                    "another one first."
                )
            )
        for old in before:
            new = User.objects.filter(pk=old.pk).first()
            if new is None:
                end_sessions(user_id=old.pk)
                _record("user.deleted", Person(old.pk, old.name), actor, Event.Level.WARNING)
            else:
                _record_changes(old, new, actor)


def _superusers() -> set[int]:
    return set(User.objects.filter(is_superuser=True).values_list("pk", flat=True))


def _lock() -> None:
    """Serialize changes of who manages users until this transaction ends.

    SQLite serializes its write transactions itself. On PostgreSQL the rows of the roles are locked:
    they always exist, and locks on the users would miss one that is being created.
    """
    list(Group.objects.select_for_update().order_by("pk"))


def _refuse_self_removal(old: _Snapshot, new: User | None) -> None:
    if new is None:
        raise NotAllowed(_("You cannot delete yourself. Nothing was changed; another admin can."))
    if old.active and not new.is_active:
        raise NotAllowed(
            _("You cannot deactivate yourself. Nothing was changed; another admin can.")
        )
    if rank_of(new) < old.rank:
        said = _(
            "You cannot take away your own right to manage users. Nothing was changed; another "
            "admin can."
        )
        raise NotAllowed(said)


def _record(
    code: str, person: Person, actor: User | None, level: str = Event.Level.INFO, **more: Scalar
) -> None:
    parameters = {"name": person.name, **more}
    record(action=code, subject=person, parameters=parameters, actor=actor, level=level)


def _record_changes(old: _Snapshot, user: User, actor: User | None) -> None:
    new = _Snapshot.of(user)
    person = Person.of(user)
    # Whoever made a link must not take over an account with it that was given more rights since.
    if not new.active or new.password != old.password or new.superuser != old.superuser:
        PasswordLink.objects.filter(user=user).delete()
    if not new.active:
        revoke_tokens(user=user, actor=actor)
    if new.rank < old.rank:
        PasswordLink.objects.filter(made_by=user).delete()
    if new.name != old.name:
        _record("user.renamed", person, actor, before=old.name)
    pairs = zip(_FIELDS, old.fields, new.fields, strict=True)
    changed = frozenset(_NAMED[name] for name, was, now in pairs if was != now)
    if changed:
        _record("user.changed", person, actor, fields=_CHANGED[changed])
    for role in sorted(new.roles - old.roles):
        _record("user.role_given", person, actor, role=role)
    for role in sorted(old.roles - new.roles):
        _record("user.role_taken", person, actor, role=role)
    for name in sorted(new.permissions - old.permissions):
        _record("user.permission_given", person, actor, permission=name)
    for name in sorted(old.permissions - new.permissions):
        _record("user.permission_taken", person, actor, permission=name)
    if new.superuser != old.superuser:
        code = "user.superuser_given" if new.superuser else "user.superuser_taken"
        _record(code, person, actor, Event.Level.WARNING)
    if new.active != old.active:
        # Also at the activation: a log-in that was under way may have created a session.
        end_sessions(user_id=user.pk)
        _record("user.activated" if new.active else "user.deactivated", person, actor)
    if new.password != old.password:
        record_password(user=user, actor=actor)


def record_password(*, user: User, actor: User | None) -> None:
    """Record the event of a new password.

    The user's other sessions become invalid, since Django compares each with the password's hash.
    The user's tokens are revoked: whoever knew the old password may have made them.
    """
    revoke_tokens(user=user, actor=actor)
    own = actor is not None and actor.pk == user.pk
    _record("user.password_changed" if own else "user.password_reset", Person.of(user), actor)


def still_has_password(user: User) -> bool:
    """Whether the user is active, and has the password that was read with ``user``.

    Asked under the lock of `changing_users`: what was begun with a password ends with it.
    """
    return User.objects.filter(pk=user.pk, is_active=True, password=user.password).exists()


def revoke_tokens(*, user: User, actor: User | None) -> int:
    """Revoke all tokens of the API that ``user`` has; returns how many."""
    now = clock.now()
    living = Token.objects.living(now).filter(user=user)
    names = list(living.order_by("created_at").values_list("name", flat=True))
    if names:
        living.update(revoked_at=now)
        tokens = ", ".join(names)
        _record("token.all_revoked", Person.of(user), actor, Event.Level.WARNING, tokens=tokens)
    return len(names)


def record_created(*, user: User, actor: User | None) -> None:
    """Record the event of a new user; call it once the roles are set."""
    given = ["superuser"] if user.is_superuser else []
    given += sorted(group.name for group in user.groups.all())
    _record(
        "user.made",
        Person.of(user),
        actor,
        Event.Level.SUCCESS,
        roles=", ".join(given) or "none",
    )


def end_sessions(*, user_id: int) -> int:
    """Delete all sessions of a user; returns how many.

    Django refuses the session of an inactive user, but would accept it once the user is active
    again. A session row does not name its user, so all sessions are read. This is rare.
    """
    own = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=clock.now()).iterator()
        if session.get_decoded().get("_auth_user_id") == str(user_id)
    ]
    return Session.objects.filter(pk__in=own).delete()[0]


# --- called by commands and tests --------------------------------------------------------------


def make_user(
    *, actor: User | None, name: str, password: str, role: str | None = None, email: str = ""
) -> User:
    """Create a user; raises ValidationError where the name is taken or the password too weak."""
    user = User(username=User.normalize_username(name), email=email)
    validate_password(password, user)
    user.set_password(password)
    with changing_users(actor=actor):
        user.full_clean()  # under its lock, so that of two who take one name one is told so
        user.save()
        if role is not None:
            user.groups.set([Group.objects.get(name=role)])
        record_created(user=user, actor=actor)
    return user


def set_active(*, actor: User | None, user: User, active: bool) -> None:
    """Activate or deactivate a user; its sessions end. Raises NotAllowed."""
    with changing_users(actor=actor, users=[user.pk]):
        User.objects.filter(pk=user.pk).update(is_active=active)
    user.is_active = active


def set_details(*, actor: User, user: User, username: str, full_name: str, email: str) -> None:
    """Change the name to log in with, the full name and the mail address of a user.

    Raises NotAllowed, ValidationError, by field, for a name that is taken or not valid, and
    User.DoesNotExist where it was deleted meanwhile.
    """
    with changing_users(actor=actor, users=[user.pk]):
        changed = User.objects.get(pk=user.pk)
        changed.username = User.normalize_username(username)
        # One field for the whole name: not everybody's name has a first and a last part.
        if full_name != changed.get_full_name():
            changed.first_name, changed.last_name = full_name, ""
        changed.email = email
        changed.full_clean(exclude=["password"])
        changed.save(update_fields=["username", "first_name", "last_name", "email"])


def withdraw(*, actor: User, user: User) -> None:
    """Delete an account that nobody has ever used: its invitation is open, or has expired.

    Raises NotAllowed where somebody has set a password or logged in, and User.DoesNotExist where
    somebody else has deleted it.
    """
    with changing_users(actor=actor, users=[user.pk]):
        found = User.objects.get(pk=user.pk)
        if not never_used(found):
            raise NotAllowed(
                _("%(name)s has used the account. Deactivate it instead; nothing was changed.")
                % {"name": found.get_username()}
            )
        _record("user.invitation_withdrawn", Person.of(found), actor)
        found.delete()


def never_used(user: User) -> bool:
    """Whether nobody can have done anything with the account: it had no password so far."""
    return user.last_login is None and not user.has_usable_password()


def set_superuser(*, actor: User | None, user: User, superuser: bool) -> None:
    """Make a user a superuser, or no longer one. Raises NotAllowed."""
    with changing_users(actor=actor, users=[user.pk]):
        User.objects.filter(pk=user.pk).update(is_superuser=superuser)
    user.is_superuser = superuser


def set_role(*, actor: User | None, user: User, role: str | None) -> None:
    """Replace a user's roles by one role, or by none.

    Raises NotAllowed, and User.DoesNotExist where it was deleted meanwhile.
    """
    with changing_users(actor=actor, users=[user.pk]):
        User.objects.get(pk=user.pk).groups.set(Group.objects.filter(name=role))


def set_password(*, actor: User | None, user: User, password: str) -> None:
    """Set a password; the user's sessions end. Raises ValidationError for a weak one."""
    validate_password(password, user)
    user.set_password(password)  # slow, so it is done before the lock
    with changing_users(actor=actor, users=[user.pk]):
        user.save(update_fields=["password"])


def delete_user(*, actor: User | None, user: User) -> None:
    """Delete a user; its events stay in the log. Raises NotAllowed."""
    with changing_users(actor=actor, users=[user.pk]):
        User.objects.filter(pk=user.pk).delete()


def ensure_admin(*, name: str, password: Callable[[], str]) -> str:
    """Ensure that there is an active superuser; returns a sentence that says what was done.

    An account of that name that lost its rights gets them back, and keeps its password if it has
    one. ``password`` is called only where one is needed. Idempotent, also where several machines
    run it at the same time.
    """
    roles.ensure_roles()
    with transaction.atomic():
        _lock()
        if _highest() is Rank.SUPERUSER:
            # untranslated: a terminal
            return "The roles are in place; an administrator exists already."
        user = User.objects.filter(username=name).first()
        group = Group.objects.get(name=roles.ADMIN)
        if user is None:
            user = User.objects.create_superuser(name, password=password())
            user.groups.add(group)
            record_created(user=user, actor=None)
            # untranslated: a terminal
            return f"Created the administrator {name!r}."
        note = "its password is as it was"
        if not is_password_usable(user.password):
            user.set_password(password())
            record_password(user=user, actor=None)
            note = "its password is the one that was set for the first start"
        user.is_superuser = user.is_staff = user.is_active = True
        user.save()
        user.groups.add(group)
        _record("user.mended", Person.of(user), None, Event.Level.WARNING)
        # untranslated: a terminal
        return f"Made {name!r} an active administrator again, as there was no other one; {note}."


def unlock(
    *, actor: User | None, name: str = "", address: str = "", everything: bool = False
) -> int:
    """End pauses of log-ins: of a name, of an address (with all its names), or all.

    Returns how many counts of failures were deleted. Raises ValueError for an invalid address, and
    NotAllowed where an ``actor`` who is no superuser would do it for a superuser.
    """
    handler = throttle.Handler()
    if everything:
        count = handler.reset_attempts()
        record(action="login.all_unlocked", subject=Login("log-in"), parameters={}, actor=actor)
    elif address:
        count = handler.reset_attempts(ip_address=address)
        record(
            action="login.address_unlocked",
            subject=Login(address),
            parameters={"address": address},
            actor=actor,
        )
    else:
        user = User.objects.filter(username=name).first()
        if actor is not None and not actor.is_superuser and user is not None and user.is_superuser:
            raise NotAllowed(_("Only a superuser may change a superuser. Nothing was changed."))
        count = handler.reset_attempts(username=name)
        subject = Person.of(user) if user else Login("unknown name")
        shown = name if user else f"#{throttle.name_digest(name)[:8]}"
        record(action="login.unlocked", subject=subject, parameters={"name": shown}, actor=actor)
    return count


def sweep() -> None:
    """Delete expired counts of attempts and sessions, and tokens that ended some weeks ago."""
    throttle.sweep()
    Token.objects.ended_before(clock.now() - KEEP_ENDED_TOKENS).delete()
    Session.objects.filter(expire_date__lt=clock.now()).delete()
