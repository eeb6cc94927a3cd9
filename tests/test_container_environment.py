"""container/environment.json is what the container, its documentation and localaws agree on."""

import json
import re
from pathlib import Path

from localaws import container_environment as localaws_environment

CONTAINER = Path(__file__).resolve().parents[1] / "container"
FILE = json.loads((CONTAINER / "environment.json").read_text(encoding="utf-8"))
NAMES = {*FILE["taken"], *FILE["set_elsewhere"]}


def test_each_variable_is_documented_and_none_else() -> None:
    section = (CONTAINER / "README.md").read_text(encoding="utf-8").partition("## Environment")[2]
    table = section.partition("\n\nWhoever")[0]
    documented = {
        name
        for line in table.splitlines()
        for name in re.findall(r"`([A-Z_]{5,})`", line.split("|")[1] if "|" in line else "")
    }
    # SageMaker, or localaws in its place, sets these; nobody else has a reason to.
    others = {"SAGEMAKER_BASE_DIR", "SAGEMAKER_MULTI_MODEL", "SAGEMAKER_SAFE_PORT_RANGE"}
    assert documented == NAMES - others


def test_localaws_takes_what_the_container_takes() -> None:
    values = {"whole": "1", "one_of": "0", "words": "-Xmx512m"}
    for name, rule in FILE["taken"].items():
        (kind,) = rule
        localaws_environment.check({name: values[kind]})
        assert localaws_environment.without_reserved({name: "1"}), f"{name} would have no effect"
    words = FILE["taken"]["SAGEMAKER_MODEL_SERVER_VMARGS"]["words"]
    assert words == localaws_environment._JVM_OPTION.pattern


def test_the_container_reads_its_ranges_there() -> None:
    source = (CONTAINER / "mms_server.py").read_text(encoding="utf-8")
    for name in set(re.findall(r'_known\(\s*"([A-Z_]+)"', source)):
        assert "whole" in FILE["taken"][name]
