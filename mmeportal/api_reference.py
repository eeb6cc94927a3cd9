"""The reference of the API, /docs/api/: what the document of mmeportal/api.py says, to read.

Each tag has a page, and another lists all operations: on one page they would be 1.1 MB of HTML. A
process reads the document once for each language.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts import roles
from core.api import caller, problems
from core.api.operations import OPERATIONS
from invocations.answers import JSON
from mmeportal import api

#: Examples of the command of `mme` that does the same, by the operation's id: from the commands'
#: own help (tests/test_api_examples.py), as the portal does not import the client.
COMMANDS = Path(__file__).with_name("api_commands.json")
_SCHEMAS = "#/components/schemas/"
_FIRST_REFUSAL = 400


@dataclass(frozen=True)
class FieldEntry:
    """A parameter of an operation, or a field of a schema. ``kind``: its type, with links."""

    name: str
    kind: SafeString
    limits: tuple[str, ...]
    description: str
    required: bool
    place: str = ""


@dataclass(frozen=True)
class SchemaEntry:
    """A schema, with its fields; ``values``: those of an enumeration."""

    anchor: str
    name: str
    description: str
    fields: tuple[FieldEntry, ...]
    values: SafeString


@dataclass(frozen=True)
class ContentEntry:
    """What a request or an answer may hold: its media type, and its type."""

    media: str
    kind: SafeString
    example: str


@dataclass(frozen=True)
class AnswerEntry:
    """An answer that is no refusal."""

    status: str
    description: str
    contents: tuple[ContentEntry, ...]


@dataclass(frozen=True)
class OperationEntry:
    """An operation as its page shows it.

    ``scope`` is empty where anybody may call it, without a token; ``roles`` are empty where every
    role may. ``searched``: what the filter looks in, in small letters.
    """

    id: str
    method: str
    path: str
    summary: str
    more: tuple[str, ...]
    scope: str
    roles: tuple[str, ...]
    parameters: tuple[FieldEntry, ...]
    body: tuple[ContentEntry, ...]
    body_fields: tuple[FieldEntry, ...]
    answers: tuple[AnswerEntry, ...]
    refusals: SafeString
    curl: str
    command: str
    command_examples: str
    searched: str

    @property
    def path_in_parts(self) -> SafeString:
        """The path, which a narrow page breaks before a slash."""
        parts = re.findall("/[^/]*", self.path)
        return format_html_join(SafeString("<wbr>"), "{}", ((part,) for part in parts))

    @property
    def any_scope(self) -> bool:
        """Whether a token may call it whatever its scopes."""
        return self.scope == caller.ANY


@dataclass(frozen=True)
class TagEntry:
    """The operations of a tag, and the schemas that they name, also by way of another."""

    tag: str
    title: str
    operations: tuple[OperationEntry, ...]
    schemas: tuple[SchemaEntry, ...]


def found(tags: Iterable[TagEntry], query: str) -> list[tuple[TagEntry, list[OperationEntry]]]:
    """The operations that have every word of ``query``, by tag; without a word all of them."""
    words = query.lower().split()
    listed = [
        (tag, [one for one in tag.operations if all(word in one.searched for word in words)])
        for tag in tags
    ]
    return [(tag, operations) for tag, operations in listed if operations]


@cache
def reference(language: str) -> dict[str, TagEntry]:
    """The tags of the document in this language, in its order, by their names."""
    with translation.override(language):
        return _DocumentReader(language).tags()


class _DocumentReader:
    """Reads the document; the language must be the active one."""

    def __init__(self, language: str) -> None:
        self.document: dict[str, Any] = json.loads(api.document(language))
        self.schemas: dict[str, dict[str, Any]] = self.document["components"]["schemas"]
        self.titles = {one["name"]: one["description"] for one in self.document.get("tags", ())}
        self.commands: dict[str, dict[str, Any]] = json.loads(COMMANDS.read_text(encoding="utf-8"))
        # Korean readers type English, too.
        self.english = {
            said["operationId"]: said
            for methods in json.loads(api.document("en"))["paths"].values()
            for said in methods.values()
        }

    def tags(self) -> dict[str, TagEntry]:
        by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in self.document["paths"].items():
            for method, said in methods.items():
                by_tag.setdefault(said["tags"][0], []).append((path, method, said))
        return {tag: self._tag(tag, listed) for tag, listed in by_tag.items()}

    def _tag(self, tag: str, listed: Sequence[tuple[str, str, dict[str, Any]]]) -> TagEntry:
        title = self.titles.get(tag, tag)
        names = self._named(said for _path, _method, said in listed)
        inputs = self._inputs(said for _path, _method, said in listed)
        return TagEntry(
            tag=tag,
            title=title[:1].upper() + title[1:],
            operations=tuple(self._operation(*one) for one in listed),
            schemas=tuple(self._schema(name, marked=name in inputs) for name in names),
        )

    # --- operations

    def _operation(self, path: str, method: str, said: dict[str, Any]) -> OperationEntry:
        id = said["operationId"]
        rules = OPERATIONS[id]
        known = self.commands.get(id, {})
        content = said.get("requestBody", {}).get("content", {})
        schema = self._resolved(content.get(JSON, {}).get("schema", {}))
        english = self.english[id]
        fields = tuple(self._fields(schema, marked=True))
        parameters = tuple(_parameter(one) for one in said["parameters"])
        names = [one.name for one in (*parameters, *fields)]
        tags = [said["tags"][0], self.titles.get(said["tags"][0], "")]
        sentences = [said["description"], english["description"]]
        return OperationEntry(
            id=id,
            method=method.upper(),
            path=path,
            summary=said["summary"],
            more=tuple(_paragraphs(said)),
            scope=said.get("x-scope", ""),
            roles=_roles(rules.permission) if rules.permission else (),
            parameters=parameters,
            body=tuple(self._contents(content, linked=False)),
            body_fields=fields,
            answers=tuple(
                AnswerEntry(
                    status, answer["description"], tuple(self._contents(answer.get("content", {})))
                )
                for status, answer in sorted(said["responses"].items())
                if int(status) < _FIRST_REFUSAL
            ),
            refusals=_refusals(said["responses"]),
            curl=_curl(method.upper(), path, said),
            command=known.get("command", ""),
            command_examples="\n".join(known.get("examples", ())),
            searched="\n".join([id, method, path, *tags, *sentences, *names]).lower(),
        )

    def _contents(self, content: dict[str, Any], *, linked: bool = True) -> Iterator[ContentEntry]:
        """What is sent or answered; ``linked``: its schema stands elsewhere on the page."""
        for media, one in content.items():
            example = one.get("example")
            # Where a picture or a table is answered, ninja names JSON besides, without a schema.
            if media == JSON and len(content) > 1 and "$ref" not in one["schema"]:
                continue
            shown = "" if example is None else json.dumps(example, indent=2, ensure_ascii=False)
            kind = _kind(one["schema"], self.schemas)
            if not linked and "$ref" in one["schema"]:
                kind = format_html("{}", self.schemas[_name(one["schema"])]["title"])
            yield ContentEntry(media, kind, shown)

    # --- schemas

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        return self.schemas[_name(schema)] if "$ref" in schema else schema

    def _fields(self, schema: dict[str, Any], *, marked: bool) -> Iterator[FieldEntry]:
        """The fields of an object; those that must be there are ``marked`` in what one sends."""
        required = schema.get("required", ()) if marked else ()
        for name, one in schema.get("properties", {}).items():
            yield FieldEntry(
                name=name,
                kind=_kind(one, self.schemas),
                limits=tuple(_limits(one)),
                description=one.get("description", ""),
                required=name in required,
            )

    def _schema(self, name: str, *, marked: bool) -> SchemaEntry:
        schema = self.schemas[name]
        return SchemaEntry(
            anchor=_anchor(name),
            name=schema.get("title", name),
            description=schema.get("description", ""),
            fields=tuple(self._fields(schema, marked=marked)),
            values=_kind(schema, self.schemas) if "enum" in schema else SafeString(),
        )

    def _named(self, operations: Iterable[dict[str, Any]]) -> list[str]:
        """The schemas that these operations name, and those that these name, by the alphabet.

        The fields of a body stand with its operation, so its own schema is not among them.
        """
        waiting: list[str] = []
        for said in operations:
            for content in said.get("requestBody", {}).get("content", {}).values():
                waiting += _refs(self._resolved(content["schema"]))
            waiting += _refs([said["parameters"], said["responses"]])
        return sorted(self._closed(waiting), key=str.lower)

    def _inputs(self, operations: Iterable[dict[str, Any]]) -> set[str]:
        """The schemas that somebody sends."""
        return self._closed(
            name for said in operations for name in _refs(said.get("requestBody", {}))
        )

    def _closed(self, names: Iterable[str]) -> set[str]:
        waiting, seen = list(names), set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += _refs(self.schemas[name])
        return seen


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix(_SCHEMAS)


def _anchor(name: str) -> str:
    return f"schema-{name.strip('_')}"


def _refs(node: Any) -> Iterator[str]:
    """The names of the schemas that a part of the document refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield _name(node)
        for inner in node.values():
            yield from _refs(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _refs(inner)


def _paragraphs(said: dict[str, Any]) -> list[str]:
    """What the description says beside the summary, with which it begins."""
    first, *more = (" ".join(one.split()) for one in said["description"].split("\n\n"))
    return [one for one in (first.removeprefix(said["summary"]).strip(), *more) if one]


def _refusals(responses: dict[str, Any]) -> SafeString:
    """The statuses of refusals, made without a template: there are hundreds on a page."""
    return format_html_join(
        "\n",
        "<span><code>{}</code> {}</span>",
        (
            (status, answer["description"])
            for status, answer in sorted(responses.items())
            if int(status) >= _FIRST_REFUSAL
        ),
    )


def _roles(permission: str) -> tuple[str, ...]:
    """The roles that have a permission."""
    return tuple(role for role in roles.ALL if permission in roles.permissions_of(role))


def _parameter(said: dict[str, Any]) -> FieldEntry:
    schema = said["schema"]
    return FieldEntry(
        name=said["name"],
        kind=_kind(schema, {}),
        limits=tuple(_limits(schema)),
        description=said.get("description", ""),
        required=said.get("required", False),
        place=said["in"],
    )


# --- types: as in TypeScript, which most who call an API can read


def _kind(schema: dict[str, Any], schemas: dict[str, dict[str, Any]]) -> SafeString:
    """The type of a value, with links to the schemas in it."""
    if "$ref" in schema:
        name = _name(schema)
        title = schemas.get(name, {}).get("title", name)
        return format_html('<a href="#{}">{}</a>', _anchor(name), title)
    if "anyOf" in schema:
        return format_html_join(" | ", "{}", ((_kind(one, schemas),) for one in schema["anyOf"]))
    if "enum" in schema:
        values = ((json.dumps(one, ensure_ascii=False),) for one in schema["enum"])
        return format_html_join(" | ", "{}", values)
    if "const" in schema:
        return format_html("{}", json.dumps(schema["const"], ensure_ascii=False))
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items", {})
        several = "anyOf" in items or "enum" in items
        return format_html("({})[]" if several else "{}[]", _kind(items, schemas))
    inner = schema.get("additionalProperties")
    if kind == "object" and isinstance(inner, dict) and "properties" not in schema:
        return format_html("{{name: {}}}", _kind(inner, schemas))
    if "format" in schema:
        return format_html("{} ({})", kind, schema["format"])
    return format_html("{}", kind)


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    """What a value must keep to, and what it is where none is given."""
    for one in schema.get("anyOf", (schema,)):
        yield from _bounds(one)
        if "pattern" in one:
            yield one["pattern"]
    default = schema.get("default")
    if default not in (None, "", []):
        yield _("default %(value)s") % {"value": json.dumps(default, ensure_ascii=False)}


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    """The bounds of a value, of its length, and of how many it has."""
    said = {
        "maximum": "%(bounds)s",
        "maxLength": _("length %(bounds)s"),
        "maxItems": _("%(bounds)s items"),
        "maxProperties": _("%(bounds)s names"),
    }
    for most_key, text in said.items():
        least, most = schema.get(most_key.replace("max", "min")), schema.get(most_key)
        if least is not None and most is not None:
            yield text % {"bounds": f"{least:,} – {most:,}"}
        elif most is not None:
            yield text % {"bounds": f"≤ {most:,}"}
        elif least is not None:
            yield text % {"bounds": f"≥ {least:,}"}


# --- the example


_TUS = {"Tus-Resumable": "1.0.0"}
#: Headers and parameters that a call needs, though the document calls none of them required: what
#: it lacks is refused with a sentence of its own.
HEADERS = {
    "uploads_create": _TUS | {"Upload-Length": "BYTES", "Upload-Metadata": "model BASE64"},
    "uploads_offset": _TUS,
    "uploads_send": _TUS | {"Upload-Offset": "OFFSET"},
    "uploads_cancel": _TUS,
}
PARAMETERS = {"invocations_create": {"model": "MODEL"}}


def _curl(method: str, path: str, said: dict[str, Any]) -> str:
    """The call as a command; what is to be put in is in capitals."""
    words: list[str] = {"GET": [], "HEAD": ["-I"]}.get(method, [f"-X {method}"])
    if "x-scope" in said:
        words.append('-H "Authorization: Bearer $MME_TOKEN"')
    id = said["operationId"]
    words += [f'-H "{name}: {value}"' for name, value in HEADERS.get(id, {}).items()]
    words += _sent(said.get("requestBody", {}).get("content", {}))
    answers = said["responses"]
    if "302" in answers:
        words.append("-L -o FILE")
    elif any(
        media not in {JSON, problems.CONTENT_TYPE}
        for answer in answers.values()
        for media in answer.get("content", ())
    ):
        words.append("-o FILE")
    address = re.sub(r"{(\w+)}", lambda match: match[1].upper(), path)
    sought = "&".join(f"{name}={value}" for name, value in PARAMETERS.get(id, {}).items())
    words.append(f'"$MME_URL{address}{"?" if sought else ""}{sought}"')
    apart = " " if len(words) < 3 else " \\\n    "
    return f"curl {apart.join(words)}"


def _sent(content: dict[str, Any]) -> list[str]:
    """The words of the command that send the body."""
    if not content:
        return []
    media = next(iter(content))
    if media == JSON:
        example = json.dumps(content[media].get("example", {}), ensure_ascii=False)
        return [f'-H "Content-Type: {media}"', f"-d {shlex.quote(example)}"]
    kind = [f'-H "Content-Type: {media}"'] if media != "*/*" else []
    return [*kind, "--data-binary @FILE"]
