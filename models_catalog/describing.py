"""What people say of a model after it is there: its tags, and whose it is.

Each change locks the model's row, is compared with what somebody saw, and is one event.
"""

import hashlib
from collections.abc import Callable, Collection
from functools import partial

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from activity.services import record
from core.permissions import not_permitted
from models_catalog import tags as tags_of
from models_catalog.models import RegisteredModel

MAY_DESCRIBE = "models_catalog.change_model"
DESCRIBING = gettext_noop("describe models")


def describe_model(
    *,
    name: str,
    tags: Collection[str] | None = None,
    add_tags: Collection[str] = (),
    remove_tags: Collection[str] = (),
    owner: str | None = None,
    actor: User | None,
    check: Callable[[RegisteredModel], None] = lambda model: None,
) -> RegisteredModel:
    """Change what is given of a model; None leaves it as it is.

    ``tags`` replaces all of them; ``add_tags`` and ``remove_tags`` change some. ``owner``: a user's
    name; empty: who made the model. ``check`` is called when nobody else can change the model any
    more; what it raises keeps all. Raises ValidationError by field, NotPermitted, and
    RegisteredModel.DoesNotExist.
    """
    if actor is not None and not actor.has_perm(MAY_DESCRIBE):
        raise not_permitted(MAY_DESCRIBE, DESCRIBING)
    with transaction.atomic():
        # The row alone is locked: people are not.
        locked = RegisteredModel.objects.select_for_update(of=("self",))
        model = locked.select_related("owner", "created_by").get(name=name)
        check(model)
        wrong: dict[str, list[str]] = {}
        changes = {
            "tags": partial(_tag, model, tags, add_tags, remove_tags, actor),
            "owner": partial(_own, model, owner, actor),
        }
        for field, change in changes.items():
            try:
                change()
            except ValidationError as error:
                wrong[field] = error.messages
        if wrong:
            raise ValidationError(wrong)
        model.save(update_fields=["tag_lines", "owner"])
    return model


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


def stamp(model: RegisteredModel) -> str:
    """What a page shows of a model that can be changed, in short: it says later what was seen."""
    return stamp_of(model.tags, model.owned_by)


def stamp_of(*parts: object) -> str:
    """A short text that is another one where a part is."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class ChangedMeanwhile(Exception):
    """Somebody else has changed it since it was read; nothing was changed now."""
