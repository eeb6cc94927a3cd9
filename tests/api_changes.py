"""What a change of the API's document takes from programs that were written against an older one.

Input that was taken must be taken still, and answers must have what they had. New operations, new
fields of answers, new parameters that are not required, and new values of an answer are no break.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_LOWER = ("maximum", "maxLength", "maxItems", "exclusiveMaximum")
_UPPER = ("minimum", "minLength", "minItems", "exclusiveMinimum")


def breaks(old: Json, new: Json) -> list[str]:
    """One sentence for each thing that breaks a client of ``old``."""
    found = []
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            after = new["paths"].get(path, {}).get(method)
            name = f"{method.upper()} {path}"
            if after is None:
                found.append(f"{name} is gone.")
            else:
                found += _of_operation(name, before, after, old, new)
    return found


def _of_operation(name: str, before: Json, after: Json, old: Json, new: Json) -> Iterator[str]:
    if before["operationId"] != after["operationId"]:
        yield f"{name} has another id: {before['operationId']} became {after['operationId']}."
    if before.get("x-scope") != after.get("x-scope"):
        yield f"{name} needs another scope: {before.get('x-scope')} became {after.get('x-scope')}."
    yield from _of_parameters(name, before, after, old, new)
    yield from _of_body(name, before, after, old, new)
    for status, answer in before["responses"].items():
        if int(status) >= 400:
            continue
        now = after["responses"].get(status)
        if now is None:
            yield f"{name} no longer answers {status}."
            continue
        for kind, content in answer.get("content", {}).items():
            what = f"the answer {status} of {name}"
            if kind not in now.get("content", {}):
                yield f"{what} is no longer {kind}."
            else:
                inner = now["content"][kind]["schema"]
                yield from _of_schema(what, content["schema"], inner, old, new, answer=True)


def _of_parameters(name: str, before: Json, after: Json, old: Json, new: Json) -> Iterator[str]:
    known = {(one["in"], one["name"]): one for one in before.get("parameters", [])}
    now = {(one["in"], one["name"]): one for one in after.get("parameters", [])}
    for key, parameter in known.items():
        what = f"the parameter {key[1]} of {name}"
        if key not in now:
            yield f"{what} is gone."
            continue
        if now[key].get("required") and not parameter.get("required"):
            yield f"{what} is required now."
        yield from _of_schema(what, parameter["schema"], now[key]["schema"], old, new, answer=False)
    for key in now.keys() - known.keys():
        if now[key].get("required"):
            yield f"{name} requires the new parameter {key[1]}."


def _of_body(name: str, before: Json, after: Json, old: Json, new: Json) -> Iterator[str]:
    was, now = before.get("requestBody"), after.get("requestBody")
    if was is None:
        if now is not None and now.get("required"):
            yield f"{name} requires a body now."
        return
    if now is None:
        yield f"{name} takes no body now."
        return
    if now.get("required") and not was.get("required"):
        yield f"the body of {name} is required now."
    for kind, content in was["content"].items():
        if kind not in now["content"]:
            yield f"{name} no longer takes {kind}."
        else:
            what = f"the body of {name}"
            inner = now["content"][kind]["schema"]
            yield from _of_schema(what, content["schema"], inner, old, new, answer=False)


def _of_schema(
    what: str, before: Json, after: Json, old: Json, new: Json, *, answer: bool, depth: int = 0
) -> Iterator[str]:
    if depth > 12:  # a schema that contains itself
        return
    was, now = list(_variants(before, old)), list(_variants(after, new))
    types, types_now = _types(was), _types(now)
    lost = types_now - types if answer else types - types_now
    if lost and types and types_now:
        yield f"{what} has another type: {_said(types)} became {_said(types_now)}."
        return
    if not answer:
        yield from _of_values(what, was, now)
    pairs = [
        (one, other)
        for one in was
        for other in now
        if one.get("type") == other.get("type") and one.get("type") in ("object", "array")
    ]
    for one, other in pairs:
        if "items" in one and "items" in other:
            yield from _of_schema(
                f"an item of {what}", one["items"], other["items"], old, new, answer=answer,
                depth=depth + 1,
            )  # fmt: skip
        fields, fields_now = one.get("properties", {}), other.get("properties", {})
        for field, schema in fields.items():
            if field not in fields_now:
                yield f"the field {field} of {what} is gone."
            else:
                yield from _of_schema(
                    f"the field {field} of {what}", schema, fields_now[field], old, new,
                    answer=answer, depth=depth + 1,
                )  # fmt: skip
        required, required_now = set(one.get("required", ())), set(other.get("required", ()))
        if answer:
            for field in sorted((required - required_now) & set(fields_now)):
                yield f"the field {field} of {what} may be missing now."
        else:
            for field in sorted(required_now - required):
                yield f"the field {field} of {what} is required now."


def _of_values(what: str, was: list[Json], now: list[Json]) -> Iterator[str]:
    values, values_now = _values(was), _values(now)
    if values_now and not values:
        yield f"{what} takes these values alone now: {_said(values_now)}."
    elif values_now and values - values_now:
        yield f"{what} no longer takes {_said(values - values_now)}."
    for names, tighter in ((_LOWER, min), (_UPPER, max)):
        for name in names:
            before = [one[name] for one in was if name in one]
            after = [one[name] for one in now if name in one]
            if after and (not before or tighter(after[0], before[0]) != before[0]):
                yield f"{what} has a tighter {name}: {before or 'none'} became {after}."


def _variants(schema: Json, document: Json) -> Iterator[Json]:
    """The schema itself, or those that it is one of."""
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    inner = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if inner:
        for one in inner:
            yield from _variants(one, document)
    else:
        yield schema


def _types(variants: list[Json]) -> set[str]:
    found: set[str] = set()
    for one in variants:
        kind = one.get("type")
        found |= set(kind) if isinstance(kind, list) else {kind} if kind else set()
    return found


def _values(variants: list[Json]) -> set[str]:
    found: set[str] = set()
    for one in variants:
        found |= {str(value) for value in one.get("enum", [one["const"]] if "const" in one else [])}
    return found


def _said(names: set[str]) -> str:
    return ", ".join(sorted(names))
