"""A state is written as a member of its enumeration, never as a string of its own.

The enumerations are found by themselves: all ``TextChoices`` of all models of the portal. Values of
an enumeration named ``State`` may stand nowhere else in the code and the templates; values of the
others (a kind, a level) are ordinary words, and may not be compared with or given to their field.
"""

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.template.base import Lexer, TokenType

from localaws import statuses

ROOT = Path(__file__).resolve().parents[2]
PORTAL = (
    "core",
    "activity",
    "accounts",
    "notices",
    "models_catalog",
    "endpoints",
    "invocations",
    "mmeportal",
)

# Strings that are no state, though a state has the same value; each with why.
NO_STATES = {
    ("models_catalog/views.py", "uploaded"): "the name of a column, in the address",
    ("models_catalog/api.py", "uploaded"): "an order of the list",
    ("invocations/metrics_api.py", "failed"): "a field and a series of the API",
    ("invocations/metric_charts.py", "failed"): "a word of a chart's legend",
    ("endpoints/api.py", "running"): "a field of the API",
    ("endpoints/api.py", "updating"): "a field of the API",
    ("models_catalog/told.py", "rolled_back"): "a part of the codes of events",
    ("core/glossary.py", "ready"): "an anchor of the glossary",
    ("core/glossary.py", "retired"): "an anchor of the glossary",
    ("templates/models_catalog/_version.html", "deleted"): "a word that the page shows",
    ("core/ready_checks.py", "ready"): "the alias of a database connection",
    # The page of elements shows the looks of badges and steps; its rows are made up.
    **{
        ("core/styleguide.py", look): "a badge's look (.badge in portal.css)"
        for look in (
            *("uploaded", "checking", "ready", "rejected"),
            *("in_service", "failed", "gone"),
        )
    },
    ("templates/styleguide.html", "done"): "a step's look (ol.steps in portal.css)",
    ("templates/styleguide.html", "failed"): "a step's look (ol.steps in portal.css)",
    ("endpoints/models.py", "done"): "Resource.progress: a step's look (ol.steps in portal.css)",
    ("endpoints/models.py", "failed"): "Resource.progress: a step's look (ol.steps in portal.css)",
    ("endpoints/budgets.py", "failed"): "a badge's look (.badge in portal.css)",
    ("mmeportal/first_steps.py", "done"): "a step's look (.first-steps in today.css)",
    ("invocations/models.py", "waiting"): "a part of a call's latency (t-waiting in endpoints.css)",
    ("invocations/experiments/tally.py", "failed"): "a count of calls",
    ("invocations/experiments/document.py", "failed"): "a field of the API",
    ("invocations/experiments/services.py", "failed"): "a column of the CSV file",
    ("invocations/experiments/compared.py", "failed"): "a count of calls",
    ("invocations/warm_api.py", "kept"): "a field of the API",
    ("invocations/urls.py", "kept"): "the name of an address",
    ("invocations/views.py", "kept"): "a name in a template's context",
    ("notices/api.py", "paused"): "a field of the API",
    ("notices/views.py", "paused"): "a field of a form",
    ("notices/models.py", "pending"): "an index in Meta, which does not see State",
    ("models_catalog/models.py", "rejected"): "a constraint in Meta, which does not see State",
    ("models_catalog/views.py", "done"): "a step's look (ol.steps in portal.css)",
}
WHAT_TO_DO = (
    "Write the member of the enumeration, e.g. Version.State.READY (in templates "
    "version.State.READY), or ask a property of the row. Where it is no state at all, add it to "
    "NO_STATES in tests/rules/test_states.py with the reason."
)


def portal_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model.__module__.split(".")[0] in PORTAL]


def enumerations() -> dict[str, type[models.TextChoices]]:
    """All choices of the portal's models, e.g. Version.State."""
    return {
        f"{model.__name__}.{name}": value
        for model in portal_models()
        for name, value in vars(model).items()
        if isinstance(value, type) and issubclass(value, models.TextChoices)
    }


@cache
def states() -> dict[str, str]:
    """Each state's value, with where it belongs."""
    return {
        value: f"{name}.{value.upper()}"
        for name, enumeration in enumerations().items()
        if name.endswith(".State")
        for value in enumeration.values
    }


@cache
def fields() -> dict[str, set[str]]:
    """The names of the fields that have choices, with their values."""
    found: dict[str, set[str]] = {}
    for model in portal_models():
        for field in model._meta.get_fields():
            if choices := getattr(field, "choices", None):
                found.setdefault(field.name, set()).update(str(value) for value, _ in choices)
    return found


