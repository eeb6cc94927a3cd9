"""What models and versions are found by, compared with what their rows say."""

import unicodedata
from typing import Any

from models_catalog.models import RegisteredModel, SearchText, Version, VersionNumber


def wrong() -> set[str]:
    """The rows that are found by something else than what they say, made here anew."""
    wrong = set()
    texts = {(row.model_id, row.version_id): row.text for row in SearchText.objects.all()}
    numbers: dict[Any, dict[str, float]] = {}
    for row in VersionNumber.objects.all():
        numbers.setdefault((row.model_id, row.version_id), {})[row.key] = row.value
    for model in RegisteredModel.objects.all():
        said = f"{model.name}\n{model.description}\n{model.tag_lines}"
        if texts.pop((model.pk, None), None) != _folded(said):
            wrong.add(str(model))
    for version in Version.objects.select_related("model"):
        lines = [f"{key}={value}" for key, value in version.metadata_rows]
        at = version.model_id, version.pk
        if texts.pop(at, None) != _folded("\n".join([version.note, version.file_name, *lines])):
            wrong.add(str(version))
        given = version.metadata_rows if version.state == "ready" else []
        counted = {key: float(one) for key, one in given if not isinstance(one, str)}
        if numbers.pop(at, {}) != counted:
            wrong.add(f"numbers of {version}")
    return wrong | {str(key) for key in (*texts, *numbers)}


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
