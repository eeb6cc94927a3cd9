"""The codes and subjects of events about users. No event holds a password or a part of one."""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.translation import gettext_noop as _

TEMPLATES: Final = {
    "user.made": _("Made the user %(name)s (roles: %(roles)s)."),
    "user.changed": _("Changed the user %(name)s: %(fields)s."),
    "user.renamed": _("Renamed the user %(before)s to %(name)s."),
    "user.activated": _("Activated the user %(name)s."),
    "user.deactivated": _("Deactivated the user %(name)s; its sessions ended."),
    "user.deleted": _("Deleted the user %(name)s."),
    "user.invitation_withdrawn": _("Withdrew the invitation of %(name)s."),
    "user.role_given": _("Gave the role %(role)s to %(name)s."),
    "user.role_taken": _("Took the role %(role)s from %(name)s."),
    "user.permission_given": _("Gave the permission %(permission)s to %(name)s."),
    "user.permission_taken": _("Took the permission %(permission)s from %(name)s."),
    "user.superuser_given": _("Made %(name)s a superuser."),
    "user.superuser_taken": _("%(name)s is no longer a superuser."),
    "user.password_changed": _("Changed their own password; other sessions of %(name)s ended."),
    "user.password_reset": _("Set a new password for %(name)s; its sessions ended."),
    "user.link_made": _("Made a link with which %(name)s can set a password."),
    "user.link_revoked": _("Revoked the link with which %(name)s could set a password."),
    "user.mended": _("Made %(name)s an active administrator again: there was no other one."),
    "token.made": _(
        "Made the token “%(token)s” for %(name)s (%(scopes)s). It expires on %(until)s."
    ),
    "token.revoked": _("Revoked the token “%(token)s” of %(name)s."),
    "token.all_revoked": _("Revoked all tokens of %(name)s: %(tokens)s."),
    "login.tokens_paused": _(
        "Paused wrong tokens from %(address)s for %(minutes)s minutes: %(failures)s failures."
    ),
    "group.made": _("Made the group %(group)s."),
    "group.joined": _("Put %(people)s into the group %(group)s."),
    "group.left": _("Took %(people)s out of the group %(group)s."),
    "group.deleted": _("Deleted the group %(group)s."),
    "login.failed": _("A log-in of %(name)s from %(address)s failed."),
    "login.failed_unknown": _("A log-in with an unknown name (%(name)s) from %(address)s failed."),
    "login.locked": _(
        "Paused log-ins of %(name)s from %(address)s for %(minutes)s minutes: "
        "%(failures)s failures."
    ),
    "login.address_locked": _(
        "Paused all log-ins from %(address)s for %(minutes)s minutes: %(failures)s failures."
    ),
    "login.many": _("More log-ins fail than are listed here; the web server's log has them all."),
    "login.unlocked": _("Ended the pause of log-ins for %(name)s."),
    "login.address_unlocked": _("Ended the pause of log-ins from %(address)s."),
    "login.all_unlocked": _("Ended every pause of log-ins."),
}


@dataclass(frozen=True)
class Person:
    """A user, as the subject of an event."""

    pk: int
    name: str
    activity_kind: str = "user"

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, user: User) -> "Person":
        """The subject that is ``user``."""
        return cls(user.pk, user.get_username())


def user_page(user: User) -> str:
    """The address of a user's page."""
    return reverse("accounts:person", args=[user.pk])


@dataclass(frozen=True)
class Login:
    """The log-in, as the subject of events that are about no known user."""

    name: str
    pk: int = 0
    activity_kind: str = "login"

    def __str__(self) -> str:
        return self.name
