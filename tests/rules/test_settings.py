"""mmeportal/settings.py says what differs from the frameworks' defaults, and knows no tests."""

import ast
import re
from pathlib import Path

from celery.app import defaults
from django.conf import global_settings

from tests.rules.test_imports import APPS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "mmeportal" / "settings.py"
# Said although it is the default, each with the reason.
SAID_ALOUD = {
    "SESSION_COOKIE_SAMESITE": "docs/security.md counts on it",
    "CSRF_COOKIE_SAMESITE": "docs/security.md counts on it",
    "CELERY_ACCEPT_CONTENT": "a wider one would let whoever reaches Redis run code",
}


def _literals() -> dict[str, object]:
    """Settings that are written as a plain value, not read from the environment."""
    found: dict[str, object] = {}
    for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign):
            continue
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            continue
        found |= {target.id: value for target in node.targets if isinstance(target, ast.Name)}
    return found


def _celery() -> dict[str, object]:
    return {
        f"CELERY_{name.upper()}": option.default
        for name, option in defaults.flatten(defaults.NAMESPACES)
    }


def _restates(name: str, value: object, known: dict[str, object]) -> bool:
    if name not in known:
        return False
    default = known[name]
    if isinstance(value, list | tuple) and isinstance(default, list | tuple | set | frozenset):
        return list(value) == list(default)
    return value == default


def test_no_setting_restates_a_default() -> None:
    known = {**vars(global_settings), **_celery()}
    literals = _literals()
    assert len(literals) > 20
    restating = {name for name, value in literals.items() if _restates(name, value, known)}
    assert restating == set(SAID_ALOUD), (
        "Remove from mmeportal/settings.py what is Django's or Celery's default anyway: "
        f"{sorted(restating - set(SAID_ALOUD))}. Where it must be said, put it with the reason "
        f"into SAID_ALOUD; gone from there: {sorted(set(SAID_ALOUD) - restating)}."
    )


# Modules that read or write the environment itself, each with the reason.
ENVIRONMENT = {
    "core/env.py": "its functions read the settings",
    "core/where.py": "boto3's own variables, which name the servers that stand in for AWS",
    "core/prometheus.py": "prometheus_client reads its folder there when it is imported",
    "core/heartbeat.py": "names Django's settings for a program",
    "invocations/experiments/__main__.py": "names Django's settings for a program",
    "mmeportal/celery.py": "names Django's settings for a program",
    "mmeportal/server/__main__.py": "names Django's settings for a program",
    "mmeportal/wsgi.py": "names Django's settings for a program",
    "mmeportal/settings_test.py": "sets the secret of the tests",
    "models_catalog/validation.py": "the sandbox gets a bare environment",
}


def test_settings_are_read_by_the_functions_of_core_env_alone() -> None:
    """A variable that is read otherwise is no setting to test_docs.py, and a typo starts."""
    found = {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "tests" not in path.parts and re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    }
    unknown = sorted(found - set(ENVIRONMENT))
    assert not unknown, (
        f"Read the variable in mmeportal/settings.py with a function of core/env.py: {unknown}. "
        "Where a library reads or writes it, add the module to ENVIRONMENT here with the reason."
    )
    gone = sorted(set(ENVIRONMENT) - found)
    assert not gone, f"These read no environment; remove them from ENVIRONMENT here: {gone}"


def test_the_settings_do_not_know_of_tests() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    for word in ("pytest", "mypy", "TESTING", "sys.modules"):
        assert word not in text, (
            f"mmeportal/settings.py speaks of {word}. What only tests need goes into "
            "mmeportal/settings_test.py."
        )
