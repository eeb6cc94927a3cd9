"""The contracts of import-linter (pyproject.toml) hold for every package that there is.

`make lint` runs the contracts. What they cannot say is here: that none of the packages is left out.
"""

import tomllib
from pathlib import Path
from typing import Any

from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]
_LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: dict[str, dict[str, Any]] = {each["id"]: each for each in _LINTER["contracts"]}
# From the lowest up.
APPS: tuple[str, ...] = tuple(reversed(CONTRACTS["layers"]["layers"]))


def packages() -> set[str]:
    """Every folder of the repository that holds modules, but for the tests."""
    return {
        path.parent.name
        for path in [*ROOT.glob("*/*.py"), *ROOT.glob("client/src/*/*.py")]
        if not path.parent.name.startswith(".") and path.parent.name not in {"tests", "build"}
    }


def test_every_package_is_looked_at() -> None:
    assert packages() > set(APPS)
    missing = packages() - set(_LINTER["root_packages"])
    assert not missing, f"Add {sorted(missing)} to root_packages of pyproject.toml."


def test_every_app_has_its_place_in_the_layers() -> None:
    installed = {config.name for config in apps.get_app_configs() if config.name in packages()}
    missing = installed - set(APPS)
    assert not missing, f"Add {sorted(missing)} to the contract `layers` of pyproject.toml."


def test_every_package_is_held_apart_from_or_as_a_part_of_the_portal() -> None:
    portal = set(CONTRACTS["portal"]["source_modules"])
    beside = set(CONTRACTS["beside"]["source_modules"])
    assert portal == set(APPS) == set(CONTRACTS["boto3"]["source_modules"])
    assert portal | beside == packages(), "Add it to the contract `beside` of pyproject.toml."
    assert set(CONTRACTS["beside"]["forbidden_modules"]) >= portal
    assert set(CONTRACTS["portal"]["forbidden_modules"]) >= beside
    assert set(CONTRACTS["circles"]["ancestors"]) == portal


def test_only_tests_and_named_exceptions_are_exempt() -> None:
    allowed = {
        "core.aws -> boto3",
        "core.aws -> botocore",
        "core.aws -> s3transfer",
        "stack.database -> django",
        "stack.compose -> django",
        "bench.packing -> models_catalog.packing",
        "bench.catalog -> **",
        "**.tests.** -> **",
    }
    exempt = {line for each in CONTRACTS.values() for line in each.get("ignore_imports", ())}
    assert exempt <= allowed, (
        f"{sorted(exempt - allowed)}: mend the import. If it must be, give its reason in "
        "pyproject.toml, and name it here too."
    )
