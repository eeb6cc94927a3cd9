"""MXNet's requirements: processor, C library, and two libraries that other wheels bring.

MXNet's wheel is linked to libgomp, and the libgfortran inside it to libquadmath; it brings neither,
and a small machine has neither. The wheels of scikit-learn and numpy do bring them, under names
with a hash. libmxnet.so looks into its own folder first (its RPATH is ``$ORIGIN``), so links there
make MXNet use them, without root.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from stack.stack_error import StackError

#: The name that MXNet asks for, and where a wheel has the library, below site-packages.
BUNDLED = {
    "libgomp.so.1": "scikit_learn.libs/libgomp-*.so.1*",
    "libquadmath.so.0": "numpy.libs/libquadmath-*.so.0*",
}
#: The newest C library that a wheel of ours asks for (``manylinux_2_28``).
_GLIBC = (2, 28)


def check_machine() -> None:
    """Raise ``StackError`` where the packages have no build for this machine.

    Called before anything is downloaded: pip would fail late, without the reason.
    """
    system, processor = platform.system(), platform.machine()
    if system != "Linux":
        raise _unsupported(f"this is {system}")
    if processor not in ("x86_64", "AMD64"):
        raise _unsupported(f"its processor is {processor}")
    if os.sysconf("SC_LONG_BIT") != 64:
        raise _unsupported("this Python is built for 32 bits")
    library = _glibc()
    if library is None:
        raise _unsupported("its C library is not glibc (Alpine Linux has musl)")
    if library < _GLIBC:
        raise _unsupported(f"its glibc is {library[0]}.{library[1]}")


def _unsupported(why: str) -> StackError:
    return StackError(
        "MME Portal needs Linux on x86-64 with glibc "
        f"{_GLIBC[0]}.{_GLIBC[1]} or later, because MXNet is built for nothing else, and {why}: "
        "README.md says what to do on a Mac and on Windows. Nothing was downloaded."
    )


def _glibc() -> tuple[int, int] | None:
    """The version of glibc; None with another C library."""
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return None
    name, _, version = said.partition(" ")
    numbers = version.split(".")
    if name != "glibc" or len(numbers) < 2 or not all(part.isdigit() for part in numbers[:2]):
        return None
    return int(numbers[0]), int(numbers[1])


def links(site: Path, bundled: Mapping[str, str] = BUNDLED) -> dict[Path, Path]:
    """The links to make in MXNet's folder below ``site``, with their targets.

    Raises ``StackError`` where a wheel does not bring exactly one library of that name.
    """
    found = {}
    for name, pattern in bundled.items():
        libraries = sorted(site.glob(pattern))
        if len(libraries) != 1:
            raise StackError(
                f"MXNet needs {name}, and {len(libraries)} files are {pattern} in {site}, where "
                "there should be one: the packages are not those that requirements name. Remove "
                f"{site.parents[2].name} and run this again."
            )
        found[site / "mxnet" / name] = Path("..") / libraries[0].relative_to(site)
    return found


def are_linked(site: Path) -> bool:
    """Whether the links to the bundled libraries exist below ``site``."""
    try:
        wanted = links(site)
    except StackError:
        return False
    return all(link.is_symlink() and link.readlink() == to for link, to in wanted.items())


def link(site: Path) -> None:
    """Create the links in MXNet's folder below ``site``; existing files are replaced."""
    for path, to in links(site).items():
        temporary = path.with_name(f"{path.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(to)
        temporary.replace(path)
