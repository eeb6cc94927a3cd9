"""Aliases: movable names on a model, each pointing at one ready version of it.

Every change locks the model's row, so changes of one model come one after the other. It compares
what somebody saw with what is there, and writes in one transaction: the move (history), the alias,
the event, and the mirror's row, after which a job writes the object (models_catalog/alias_mirror).
"""

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from activity.models import Event
from activity.services import record
from core.permissions import not_permitted
from core.storable import has_nul
from models_catalog import alias_mirror, secrecy
from models_catalog.models import (
    Alias,
    AliasMove,
    AliasMoveQuerySet,
    RegisteredModel,
    Version,
    valid_alias,
)
from models_catalog.refusals import CatalogRefused

MAY_MOVE = "models_catalog.move_alias"
MAY_MOVE_PROTECTED = "models_catalog.move_protected_alias"
#: What ``expected`` is where nobody has seen the alias: it must not be there.
ABSENT = 0


class AliasRefused(CatalogRefused):
    """An alias was not changed. ``field``: the wrong input."""

    def __init__(self, said: str, code: str = "conflict", field: str = "") -> None:
        super().__init__(said, code)
        self.field = field


def is_protected(name: str) -> bool:
    """Whether an alias of this name takes a reason, and the right to move protected ones."""
    return name in settings.PROTECTED_ALIASES


def history(model: RegisteredModel, name: str = "") -> AliasMoveQuerySet:
    """What was done with one alias of the model, or with all; the latest first."""
    moves = AliasMove.objects.filter(model=model).listed()
    return moves.filter(name=name) if name else moves


def move(
    *,
    model: str,
    name: str,
    number: int,
    reason: str = "",
    expected: int | None = None,
    actor: User | None,
) -> tuple[Alias, bool]:
    """Point the alias at a version, and make it where it is missing; and whether it was changed.

    ``expected``: the revision that was seen, ABSENT for none, None to move it whatever it is. An
    alias that is there already stays as it is, whatever was expected: what was wanted holds.
    Raises AliasRefused, ValidationError for its name, and NotPermitted.
    """
    _check_rights(name, actor)
    with transaction.atomic():
        row = _locked(model, actor)
        current = _current(row, name)
        if current is None:
            _check_name(name)
        version = _ready_version(row, number)
        if current is not None and current.version_id == version.pk:
            return current, False
        _check_seen(row, name, current, expected)
        reason = _checked_reason(name, reason)
        if current is None:
            return _write(row, name, AliasMove.Kind.MADE, version, reason, actor), True
        kind = AliasMove.Kind.MOVED
        back_to = current.move
        return _write(row, name, kind, version, reason, actor, back_to=back_to), True


def roll_back(
    *, model: str, name: str, reason: str = "", expected: int | None = None, actor: User | None
) -> Alias:
    """Point the alias at the version before; the next roll back goes to the one before that.

    Raises AliasRefused, where there is none too, and NotPermitted.
    """
    _check_rights(name, actor)
    with transaction.atomic():
        row = _locked(model, actor)
        current = _existing(row, name)
        _check_seen(row, name, current, expected)
        target = current.move.back_to
        if target is None or target.version is None:
            said = _("There is nothing before %(version)s that %(alias)s could go back to.")
            raise AliasRefused(said % {"version": current.version, "alias": current})
        version = _ready_version(row, target.version.number)
        reason = _checked_reason(name, reason)
        kind = AliasMove.Kind.ROLLED_BACK
        return _write(row, name, kind, version, reason, actor, back_to=target.back_to)


def remove(
    *, model: str, name: str, reason: str = "", expected: int | None = None, actor: User | None
) -> AliasMove:
    """Delete the alias; its history stays. Raises AliasRefused, and NotPermitted."""
    _check_rights(name, actor)
    with transaction.atomic():
        row = _locked(model, actor)
        current = _existing(row, name)
        _check_seen(row, name, current, expected)
        return _delete(row, current, _checked_reason(name, reason), actor)


def undo(*, model: str, name: str, revision: int, actor: User | None) -> Alias | None:
    """Take the move ``revision`` back, if it is the latest; None: there is no such alias again.

    Protected aliases have no Undo, as that gives no reason. Raises AliasRefused, NotPermitted.
    """
    _check_rights(name, actor)
    with transaction.atomic():
        row = _locked(model, actor)
        last = history(row, name).first()
        if last is None or last.pk != revision:
            raise _moved_meanwhile(row, name, _current(row, name))
        _checked_reason(name, "")
        before = last.replaced
        if before is None or before.version is None:
            _delete(row, _existing(row, name), "", actor)
            return None
        version = _ready_version(row, before.version.number)
        kind = AliasMove.Kind.MADE if last.version is None else AliasMove.Kind.MOVED
        return _write(row, name, kind, version, "", actor, back_to=before.back_to)


def model_of(name: str) -> RegisteredModel:
    """The model of this name. Raises AliasRefused where there is none."""
    return _model(RegisteredModel.objects.only("name"), name)


def get(*, model: str, name: str) -> Alias:
    """An alias of a model. Raises AliasRefused where there is none."""
    return _existing(model_of(model), name)


