"""Becomes a part's program, tied to the life of the supervisor.

Run as ``python child.py SUPERVISOR_PID PROGRAM ARGUMENT…``. The kernel sends the program SIGTERM
when the supervisor dies, however it dies (prctl(2), PR_SET_PDEATHSIG, which outlives exec). This
is a program and not a hook between fork and exec, because such hooks run Python code in a forked
copy of the supervisor.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    supervisor, program = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != supervisor:  # it died before the kernel was told
        sys.exit("the supervisor is gone")
    try:
        os.execvp(program[0], program)  # noqa: S606 - no shell is meant
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
