"""`stack/run` finds a Python 3.11, whatever else the machine has."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "run"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without a virtual environment, on a machine with ``sh`` and ``dirname``."""
    (tmp_path / "checkout" / "stack").mkdir(parents=True)
    script = tmp_path / "checkout" / "stack" / "run"
    script.write_bytes(SCRIPT.read_bytes())
    script.chmod(0o755)
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname"):
        found = next(p for p in ("/bin", "/usr/bin") if os.path.exists(f"{p}/{tool}"))
        (tmp_path / "bin" / tool).symlink_to(f"{found}/{tool}")
    return tmp_path


def put(folder: Path, name: str, *, works: bool, code: int = 1) -> None:
    """A stand-in for an interpreter: it says its name when it is run for good."""
    answer = 0 if works else code
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then exit {answer}; fi\necho "{name} $*"\n')
    path.chmod(0o755)


def run(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / "checkout" / "stack" / "run", "up"],
        # In place of /usr/bin/python3.11, which the machine of these tests may have or not.
        env={"PATH": str(machine / "bin"), "PYTHON": str(machine / "system" / "python3.11")},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_python3_is_used_where_it_is_3_11(checkout: Path) -> None:
    put(checkout / "bin", "python3", works=True)
    assert run(checkout).stdout == "python3 -m stack up\n"


def test_python3_11_is_used_where_python3_is_another_version(checkout: Path) -> None:
    put(checkout / "bin", "python3", works=False)
    put(checkout / "bin", "python3.11", works=True)
    assert run(checkout).stdout == "python3.11 -m stack up\n"


def test_a_python3_11_that_does_not_work_is_passed_over(checkout: Path) -> None:
    put(checkout / "bin", "python3.11", works=False, code=127)
    put(checkout / "bin", "python3", works=True)
    assert run(checkout).stdout == "python3 -m stack up\n"


def test_the_systems_own_python_comes_before_another(checkout: Path) -> None:
    put(checkout / "bin", "python3.11", works=True)
    put(checkout, "system/python3.11", works=True)
    assert run(checkout).stdout == "system/python3.11 -m stack up\n"
    put(checkout / "checkout", ".venv/bin/python", works=True)
    assert run(checkout).stdout == ".venv/bin/python -m stack up\n"


def test_the_systems_own_python_is_passed_over_where_it_makes_no_environments(
    checkout: Path,
) -> None:
    """As Debian's without its package python3.11-venv."""
    put(checkout / "bin", "python3.11", works=True)
    put(checkout, "system/python3.11", works=True)
    own = checkout / "system" / "python3.11"
    without = 'case "$2" in *ensurepip*) exit 1;; esac'
    own.write_text(own.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{without}\n"))
    assert run(checkout).stdout == "python3.11 -m stack up\n"


def test_the_systems_own_python_is_usr_bins() -> None:
    assert "${PYTHON:-/usr/bin/python3.11}" in SCRIPT.read_text()


def test_uv_is_used_where_there_is_no_python_3_11(checkout: Path) -> None:
    put(checkout / "bin", "python3", works=False)
    put(checkout / "bin", "uv", works=False)
    said = run(checkout).stdout
    assert said == "uv run --quiet --no-project --python 3.11 python -m stack up\n"


def test_the_checkouts_own_environment_comes_first(checkout: Path) -> None:
    put(checkout / "bin", "python3.11", works=True)
    put(checkout / "checkout", ".venv/bin/python", works=True)
    assert run(checkout).stdout == ".venv/bin/python -m stack up\n"


def test_an_environment_that_was_cut_short_is_not_used(checkout: Path) -> None:
    put(checkout / "bin", "python3.11", works=True)
    put(checkout / "checkout", ".venv/bin/python", works=True)
    (checkout / "checkout" / ".venv" / "installing").touch()
    assert run(checkout).stdout == "python3.11 -m stack up\n"


def test_where_there_is_none_one_sentence_says_what_to_install(checkout: Path) -> None:
    put(checkout / "bin", "python3", works=False)
    done = run(checkout)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert (
        "needs Python 3.11, as MXNet's packages run on no later one: install python3.11"
        in done.stderr
    )
    assert "elsewhere install uv, which brings Python" in done.stderr
    assert "run `make up` again" in done.stderr


def test_a_machine_with_another_python_alone_is_told_which_and_what_to_do(checkout: Path) -> None:
    path = checkout / "bin" / "python3"
    path.write_text(
        "#!/bin/sh\n"
        'case "$2" in *exit*) exit 1;; esac\n'
        'echo ", and this machine has Python 3.13.2"\n'
    )
    path.chmod(0o755)
    done = run(checkout)
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
    assert "this machine has Python 3.13.2: install python3.11" in done.stderr
    assert done.stderr.count("\n") == 1


def test_uv_downloads_no_python_for_another_processor(checkout: Path) -> None:
    put(checkout / "bin", "uv", works=False)
    put(checkout / "bin", "python3", works=False)
    (checkout / "bin" / "uname").write_text("#!/bin/sh\necho Linux aarch64\n")
    (checkout / "bin" / "uname").chmod(0o755)
    done = run(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert "this is Linux aarch64" in done.stderr


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ("Darwin arm64", "On a Mac, run it in a Linux container"),
        ("MINGW64_NT-10.0-22631 x86_64", "On Windows, run it in WSL2"),
    ],
)
def test_a_mac_and_windows_are_told_what_to_do(checkout: Path, machine: str, told: str) -> None:
    put(checkout / "bin", "python3", works=False)
    (checkout / "bin" / "uname").write_text(f"#!/bin/sh\necho {machine}\n")
    (checkout / "bin" / "uname").chmod(0o755)
    done = run(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
