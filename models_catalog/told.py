"""What of models and versions people and programs can be told (notices/kinds.py)."""

from django.utils.translation import gettext_lazy as _

from models_catalog.models import RegisteredModel, Version
from notices import kinds
from notices.kinds import Concern, api_path

_VIEW = "models_catalog.view_model"
_READY = [
    f"version.published{likeness}{kept}"
    for likeness in ("", "_same_bytes", "_same_content")
    for kept in ("", "_without_upload")
] + ["version.copied", "version.registered"]
_DRIFT = ["version.object_gone", "version.object_changed"]
_MOVED = [
    f"alias.{how}{because}"
    for how in ("made", "moved", "rolled_back", "removed")
    for because in ("", "_because")
]


def register() -> None:
    """Make the kinds known; a new one is a line here."""
    kinds.register(
        "version.ready", _("A version is ready"), _READY, permission=_VIEW, concern=_of_version
    )
    kinds.register(
        "version.rejected",
        _("A version was rejected"),
        ["version.rejected"],
        permission=_VIEW,
        concern=_of_version,
    )
    kinds.register(
        "alias.moved",
        _("An alias was made, moved or deleted"),
        _MOVED,
        permission=_VIEW,
        concern=_of_model,
    )
    kinds.register(
        "version.drift",
        _("The archive of a version is gone from the store, or is another one"),
        _DRIFT,
        permission=_VIEW,
        concern=_of_version,
    )
    kinds.register(
        "version.deleted",
        _("A version was deleted"),
        ["version.deleted"],
        permission=_VIEW,
        concern=_of_version,
    )
    kinds.register(
        "model.deleted",
        _("A model was deleted"),
        ["model.deleted"],
        permission=_VIEW,
        concern=_of_model,
    )


def _of_version(version: Version) -> Concern:
    model = version.model
    return Concern(
        model=model.name,
        people=_people(version.created_by_id, model.owner_id),
        page=version.get_absolute_url(),
        api=api_path("models", model.name, "versions", version.number),
    )


def _of_model(model: RegisteredModel) -> Concern:
    return Concern(
        model=model.name,
        people=_people(model.owner_id or model.created_by_id),
        page=model.get_absolute_url(),
        api=api_path("models", model.name),
    )


def _people(*ids: int | None) -> frozenset[int]:
    return frozenset(id for id in ids if id is not None)
