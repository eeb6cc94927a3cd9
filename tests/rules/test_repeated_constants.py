"""Values that parts which may not import each other have to repeat are the same everywhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

from localaws.options import DEFAULT_ACCOUNT, DEFAULT_REGION, MAX_PAYLOAD_BYTES, Options
from stack import layout

ROOT = Path(__file__).resolve().parents[2]
_SUFFIXES = {".py", ".yml", ".yaml", ".html", ".js", ".sh", ".toml"}
_NAMES = {"Dockerfile", "Makefile", "Procfile"}
_ACCOUNT = re.compile(
    r"arn:aws:iam::(\d{12}):|\b(\d{12})\.dkr\.ecr\.|sagemaker-[a-z0-9-]+-(\d{12})\b"
)
_REGION = re.compile(r"\b(?:us|eu|ap|sa|ca|me|af|il)-[a-z]+-\d\b")


def _sources() -> Iterator[Path]:
    """What runs, without tests and without what was installed or made."""
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if any(part.startswith(".") or part in ("tests", "node_modules") for part in parts):
            continue
        if path.is_file() and (path.suffix in _SUFFIXES or path.name in _NAMES):
            yield path


@pytest.mark.not_quick
def test_one_account_and_one_region() -> None:
    assert layout.ACCOUNT == Options(data=Path(), container_command=()).account == DEFAULT_ACCOUNT
    assert layout.REGION == Options(data=Path(), container_command=()).region == DEFAULT_REGION
    accounts: dict[str, set[str]] = {}
    regions: dict[str, set[str]] = {}
    for path in _sources():
        text, name = path.read_text(errors="replace"), str(path.relative_to(ROOT))
        for groups in _ACCOUNT.findall(text):
            accounts.setdefault("".join(groups), set()).add(name)
        for region in _REGION.findall(text):
            regions.setdefault(region, set()).add(name)
    assert DEFAULT_ACCOUNT in accounts, "the search finds nothing: correct its patterns"
    assert set(accounts) == {DEFAULT_ACCOUNT}, f"use one account: {accounts}"
    del regions[DEFAULT_REGION]
    others = {region: files for region, files in regions.items() if region != "us-east-1"}
    assert not others, f"use {DEFAULT_REGION}: {others}"


def _constants(name: str) -> dict[str, int]:
    """The files that assign a number to ``name`` at their top level, and the numbers."""
    found = {}
    for path in _sources():
        if path.suffix != ".py" or name not in (text := path.read_text()):
            continue
        for node in ast.parse(text).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
            ):
                found[str(path.relative_to(ROOT))] = node.value.value
    return found


@pytest.mark.not_quick
def test_the_largest_payload_is_that_of_the_service_model_everywhere() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    shape = model.operation_model("InvokeEndpoint").input_shape
    assert shape.members["Body"].metadata["max"] == MAX_PAYLOAD_BYTES
    found = _constants("MAX_PAYLOAD_BYTES")
    assert len(found) >= 2, found  # localaws and the portal, which may not import each other
    assert set(found.values()) == {MAX_PAYLOAD_BYTES}, f"use {MAX_PAYLOAD_BYTES:,}: {found}"
