"""The code that stands under an answer is run as it stands, against a whole stack."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
def call(stack: Stack, tmp_path: Path) -> dict[str, object]:
    """What the page knows of a call of digits 2 on the stack's endpoint."""
    shutil.copy(stack.local_dir / "demo" / "samples" / "digit-three.jpg", tmp_path / "picture.jpg")
    invocation = SimpleNamespace(
        endpoint=SimpleNamespace(name="demo"), target_model="digits_v2.tar.gz", named="digits:2"
    )
    region = stack.aws["AWS_REGION"]
    return {"invocation": invocation, "region": region, "portal_url": stack.url}


def test_each_code_under_an_answer_gives_the_same_answer(
    stack: Stack, tmp_path: Path, call: dict[str, object]
) -> None:
    found = codes("_code.html", **call)
    assert tuple(found) == LABELS
    for label, code in found.items():
        assert "three" in run(stack, tmp_path, label, code), label


def test_the_code_of_several_answers_calls_each_version(
    stack: Stack, tmp_path: Path, call: dict[str, object]
) -> None:
    template = (ROOT / "templates" / "invocations" / "_beside.html").read_text(encoding="utf-8")
    (code,) = re.findall(r'{% code label="mme" %}\n(.*?)\s*{% endcode %}', template, re.DOTALL)
    code = code.replace("{{ first.endpoint.name }}", "demo")
    code = code.replace("{{ beside.named }}", "digits:1,digits:2")
    lines = run(stack, tmp_path, "mme", code).splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["picture.jpg", "digits:1", "three"], ["picture.jpg", "digits:2", "three"]
    ]  # fmt: skip
