"""Services queue tasks by name, through core/jobs.py alone; each name is a registered task's."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings

ROOT = Path(settings.BASE_DIR)


# The methods by which Celery itself takes a task into its queue.
QUEUEING = {"delay", "apply_async", "send_task"}
# Who may call them, and why.
MAY_QUEUE = {
    "core/jobs.py": "the one function",
    "core/celery_heartbeat.py": "Celery's beat queues what is due",
}


def _modules() -> Iterator[tuple[str, str]]:
    """The path and the source of every module of the apps, without tests."""
    for app in apps.get_app_configs():
        if not Path(app.path).is_relative_to(ROOT) or ".venv" in app.path:
            continue
        for path in sorted(Path(app.path).rglob("*.py")):
            if "tests" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def _called(node: ast.AST) -> str:
    """The name of the function or method that is called: ``jobs.enqueue`` is ``enqueue``."""
    if not isinstance(node, ast.Call):
        return ""
    return ast.unparse(node.func).rpartition(".")[2]


def queued_in(name: str, source: str) -> Iterator[tuple[str, str]]:
    """Where ``enqueue_on_commit`` is called, by this name or as a module's, and with which task."""
    if "enqueue_on_commit" not in source:
        return
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if _called(node) == "enqueue_on_commit":
            assert isinstance(node, ast.Call)
            task = node.args[0]
            where = f"{name}:{node.lineno}"
            if isinstance(task, ast.Constant):
                yield where, str(task.value)
            else:
                yield where, str(constants.get(ast.unparse(task), ast.unparse(task)))


def past_the_function(source: str) -> list[int]:
    """The lines on which a module queues a task by Celery's own methods."""
    if not any(method in source for method in QUEUEING):
        return []
    return [node.lineno for node in ast.walk(ast.parse(source)) if _called(node) in QUEUEING]


current_app.loader.import_default_modules()  # as a worker does when it starts
CALLS = [call for name, source in _modules() for call in queued_in(name, source)]


def test_there_are_some() -> None:
    assert len(CALLS) > 4


@pytest.mark.parametrize(("where", "name"), CALLS, ids=[where for where, _ in CALLS])
def test_the_task_is_registered(where: str, name: str) -> None:
    current_app.loader.import_default_modules()
    assert name in current_app.tasks, (
        f"{where} queues {name!r}, which no task has: name a task of an app's tasks.py, by a text "
        "or by a constant of that module."
    )


def test_nothing_but_the_one_function_queues_a_task() -> None:
    found = {name: lines for name, source in _modules() if (lines := past_the_function(source))}
    wrong = {name: lines for name, lines in found.items() if name not in MAY_QUEUE}
    assert not wrong, f"Call core.jobs.enqueue_on_commit with the task's name instead: {wrong}"
    gone = sorted(set(MAY_QUEUE) - set(found))
    assert not gone, f"These queue nothing; remove them from MAY_QUEUE: {gone}"


def test_a_call_is_found_however_it_is_written() -> None:
    for call in ('enqueue_on_commit("a.b")', 'jobs.enqueue_on_commit("a.b", 1)'):
        assert list(queued_in("x.py", call)) == [("x.py:1", "a.b")]
    for call in ("tasks.advance.delay(1)", "check.apply_async((1,))", "current_app.send_task('a')"):
        assert past_the_function(call) == [1]
