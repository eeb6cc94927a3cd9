"""The API's document is valid, is the committed file, and breaks no client."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.conf import settings
from django.test import Client
from jsonschema_rs import ValidationError

from core.api.operations import OPERATIONS
from core.api.problems import CODES, CONTENT_TYPE
from mmeportal import api, problem_pages
from mmeportal.management.commands.write_openapi import BASELINE, DOCUMENT, PROBLEMS
from tests.api_changes import breaks

ROOT = Path(settings.BASE_DIR)
WRITE = "Run `make openapi`, and look at what changed."


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.document())
    return found


def test_the_committed_document_is_what_is_served() -> None:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.content.decode() == (ROOT / DOCUMENT).read_text(encoding="utf-8"), WRITE


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_document_is_sent_compressed_to_who_takes_that(language: str) -> None:
    path = f"/api/v1/openapi.json?language={language}"
    plain = Client().get(path)
    packed = Client().get(path, headers={"Accept-Encoding": "gzip, deflate"})
    assert (plain.headers.get("Content-Encoding"), plain.headers["Vary"]) == (
        None,
        packed.headers["Vary"],
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 8
    refused = Client().get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert refused.content == plain.content


@pytest.mark.not_quick
def test_the_document_is_openapi_3_1() -> None:
    found = document()
    assert found["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(found).validate()
    del found["info"]["title"]
    with pytest.raises(ValidationError):
        schemathesis.openapi.from_dict(found).validate()


def test_every_operation_is_in_the_document() -> None:
    documented = {
        one["operationId"]: (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method, one in methods.items()
    }
    assert set(documented) == set(OPERATIONS)
    assert len(documented) > 5


def test_no_change_breaks_a_client() -> None:
    old = json.loads((ROOT / BASELINE).read_text(encoding="utf-8"))
    broken = breaks(old, document())
    advice = (
        "Programs that were written against the last release would fail. Keep what they use; or, "
        "where it must go, say so in CHANGELOG.md (Changed) and accept it by "
        '`make openapi ARGS="--baseline"`:'
    )
    assert not broken, "\n".join([advice, *broken])


def _of_kind(found: dict[str, Any]) -> dict[str, Any]:
    """The operation tokens_create, its body and its answer, in a document that may be changed."""
    schemas = found["components"]["schemas"]
    return {
        "post": found["paths"]["/api/v1/tokens"]["post"],
        "list": found["paths"]["/api/v1/tokens"]["get"],
        "body": schemas["TokenIn"],
        "answer": schemas["TokenOut"],
        "scope": schemas["Scope"],
    }


def _require(parts: dict[str, Any]) -> None:
    parts["body"]["properties"]["why"] = {"type": "string"}
    parts["body"]["required"].append("why")


CHANGES: dict[str, tuple[Any, str]] = {
    "field": (
        lambda p: p["answer"]["properties"].pop("name"),
        "the field name of an item of the field items of the answer 200 of GET /api/v1/tokens "
        "is gone.",
    ),
    "required": (_require, "the field why of the body of POST /api/v1/tokens is required now."),
    "enum": (
        lambda p: p["scope"]["enum"].remove("invoke"),
        "an item of the field scopes of the body of POST /api/v1/tokens no longer takes invoke.",
    ),
    "type": (
        lambda p: p["answer"]["properties"]["name"].update(type="integer"),
        "the field name of the answer 200 of GET /api/v1/tokens/{id} has another type: "
        "string became integer.",
    ),
    "null": (
        lambda p: p["answer"]["properties"].update(
            name={"anyOf": [{"type": "string"}, {"type": "null"}]}
        ),
        "the field name of the answer 200 of GET /api/v1/tokens/{id} has another type: "
        "string became null, string.",
    ),
    "status": (
        lambda p: p["post"]["responses"].pop("201"),
        "POST /api/v1/tokens no longer answers 201.",
    ),
    "parameter": (
        lambda p: p["list"]["parameters"].append(
            {"in": "query", "name": "of", "required": True, "schema": {"type": "string"}}
        ),
        "GET /api/v1/tokens requires the new parameter of.",
    ),
    "bound": (
        lambda p: p["body"]["properties"]["name"].update(maxLength=10),
        "the field name of the body of POST /api/v1/tokens has a tighter maxLength: "
        "[100] became [10].",
    ),
    "scope": (
        lambda p: p["list"].update({"x-scope": "admin"}),
        "GET /api/v1/tokens needs another scope: read became admin.",
    ),
}


@pytest.mark.not_quick
@pytest.mark.parametrize("kind", CHANGES)
def test_what_breaks_a_client_is_named(kind: str) -> None:
    change, sentence = CHANGES[kind]
    new = copy.deepcopy(document())
    change(_of_kind(new))
    assert sentence in breaks(document(), new)


@pytest.mark.not_quick
def test_a_removed_operation_is_named() -> None:
    new = copy.deepcopy(document())
    del new["paths"]["/api/v1/tokens"]["get"]
    assert breaks(document(), new) == ["GET /api/v1/tokens is gone."]


@pytest.mark.not_quick
def test_what_is_added_breaks_nobody() -> None:
    new = copy.deepcopy(document())
    parts = _of_kind(new)
    parts["answer"]["properties"]["more"] = {"type": "string"}
    parts["answer"]["required"].append("more")
    parts["body"]["properties"]["more"] = {"type": "string"}
    parts["body"]["properties"]["name"]["maxLength"] = 200
    parts["scope"]["enum"].append("more")
    parts["list"]["parameters"].append(
        {"in": "query", "name": "more", "required": False, "schema": {"type": "string"}}
    )
    new["paths"]["/api/v1/more"] = new["paths"]["/api/v1/tokens"]
    assert breaks(document(), new) == []


def test_refusals_are_documented_as_problems() -> None:
    wrong = [
        f"{method.upper()} {path} {status}: {sorted(answer.get('content', {}))}"
        for path, methods in document()["paths"].items()
        for method, one in methods.items()
        for status, answer in one["responses"].items()
        if int(status) >= 400 and list(answer.get("content", {})) != [CONTENT_TYPE]
    ]
    assert not wrong, wrong


@pytest.mark.not_quick
def test_two_schemas_of_one_name_are_refused() -> None:
    found = api.PortalDocument(api.api, "")
    found.add_schema_definitions({"TokenOut": found.schemas["TokenOut"]})
    with pytest.raises(ValueError, match="Two schemas of the API have the name 'TokenOut'"):
        found.add_schema_definitions({"TokenOut": {"type": "object"}})


def test_every_problem_has_its_line_in_the_docs() -> None:
    text = (ROOT / PROBLEMS).read_text(encoding="utf-8")
    assert text == problem_pages.as_markdown(), WRITE
    assert all(f"| `{code}` | {kind.status} |" in text for code, kind in CODES.items())


@pytest.mark.not_quick
def test_every_problem_is_used_and_has_its_page(db: None) -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for path in ROOT.glob("*/**/*.py")
        if "tests" not in path.parts and not path.parts[len(ROOT.parts)].startswith(".")
    ]
    assert len(sources) > 50
    client = Client()
    wrong = []
    for code in CODES:
        # Its own line in CODES, and at least one more place.
        if sum(text.count(f'"{code}"') for text in sources) < 2:
            wrong.append(f"{code} is used nowhere: take it out of core/api/problems.py")
        if client.get(f"/problems/{code}").status_code != 200:
            wrong.append(f"/problems/{code} is no page")
    assert not wrong, wrong
