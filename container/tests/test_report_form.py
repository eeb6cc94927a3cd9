"""What a process that was taken over reports is no report, and is refused at once."""

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container import preflight as module
from container import sandbox
from container.report_form import well_formed, well_packed
from container.tests.test_preflight import preflight
from tests.artifacts import constant_archive

pytestmark = pytest.mark.xdist_group("container-preflight")

Report = dict[str, Any]


@pytest.fixture(scope="module")
def sound(python: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What a real validation reports of a sound archive."""
    folder = tmp_path_factory.mktemp("sound")
    archive = constant_archive(folder / "tiny.tar.gz", labels=["cat", "dog"], answer=1)
    code, report = preflight(python, archive, "--packed")
    assert code == 0
    del report["sandbox"]  # added outside
    return report


REFUSAL = {"ok": False, "error": {"code": "bad_symbol", "message": "No."}, "artifact": None}


def test_real_reports_have_the_form(sound: Report, python: str, tmp_path: Path) -> None:
    assert well_formed(sound)
    (broken := tmp_path / "broken.tar.gz").write_bytes(b"no archive")
    code, refused = preflight(python, broken, "--packed")
    assert code == 1
    del refused["sandbox"]
    assert well_formed(refused)
    assert well_formed(REFUSAL)
    assert well_formed(REFUSAL | {"artifact": sound["artifact"]})


FORGERIES: dict[str, Callable[[Report], object]] = {
    "no ok": lambda it: it.pop("ok"),
    "ok as a word": lambda it: it.update(ok="true"),
    "ok and an error": lambda it: it.update(error={"code": "x", "message": "y"}),
    "no artifact": lambda it: it.update(artifact=None),
    "no inputs": lambda it: it["artifact"].update(inputs=[]),
    "inputs as a word": lambda it: it["artifact"].update(inputs="data"),
    "more parameters than a database counts": lambda it: it["artifact"].update(parameters=10**30),
    "less than no parameters": lambda it: it["artifact"].update(parameters=-1),
    "a shape of words": lambda it: it["artifact"]["inputs"][0].update(shape=["a"]),
    "a NUL in a label": lambda it: it["artifact"]["labels"].append("a\0b"),
    "half a letter": lambda it: it["artifact"]["labels"].append("\ud800"),
    "layers as a list": lambda it: it["artifact"].update(layers=["Flatten"]),
    "preprocessing that nests": lambda it: it["artifact"].update(preprocess={"mean": [[1]]}),
    "no preprocessing at all": lambda it: it["artifact"].pop("preprocess"),
    "no output that is served": lambda it: it["artifact"].update(output=None),
    "an output of no kind": lambda it: it["artifact"]["output"].update(kind="odds"),
    "an output before the first": lambda it: it["artifact"]["output"].update(index=-1),
    "others that are no names": lambda it: it["artifact"]["output"].update(others=[1]),
    "a note that is none": lambda it: it["artifact"]["notes"].append("x"),
    "a note without words": lambda it: it["artifact"]["notes"].append({"code": "x"}),
    "more notes than there are": lambda it: it["artifact"].update(
        notes=[{"code": "x", "message": "y"}] * 101
    ),
    "no number": lambda it: it.update(load_ms=float("nan")),
    "endless": lambda it: it.update(first_ms=float("inf")),
    "400 digits": lambda it: it.update(load_ms=10**400),
    "400 digits, inside": lambda it: it["artifact"].update(preprocess={"scale": 10**400}),
    "true for a number": lambda it: it.update(memory_mb=True),
    "no warm time": lambda it: it.pop("warm_ms"),
    "no sample": lambda it: it.pop("sample"),
    "what the first run says": lambda it: it.update(archive={"files": [], "notes": []}),
    "something besides": lambda it: it.update(more="\0"),
    "something besides, inside": lambda it: it["artifact"].update(more=1),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_report_is_a_refusal_with_a_sentence(sound: Report, forgery: str) -> None:
    forged = copy.deepcopy(sound)
    FORGERIES[forgery](forged)
    outcome = sandbox.Outcome(code=0, held={"missing": []}, report=forged)
    told = module._reported(outcome, argparse.Namespace())
    assert told["ok"] is False
    assert told["error"]["message"].startswith("The check reported what no check reports")
    json.dumps(told, allow_nan=False)


def test_a_refusal_without_a_reason_is_none(sound: Report) -> None:
    assert not well_formed(REFUSAL | {"error": {"code": "x", "message": ""}})
    assert not well_formed(REFUSAL | {"error": "No."})
    told = {"code": "x", "message": "y"}
    assert well_formed(REFUSAL | {"error": told | {"parameters": {"missing": ["a"], "to": "b"}}})
    for odd in (1, [], {"a": 1}, {"a": [1]}, {"a": "\0"}, dict.fromkeys("abcdefghijk", "")):
        assert not well_formed(REFUSAL | {"error": told | {"parameters": odd}}), odd
    assert not well_formed(REFUSAL | {"load_ms": 1})
    assert not well_formed([sound])
    assert not well_formed(None)


@pytest.fixture(scope="module")
def packed(python: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What a real first run reports of a sound archive."""
    folder = tmp_path_factory.mktemp("packed")
    archive = constant_archive(folder / "tiny.tar.gz", labels=["cat", "dog"], answer=1)
    code, report = preflight(python, archive, "--pack", str(folder / "tiny.tar"))
    assert code == 0
    del report["sandbox"]  # added outside
    return report


PACKING_FORGERIES: dict[str, Callable[[Report], object]] = {
    "no ok": lambda it: it.pop("ok"),
    "no archive": lambda it: it.update(archive=None),
    "nothing that is read": lambda it: it["archive"].update(files=[]),
    "ok and an error": lambda it: it.update(error={"code": "x", "message": "y"}),
    "more bytes than a database counts": lambda it: it["archive"].update(packed_bytes=2**63),
    "a flag that is none": lambda it: it["archive"]["files"][0].update(packed=1),
    "half a letter": lambda it: it["archive"]["files"][0].update(name="\udcb8"),
    "more files than are read": lambda it: it["archive"].update(files=it["archive"]["files"] * 300),
    "more notes than there are": lambda it: it["archive"].update(
        notes=[{"code": "x", "message": "y"}] * 101
    ),
    "a note that is none": lambda it: it["archive"]["notes"].append("x"),
    "something besides": lambda it: it.update(artifact={}),
    "something besides, inside": lambda it: it["archive"].update(more=1),
}


@pytest.mark.parametrize("forgery", PACKING_FORGERIES)
def test_a_forged_report_of_the_first_run_is_a_refusal(packed: Report, forgery: str) -> None:
    assert well_packed(packed)
    forged = copy.deepcopy(packed)
    PACKING_FORGERIES[forgery](forged)
    outcome = sandbox.Outcome(code=0, held={"missing": []}, report=forged)
    told = module._packing_reported(outcome, argparse.Namespace())
    assert (told["ok"], told["archive"]) == (False, None)
    assert told["error"]["message"]
    assert well_packed(told)
