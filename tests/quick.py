"""`make quick`: the tests that start no process, and are marked neither ``slow`` nor ``not_quick``.

`make test-postgresql` leaves out as much, but for those marked ``not_quick``.

A test is marked ``processes`` by itself where its code, its fixtures' or that of the helpers they
call names ``subprocess``, ``multiprocessing`` or Playwright. Where only the program that is tested
starts one, the mark is written: ``pytestmark = pytest.mark.processes``. A test that starts one
unmarked fails in `make quick`.
"""

import _posixsubprocess
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"processes", "slow", "stack", "browser"}
_STARTERS = {"subprocess", "multiprocessing", "sync_playwright", "Popen", "spawn", "fork"}
#: What starts a process, in the end. (An audit hook would see as much, and is called millions of
#: times: also for each `id()`.)
_STARTS = (
    *((subprocess, "_fork_exec"), (_posixsubprocess, "fork_exec")),
    *((os, name) for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system")),
    *((os, name) for name in ("execv", "execve")),
)


class Reach:
    """Which functions of the tests come to start a process."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}

    def starts(self, thing: Any) -> bool:
        """Whether a function or class of the tests, or what it calls of them, starts a process."""
        if isinstance(thing, staticmethod | classmethod):
            thing = thing.__func__
        thing = getattr(thing, "__wrapped__", thing)
        if id(thing) in self._known:
            return self._known[id(thing)]
        self._known[id(thing)] = False  # while it is looked at: recursion ends here
        if isinstance(thing, type):
            found = any(self.starts(part) for part in vars(thing).values() if _ours(part))
            found = found or any(self.starts(base) for base in thing.__bases__ if _ours(base))
        elif isinstance(thing, FunctionType):
            found = self._function(thing)
        else:
            found = False
        self._known[id(thing)] = found
        return found

    def _function(self, function: FunctionType) -> bool:
        names = set(_names(function.__code__))
        if names & _STARTERS:
            return True
        for name in names:
            value = function.__globals__.get(name)
            if name.startswith("tests."):  # imported within the function
                value = importlib.import_module(name)
            if isinstance(value, ModuleType):
                parts = [getattr(value, other, None) for other in names]
                if any(self.starts(part) for part in parts if _ours(part)):
                    return True
            elif _ours(value) and self.starts(value):
                return True
        return False


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _ours(thing: Any) -> bool:
    """Whether it is code of the tests: what they test is not looked into."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if not file or not Path(file).is_relative_to(ROOT):
        return False
    path = Path(file).relative_to(ROOT)
    return "tests" in path.parts or path.name == "conftest.py"


def mark(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes."""
    reach = Reach()
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        fixtures = item._fixtureinfo.name2fixturedefs.values()
        parts: list[Callable[..., Any]] = [item.function]
        parts += [definition.func for one in fixtures for definition in one]
        if any(reach.starts(part) for part in parts):
            item.add_marker("processes")


class NoProcesses:
    """The plugin of ``--quick`` and ``--no-processes``: fails what starts a process.

    It leaves out the tests that have one of the marks ``left_out``.
    """

    def __init__(self, left_out: Set[str] = frozenset(MARKS)) -> None:
        self._left_out = left_out
        self._running: str | None = None
        self._started: list[str] = []
        for module, name in _STARTS:
            setattr(module, name, self._watched(name, getattr(module, name)))

    def _watched(self, name: str, start: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any, **options: Any) -> Any:
            if self._running:
                self._started.append(f"{name} {arguments[:2]}")
                pytest.fail(self._sentence())
            return start(*arguments, **options)

        return look

    def _sentence(self) -> str:
        return (
            f"{self._running} starts a process ({self._started[0][:200]}), which `make quick` has "
            "no time for. Mark it, or its module: pytestmark = pytest.mark.processes"
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        quick: list[pytest.Item] = []
        slow: list[pytest.Item] = []
        for item in items:
            marked = any(item.get_closest_marker(mark) for mark in self._left_out)
            (slow if marked else quick).append(item)
        if slow:
            config.hook.pytest_deselected(items=slow)
            items[:] = quick

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._running, self._started = item.nodeid, []
        try:
            return (yield)
        finally:
            self._running = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        result = yield
        if self._started:  # in a thread, or where the failure was caught
            pytest.fail(self._sentence())
        return result
