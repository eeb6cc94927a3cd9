"""Virtual environments are made once, completed when requirements change, remade when cut short."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stack import venvs
from stack.stack_error import StackError
from stack.venvs import Venv


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    (tmp_path / "needs.txt").write_text("# nothing\n")
    return Venv("test", tmp_path / "venv", (tmp_path / "needs.txt",))


@pytest.mark.processes
def test_a_made_environment_is_current_until_its_requirements_change(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not venv.is_current()
    venv.install()
    assert venv.is_current()

    module = venv.folder / "lib" / "python3.11" / "site-packages" / "pip" / "__main__.py"
    assert list(module.parent.glob("__pycache__/__main__.*.pyc")), "bytecode is compiled"

    venv.requirements[0].write_text("# something else\n")
    assert not venv.is_current()
    kept = venv.folder / "kept"
    kept.touch()
    venv.install()
    assert venv.is_current()
    assert kept.exists(), "completed, not made anew"

    with monkeypatch.context() as without_network:
        without_network.setenv("PIP_NO_INDEX", "1")
        without_network.setenv("PIP_FIND_LINKS", "")
        needs = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"
        venv.requirements[0].write_text(needs)
        with pytest.raises(StackError, match=r"installing failed with exit code 1; run .* again"):
            venv.install()
    assert not venv.is_current()
    assert (venv.folder / "installing").exists(), "as an install that was killed leaves it"
    venv.requirements[0].write_text("# something else\n")
    assert not venv.is_current()
    venv.install()
    assert venv.is_current()
    assert not kept.exists(), "thrown away and made anew"


def test_an_install_that_takes_too_long_is_said_in_a_sentence(
    venv: Venv, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def late(command: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", late)
    monkeypatch.setitem(venvs.ALL, "test", venv)
    assert venvs.main(["test"]) == 1
    assert "did not end within 1800 s; run the same again" in capsys.readouterr().out
    assert not venv.is_current()
    venv.python.parent.mkdir()
    venv.python.touch()
    (venv.folder / "installing").unlink()
    assert venvs.main(["test"]) == 1
    assert "did not end within 60 s; run the same again" in capsys.readouterr().out
    assert venv.python.exists(), "it is not taken for broken"


def test_an_environment_whose_python_is_gone_is_not_current(venv: Venv) -> None:
    venv.folder.mkdir()
    (venv.folder / "installed.json").write_text('{"needs.txt": "0"}')
    assert not venv.is_current()


def test_a_python_that_cannot_make_environments_is_told_in_one_sentence(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venvs.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(venvs.shutil, "which", lambda name: None)

    with pytest.raises(StackError, match=r"apt-get install python3\.11-venv"):
        venv.install()


def test_the_modules_that_set_up_need_the_standard_library_alone() -> None:
    """-S leaves out site-packages; -I whatever the shell added."""
    code = f"import sys; sys.path.insert(0, {str(venvs.ROOT)!r}); import stack.__main__"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=60)


def test_our_package_alone_is_installed_anew_when_it_changes(
    venv: Venv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "client" / "src" / "ours" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.touch()
    (tmp_path / "client" / "pyproject.toml").touch()
    ours = dataclasses.replace(venv, package=tmp_path / "client")
    ran: list[list[str]] = []
    monkeypatch.setattr(venvs, "_run", lambda command, _what: ran.append(list(command)))
    ours.python.parent.mkdir(parents=True)
    ours.python.touch()
    (ours.folder / "installed.json").write_text(json.dumps(ours.wanted()))

    for content in ("", "changed = True\n"):
        module.write_text(content)
        assert not ours.is_current()
        ours.install()
        assert ours.is_current()
    assert [command[-1] for command in ran] == [str(tmp_path / "client")] * 2
    assert {"--no-index", "--no-deps", "--compile"} <= set(ran[0]), "no network is needed"
    (module.parent / "__pycache__").mkdir()
    (module.parent / "__pycache__" / "x.pyc").touch()
    assert ours.is_current(), "bytecode is no change"
