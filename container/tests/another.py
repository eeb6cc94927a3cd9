"""Run a program as somebody else, or under what Docker's default seccomp profile refuses.

python another.py [--user 12345] [--as-docker] PROGRAM ARGUMENT …
"""

import argparse
import ctypes
import errno
import os


def refuse_as_docker() -> None:
    """No new namespaces and no mounts, as for a process without CAP_SYS_ADMIN (moby's profile)."""
    import pyseccomp as seccomp

    refuse = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in ("unshare", "mount", "setns", "umount2", "pivot_root", "fsopen", "move_mount",
                 "open_tree", "mount_setattr", "fsmount", "fsconfig", "keyctl", "add_key",
                 "bpf", "perf_event_open", "userfaultfd", "open_by_handle_at"):  # fmt: skip
        refuse.add_rule(seccomp.ERRNO(errno.EPERM), name)
    for bit in (0x10000000, 0x20000000, 0x40000000, 0x00020000, 0x04000000, 0x08000000, 0x02000000):
        refuse.add_rule(
            seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, bit, bit)
        )
    refuse.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    refuse.load()


parser = argparse.ArgumentParser()
parser.add_argument("--user", type=int)
parser.add_argument("--without-capabilities", action="store_true")
parser.add_argument("--as-docker", action="store_true")
parser.add_argument("program", nargs=argparse.REMAINDER)
arguments = parser.parse_args()
if arguments.user is not None:
    os.setgroups([])
    os.setresgid(arguments.user, arguments.user, arguments.user)
    os.setresuid(arguments.user, arguments.user, arguments.user)
if arguments.without_capabilities:  # the next program has none, root or not
    for number in range(64):
        ctypes.CDLL(None).prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP
if arguments.as_docker:
    refuse_as_docker()
os.execv(arguments.program[0], arguments.program)
