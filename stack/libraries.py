"""The system's libraries that MXNet is linked to and that no Python package brings."""

import ctypes

from stack.errors import StackError

#: The library's name as the loader looks it up, and Debian's and Ubuntu's package that has it.
NEEDED = {"libgomp.so.1": "libgomp1", "libquadmath.so.0": "libquadmath0"}


def check(needed: dict[str, str] = NEEDED) -> None:
    """Raise ``StackError`` with what to install where a library is missing."""
    missing = [name for name in needed if not _loads(name)]
    if missing:
        packages = " ".join(needed[name] for name in missing)
        raise StackError(
            f"MXNet needs {' and '.join(missing)}, which this machine does not have. Nothing was "
            f"started. Install them (Debian, Ubuntu: apt-get install {packages}) and run this "
            "again."
        )


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
