"""The package as it is installed: without Django, without the portal, and quick."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import mme_client
from client.tests.conftest import CLIENT, Ran
from client.tests.fake_portal import FakePortal, Says
from core.version import VERSION

SOURCE = CLIENT / "src"
_IMPORTS = """
import json, pkgutil, sys, importlib
sys.path.insert(0, sys.argv[1])
import mme_client
for found in pkgutil.walk_packages(mme_client.__path__, "mme_client."):
    importlib.import_module(found.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_versions_of_both_ends_are_one() -> None:
    assert mme_client.__version__ == VERSION


def test_pip_installs_it_offline_with_the_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", tmp_path, CLIENT],
        check=True, timeout=120,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("mme_client-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (entries,) = (name for name in names if name.endswith("entry_points.txt"))
        said = opened.read(entries).decode()
        assert "mme=mme_client.cli.main:main" in said
    assert {"mme_client/py.typed", "mme_client/cli/korean.py"} <= set(names)
    assert not [name for name in names if "tests" in name]


def test_it_imports_neither_django_nor_the_portal() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _IMPORTS, SOURCE], capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    loaded = set(__import__("json").loads(done.stdout))
    assert "mme_client" in loaded
    rooms = {path.parent.name for path in CLIENT.parent.glob("*/__init__.py")}
    assert not loaded & (rooms | {"django", "boto3", "celery", "pydantic"})


def test_help_needs_neither_rich_nor_urllib3(mme_process: Callable[..., Ran]) -> None:
    program = (
        "import sys; from mme_client.cli.main import run; run(sys.argv[1:]); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    for arguments in (["--help"], ["push", "--help"], ["token", "create", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], env={"PYTHONPATH": str(SOURCE)},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert "mme" in done.stdout
        assert not {"rich", "urllib3", "requests", "asyncio"} & set(done.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(mme_process: Callable[..., Ran], shell: str) -> None:
    ran = mme_process(
        _MME_COMPLETE=f"complete_{shell}", COMP_WORDS="mme to", COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="mme to", _TYPER_COMPLETE_FISH_ACTION="get-args",
    )  # fmt: skip
    assert "token" in ran.out
    assert "whoami" not in ran.out


def test_a_command_without_its_words_says_what_is_missing(mme_process: Callable[..., Ran]) -> None:
    ran = mme_process("invoke", "demo")
    assert (ran.code, ran.out) == (2, "")
    assert "MODEL" in ran.err
    assert "mme invoke --help" in ran.err
    korean = {"LANG": "ko_KR.UTF-8"}
    for arguments, said in (
        (("invok",), "invok 명령이 없습니다. 혹시 다음을 찾으셨나요? invoke"),
        (("models", "--timeout"), "값이 필요합니다: --timeout"),
        (("models", "--timeout", "x"), "값이 올바르지 않습니다. --timeout: "),
        (("models", "more"), "인수가 너무 많습니다: more"),
    ):
        ran = mme_process(*arguments, **korean)
        assert ran.code == 2
        assert said in ran.err
    ran = mme_process()
    assert ran.code == 2
    assert "Usage:" in ran.err


@pytest.mark.parametrize("closed", ["--json >&-", "2>&-", "<&-", "--json >&- 2>&-"])
def test_a_stream_that_the_shell_closed_is_no_fault(fake: FakePortal, closed: str) -> None:
    fake.answers = [Says(document={"items": [], "next": None})]
    ran = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -c "from mme_client.cli.main import main; main()" models {closed}',
         sys.executable],
        env=os.environ | {"PYTHONPATH": str(CLIENT / "src"), "MME_URL": fake.url, "MME_TOKEN": "x"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0, ran.stderr
