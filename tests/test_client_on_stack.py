"""The client against a whole stack: the examples of its docstrings, and docs/pipeline.md."""

import csv
import doctest
import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import mme_client
import mmeportal.api
from core.api.operations import OPERATIONS
from tests.servers import wait_until
from tests.stack import Stack

# Until models and endpoints are joined there is nothing to push or deploy by.
assert mmeportal.api.api, "it registers all operations"
needs_all = pytest.mark.skipif(
    not {"versions_push", "endpoints_create"} <= set(OPERATIONS),
    reason="the API has no models and endpoints yet",
)
ROOT = Path(__file__).resolve().parents[1]
PIPELINE = ROOT / "docs" / "pipeline.md"
_COMMAND = re.compile(r"\bmme (?:push|deploy|endpoints|invoke|teardown)\b[^\n;)']*")
_OPERATOR = """
from django.contrib.auth.models import Group, User
from accounts import roles, tokens
from core.api.caller import Scope
roles.ensure_roles()
user, _ = User.objects.get_or_create(username="operator")
user.groups.set([Group.objects.get(name="operator")])
scopes = [one for one in Scope if one in tokens.scopes_of(user)]
print(tokens.make(user=user, name="the docs", scopes=scopes, days=30)[1])
"""


def block(language: str) -> str:
    """The one block of docs/pipeline.md in a language."""
    text = PIPELINE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def commands(text: str) -> list[str]:
    return [" ".join(one.split()) for one in _COMMAND.findall(text)]


def test_the_workflow_has_the_commands_of_the_script() -> None:
    workflow: dict[str, Any] = yaml.safe_load(block("yaml"))
    (job,) = workflow["jobs"].values()
    steps = [str(step["run"]) for step in job["steps"] if "run" in step]
    by_script, by_workflow = commands(block("sh")), commands("\n".join(steps))
    assert sorted(by_script) == sorted(by_workflow)
    assert [one.split()[1] for one in by_workflow] == [
        "push", "deploy", "endpoints", "invoke", "teardown"
    ]  # fmt: skip
    assert set(job["env"]) >= {"MME_URL", "MME_TOKEN", "ENDPOINT", "PICTURE", "LABEL"}
    assert "always()" in job["steps"][-1]["if"], "the endpoint goes, whatever happened before"


def shell(stack: Stack, folder: Path, **variables: str) -> dict[str, str]:
    """The environment of a shell that has sourced portal.env, with ``mme`` of this checkout."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    program = bin / "mme"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT / 'client' / 'src')!r})\n"
        "from mme_client.cli.main import main\nmain()\n"
    )
    program.chmod(0o755)
    said = (stack.local_dir / "portal.env").read_text()
    named = dict(re.findall(r"^export (MME_\w+)=(\S+)$", said, re.MULTILINE))
    found = {"PATH": f"{bin}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8"}
    return found | named | {"NO_PROXY": "127.0.0.1"} | variables


def archive_like(stack: Stack, folder: Path, note: str) -> None:
    """A ``train`` in the folder that packs digits 2 anew, with a file that makes it other bytes."""
    with tarfile.open(stack.local_dir / "demo" / "digits_v2.tar.gz") as packed:
        packed.extractall(folder / "model")
    (folder / "model" / "README.txt").write_text(note)
    train = folder / "train"
    train.write_text('#!/bin/sh\ntar -C model -czf "$1" .\n')
    train.chmod(0o755)


@needs_all
def test_the_pipelines_script_runs_as_it_stands(stack: Stack, tmp_path: Path) -> None:
    archive_like(stack, tmp_path, "of the pipeline's test")
    shutil.copy(stack.local_dir / "demo" / "samples" / "digit-three.jpg", tmp_path / "three.jpg")
    script = tmp_path / "pipeline.sh"
    script.write_text(block("sh"))
    variables = shell(stack, tmp_path, ENDPOINT="pipeline")
    done = subprocess.run(
        ["sh", script], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^digits:\d+: three$", done.stdout, re.MULTILINE), done.stdout
    gone = subprocess.run(
        ["mme", "endpoints", "pipeline", "--json"], env=variables, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(gone.stdout)["state"] == "gone"

    # A wrong answer fails the pipeline, and leaves no endpoint either; the bytes are known now.
    variables |= {"ENDPOINT": "pipeline-2", "LABEL": "nine"}
    done = subprocess.run(
        ["sh", script], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "for three, and not for nine" in done.stderr
    listed = subprocess.run(
        ["mme", "endpoints", "--quiet"], env=variables, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert "pipeline-2" not in listed.stdout


def recipes() -> list[str]:
    """The commands of docs/api.md, in their order; each is one of curl."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    assert all(line.startswith("curl ") for line in lines), lines
    return lines


