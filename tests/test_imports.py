"""Who may know whom: the architecture, read from the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the lowest up: each knows those before it alone.
ROOMS = (
    "core",
    "activity",
    "accounts",
    "models_catalog",
    "endpoints",
    "invocations",
    "mmeportal",
)
PORTAL = set(ROOMS)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _sources(part: str) -> list[Path]:
    # Tests may build what they need of other parts.
    return [path for path in (ROOT / part).rglob("*.py") if "tests" not in path.parts]


def _known(part: str) -> set[str]:
    """All modules that ``part`` imports, of its own production code."""
    return {name for path in _sources(part) for name in _imports(path)}


def _tops(part: str) -> set[str]:
    return {name.split(".")[0] for name in _known(part)}


@pytest.mark.parametrize("part", ["container", "localaws", "demo"])
def test_what_runs_beside_the_portal_knows_neither_it_nor_django(part: str) -> None:
    assert _sources(part)
    assert not _tops(part) & (PORTAL | {"django", "celery"})


@pytest.mark.parametrize("part", sorted(PORTAL))
def test_the_portal_knows_nothing_of_what_runs_beside_it(part: str) -> None:
    assert not _tops(part) & {"container", "localaws", "demo", "stack", "tests", "mxnet"}


@pytest.mark.parametrize("part", ROOMS)
def test_no_app_knows_those_above_it(part: str) -> None:
    assert not _tops(part) & set(ROOMS[ROOMS.index(part) + 1 :])


def test_one_module_imports_boto3() -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for part in PORTAL
        for path in _sources(part)
        for name in _imports(path)
        if name.split(".")[0] in {"boto3", "botocore"}
    }
    gateways = {"endpoints/sagemaker.py", "invocations/runtime.py"}  # read AWS's texts in errors
    assert "core/aws.py" in importers
    assert importers - {"core/aws.py"} <= gateways


@pytest.mark.parametrize("part", ["models_catalog", "endpoints"])
def test_models_know_no_services_and_services_no_views(part: str) -> None:
    assert f"{part}.services" not in set(_imports(ROOT / part / "models.py"))
    for path in _sources(part):
        if path.name in {"views.py", "urls.py", "invoke_views.py", "invoke_urls.py"}:
            continue
        assert not any(name.startswith(f"{part}.views") for name in _imports(path)), path
