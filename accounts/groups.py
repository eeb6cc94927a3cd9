"""Groups of people: make one, put people in and take them out, delete it.

A group gives nobody a right by itself; another app says what its members may see.
"""

from collections.abc import Callable, Collection

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, ProtectedError, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.models import PeopleGroup
from accounts.services import NotAllowed
from activity.models import Event
from activity.services import record
from core.errors import CONFLICT
from core.natural import by_name

MAY_MANAGE, MANAGING = "accounts.manage_groups", gettext_noop("manage groups")
#: Most names that one event tells; it says how many more there were.
_TOLD = 20

_changes: list[Callable[[], None]] = []


def register_change(changed: Callable[[], None]) -> None:
    """Call ``changed`` once a change of groups or members is kept."""
    _changes.append(changed)


def listed() -> QuerySet[PeopleGroup]:
    """All, by name, each with ``size``, how many people are in it."""
    return PeopleGroup.objects.annotate(size=Count("members")).order_by(*by_name("name"))


def get(name: str) -> PeopleGroup:
    """One group. Raises PeopleGroup.DoesNotExist."""
    return _named_so(PeopleGroup.objects.all(), name)


def locked(names: Collection[str]) -> QuerySet[PeopleGroup]:
    """Groups that nobody deletes within the transaction."""
    return PeopleGroup.objects.select_for_update(no_key=True).filter(name__in=names).order_by("pk")


def _locked(name: str) -> PeopleGroup:
    return _named_so(PeopleGroup.objects.select_for_update(), name)


def _named_so(rows: QuerySet[PeopleGroup], name: str) -> PeopleGroup:
    if "\0" in name:  # PostgreSQL has no such text
        raise PeopleGroup.DoesNotExist
    return rows.get(name=name)


def members(group: PeopleGroup) -> list[str]:
    """The names of its people, sorted."""
    return list(group.members.order_by(*by_name("username")).values_list("username", flat=True))


def make(*, name: str, actor: User | None) -> PeopleGroup:
    """Make a group with nobody in it. Raises ValidationError; its code is CONFLICT if taken."""
    group = PeopleGroup(name=name.strip(), created_by=actor)
    group.clean_fields(exclude={"created_by"})
    try:
        with transaction.atomic():
            group.save()
            _record("group.made", group, actor, Event.Level.SUCCESS)
    except IntegrityError:
        said = _("There is a group %(name)s already.") % {"name": group.name}
        raise ValidationError({"name": ValidationError(said, code=CONFLICT)}) from None
    return group


def change(
    *, name: str, join: Collection[str] = (), leave: Collection[str] = (), actor: User | None
) -> PeopleGroup:
    """Put people into a group and take others out, all or nobody; idempotent.

    Raises PeopleGroup.DoesNotExist, and ValidationError of ``people`` where there is no such user.
    """
    with transaction.atomic():
        group = _locked(name)
        inside = set(members(group))
        joined = sorted(set(join) - inside)
        left = sorted(set(leave) & inside - set(join))
        # Nobody deletes them meanwhile.
        rows = User.objects.select_for_update(no_key=True).filter(username__in=joined)
        found = {user.username: user for user in rows.order_by("pk")}
        if unknown := [one for one in joined if one not in found]:
            said = _("There is no user %(name)s. Nothing was changed.") % {"name": unknown[0]}
            raise ValidationError({"people": said})
        if joined:
            group.members.add(*found.values())
            _record("group.joined", group, actor, people=_named(joined))
        if left:
            group.members.remove(*User.objects.filter(username__in=left))
            _record("group.left", group, actor, people=_named(left))
        transaction.on_commit(_changed)
    return group


def delete(*, name: str, actor: User | None) -> None:
    """Delete a group. Raises PeopleGroup.DoesNotExist, and NotAllowed where something names it."""
    try:
        with transaction.atomic():
            group = _locked(name)
            _record("group.deleted", group, actor)
            group.delete()
    except ProtectedError:
        said = _(
            "A store names the group %(name)s, which was not deleted. Take it off the store first."
        )
        raise NotAllowed(said % {"name": name}) from None
    _changed()


def _changed() -> None:
    for changed in _changes:
        changed()


def _named(people: list[str]) -> str:
    told = ", ".join(people[:_TOLD])
    return told if len(people) <= _TOLD else f"{told} (+{len(people) - _TOLD})"


def _record(
    code: str,
    group: PeopleGroup,
    actor: User | None,
    level: str = Event.Level.INFO,
    **more: str,
) -> None:
    parameters = {"group": group.name, **more}
    record(action=code, subject=group, parameters=parameters, actor=actor, level=level)
