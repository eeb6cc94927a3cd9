"""Find names that nothing uses: ``python -m tests.rules.dead_names``, a part of `make lint`.

Vulture reads Python alone. What templates read, and what settings, the Procfile and registries name
as a dotted path, is found here by itself. The rest that frameworks call stands in
vulture_whitelist.py, with who calls it. Names that only tests use are dead.
"""

import ast
import keyword
import re
import sys
from pathlib import Path

from django.conf import global_settings
from vulture import Vulture

ROOT = Path(__file__).resolve().parents[2]
WHITELIST = Path(__file__).with_name("vulture_whitelist.py")
CONFIDENCE = 60  # percent; vulture gives 60 to what it cannot be sure of
_OUTSIDE = {"tests", "migrations"}
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)+")
_FILE = re.compile(r".*\.(?:html|json|py|css|js|md|txt|gz|sqlite3|sock)")
# What registers a function with a framework, which calls it.
_REGISTERING = ["@receiver", "@admin.register", "@*.task", "@*.connect", "@operation"]
# The bases of what the API takes and answers (core/api/schema.py): pydantic reads their fields.
_SCHEMAS = ("Schema", "Input", "Parameters", "ListParameters")
_DJANGO = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
# Read by name: by Django (forms, URL confs, error pages), by Celery, axes and whitenoise.
_BY_CONVENTION = re.compile(
    r"clean_[a-z_]+|handler[45]\d\d|Meta|urlpatterns|app_name|(?:CELERY|AXES|WHITENOISE)_[A-Z_]+"
)


def sources() -> list[Path]:
    """Every module of the project's packages, tests and migrations excepted."""
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    packages += [ROOT / "container", ROOT / "bench"]  # where there is no __init__.py
    return sorted(
        path
        for package in set(packages)
        for path in package.rglob("*.py")
        if not _OUTSIDE & set(path.relative_to(ROOT).parts)
    )


def named_in_templates() -> set[str]:
    """Every word within the tags of a template."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html")]
    inside = " ".join(part for text in texts for part in _DJANGO.findall(text))
    return set(re.findall(r"[A-Za-z_]\w*", inside))


def named_in_strings(paths: list[Path]) -> set[str]:
    """The parts of every string that is a dotted path: "accounts.views.paused"."""
    found: set[str] = set(_DOTTED.findall((ROOT / "Procfile").read_text(encoding="utf-8")))
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if _DOTTED.fullmatch(node.value) and not _FILE.fullmatch(node.value):
                found.add(node.value)
    return {part for dotted in found for part in re.split(r"[.:]", dotted)}


def read_by_django(paths: list[Path]) -> set[str]:
    """Settings, columns, choices, what stands in Meta or a schema, and the classes of apps.py."""
    found = {name for name in dir(global_settings) if name.isupper()}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign | ast.AnnAssign) and _is_column(node.value):
                found |= _assigned(node)
            if not isinstance(node, ast.ClassDef):
                continue
            if path.name == "apps.py":
                found.add(node.name)
            bases = [ast.unparse(base) for base in node.bases]
            if node.name == "Meta" or any(one.endswith(("Choices", *_SCHEMAS)) for one in bases):
                for inner in node.body:
                    found |= _assigned(inner)
    return found


def _is_column(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).startswith("models.")


def _assigned(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        targets = node.targets if isinstance(node, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def dead(whitelist: bool = True) -> list[str]:
    """What nothing uses, as "path:line: unused function 'name'"."""
    paths = sources()
    vulture = Vulture(ignore_decorators=_REGISTERING)
    vulture.scavenge([str(path) for path in paths])
    names = named_in_templates() | named_in_strings(paths) | read_by_django(paths)
    vulture.scan("\n".join(f"_.{n}" for n in sorted(names) if not keyword.iskeyword(n)))
    if whitelist:
        vulture.scan(WHITELIST.read_text(encoding="utf-8"))
    return [
        f"{Path(item.filename).relative_to(ROOT)}:{item.first_lineno}: "
        f"unused {item.typ} {item.name!r}"
        for item in vulture.get_unused_code(min_confidence=CONFIDENCE)
        if not _BY_CONVENTION.fullmatch(item.name)
    ]


def main() -> int:
    """Print what is dead; 1 where something is."""
    found = dead()
    for line in found:
        print(line)
    if found:
        print(
            "\nRemove what nothing uses. Where a framework calls it by name, put it into "
            "tests/rules/vulture_whitelist.py, with who calls it."
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
