"""Names of the API: one form for paths, ids and fields, and times as ISO 8601 in UTC."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rules.api_subjects import PREFIX, document, subjects

ROOT = Path(__file__).resolve().parents[2]
_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PATH = re.compile(r"(/[a-z]+(\.json)?|/{[a-z_]+})+")
#: Names that another word stands for (the glossary, core/glossary.py).
AVOIDED = {
    "artifact": "archive", "filename": "file_name", "checksum": "sha256", "hash": "sha256",
    "version": "number", "status": "state", "user": "person", "username": "name",
    "created": "created_at", "updated": "…_at", "timestamp": "at", "image": "picture",
    "label_name": "label", "score": "probability", "confidence": "probability",
    "count": "instance_count", "uri": "url",
}  # fmt: skip
#: Where such a name is right, and why.
ALLOWED = {
    ("ProblemOut", "status"): "RFC 9457",
    ("VersionOut", "uri"): "s3://…, as AWS calls it: no address that a browser opens",
    ("VersionDetailOut", "uri"): "likewise",
    ("PlannedOut", "uri"): "likewise",
    ("FoundOut", "uri"): "likewise",
    ("EndpointOut", "image"): "a container's image, as SageMaker names it",
    ("EndpointIn", "image"): "likewise",
    ("EndpointChange", "image"): "likewise",
    ("EndpointPlanIn", "image"): "likewise",
    ("RevisionOut", "image"): "likewise",
    ("ImageOut", "image"): "likewise",
    ("StatusOut", "version"): "of the portal: that of a model is its number",
}
#: Times are named for what happened then, or as the bound of a filter.
_TIME = re.compile(r"(\w+_)?at|since|until|before|after")


def _fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, schema in document()["components"]["schemas"].items():
        for field, found in schema.get("properties", {}).items():
            yield name, field, found


def _is_time(schema: dict[str, Any]) -> bool:
    inner = schema.get("anyOf", [schema])
    return any(one.get("format") == "date-time" for one in inner)


@pytest.mark.not_quick
def test_fields_have_the_words_of_the_glossary() -> None:
    wrong, used = [], set()
    for schema, field, found in _fields():
        if not _WORD.fullmatch(field):
            wrong.append(f"{schema}.{field}: write it as words_with_underscores")
        if (schema, field) in ALLOWED:
            used.add((schema, field))
        elif field in AVOIDED:
            wrong.append(f"{schema}.{field}: the word is {AVOIDED[field]}")
        if _is_time(found) and not _TIME.fullmatch(field):
            wrong.append(f"{schema}.{field}: a time is named …_at")
        if field.endswith("_at") and not _is_time(found):
            wrong.append(f"{schema}.{field}: it is no time (datetime)")
    assert not wrong, "\n".join(["Rename these, or say in ALLOWED why not:", *wrong])
    assert used == set(ALLOWED), f"Take these out of ALLOWED: {set(ALLOWED) - used}"


def test_paths_and_ids_have_one_form() -> None:
    wrong = []
    for subject in subjects():
        rules = subject.rules
        path = re.sub(r"{\w+:(\w+)}", r"{\1}", rules.path)
        if not _PATH.fullmatch(path) and not path.startswith("/uploads/"):
            wrong.append(f"{rules.id}: {rules.path} is no path of words without a slash at its end")
        if not re.fullmatch(r"[a-z]+_[a-z_]+", rules.id):
            wrong.append(f"{rules.id} is not named noun_verb")
        if rules.method == "GET" and rules.counts_as_change:
            wrong.append(f"{rules.id} is a GET, and counts as a change")
    assert all(path.startswith(PREFIX + "/") for path in document()["paths"])
    assert not wrong, wrong


def test_what_is_not_found_is_named() -> None:
    """Http404 becomes a problem that names nothing: raise Problem with what is missing."""
    found = [path for path in ROOT.glob("*/*api.py") if path.parent.name != "tests"]
    assert len(found) > 6
    wrong = [path.relative_to(ROOT).as_posix() for path in found if "Http404" in path.read_text()]
    assert not wrong, f"Raise Problem with a sentence in place of Http404: {wrong}"