@needs_all
def test_the_recipes_of_the_api_run_as_they_stand(stack: Stack, tmp_path: Path) -> None:
    archive_like(stack, tmp_path, "of the API's recipes")
    subprocess.run(["./train", "digits.tar.gz"], cwd=tmp_path, check=True)
    variables = shell(stack, tmp_path)
    # A refusal fails the test: curl itself ends with 0 then.
    script = (
        "set -e\ncurl() { command curl --fail-with-body -sS -w '\\n%{http_code}\\n' \"$@\"; }\n"
    )
    found = recipes()
    assert len(found) > 20
    for command in found:
        done = subprocess.run(
            ["sh", "-c", script + command], cwd=tmp_path, env=variables, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    gone = ["mme", "teardown", "shop", "--yes", "--wait", "--timeout", "120"]  # it was asked for
    subprocess.run(gone, env=variables, timeout=180, check=True)
    assert (tmp_path / "digits_v1.tar.gz").stat().st_size > 10_000
    assert (tmp_path / "digit.jpg").read_bytes()[:2] == b"\xff\xd8"


def table_recipe() -> list[str]:
    """The commands of docs/cli.md that call several versions, as they stand."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = text.partition("## Several versions and many pictures\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(block).splitlines()


@needs_all
def test_the_recipe_of_several_versions_runs_as_it_stands(stack: Stack, tmp_path: Path) -> None:
    samples = stack.local_dir / "demo" / "samples"
    for label in ("three", "seven"):
        to = tmp_path / "pictures" / label / f"{label}.png"
        to.parent.mkdir(parents=True)
        shutil.copy(samples / f"digit-{label}.jpg", to)
        shutil.copy(to, tmp_path)
    (tmp_path / "right.csv").write_text("name,label\nthree.png,three\nseven.png,nine\n")
    variables = shell(stack, tmp_path)
    alias = ["mme", "alias", "digits@live"]
    there = subprocess.run(alias, env=variables, capture_output=True, timeout=60, check=False)
    if there.returncode == 3:  # of the stack that all tests share: it is removed again
        subprocess.run([*alias, "2"], env=variables, capture_output=True, timeout=60, check=True)
    told = {}
    for command in table_recipe():
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=variables, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        told[command] = done
    if there.returncode == 3:
        subprocess.run([*alias, "--remove"], env=variables, timeout=60, check=True)
    lines = [json.loads(one) for one in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [(one["file"], one["asked"]) for one in lines] == [
        (file, version)
        for file in ("seven.png", "three.png")
        for version in ("digits:1", "digits@live")
    ]
    (by_folder,) = (done for command, done in told.items() if "--truth folder" in command)
    assert "digits:2: 2 of 2 right (100.0%)" in by_folder.stderr
    # The last one has written it: of one version, with a label that is not the right one.
    table = list(csv.DictReader((tmp_path / "answers.csv").open(newline="")))
    assert [(one["label"], one["right_label"], one["right"]) for one in table] == [
        ("seven", "nine", "False"), ("three", "three", "True")
    ]  # fmt: skip


def examples() -> list[doctest.DocTest]:
    """The docstrings of the client that have examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [one.name for one in pkgutil.walk_packages(mme_client.__path__, "mme_client.")]
    modules = [mme_client, *(importlib.import_module(one) for one in names)]
    found = [one for module in modules for one in finder.find(module) if one.examples]
    return sorted({one.name: one for one in found}.values(), key=lambda one: one.name)


@needs_all
def test_the_examples_of_the_docstrings_are_true(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = stack.manage("shell", "--no-imports", "-c", _OPERATOR).strip()
    monkeypatch.setenv("MME_URL", stack.url)
    monkeypatch.setenv("MME_TOKEN", token)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    samples = stack.local_dir / "demo" / "samples"
    shutil.copy(samples / "digit-seven.jpg", "7.png")
    shutil.copy(stack.local_dir / "demo" / "digits_v2.tar.gz", "digits_v2.tar.gz")
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    found = examples()
    assert len(found) >= 12
    with mme_client.Portal() as portal:
        # So that a call is listed, whose row is written after its answer.
        portal.invoke("demo", "digits:2", "7.png")
        wait_until(
            lambda: next(portal.invocations.list(endpoint="demo"), None), "a call in the list"
        )
        for one in found:
            one.globs = {"portal": portal}
            runner.run(one, out=said.append)
    assert not said, "".join(said)