def _locked(model: str, actor: User | None) -> RegisteredModel:
    row = _model(RegisteredModel.objects.select_for_update(), model)
    secrecy.check_may_write(row.placed_in, actor)
    return row


def _model(rows: QuerySet[RegisteredModel], name: str) -> RegisteredModel:
    found = rows.filter(name=name).first()
    if found is None:
        raise AliasRefused(_("There is no model %(name)s.") % {"name": name}, "not-found")
    return found


def _current(row: RegisteredModel, name: str) -> Alias | None:
    if has_nul(name):  # nothing has such a name, and PostgreSQL refuses to look
        return None
    return Alias.objects.filter(model=row, name=name).listed().first()


def _existing(row: RegisteredModel, name: str) -> Alias:
    found = _current(row, name)
    if found is None:
        raise none_of(row, name)
    return found


def none_of(row: RegisteredModel, name: str) -> AliasRefused:
    """What to raise where a model has, or ever had, no alias of this name."""
    said = _("The model %(model)s has no alias %(name)s.")
    return AliasRefused(said % {"model": row.name, "name": name}, "not-found")


def _ready_version(row: RegisteredModel, number: int) -> Version:
    found = Version.objects.filter(model=row, number=number).defer("report").first()
    if found is None:
        said = _("The model %(model)s has no version %(number)s. Nothing was changed.")
        raise AliasRefused(said % {"model": row.name, "number": number}, "invalid", "number")
    found.model = row
    if found.state != Version.State.READY:
        said = _("%(version)s is not ready, so no alias can point at it. Nothing was changed.")
        raise AliasRefused(said % {"version": found}, "model-not-ready", "number")
    return found


def _check_name(name: str) -> None:
    try:
        valid_alias(name)
    except ValidationError as error:
        raise ValidationError({"alias": error.messages}) from None


def _check_rights(name: str, actor: User | None) -> None:
    """Raise NotPermitted; the portal itself may."""
    wanted = MAY_MOVE_PROTECTED if is_protected(name) else MAY_MOVE
    if actor is not None and not actor.has_perm(wanted):
        raise not_permitted(wanted, gettext_noop("move aliases"))


def _check_seen(
    row: RegisteredModel, name: str, current: Alias | None, expected: int | None
) -> None:
    if expected is not None and expected != (current.revision if current else ABSENT):
        raise _moved_meanwhile(row, name, current)


def _moved_meanwhile(row: RegisteredModel, name: str, current: Alias | None) -> AliasRefused:
    alias = f"{row.name}@{name}"
    if current is None:
        said = _("%(alias)s was deleted meanwhile. Nothing was changed.") % {"alias": alias}
    else:
        said = _("%(alias)s was moved meanwhile: it is %(version)s now. Nothing was changed.")
        said %= {"alias": alias, "version": current.version}
    return AliasRefused(said, "changed-meanwhile")


def _checked_reason(name: str, reason: str) -> str:
    """The reason as it is stored; protected aliases take one."""
    reason = reason.replace("\0", "").strip()
    most = AliasMove._meta.get_field("reason").max_length or 0
    if len(reason) > most:
        said = _("The reason may have %(most)s characters.") % {"most": most}
        raise AliasRefused(said, "invalid", "reason")
    if not reason and is_protected(name):
        said = _("The alias %(name)s is protected: say why, in a reason. Nothing was changed.")
        raise AliasRefused(said % {"name": name}, "invalid", "reason")
    return reason


def _write(
    row: RegisteredModel,
    name: str,
    kind: str,
    version: Version,
    reason: str,
    actor: User | None,
    *,
    back_to: AliasMove | None = None,
) -> Alias:
    """Write the move and all that hangs on it, in the caller's transaction."""
    move = _moved(row, name, kind, version, reason, actor, back_to)
    alias, _made = Alias.objects.update_or_create(
        model=row, name=name, defaults={"version": version, "move": move}
    )
    alias_mirror.want(model=row, name=name, move=move, bucket=version.bucket)
    return alias


def _delete(row: RegisteredModel, alias: Alias, reason: str, actor: User | None) -> AliasMove:
    move = _moved(row, alias.name, AliasMove.Kind.REMOVED, None, reason, actor, None)
    alias.delete()
    alias_mirror.want(model=row, name=alias.name, move=move)
    return move


def _moved(
    row: RegisteredModel,
    name: str,
    kind: str,
    version: Version | None,
    reason: str,
    actor: User | None,
    back_to: AliasMove | None,
) -> AliasMove:
    replaced = history(row, name).first()
    move = AliasMove.objects.create(
        model=row,
        name=name,
        kind=kind,
        version=version,
        replaced=replaced,
        back_to=back_to,
        by=actor,
        by_name=actor.get_username() if actor else "",
        reason=reason,
    )
    parameters = {"alias": str(move)}
    if version is not None:
        parameters["version"] = str(version)
    if kind != AliasMove.Kind.MADE:
        parameters["before"] = str(replaced.version if replaced else "")
    if reason:
        parameters["reason"] = reason
    record(
        action=f"alias.{kind}_because" if reason else f"alias.{kind}",
        subject=row,
        parameters=parameters,
        actor=actor,
        level=Event.Level.WARNING if version is None else Event.Level.INFO,
    )
    return move
