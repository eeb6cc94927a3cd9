"""MXNet gets its libraries from wheels, and a machine that it is not built for is told so."""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

from stack import libraries, venvs
from stack.stack_error import StackError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    for folder in ("mxnet", "numpy.libs", "scikit_learn.libs"):
        (site / folder).mkdir(parents=True)
    (site / "scikit_learn.libs" / "libgomp-a34b3233.so.1.0.0").write_text("gomp")
    (site / "numpy.libs" / "libquadmath-96973f99.so.0.0.0").write_text("quadmath")
    (site / "numpy.libs" / "libgfortran-040039e1.so.5.0.0").write_text("another")
    return site


def test_the_libraries_are_linked_by_pattern_and_again_after_an_update(site: Path) -> None:
    assert not libraries.are_linked(site)
    libraries.link(site)
    assert libraries.are_linked(site)
    assert (site / "mxnet" / "libgomp.so.1").read_text() == "gomp"
    assert (site / "mxnet" / "libquadmath.so.0").read_text() == "quadmath"

    (site / "scikit_learn.libs" / "libgomp-a34b3233.so.1.0.0").unlink()
    (site / "scikit_learn.libs" / "libgomp-0badcafe.so.1.0.0").write_text("newer")
    assert not libraries.are_linked(site)
    libraries.link(site)
    assert (site / "mxnet" / "libgomp.so.1").read_text() == "newer"


def test_a_virtual_environment_can_be_moved_with_its_links(site: Path, tmp_path: Path) -> None:
    libraries.link(site)
    (tmp_path / ".venv").rename(tmp_path / "moved")
    moved = tmp_path / "moved" / "lib" / "python3.11" / "site-packages"
    assert (moved / "mxnet" / "libgomp.so.1").read_text() == "gomp"


@pytest.mark.parametrize("count", [0, 2])
def test_anything_but_one_library_of_a_name_is_refused(site: Path, count: int) -> None:
    (site / "numpy.libs" / "libquadmath-96973f99.so.0.0.0").unlink()
    for number in range(count):
        (site / "numpy.libs" / f"libquadmath-{number}.so.0.0.0").touch()
    with pytest.raises(
        StackError, match=rf"libquadmath\.so\.0, and {count} files .* Remove \.venv"
    ):
        libraries.link(site)
    assert not libraries.are_linked(site)


def test_mxnet_runs_on_the_libraries_of_the_wheels_and_of_no_system() -> None:
    """Whatever this machine has: those in MXNet's folder come first."""
    code = "import mxnet; print(open('/proc/self/maps').read())"
    done = subprocess.run(
        [str(venvs.CONTAINER.python), "-c", code],
        capture_output=True, text=True, check=True, timeout=120, env=venvs.clean_environment(),
    )  # fmt: skip
    loaded = set(re.findall(r"/\S*(?:libgomp|libquadmath)\S*", done.stdout))
    assert {Path(name).name.partition("-")[0] for name in loaded} == {"libgomp", "libquadmath"}
    assert all(name.startswith(os.path.realpath(venvs.CONTAINER.site)) for name in loaded), loaded


def test_this_machine_suits() -> None:
    libraries.check_machine()


def test_another_processor_system_or_c_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(StackError, match=r"its processor is aarch64: .* Nothing was downloaded\."):
        libraries.check_machine()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    def musl(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", musl)
    with pytest.raises(StackError, match=r"its C library is not glibc \(Alpine Linux has musl\)"):
        libraries.check_machine()
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.17")
    with pytest.raises(StackError, match=r"its glibc is 2\.17: "):
        libraries.check_machine()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(StackError, match=r"this is Darwin: "):
        libraries.check_machine()
