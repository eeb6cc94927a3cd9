"""Each operation has a command, a page and a recipe; what a page changes has an operation.

The table is tests/rules/ways.py; this says which of them one lacks.
"""

from pathlib import Path

from django.conf import settings

from core.api.operations import OPERATIONS
from mme_client.cli.app import commands
from mmeportal.access import ACCESS
from tests.rules.subjects import addresses
from tests.rules.ways import COMMANDS_ALONE, PAGES_ALONE, WAYS, Ways, Without

ROOT = Path(settings.BASE_DIR)
TABLE = "tests/rules/ways.py"


def _held() -> dict[str, Ways]:
    """The entries of nouns that have an operation."""
    nouns = {id.partition("_")[0] for id in OPERATIONS}
    return {id: ways for id, ways in WAYS.items() if id.partition("_")[0] in nouns}


def test_every_operation_is_in_the_table() -> None:
    missing = sorted(set(OPERATIONS) - set(WAYS))
    assert not missing, f"Say in {TABLE} which command, page and recipe do what these do: {missing}"


def test_every_entry_of_the_table_is_an_operation() -> None:
    gone = sorted(set(_held()) - set(OPERATIONS))
    assert not gone, f"{TABLE} has entries without an operation: {gone}"


def test_every_command_of_the_table_is_there() -> None:
    there = commands()
    gone = [
        f"{id}: mme {ways.command}"
        for id, ways in WAYS.items()
        if not isinstance(ways.command, Without) and ways.command not in there
    ]
    assert not gone, f"`mme` lacks these commands; mend {TABLE}, or add them: {gone}"


def test_every_command_is_in_the_table() -> None:
    named = {ways.command for ways in WAYS.values()} | set(COMMANDS_ALONE)
    lacking = sorted(set(commands()) - named)
    assert not lacking, f"Say in {TABLE} which operation these commands call: {lacking}"


def test_every_command_has_json_quiet_and_an_example() -> None:
    for name, command in commands().items():
        options = {option for one in command.params for option in one.opts}
        assert {"--json", "--quiet", "--timeout"} <= options, f"mme {name}"
        assert f"  mme {name}" in (command.epilog or ""), f"mme {name} --help has no example"


def test_every_page_of_the_table_is_there() -> None:
    names = {one.name for one in addresses()}
    gone = [
        f"{id}: {ways.page}"
        for id, ways in _held().items()
        if not isinstance(ways.page, Without) and ways.page not in names
    ]
    assert not gone, f"These operations lack their page; mend {TABLE}, or add the page: {gone}"


def test_every_recipe_of_the_table_is_there() -> None:
    gone = []
    for id, ways in _held().items():
        if isinstance(ways.recipe, Without):
            continue
        name, _, heading = ways.recipe.partition("#")
        file = ROOT / "docs" / name
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        if not any(line.lstrip("#").strip() == heading and line[:1] == "#" for line in lines):
            gone.append(f"{id}: docs/{ways.recipe}")
    assert not gone, f"These operations lack their recipe in the docs: {gone}"


def test_what_a_page_changes_has_an_operation() -> None:
    changing = {
        key.partition(" ")[0]
        for key, access in ACCESS.items()
        if access.post and not key.startswith("admin")
    }
    unsafe = {
        ways.page
        for id, ways in WAYS.items()
        if id not in OPERATIONS or OPERATIONS[id].method != "GET"
    }
    lacking = sorted(changing - unsafe - set(PAGES_ALONE))
    assert not lacking, f"Add an operation for what these do, or say why not in {TABLE}: {lacking}"
    idle = sorted(set(PAGES_ALONE) - changing)
    assert not idle, f"These pages change nothing: take them out of PAGES_ALONE: {idle}"


def test_every_exception_says_why() -> None:
    silent = [
        id
        for id, ways in WAYS.items()
        for way in (ways.command, ways.page, ways.recipe)
        if isinstance(way, Without) and len(way.why) < 10
    ]
    assert not silent
    assert all(PAGES_ALONE.values())
