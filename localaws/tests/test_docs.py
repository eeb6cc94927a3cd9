"""The manual names every option, operation, fault, metric and member of a fault."""

import dataclasses
import re
import subprocess
import sys

import pytest

from localaws import faults, telemetry
from localaws.controlplane import ControlPlane
from localaws.tests.servers import ROOT

MANUAL = (ROOT / "docs" / "localaws.md").read_text()


def test_every_option_is_explained_and_none_is_invented():
    command = [sys.executable, "-m", "localaws", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    offered = set(re.findall(r"^  (--[a-z0-9-]+)", text, re.MULTILINE))
    assert len(offered) > 15
    table = MANUAL.partition("## Options")[2].partition("## Faults")[0]
    assert set(re.findall(r"`(--[a-z0-9-]+)`", table)) == offered


@pytest.mark.parametrize("operation", [n for n in vars(ControlPlane) if n[:1].isupper()])
def test_every_operation_is_named(operation):
    verb, noun = re.match("(Create|Describe|List|Delete|Update|Add)(.+)", operation).groups()
    assert operation in MANUAL or (verb in MANUAL and noun.rstrip("s") in MANUAL)


def test_every_fault_is_explained():
    section = MANUAL.partition("## Faults")[2]
    for action in faults._ACTIONS:
        assert f"| `{action}` |" in section
    for field in dataclasses.fields(faults.Fault):
        assert re.search(rf"[`\"]{field.name}\b", section), field.name


@pytest.mark.parametrize("metric", [*telemetry._UNITS, "ModelLatency", "OverheadLatency"])
def test_every_metric_is_named(metric):
    assert metric in MANUAL
