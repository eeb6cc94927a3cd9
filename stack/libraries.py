"""What MXNet asks of the machine: a processor, a C library, and two libraries that wheels bring.

MXNet's wheel is linked to libgomp, and the libgfortran inside it to libquadmath; it brings neither,
and a small machine has neither. The wheels of scikit-learn and numpy do bring them, under names
with a hash. libmxnet.so looks into its own folder first (its RPATH is ``$ORIGIN``), so a link there
makes MXNet use them, on every machine alike and without root.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from stack.errors import StackError

#: The name that MXNet asks for, and where a wheel has the library, below site-packages.
BROUGHT = {
    "libgomp.so.1": "scikit_learn.libs/libgomp-*.so.1*",
    "libquadmath.so.0": "numpy.libs/libquadmath-*.so.0*",
}
#: The newest C library that a wheel of ours asks for (``manylinux_2_28``).
_GLIBC = (2, 28)


def check_machine() -> None:
    """Raise ``StackError`` where the packages have no build for this machine.

    Asked before anything is downloaded: pip would fail half-way, and not say why.
    """
    system, processor = platform.system(), platform.machine()
    if system != "Linux":
        raise _unsuited(f"this is {system}")
    if processor not in ("x86_64", "AMD64"):
        raise _unsuited(f"its processor is {processor}")
    if os.sysconf("SC_LONG_BIT") != 64:
        raise _unsuited("this Python is built for 32 bits")
    library = _glibc()
    if library is None:
        raise _unsuited("its C library is not glibc (Alpine Linux has musl)")
    if library < _GLIBC:
        raise _unsuited(f"its glibc is {library[0]}.{library[1]}")


def _unsuited(why: str) -> StackError:
    return StackError(
        "MXNet is built for Linux on x86-64 with glibc "
        f"{_GLIBC[0]}.{_GLIBC[1]} or later alone, and {why}: use such a machine or a container of "
        "that kind. Nothing was downloaded."
    )


def _glibc() -> tuple[int, int] | None:
    """The version of glibc; None with another C library, which does not know the question."""
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return None
    name, _, version = said.partition(" ")
    numbers = version.split(".")
    if name != "glibc" or len(numbers) < 2 or not all(part.isdigit() for part in numbers[:2]):
        return None
    return int(numbers[0]), int(numbers[1])


def links(site: Path, brought: Mapping[str, str] = BROUGHT) -> dict[Path, Path]:
    """The links that belong into MXNet's folder below ``site``, and what each leads to.

    Raises ``StackError`` where a wheel does not bring exactly one library of that name.
    """
    found = {}
    for name, pattern in brought.items():
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
    """Whether MXNet below ``site`` finds the libraries that the wheels bring."""
    try:
        wanted = links(site)
    except StackError:
        return False
    return all(link.is_symlink() and link.readlink() == to for link, to in wanted.items())


def link(site: Path) -> None:
    """Link the libraries into MXNet's folder below ``site``, in place of what may be there."""
    for path, to in links(site).items():
        temporary = path.with_name(f"{path.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(to)
        temporary.replace(path)
