"""Each event has its sentence: codes are registered, used, and given what their sentences name."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from activity import codes
from notices.events import TEST
from notices.kinds import all_kinds

ROOT = Path(settings.BASE_DIR)
CODE = re.compile(r"[a-z]+(?:\.[a-z_]+)+")
FILE_ENDINGS = {"html", "txt", "py", "json", "md", "js", "css"}


@cache
def _sources() -> list[tuple[str, list[ast.AST]]]:
    """The code of every app as its nodes, without its tests and migrations."""
    return [
        (str(path.relative_to(ROOT)), list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
        for config in apps.get_app_configs()
        if Path(config.path).parent == ROOT
        for path in Path(config.path).rglob("*.py")
        if not {"tests", "migrations"} & set(path.parts)
    ]


@pytest.fixture(scope="module", autouse=True)
def _parsed_for_this_module() -> Iterator[None]:
    """The nodes take much memory: not longer than they are needed."""
    yield
    _sources.cache_clear()


def _registered() -> dict[str, str]:
    return dict(codes._templates)


def _calls() -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Where each call of `record` stands, with its arguments by name."""
    for path, nodes in _sources():
        for node in nodes:
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                arguments = {one.arg: one.value for one in node.keywords if one.arg}
                if name == "record" and "action" in arguments:
                    yield f"{path}:{node.lineno}", arguments


def _slots() -> set[str]:
    """The places in templates that panels are registered for; they look like codes."""
    templates = ROOT.glob("templates/**/*.html")
    return {
        slot
        for path in templates
        for slot in re.findall(r"\{% \w+ \"([a-z._]+)\"", path.read_text(encoding="utf-8"))
    }


def _names() -> set[str]:
    """The names that phrases have for programs (core/sentences.py): they are no events."""
    return {
        node.args[0].value
        for _, nodes in _sources()
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "named"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def _text(node: ast.expr) -> str:
    """A regular expression of what a text, or an f-string whose places take words, may be."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    return "[a-z_.]*"


def _pattern(node: ast.JoinedStr) -> re.Pattern[str]:
    """What an f-string may become; nothing where it does not begin with a kind."""
    text = _text(node)
    return re.compile(text if re.match(r"[a-z]+\\\.", text) else r"(?!)")


@pytest.mark.not_quick
def test_each_call_of_record_names_a_code_that_is_registered_or_brings_its_text() -> None:
    wrong, seen = [], 0
    for where, arguments in _calls():
        seen += 1
        action = arguments["action"]
        if "text" in arguments or not isinstance(action, ast.Constant):
            continue  # codes that come from a variable are among the words of the next test
        template = _registered().get(str(action.value))
        if template is None:
            wrong.append(f"{where}: {action.value!r} is registered nowhere")
            continue
        given = arguments.get("parameters")
        wanted = set(re.findall(r"%\((\w+)\)s", template))
        if isinstance(given, ast.Dict) and all(isinstance(k, ast.Constant) for k in given.keys):
            names = {key.value for key in given.keys if isinstance(key, ast.Constant)}
            if names != wanted:
                wrong.append(f"{where}: {action.value!r} takes {sorted(wanted)}, not {names}")
    assert seen > 5
    assert not wrong, "\n".join(["Write the sentence into the app's events.py:", *wrong])


@pytest.mark.not_quick
def test_every_word_that_looks_like_a_code_has_its_sentence() -> None:
    kinds = {code.partition(".")[0] for code in _registered()}
    assert kinds
    with_text = {
        arguments["action"].value
        for _, arguments in _calls()
        if "text" in arguments and isinstance(arguments["action"], ast.Constant)
    }
    slots = _slots() | _names() | {kind.name for kind in all_kinds()} | {TEST}
    unknown = sorted(
        f"{path}:{node.lineno}: {node.value!r}"
        for path, nodes in _sources()
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and CODE.fullmatch(node.value)
        and node.value.partition(".")[0] in kinds
        and node.value.rpartition(".")[2] not in FILE_ENDINGS
        and node.value not in slots
        and node.value not in _registered()
        and node.value not in with_text
    )
    assert not unknown, "\n".join(["Write the sentence into the app's events.py:", *unknown])


@pytest.mark.not_quick
def test_every_code_is_used() -> None:
    uses: dict[str, int] = {}
    built, ends = [], [r"(?!)"]
    for _, nodes in _sources():
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                uses[node.value] = uses.get(node.value, 0) + 1
            elif isinstance(node, ast.JoinedStr):
                built.append(_pattern(node))
            elif isinstance(node, ast.AugAssign) and (end := _text(node.value)).startswith("_"):
                ends.append(end)  # code += "_without_upload"
    # Once where it is registered, once more where it is recorded.
    more = re.compile(f"(?:{'|'.join(ends)})*")
    idle = sorted(
        code
        for code in _registered()
        if not any(one.fullmatch(code) for one in built)
        and not any(
            code.startswith(used) and more.fullmatch(code.removeprefix(used))
            for used, times in uses.items()
            if times > 1
        )
    )
    assert not idle, (
        f"Nothing records these; old events are shown by their code, so keep the sentence only "
        f"while there may be any, and say so in events.py: {idle}"
    )


@pytest.mark.not_quick
def test_every_sentence_is_one() -> None:
    odd = [
        f"{code}: {template}"
        for code, template in _registered().items()
        if not CODE.fullmatch(code) or not template.endswith((".", ".”", ")", ")s"))
    ]
    advice = "A code is kind.what_happened; its sentence ends with a dot, or with one of another:"
    assert not odd, "\n".join([advice, *odd])
