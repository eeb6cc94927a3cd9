"""The virtual environments: their requirements, whether they are current, and installing them.

``python -m stack.venvs NAME`` makes or completes one; the stack runs that as a step of its own.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack import libraries
from stack.layout import CONTAINER_VENV, PORTAL_VENV, ROOT, SDK_VENV
from stack.stack_error import StackError

_STAMP = "installed.json"  # what was installed, written last of all
_PACKAGE_STAMP = "package.sha256"  # of our own package, as it was installed
_UNDERWAY = "installing"  # exists during an install; found at a start, the install was interrupted
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
#: The Python outside of virtual environments, so that those can be replaced.
BASE_PYTHON: str = getattr(sys, "_base_executable", sys.executable)
NEEDS_VENV = (
    "This Python 3.11 cannot make virtual environments: install its venv package "
    "(Debian, Ubuntu: apt-get install python3.11-venv) or uv, and run this again."
)


@dataclass(frozen=True)
class Venv:
    """A virtual environment and the hashed requirement files that fill it."""

    name: str
    folder: Path
    requirements: tuple[Path, ...]
    #: Requirement files that are included in these, and need no install of their own.
    includes: tuple[Path, ...] = ()
    #: A package of ours that is installed beside them (`client/`).
    package: Path | None = None
    #: Whether MXNet is in it, which needs libraries linked to it (stack/libraries.py).
    holds_mxnet: bool = False
    #: The file or folder that is locked while it is installed, where another environment has
    #: requirements in the same folder: else that folder.
    lock: Path | None = None

    @property
    def site(self) -> Path:
        """Where its packages lie."""
        return self.folder / "lib" / "python3.11" / "site-packages"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def installing(self) -> list[str]:
        """The command that makes or completes it."""
        return [BASE_PYTHON, "-m", "stack.venvs", self.name]

    def wanted(self) -> dict[str, str]:
        """The requirement files and their hashes, as the stamp holds them."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (*self.requirements, *self.includes)
        }

    def is_current(self) -> bool:
        """Whether the pinned requirements are installed, and our package as it is now."""
        return self._has_requirements() and self._has_package()

    def _has_package(self) -> bool:
        if self.package is None:
            return True
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / _PACKAGE_STAMP).read_text() == _hash_of_package(self.package)
        return False

    def _has_requirements(self) -> bool:
        try:
            stamp = json.loads((self.folder / _STAMP).read_text())
        except (FileNotFoundError, ValueError):
            return False
        return (
            not (self.folder / _UNDERWAY).exists()
            and self.python.exists()  # the interpreter it was made from may have been removed
            and self.wanted().items() <= stamp.items()
            and (not self.holds_mxnet or libraries.are_linked(self.site))
        )

    def install(self) -> None:
        """Create or update it. An interrupted install is removed first."""
        with _exclusive(self.lock or self.requirements[0].parent):
            if not self._has_requirements():  # else another process has installed them
                self._install_requirements()
            if self.package is not None and not self._has_package():
                self._install_package(self.package)

    def _install_requirements(self) -> None:
        if (self.folder / _UNDERWAY).exists() or not _works(self.python):
            # pip takes a partly installed package for installed.
            _remove(self.folder)
        fresh = not self.folder.exists()
        self.folder.mkdir(exist_ok=True)
        (self.folder / _UNDERWAY).touch()
        if fresh:
            _create(self.folder)
        # Removed first: an interrupted install must not look current.
        (self.folder / _STAMP).unlink(missing_ok=True)
        _run(_installer(self.python) + _requirement_options(self.requirements), "installing")
        if self.holds_mxnet:
            libraries.link(self.site)
        # Compiled here, not by pip: on all cores, and independent of the user's settings.
        # Without bytecode importing MXNet takes twice as long.
        # Warnings are about the packages' own code, which nobody here can change.
        compiled = [
            *(str(self.python), "-W", "ignore", "-m", "compileall", "-j0", "-qq"),
            str(self.folder / "lib"),
        ]
        # No check: packages have files for other Python versions, which fail to compile.
        with contextlib.suppress(subprocess.TimeoutExpired):  # what is left is compiled when used
            subprocess.run(compiled, env=clean_environment(), check=False, timeout=900)
        temporary = self.folder / f"{_STAMP}.tmp"
        temporary.write_text(json.dumps(self.wanted()))
        temporary.replace(self.folder / _STAMP)
        (self.folder / _UNDERWAY).unlink()

    def _install_package(self, package: Path) -> None:
        """A change of our package alone takes a second, and touches nothing else."""
        stamp = self.folder / _PACKAGE_STAMP
        stamp.unlink(missing_ok=True)
        wanted = _hash_of_package(package)
        _run([*_pip(self.python), *_OF_PACKAGE, str(package)], "installing")
        stamp.write_text(wanted)


