"""What people say of a model or a version after it is there: description, tags, note, metadata …

Each change locks the row, is compared with what somebody saw, and is one event.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from functools import partial

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from activity.codes import LONG
from activity.services import record
from core.permissions import not_permitted
from models_catalog import metadata as metadata_of
from models_catalog import secrecy
from models_catalog import tags as tags_of
from models_catalog.metadata import Changes
from models_catalog.models import DESCRIPTION_LENGTH, RegisteredModel, Version

MAY_DESCRIBE = "models_catalog.change_model"
DESCRIBING = gettext_noop("describe models")


def describe_model(
    *,
    name: str,
    tags: Collection[str] | None = None,
    add_tags: Collection[str] = (),
    remove_tags: Collection[str] = (),
    owner: str | None = None,
    description: str | None = None,
    actor: User | None,
    check: Callable[[RegisteredModel], None] = lambda model: None,
) -> RegisteredModel:
    """Change what is given of a model; None leaves it as it is.

    ``tags`` replaces all of them; ``add_tags`` and ``remove_tags`` change some. ``owner``: a user's
    name; empty: who made the model. ``description`` is Markdown. ``check`` is called when nobody
    else can change the model any more; what it raises keeps all. Raises ValidationError by field,
    NotPermitted, and RegisteredModel.DoesNotExist.
    """
    if actor is not None and not actor.has_perm(MAY_DESCRIBE):
        raise not_permitted(MAY_DESCRIBE, DESCRIBING)
    with transaction.atomic():
        # The row alone is locked: people are not.
        locked = RegisteredModel.objects.select_for_update(of=("self",))
        model = locked.select_related("owner", "created_by").get(name=name)
        secrecy.check_may_write(model.placed_in, actor)
        check(model)
        _make(
            {
                "tags": partial(_tag, model, tags, add_tags, remove_tags, actor),
                "owner": partial(_own, model, owner, actor),
                "description": partial(_describe, model, description, actor),
            }
        )
        model.save(update_fields=["tag_lines", "owner", "description"])
    return model


def _make(changes: Mapping[str, Callable[[], None]]) -> None:
    """Make each change. Raises ValidationError by field, after all of them were tried."""
    wrong: dict[str, list[str]] = {}
    for field, change in changes.items():
        try:
            change()
        except ValidationError as error:
            wrong[field] = error.messages
    if wrong:
        raise ValidationError(wrong)


def _tag(
    model: RegisteredModel,
    tags: Collection[str] | None,
    add: Collection[str],
    remove: Collection[str],
    actor: User | None,
) -> None:
    before = set(model.tags)
    wanted = {*(before if tags is None else tags_of.read(tags)), *tags_of.read(add)}
    now = tags_of.read(wanted - {tags_of.normal(tag) for tag in remove})
    added, removed = sorted(set(now) - before), sorted(before - set(now))
    if not added and not removed:
        return
    model.tag_lines = tags_of.framed(now)
    said = {"name": model.name, "added": ", ".join(added), "removed": ", ".join(removed)}
    if not removed:
        del said["removed"]
        action = "model.tags_added"
    elif not added:
        del said["added"]
        action = "model.tags_removed"
    else:
        action = "model.tags_changed"
    record(action=action, subject=model, parameters=said, actor=actor)


def _own(model: RegisteredModel, owner: str | None, actor: User | None) -> None:
    if owner is None or owner == model.owned_by:
        return
    before = model.owned_by
    if owner:
        # A person who may not log in any more answers for nothing.
        found = User.objects.filter(username=owner, is_active=True).first()
        if found is None:
            raise ValidationError(_("There is no user %(name)s.") % {"name": owner})
        model.owner = found
    else:
        model.owner = None
    now = model.owned_by
    if now == before:
        return
    said = {"name": model.name, "before": before or "–", "owner": now or "–"}
    record(action="model.owner_changed", subject=model, parameters=said, actor=actor)


def _describe(model: RegisteredModel, description: str | None, actor: User | None) -> None:
    if description is None:
        return
    # As browsers send it, and PostgreSQL takes it.
    text = description.replace("\r\n", "\n").replace("\0", "").strip()
    if len(text) > DESCRIPTION_LENGTH:
        too_long = _("A description may have %(most)s characters.")
        raise ValidationError(too_long % {"most": DESCRIPTION_LENGTH})
    if text == model.description:
        return
    before, model.description = len(model.description), text
    record(
        action="model.described",
        subject=model,
        parameters={"name": model.name, "before": before, "now": len(text)},
        actor=actor,
    )


def describe_version(
    *,
    name: str,
    number: int,
    note: str | None = None,
    metadata: Changes | None = None,
    actor: User | None,
    check: Callable[[Version], None] = lambda version: None,
) -> Version:
    """Change what is given of a version; None leaves it as it is.

    ``metadata``: new values by key, None for a key that goes; others stay. ``check`` as that of
    describe_model. What is served stays as it is. Raises ValidationError by field, NotPermitted,
    and Version.DoesNotExist.
    """
    if actor is not None and not actor.has_perm(MAY_DESCRIBE):
        raise not_permitted(MAY_DESCRIBE, DESCRIBING)
    with transaction.atomic():
        locked = Version.objects.select_for_update(of=("self",)).defer("report")
        version = locked.select_related("model").get(model__name=name, number=number)
        secrecy.check_may_write(version.model.placed_in, actor)
        check(version)
        _make(
            {
                "note": partial(_note, version, note, actor),
                "metadata": partial(_measure, version, metadata, actor),
            }
        )
        version.save(update_fields=["note", "metadata"])
    return version


def _note(version: Version, note: str | None, actor: User | None) -> None:
    if note is None:
        return
    text = note.replace("\0", "").strip()
    most = Version._meta.get_field("note").max_length or 0
    if len(text) > most:
        raise ValidationError(_("A note may have %(most)s characters.") % {"most": most})
    if text == version.note:
        return
    before, version.note = version.note, text
    parameters = {"version": str(version), "before": before or "–", "note": text or "–"}
    record(action="version.note_changed", subject=version, parameters=parameters, actor=actor)


def _measure(version: Version, changes: Changes | None, actor: User | None) -> None:
    before = version.metadata or {}
    now = before if changes is None else metadata_of.merged(before, changes)
    keys = sorted(key for key in {*before, *now} if not _same(before.get(key), now.get(key)))
    version.metadata = now or None
    # A line of the log has no room for all values of many long ones.
    for said in _lines([f"{key}: {before.get(key, '–')} → {now.get(key, '–')}" for key in keys]):
        parameters = {"version": str(version), "changes": said}
        record(
            action="version.metadata_changed", subject=version, parameters=parameters, actor=actor
        )


def _same(one: object, other: object) -> bool:
    # 1 and 1.0 are the same number; 1 and "1" are not the same.
    return one == other and isinstance(one, str) == isinstance(other, str)


def _lines(changes: list[str]) -> list[str]:
    """The changes, as many in a text as an event holds."""
    found: list[str] = []
    for change in changes:
        if found and len(found[-1]) + len(change) + 2 <= LONG:
            found[-1] += f"; {change}"
        else:
            found.append(change)
    return found


def stamp(model: RegisteredModel) -> str:
    """What a page shows of a model that can be changed, in short: it says later what was seen."""
    return stamp_of(model.tags, model.owned_by, model.description)


def stamp_of_version(version: Version) -> str:
    """The same of a version."""
    return stamp_of(version.note, version.metadata_rows)


def stamp_of(*parts: object) -> str:
    """A short text that is another one where a part is."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class ChangedMeanwhile(Exception):
    """Somebody else has changed it since it was read; nothing was changed now."""
