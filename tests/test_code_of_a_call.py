"""The code that stands under an answer is run as it stands, against a whole stack."""

import base64
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.template.loader import render_to_string

from tests.stack import Stack
from tests.test_client_on_stack import ROOT, shell

LABELS = ("Python, with boto3", "AWS CLI", "curl", "mme", "Python, with mme-client")


def codes(template: str, **context: object) -> dict[str, str]:
    """The blocks of code of a template, by their labels, as a browser copies them."""
    page = render_to_string(f"invocations/{template}", context)
    found = re.findall(
        r'class="snippet-label">([^<]*)</div>\s*<pre[^>]*>(.*?)</pre>', page, re.DOTALL
    )
    assert page.count("data-copy") == len(found), "each is copied with one click"
    return {label: html.unescape(code) for label, code in found}


def run(stack: Stack, folder: Path, label: str, code: str) -> str:
    variables = shell(stack, folder) | stack.aws
    # The programs of this checkout, for the AWS CLI too; and no sources of AWS besides the stack's.
    variables["PATH"] = f"{folder / 'bin'}:{Path(sys.executable).parent}:{variables['PATH']}"
    variables |= {"PYTHONPATH": str(ROOT / "client" / "src"), "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-c", code] if label.startswith("Python") else ["sh", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, f"{label}\n{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def call(stack: Stack, tmp_path: Path) -> dict[str, Any]:
    """What the page knows of a call of digits 2 on the stack's endpoint."""
    shutil.copy(stack.local_dir / "demo" / "samples" / "digit-three.jpg", tmp_path / "picture.jpg")
    invocation = SimpleNamespace(
        endpoint=SimpleNamespace(name="demo"),
        target_model="digits_v2.tar.gz",
        named="digits:2",
        asked_variant="",
    )
    region = stack.aws["AWS_REGION"]
    return {"invocation": invocation, "region": region, "portal_url": stack.url}


def test_each_code_under_an_answer_gives_the_same_answer(
    stack: Stack, tmp_path: Path, call: dict[str, Any]
) -> None:
    found = codes("_code.html", **call)
    assert tuple(found) == LABELS
    for label, code in found.items():
        assert "three" in run(stack, tmp_path, label, code), label


def test_each_code_names_the_variant_that_the_call_named(
    stack: Stack, tmp_path: Path, call: dict[str, Any]
) -> None:
    call["invocation"].asked_variant = "AllTraffic"
    found = codes("_code.html", **call)
    assert tuple(found) == LABELS
    for label, code in found.items():
        assert "AllTraffic" in code, label
        assert "three" in run(stack, tmp_path, label, code), label
    calls = json.loads(run(stack, tmp_path, "mme", "mme calls --most 3 --json"))
    assert [one["asked_variant"] for one in calls["items"]] == ["AllTraffic"] * 3
    # It is the endpoint's own that is named, and none is made up.
    call["invocation"].asked_variant = "NoSuch"
    for label, code in codes("_code.html", **call).items():
        with pytest.raises(AssertionError, match="NoSuch"):
            run(stack, tmp_path, label, code)


def test_the_code_of_a_raw_payload_sends_its_types_and_attributes(
    stack: Stack, tmp_path: Path, call: dict[str, Any]
) -> None:
    """Also with what a shell or Python would read as more than a text."""
    picture = base64.b64encode((tmp_path / "picture.jpg").read_bytes()).decode()
    (tmp_path / "payload").write_text(json.dumps({"instances": [{"b64": picture}]}))
    call["invocation"].asked_variant = "AllTraffic"
    attributes = """a='1';b="$HOME`id`\\" """.strip()
    told = {"content_type": "application/json; charset=utf-8", "attributes": attributes}
    for accept in ("text/csv;q=0.9, text/plain;q=0.1", "application/json"):
        portal = "*/*" if accept == "application/json" else accept
        given = call | told | {"raw": True, "accept": accept, "portal_accept": portal}
        found = codes("_code.html", **given)
        assert tuple(found) == LABELS
        for label, code in found.items():
            said = run(stack, tmp_path, label, code)
            kept = said if accept == "application/json" else said.replace("\\n", "\n")
            assert ("predictions" if portal == "*/*" else "row,label,probability") in kept, label
            assert "three" in kept, label


def test_the_code_of_several_answers_calls_each_version(
    stack: Stack, tmp_path: Path, call: dict[str, Any]
) -> None:
    template = (ROOT / "templates" / "invocations" / "_beside.html").read_text(encoding="utf-8")
    (code,) = re.findall(r'{% code label="mme" %}\n(.*?)\s*{% endcode %}', template, re.DOTALL)
    code = code.replace("{{ first.endpoint.name }}", "demo")
    code = code.replace("{{ beside.named }}", "digits:1,digits:2")
    code = code.replace("{{ beside.asked_variant }}", "AllTraffic")
    for kept in (r"\1", ""):  # with the variant, and without
        shown = re.sub(r"{% if beside.asked_variant %}(.*?){% endif %}", kept, code, flags=re.S)
        lines = run(stack, tmp_path, "mme", shown).splitlines()
        assert [line.split(",")[:3] for line in lines[1:]] == [
            ["picture.jpg", "digits:1", "three"], ["picture.jpg", "digits:2", "three"]
        ]  # fmt: skip
        assert ("--variant AllTraffic" in shown) == bool(kept)
