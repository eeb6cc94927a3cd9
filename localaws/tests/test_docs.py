"""The manual names every option, operation, fault, metric and member of a fault."""

import dataclasses
import re
import subprocess
import sys

import pytest

from localaws import faults, shapes, telemetry
from localaws.controlplane import ControlPlane
from localaws.faults import FaultPlan
from localaws.options import Options
from localaws.s3.operations import OPERATIONS
from localaws.tests.servers import ROOT

MANUAL = (ROOT / "docs" / "localaws.md").read_text()


def test_every_option_is_explained_and_none_is_invented():
    command = [sys.executable, "-m", "localaws", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    offered = set(re.findall(r"^  (--[a-z0-9-]+)", text, re.MULTILINE))
    assert len(offered) > 15
    table = MANUAL.partition("## Options")[2].partition("## Faults")[0]
    assert set(re.findall(r"`(--[a-z0-9-]+)`", table)) == offered


def test_every_default_is_as_written():
    table = MANUAL.partition("## Options")[2].partition("## Faults")[0]
    defaults = Options(data=None, container_command=())
    checked = 0
    for names, written in re.findall(r"^\| (`--[^|]+) \| ([^|]+) \|", table, re.MULTILINE):
        options = re.findall(r"--([a-z0-9-]+)", names)
        values = [word.strip() for word in written.split(",")] * len(options)
        for option, value in zip(options, values, strict=False):
            default = getattr(defaults, option.replace("-", "_"))
            assert value == (f"{default:g}" if isinstance(default, float) else str(default)), option
            checked += 1
    assert checked > 12


def test_the_fault_plan_of_the_manual_is_taken():
    (plan,) = re.findall(r"/_localaws/faults -d '(.+?)'", MANUAL, re.DOTALL)
    FaultPlan().replace(plan.encode())


def test_the_manual_names_the_operations_of_sagemaker_and_no_other():
    table = MANUAL.partition("## What it offers")[2].partition("| CloudWatch")[0]
    named = re.findall(r"(?<![`\w])(?:[A-Z][a-z]+){2,}(?![`\w])", table.replace("SageMaker", ""))
    offered = [name for name in vars(ControlPlane) if name[:1].isupper()]
    assert sorted(named) == sorted([*offered, "InvokeEndpoint"])


def test_the_manual_names_the_operations_of_scaling_and_their_members():
    table = MANUAL.partition("## Scaling")[2].partition("TagResource")[0]
    rows = re.findall(r"^\| ([A-Z][\w, ]+) \| (.+?) \| (.+) \|$", table, re.MULTILINE)
    assert {one for names, _members, _rule in rows for one in names.split(", ")} == {
        *shapes.SCALING_OPERATIONS
    }
    common = {"ServiceNamespace", "ScalableDimension", "ResourceId", "PolicyName"}
    common |= {"ScheduledActionName", "StepScalingPolicyConfiguration"}
    common |= {"PredictiveScalingPolicyConfiguration", "TargetTrackingScalingPolicyConfiguration"}
    for operation in ("RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction"):
        shape = shapes.operation(operation, shapes.SCALING).input_shape
        assert all(f"`{name}`" in table for name in set(shape.members) - common), operation


def test_every_fault_is_explained():
    section = MANUAL.partition("## Faults")[2]
    for action in faults._ACTIONS:
        assert f"| `{action}` |" in section
    for field in dataclasses.fields(faults.Fault):
        assert re.search(rf"[`\"]{field.name}\b", section), field.name


@pytest.mark.parametrize("metric", [*telemetry._UNITS, "ModelLatency", "OverheadLatency"])
def test_every_metric_is_named(metric):
    assert metric in MANUAL


S3_MANUAL = (ROOT / "docs" / "s3.md").read_text()


def test_the_manual_of_s3_names_its_operations_and_options_and_no_other():
    table = S3_MANUAL.partition("## What it does")[2].partition("Every other request")[0]
    named = re.findall(r"\b(?:[A-Z][a-z]+)(?:[A-Z][A-Za-z0-9]+)+\b", table)
    assert sorted(named) == sorted(one.name for one in OPERATIONS)
    command = [sys.executable, "-m", "localaws.s3", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    offered = set(re.findall(r"^  (--[a-z0-9-]+)", text, re.MULTILINE))
    options = S3_MANUAL.partition("## Options")[2].partition("## Speed")[0]
    assert set(re.findall(r"^\| `(--[a-z0-9-]+)`", options, re.MULTILINE)) == offered
