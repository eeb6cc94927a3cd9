"""Tests wait for a condition, not for time to pass: a sleep is only the pause between two looks.

A clock can be moved in place of waiting: the portal's is the database's (core/clock.py), Python's
wall clock moves with time-machine. Neither moves a monotonic clock or that of another process.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_PAUSE_S = 0.25
# Sleeps that are no pause of a polling loop, by file and function, each with its reason.
ALLOWED = {
    "client/tests/fake_portal.py::answer": "a portal that answers late",
    "client/tests/test_transport.py::unknown": "a name server that answers late",
    "container/tests/hostile.py::_stay": "the process that must be killed",
    "core/tests/test_redis_faults.py::sent": "Celery's beat says how long until its next tick",
    "localaws/tests/chaos.py::_kill": "the soak kills at random times",
    "localaws/tests/tiny_container.py::load": "a container that takes long to load a model",
    "localaws/tests/tiny_container.py::invoke": "a container that takes long to answer",
    "tests/killing.py::stop_for_a_while": "a part is stopped for longer than a lease lasts",
    "tests/servers.py::wait_until": "the pause of a loop with a deadline, by its caller",
    "tests/test_worker_killed.py::_wait": "the pause of a loop with a deadline, by its caller",
}


def _files() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        if "tests" in parts and not any(part.startswith(".") for part in parts):
            yield path


def _sleeps(node: ast.AST, function: str, polling: bool) -> Iterator[tuple[str, int]]:
    """Function and line of each sleep that is not the short pause of a loop with a condition."""
    for child in ast.iter_child_nodes(node):
        inside, name = polling, function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside, name = False, child.name
        elif isinstance(child, ast.While | ast.For):
            inside = True
        elif isinstance(child, ast.Call) and ast.unparse(child.func).split(".")[-1] == "sleep":
            pause = child.args[0] if child.args else None
            short = isinstance(pause, ast.Constant) and isinstance(pause.value, int | float)
            if not (polling and short and pause.value <= LONGEST_PAUSE_S):
                yield function, child.lineno
        yield from _sleeps(child, name, inside)


@cache
def sleeps() -> dict[str, list[int]]:
    """Every sleep that needs a reason: "path::function" → lines."""
    found: dict[str, list[int]] = {}
    for path in _files():
        text = path.read_text(encoding="utf-8")
        if "sleep" not in text:
            continue  # most of them: to parse all took a second
        for function, line in _sleeps(ast.parse(text), "", False):
            found.setdefault(f"{path.relative_to(ROOT)}::{function}", []).append(line)
    return found


@pytest.mark.not_quick
def test_no_test_sleeps_where_it_could_wait_for_a_condition() -> None:
    unknown = {name: lines for name, lines in sleeps().items() if name not in ALLOWED}
    assert not unknown, (
        f"Wait for a condition in a loop with a deadline, or move a clock: {unknown}. Where time "
        "itself must pass, add it to ALLOWED with the reason."
    )


def test_each_exception_is_needed() -> None:
    gone = set(ALLOWED) - set(sleeps())
    assert not gone, f"Remove from ALLOWED: {sorted(gone)}"
