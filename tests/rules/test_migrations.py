"""Migrations are linear, and the linter of migrations works.

`make lint` runs it over all of them: each is safe while the release before still runs.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).resolve().parents[2]
_OURS = sorted(
    config.label for config in apps.get_app_configs() if ROOT in Path(config.path).parents
)
_LINT = """
import django; django.setup()
from django_migration_linter.migration_linter import MigrationLinter, MessageType
linter = MigrationLinter(no_cache=True, quiet=MessageType.values())
linter.lint_all_migrations("endpoints", "0002_invocation_seen_at")
print("unsafe" if linter.has_errors else "safe")
"""


@pytest.mark.parametrize("label", _OURS)
def test_an_apps_migrations_are_a_line(label: str) -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    leaves = loader.graph.leaf_nodes(label)
    assert len(leaves) <= 1, (
        f"{label} has {len(leaves)} last migrations: {leaves}. Let one depend on the other, and "
        "number it anew."
    )


def test_the_linter_knows_an_unsafe_migration() -> None:
    """A column without a default in the database: the release before cannot insert a row."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mmeportal.settings_lint",
        "PYTHONPATH": str(ROOT),
    }
    said = subprocess.run(
        [sys.executable, "-c", _LINT], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split()[-1] == "unsafe"


def test_the_linter_passes_over_old_migrations_alone() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = {name for label, name in loader.disk_migrations if label in _OURS}
    gone = set(options["django_migration_linter"]["ignore_name"]) - names
    assert not gone, f"Remove from pyproject.toml's ignore_name: {sorted(gone)}"
