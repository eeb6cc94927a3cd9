"""A constant is written once: where two parts may not import each other, they are held equal."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    *(
        "accounts",
        "activity",
        "core",
        "endpoints",
        "invocations",
        "mmeportal",
        "models_catalog",
        "notices",
    ),
    *("bench", "client", "container", "demo", "localaws", "stack"),
)
# The same in parts that may not import each other; the values are compared.
EQUAL = {
    "ALGORITHM": {"core", "localaws"},  # of Signature Version 4
    "CUSTOM_ATTRIBUTES": {"client", "core", "localaws"},  # a header of InvokeEndpoint
    "MAX_PAYLOAD_BYTES": {"invocations", "localaws"},  # SageMaker's, of InvokeEndpoint
    "MAX_TARGET_BYTES": {"container", "localaws"},  # what both call a good link in an archive
    "MODELS": {"container", "localaws"},  # SageMaker's folder in a container
    "OCTETS": {"client", "models_catalog"},  # the content type of tus
    "VERSION_HEADER": {"client", "core"},  # the portal tells programs its version in it
    "REGION": {"mmeportal", "stack"},  # what both take where nobody says another one
    "ACCOUNT": {"mmeportal", "stack"},
}
# The same name and number by chance, or a unit: each may change alone.
BY_CHANCE = {
    *("CHUNK", "CLASSES", "JSON", "LARGEST", "LINGER_BYTES", "MAX_LENGTH", "MAX_TRAILER"),
    *("MEGABYTE", "MIN_BYTES_PER_SECOND"),
}


def _modules() -> Iterator[Path]:
    for part in OURS:
        for path in sorted((ROOT / part).rglob("*.py")):
            if not path.is_symlink() and not {"tests", "migrations"} & set(path.parts):
                yield path


def _value(node: ast.expr) -> Any:
    """The value of a literal, or of an arithmetic of literals; None for all else."""
    if any(not isinstance(n, ast.Constant | ast.BinOp | ast.operator) for n in ast.walk(node)):
        return None
    return eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}})


def _worth_it(value: Any) -> bool:
    """Small numbers and words are the same by chance."""
    return (isinstance(value, int) and value >= 1000) or (isinstance(value, str) and len(value) > 7)


def constants() -> dict[tuple[str, Any], set[str]]:
    """Name without underscores before it, and value → the modules that write it."""
    found: dict[tuple[str, Any], set[str]] = defaultdict(set)
    for path in _modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.Assign) or not _worth_it(value := _value(node.value)):
                continue
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    found[target.id.lstrip("_"), value].add(str(path.relative_to(ROOT)))
    return found


@pytest.mark.not_quick
def test_no_constant_is_written_twice() -> None:
    found = constants()
    assert len(found) > 50
    twice = {
        name: sorted(modules)
        for (name, _), modules in found.items()
        if len(modules) > 1
        and name not in BY_CHANCE
        and {module.split("/")[0] for module in modules} != EQUAL.get(name)
    }
    assert not twice, (
        f"Written in two places: {twice}. Import it from one; where the one part may not import "
        "the other, name it in EQUAL, here."
    )


# What calls make a value that never changes; others make an object for each module.
_PURE = {"re.compile", "gettext_noop", "gettext_lazy", "_", "frozenset"}
PORTAL = set(OURS[:8])
# The same by chance, or by the rules of two others: each may change alone. By their source.
APART = {
    "('GET', 'HEAD', 'OPTIONS')": "HTTP's safe methods, and those that are led to a log-in",
    "re.compile('[0-9a-f]{32}', re.ASCII)": "an id of localaws, and an MD5",
}


def _expressions() -> dict[tuple[str, str], set[str]]:
    """Room and source of each constant that is worth a name → the modules that write it.

    The portal's apps are one room, as the upper ones import the lower ones. Whatever the constants
    are called.
    """
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in _modules():
        module = str(path.relative_to(ROOT))
        top = module.split("/")[0]
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.Assign) or not _is_constant(node.value):
                continue
            if any(isinstance(target, ast.Name) and target.id.isupper() for target in node.targets):
                found["portal" if top in PORTAL else top, ast.unparse(node.value)].add(module)
    return found


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in _PURE
    return isinstance(node, ast.Tuple | ast.Set | ast.Dict) and len(ast.unparse(node)) > 24


@pytest.mark.not_quick
def test_no_constant_is_written_twice_under_two_names() -> None:
    found = _expressions()
    assert len(found) > 50
    twice = {
        source[:200]: sorted(modules)
        for (_, source), modules in found.items()
        if len(modules) > 1 and source not in APART
    }
    assert not twice, (
        f"Written in several modules: {twice}. Let one have it, and the others import it. "
        "Where each may change alone, name it in APART here, with what they are."
    )
    gone = sorted(set(APART) - {source for (_, source), several in found.items() if several})
    assert not gone, f"Remove from APART here, as nothing writes it: {gone}"


@pytest.mark.slow
def test_what_is_written_in_two_parts_is_equal() -> None:
    for name, parts in EQUAL.items():
        values: dict[Any, set[str]] = defaultdict(set)
        for (written, value), modules in constants().items():
            if written == name:
                values[value] |= {module.split("/")[0] for module in modules}
        assert parts in values.values(), (
            f"{name} is to be one value in {sorted(parts)}, and is {dict(values)}."
        )


def test_templates_and_scripts_take_rules_and_limits_from_python() -> None:
    for path in sorted((ROOT / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'\bpattern="(?!\{\{)', text), (
            f"{path.relative_to(ROOT)} writes a pattern. Put it into the form's widget attrs."
        )
        assert not re.search(r'\b(?:max|min)length="\d', text), (
            f"{path.relative_to(ROOT)} writes a length. Take it from the form's field, from a "
            "column ({% max_length 'app.Model.field' %}), or have the view hand over a constant."
        )
    for path in sorted((ROOT / "static" / "js").glob("*.js")):
        limits = re.findall(r"\d[\d_]{6,}|\d+ \* 1024 \* 1024|\d+ << 20", path.read_text())
        assert not limits, (
            f"{path.relative_to(ROOT)} writes a limit: {limits}. Hand it over in a data- attribute."
        )
