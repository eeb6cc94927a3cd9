"""The columns of the catalog in which people's words are, for activity/redaction.py."""

import hashlib
from typing import Any

from django.utils.translation import gettext_lazy as _

from activity import redaction
from models_catalog.models import (
    AliasMirror,
    AliasMove,
    LabelFile,
    RegisteredModel,
    Store,
    StoreComparison,
    Upload,
    Version,
)


def register() -> None:
    """Make them known."""
    notes = _("Descriptions, tags, notes and metadata")
    of_model, of_version = ("description", "tag_lines"), ("note", "metadata", "file_name")
    redaction.register("notes", notes, RegisteredModel, *of_model, write=_write_found)
    redaction.register("notes", notes, Version, *of_version, write=_write_found)
    redaction.register("notes", notes, AliasMove, "by_name", "reason")
    redaction.register("labels", _("Label files"), LabelFile, "text", write=_write_labels)
    reports = _("Results of validations")
    redaction.register(
        "reports", reports, Version, "report", "reason", "reason_code", "step", "step_code"
    )
    drift = _("What was found in the store")
    redaction.register("drift", drift, AliasMirror, "problem", "problem_code")
    redaction.register("drift", drift, StoreComparison, "problem", "problem_code")
    redaction.register("drift", drift, Store, "rights")
    uploads = _("Uploads on their way")
    redaction.register(
        "uploads", uploads, Upload, "file_name", "note", "description", "metadata", "problem"
    )


def _write_found(row: RegisteredModel | Version, values: dict[str, Any]) -> None:
    """Write what a row is found by; the search finds the text no more."""
    type(row)._base_manager.filter(pk=row.pk).update(**values)
    row.keep_found([row.pk])


def _write_labels(row: LabelFile, values: dict[str, Any]) -> None:
    """Write labels; where other ones became the same, their versions share that row."""
    digest = hashlib.sha256(values["text"].encode()).hexdigest()
    same = LabelFile.objects.select_for_update(no_key=True).filter(sha256=digest).first()
    if same is None:
        LabelFile.objects.filter(pk=row.pk).update(sha256=digest, **values)
    else:
        row.versions.update(label_file=same)
        row.delete()
