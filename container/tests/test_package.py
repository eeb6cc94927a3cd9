"""The container is a package, found by its own folder without a change of the import path."""

import ast
import json
import subprocess
from pathlib import Path

import pytest

from container.tests.serving import ENTRYPOINT, REPOSITORY
from tests.artifacts import constant_archive

SOURCES = sorted((REPOSITORY / "container").glob("*.py"))
NAMES = {path.stem for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_module_changes_the_import_path_or_imports_another_by_its_bare_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"), (
            f"{path.name}:{node.lineno}: write 'from container import …' and leave sys.path alone"
        )
        bare = []
        if isinstance(node, ast.Import):
            bare = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            bare = [str(node.module)]
        assert not NAMES.intersection(bare), (
            f"{path.name}:{node.lineno}: write 'from container import {bare[0]}'"
        )


def test_what_pictures_are_read_with_imports_no_other_module_of_the_container() -> None:
    """invocations/decoding.py is a link to it, and the portal may not import the container."""
    source = (REPOSITORY / "container" / "decoding.py").read_text()
    assert "container" not in {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_with_dash_i_only_the_package_can_be_imported(python: str, tmp_path: Path) -> None:
    """Neither the folder that it lies in nor the current one is on the path of the server."""
    (tmp_path / "json.py").write_text("raise SystemExit('this was imported')")
    program = (
        f"import runpy; runpy.run_path({str(ENTRYPOINT)!r}); import json, sys, importlib.util; "
        "from container import json_log; "
        "found = [importlib.util.find_spec(name) is not None for name in ('localaws', 'memory')]; "
        "print(json.dumps([sys.path, found]))"
    )
    done = subprocess.run(
        [python, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    path, found = json.loads(done.stdout)
    assert not {str(REPOSITORY), str(REPOSITORY / "container"), str(tmp_path), ""} & set(path)
    assert found == [False, False]


@pytest.mark.parametrize(
    "command",
    [
        [str(REPOSITORY / "container" / "preflight.py")],  # as PREFLIGHT_COMMAND names it
        ["-I", str(REPOSITORY / "container" / "preflight.py")],
        ["-I", str(ENTRYPOINT), "preflight"],
    ],
)
def test_the_validation_is_started_from_any_folder(
    python: str, tmp_path: Path, command: list[str]
) -> None:
    archive = constant_archive(tmp_path / "t.tar.gz", labels=["a", "b"], answer=0)
    options = [str(archive), "--pack", str(tmp_path / "t.tar")]  # loads no MXNet
    done = subprocess.run(
        [python, *command, *options], cwd="/", capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


@pytest.mark.parametrize("module", ["container", "container.preflight"])
def test_it_runs_as_a_module_from_the_repository(python: str, tmp_path: Path, module: str) -> None:
    archive = constant_archive(tmp_path / "t.tar.gz", labels=["a", "b"], answer=0)
    command = ["preflight"] if module == "container" else []
    options = [str(archive), "--pack", str(tmp_path / "t.tar")]
    done = subprocess.run(
        [python, "-m", module, *command, *options], cwd=REPOSITORY,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


def test_mxnet_takes_nothing_along_that_is_not_needed(python: str) -> None:
    """It was more than half of the time of its import; whoever wants it later is given it."""
    program = (
        "import sys; from container import network; "
        "print(sorted({'scipy', 'sklearn', 'requests', 'urllib3', 'setuptools'} & {*sys.modules}));"
        "from mxnet.gluon import utils; print(utils.requests.get.__module__);"
        "import scipy, requests, sklearn; print(requests is not utils.requests)"
    )
    done = subprocess.run(
        [python, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["[]", "requests.api", "True"]


def test_a_function_of_mxnet_is_made_when_it_is_called(python: str) -> None:
    """Of the more than 3,000 that it has; each is made, has its name, and is made once."""
    program = (
        "import json, sys\n"
        "from container import mxnet_alone\n"
        "def cells(function):\n"
        "    names = function.__code__.co_freevars\n"
        "    return dict(zip(names, (cell.cell_contents for cell in function.__closure__)))\n"
        "mx = mxnet_alone.mx\n"
        "modules = [m for n, m in sys.modules.items() if n.partition('.')[0] == 'mxnet']\n"
        "late = [(n, f) for m in modules for n, f in vars(m).items()\n"
        "        if getattr(f, '__qualname__', '').startswith('made_when_called.')]\n"
        "early = [name for name, f in late if cells(f)['made']]\n"
        "one = mx.nd.ones((1, 2))\n"
        "two = mx.nd.concat(one, mx.nd.zeros((1, 1)), dim=1)\n"
        "three = mx.nd.concat(one, one, dim=1)\n"
        "wrong = []\n"
        "for name, function in late:\n"
        "    kept = cells(function)\n"
        "    made = kept['make'](kept['handle'], kept['name'], kept['func_name'])\n"
        "    if function.__name__ != made.__name__:\n"
        "        wrong.append(name)\n"
        "print(json.dumps([len(late), early, two.asnumpy().tolist(), wrong,\n"
        "    len(cells(mx.nd.concat)['made'])]))"
    )
    done = subprocess.run(
        [python, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    count, early, joined, wrong, made = json.loads(done.stdout)
    assert count > 3000
    assert (early, wrong) == ([], [])
    assert joined == [[1, 1, 0]]
    assert made == 1