_REQUIREMENTS = ROOT / "requirements"
_CLIENT = ROOT / "client"
PORTAL = Venv("portal", PORTAL_VENV, (_REQUIREMENTS / "local.txt",), package=_CLIENT)
DEV = Venv(
    "dev",
    PORTAL_VENV,
    (_REQUIREMENTS / "dev.txt",),
    includes=(_REQUIREMENTS / "local.txt",),
    package=_CLIENT,
)
CONTAINER = Venv(
    "container",
    CONTAINER_VENV,
    (
        ROOT / "container" / "requirements.txt",
        _REQUIREMENTS / "demo.txt",
        _REQUIREMENTS / "validation.txt",
    ),
    holds_mxnet=True,
)
#: The SageMaker Python SDK, a client that localaws is tested with; nothing else needs it.
SDK = Venv("sdk", SDK_VENV, (_REQUIREMENTS / "sdk.txt",), lock=_REQUIREMENTS / "sdk.txt")
ALL = {venv.name: venv for venv in (PORTAL, DEV, CONTAINER, SDK)}


def clean_environment() -> dict[str, str]:
    """The environment without variables that change how Python imports."""
    unwanted = (_NO_BYTECODE, "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def _create(folder: Path) -> None:
    """Create an empty environment with venv, uv or virtualenv."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        command = [BASE_PYTHON, "-m", "venv", str(folder)]
    elif shutil.which("uv"):
        options = ["--quiet", "--seed", "--allow-existing", "--python", BASE_PYTHON]
        command = ["uv", "venv", *options, str(folder)]
    elif importlib.util.find_spec("virtualenv"):
        command = [BASE_PYTHON, "-m", "virtualenv", "--quiet", str(folder)]
    else:
        raise StackError(NEEDS_VENV)
    _run(command, "making the virtual environment")


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    check = "import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))"
    command = [str(python), "-c", check]
    with _in_time("looking at the virtual environment"):
        done = subprocess.run(
            command, env=clean_environment(), capture_output=True, check=False, timeout=60
        )
    return done.returncode == 0


def _pip(python: Path) -> list[str]:
    options = ["-qq", "--no-input", "--disable-pip-version-check"]
    return [str(python), "-m", "pip", "install", *options]


def _installer(python: Path) -> list[str]:
    return [*_pip(python), "--no-compile", "--require-hashes"]


# What it needs, and what builds it, is among the requirements, with hashes: no network. Compiled,
# whatever the user's settings: mme is to be there in a quarter of a second.
_OF_PACKAGE = ("--no-deps", "--no-build-isolation", "--no-index", "--compile", "--force-reinstall")


def _hash_of_package(folder: Path) -> str:
    """A hash of the files that are installed: a change of one is installed anew."""
    found = hashlib.sha256()
    sources = [path for path in (folder / "src").rglob("*") if path.is_file()]
    for path in sorted([folder / "pyproject.toml", *sources]):
        if "__pycache__" not in path.parts:
            content = path.read_bytes()
            found.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _requirement_options(files: Sequence[Path]) -> list[str]:
    return [word for path in files for word in ("--requirement", str(path))]


def _run(command: Sequence[str], what: str) -> None:
    with _in_time(what):
        done = subprocess.run(command, env=clean_environment(), check=False, timeout=1800)
    if done.returncode != 0:
        raise StackError(
            f"{what} failed with exit code {done.returncode}; run the same again to go on."
        )


@contextlib.contextmanager
def _in_time(what: str) -> Iterator[None]:
    """Say that a command took too long, and was ended, in a sentence."""
    try:
        yield
    except subprocess.TimeoutExpired as late:
        raise StackError(
            f"{what} did not end within {late.timeout:.0f} s; run the same again to go on."
        ) from None


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Lock this file or folder: two installs of one environment run one after the other."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(arguments: Sequence[str]) -> int:
    # An install that is ended ends its pip.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ALL[arguments[0]].install()
    except StackError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