def _strings(node: ast.AST) -> list[ast.Constant]:
    """The string, the strings in a tuple, list or set, or either of ``"a" if … else "b"``."""
    nodes = [node]
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        nodes = [*node.elts]
    elif isinstance(node, ast.IfExp):
        nodes = [node.body, node.orelse]
    return [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _name(node: ast.AST | None) -> str:
    """The field that an expression may be: ``row.kind``, ``kind``, ``row["kind"]``; else empty."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return ""


def _given(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a field is given, asked for or compared with: its name, and the expression."""
    match node:
        case ast.keyword(arg=str(name), value=value):
            yield re.sub(r"__(in|exact|iexact)$", "", name).split("__")[-1], value
        case ast.Compare():
            sides = [node.left, *node.comparators]
            yield from ((name, side) for one in sides if (name := _name(one)) for side in sides)
        case ast.Assign(targets=targets, value=value):
            yield from ((name, value) for target in targets if (name := _name(target)))
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
        case ast.Match(subject=subject, cases=cases):
            for case in cases:
                for part in ast.walk(case.pattern):
                    if isinstance(part, ast.MatchValue):
                        yield _name(subject), part.value


def in_code(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, string, and what it should be, for each state that is written as a string."""
    tree = ast.parse(source)
    own = {
        id(node)
        for definition in ast.walk(tree)
        if isinstance(definition, ast.ClassDef)
        and any(ast.unparse(base).endswith("TextChoices") for base in definition.bases)
        for node in ast.walk(definition)
    }
    by_value, by_field = states(), fields()
    found: dict[int, tuple[int, str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in by_value:
            found[id(node)] = (node.lineno, node.value, by_value[node.value])
        for name, value in _given(node):
            for string in _strings(value):
                if string.value in by_field.get(name, ()):
                    what = f"a member of the choices of the field {name}"
                    found[id(string)] = (string.lineno, str(string.value), what)
    yield from (hit for key, hit in found.items() if key not in own)


def in_template(source: str) -> Iterator[tuple[int, str, str]]:
    """The same for a template: strings in its tags, and fixed values of ``data-state``."""
    by_value, by_field = states(), fields()
    for token in Lexer(source).tokenize():
        if token.token_type in (TokenType.BLOCK, TokenType.VAR):
            for string in re.findall(r"""["']([\w-]+)["']""", token.contents):
                if string in by_value:
                    yield token.lineno or 0, string, by_value[string]
            for name, string in re.findall(r"""(\w+) [!=]= ["']([\w-]+)["']""", token.contents):
                if string in by_field.get(name, ()) and string not in by_value:
                    yield token.lineno or 0, string, f"a member of the choices of {name}"
        elif token.token_type == TokenType.TEXT:
            for string in re.findall(r"""data-state=["']?([\w-]+)""", token.contents):
                if string in by_value:
                    yield token.lineno or 0, string, by_value[string]


def sources() -> list[Path]:
    """The portal's code and templates, without tests and migrations."""
    found = [
        path
        for app in PORTAL
        for path in (ROOT / app).rglob("*.py")
        if not {"tests", "migrations"} & set(path.parts)
    ]
    return sorted([*found, *(path for path in (ROOT / "templates").rglob("*") if path.is_file())])


def hits(path: Path) -> Iterator[tuple[int, str, str]]:
    source = path.read_text(encoding="utf-8")
    return in_code(source) if path.suffix == ".py" else in_template(source)


def test_the_enumerations_are_found() -> None:
    assert {"Version.State", "Endpoint.State", "Resource.State", "Invocation.State"} <= set(
        enumerations()
    )
    assert {"state", "kind", "level", "wanted", "packing"} <= set(fields())


@pytest.mark.not_quick
def test_a_state_is_a_member_of_its_enumeration() -> None:
    assert len(sources()) > 200
    wrong, there = [], set()
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        for line, string, what in hits(path):
            there.add((name, string))
            if (name, string) not in NO_STATES:
                wrong.append(f"{name}:{line}: {string!r} is {what}")
    assert not wrong, "\n".join([*wrong, WHAT_TO_DO])
    gone = sorted(set(NO_STATES) - there)
    assert not gone, f"These are there no more: remove them from NO_STATES here: {gone}"


@pytest.mark.parametrize(
    "code",
    [
        'if version.state == "ready": pass',
        'rows.filter(state__in=("uploaded", "ready"))',
        'row.state = "failed"',
        'text = "in_service"',
        'match row.state:\n    case "gone": pass',
        'if resource.kind == "model": pass',
        'rows.filter(resources__kind="config")',
        'record(level="error")',
        'row.kind = "model"',
        'kind == "config"',
        'told["level"] == "error"',
        '{"level": "error" if failed else "info"}',
        'match row.kind:\n    case "model" | "config": pass',
    ],
)
def test_a_string_in_the_code_is_found(code: str) -> None:
    assert list(in_code(code))


@pytest.mark.parametrize(
    "template",
    [
        '{% if version.state == "ready" %}x{% endif %}',
        "{% if endpoint.wanted == 'present' %}x{% endif %}",
        '<span data-state="failed">x</span>',
        '{% firstof call.outcome "loading" %}',
    ],
)
def test_a_string_in_a_template_is_found(template: str) -> None:
    assert list(in_template(template))


def of_localaws() -> dict[str, str]:
    """The words of SageMaker and CloudWatch that localaws writes, each with its member."""
    found = {}
    for value in vars(statuses).values():
        if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum:
            found |= {member.value: f"{value.__name__}.{member.name}" for member in value}
    return found


def test_localaws_writes_the_members_of_its_statuses() -> None:
    words = of_localaws()
    assert words["InService"] == "EndpointStatus.IN_SERVICE"
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {words[node.value]}"
        for path in sorted((ROOT / "localaws").rglob("*.py"))
        if "tests" not in path.parts and path.name != "statuses.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in words
    ]
    assert not wrong, "\n".join(["Write the member of localaws/statuses.py:", *wrong])


def test_the_enumeration_itself_and_other_words_pass() -> None:
    code = 'class State(models.TextChoices):\n    READY = "ready"\n'
    code += 'context = {"model": model}\nname = "the model is ready"\n'
    assert not list(in_code(code))
    assert not list(in_template('{% icon "model" %}<p data-state="{{ badge.state }}">ready</p>'))
