"""Services queue tasks by name (core/jobs.py): each name is one of a registered task."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings

ROOT = Path(settings.BASE_DIR)


def _calls() -> Iterator[tuple[str, str]]:
    """Where ``enqueue_on_commit`` is called, and with which name."""
    for app in apps.get_app_configs():
        if not Path(app.path).is_relative_to(ROOT) or ".venv" in app.path:
            continue
        for path in sorted(Path(app.path).rglob("*.py")):
            if "tests" in path.parts:
                continue
            text = path.read_text()
            if "enqueue_on_commit" not in text:
                continue
            tree = ast.parse(text)
            constants = {
                target.id: node.value.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "enqueue_on_commit"
                ):
                    name = node.args[0]
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    if isinstance(name, ast.Constant):
                        yield where, str(name.value)
                    else:
                        yield where, str(constants.get(ast.unparse(name), ast.unparse(name)))


current_app.loader.import_default_modules()  # as a worker does when it starts
CALLS = list(_calls())


def test_there_are_some() -> None:
    assert len(CALLS) > 4


@pytest.mark.parametrize(("where", "name"), CALLS, ids=[where for where, _ in CALLS])
def test_the_task_is_registered(where: str, name: str) -> None:
    current_app.loader.import_default_modules()
    assert name in current_app.tasks, (
        f"{where} queues {name!r}, which no task has: name a task of an app's tasks.py, by a text "
        "or by a constant of that module."
    )
