"""mmeportal/settings.py says what differs from the frameworks' defaults, and knows no tests."""

import ast
from pathlib import Path

from celery.app import defaults
from django.conf import global_settings

SOURCE = Path(__file__).resolve().parents[2] / "mmeportal" / "settings.py"
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


def test_the_settings_do_not_know_of_tests() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    for word in ("pytest", "mypy", "TESTING", "sys.modules"):
        assert word not in text, (
            f"mmeportal/settings.py speaks of {word}. What only tests need goes into "
            "mmeportal/settings_test.py."
        )
