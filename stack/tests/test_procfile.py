"""The Procfile is the one place that says how the processes are run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack import procfile
from stack.layout import ROOT


def test_it_names_the_three_processes() -> None:
    assert list(procfile.read_procfile()) == ["web", "worker", "beat"]


def test_comments_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text("# web: not this\n\nweb: serve --bind a:b\n")
    assert procfile.read_procfile(path) == {"web": "serve --bind a:b"}


def test_the_program_gets_the_variables_and_the_process_number(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$$ $*"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WEB_BIND": "[::1]:9"}

    process = subprocess.Popen(
        [sys.executable, "-m", "stack.procfile", "web"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate(timeout=30)

    pid, _, arguments = said.partition(" ")
    assert int(pid) == process.pid, "a signal to the process reaches the program"
    assert "-m mmeportal.server --bind [::1]:9 " in arguments


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(SystemExit, match=r"usage: .* web\|worker\|beat"):
        procfile.main(["database"])
