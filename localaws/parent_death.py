"""Runs a program that ends when its parent process dies.

Run as ``python parent_death.py PARENT_PID PROGRAM ARGUMENT…``. The kernel sends the program SIGTERM
when the parent dies, also by SIGKILL (prctl(2), PR_SET_PDEATHSIG, which is kept across exec). This
is a program, not a preexec_fn, which would run Python code in a forked copy of the parent.

localaws starts containers with it, and ``make up`` its parts.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def ending_with_parent(command: tuple[str, ...]) -> tuple[str, ...]:
    """The argument list that runs ``command`` and ends it with this process."""
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()), *command)


def main(arguments: list[str]) -> None:
    parent, program = int(arguments[0]), arguments[1:]
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit("its parent is gone")
    try:
        os.execvp(program[0], program)  # noqa: S606 - no shell is meant
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
