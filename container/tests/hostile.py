"""What an untrusted archive could do if MXNet ran its code: try each way out of the sandbox.

A program for ``sandbox.run``. Its argument is JSON: where the things are that it must not get
(test_sandbox.py puts them there). Its report names each way and what came of it: "refused …", or
"GOT …" where it got out.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import runpy
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

# Makes the package importable. Its parent folder cannot be read in the sandbox.
runpy.run_path(f"{json.loads(sys.argv[1])['container']}/dockerd-entrypoint.py")

from container import sandbox  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
NUMBERS = {  # x86_64, aarch64
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "pidfd_open": (434, 434),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "chroot": (161, 51),
    "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217), "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "memfd_create": (319, 279),
    "open_by_handle_at": (304, 265), "execve": (59, 221), "tgkill": (234, 131),
    "kcmp": (312, 272), "shmget": (29, 194), "mq_open": (180, 180), "seccomp": (317, 277),
    "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "clone3": (435, 435), "execveat": (322, 281), "memfd_secret": (447, 447),
}  # fmt: skip
REFUSED = {errno.ENOSYS, errno.EPERM, errno.EACCES}


def call(name: str, *arguments: object) -> str:
    """Make a system call; it must be refused as such, and not for what it is given."""
    ctypes.set_errno(0)
    result = libc.syscall(NUMBERS[name][CALLS], *arguments)
    error = ctypes.get_errno()
    if result == -1 and error in REFUSED:
        return f"refused {errno.errorcode[error]}"
    return f"GOT {result} {errno.errorcode.get(error, '')}"


def attempt(act: Callable[[], object]) -> str:
    try:
        return f"GOT {act()!r}"[:200]
    except Exception as error:
        return f"refused {type(error).__name__} {error}"[:200]


def nothing(found: object) -> str:
    return f"GOT {found!r}"[:300] if found else "refused: nothing there"


def write(path: str) -> Callable[[], object]:
    def act() -> int:
        with open(path, "a", encoding="ascii") as file:
            return file.write("x")

    return act


def connect(family: int, address: object, kind: int = socket.SOCK_STREAM) -> Callable[[], object]:
    def act() -> object:
        with socket.socket(family, kind) as client:
            client.settimeout(2)
            return client.connect(address)  # type: ignore[arg-type]

    return act


def environments(marker: str) -> list[str]:
    """Processes in whose environment or memory maps the marker can be read."""
    found = []
    for name in ("environ", "cmdline", "mem"):
        for pid in (*range(1, 200), os.getppid(), *numbers()):
            with contextlib.suppress(OSError):
                if marker.encode() in Path(f"/proc/{pid}/{name}").read_bytes()[:100_000]:
                    found.append(f"{pid}/{name}")
    return found


def numbers() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def inherited() -> list[int]:
    found = []
    for number in range(3, 1024):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


def forks() -> int:
    """How many processes it can have at once, of 300; it ends them again."""
    pids = []
    for _ in range(300):
        try:
            pid = os.fork()
        except OSError:
            break
        if pid == 0:
            os.read(0, 1)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    return len(pids)


def threads() -> int:
    """How many threads it can have at once, of 3,000."""
    threading.stack_size(32 * 1024)
    gate, all_of_them = threading.Event(), []
    for _ in range(3000):
        thread = threading.Thread(target=gate.wait)
        try:
            thread.start()
        except RuntimeError:
            break
        all_of_them.append(thread)
    gate.set()
    for thread in all_of_them:
        thread.join()
    return len(all_of_them)


def more_than_allowed() -> str:
    """Raise the limits again."""
    raised = []
    for name in ("AS", "CPU", "NPROC", "NOFILE", "FSIZE", "CORE"):
        limit = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(limit)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (hard + 1, hard + 1))
            raised.append(name)
        if hard == resource.RLIM_INFINITY:
            raised.append(f"{name} unlimited")
    return nothing(raised)


def _reopen(path: str) -> object:
    reading = os.open(path, os.O_RDONLY)
    try:
        return os.open(f"/proc/self/fd/{reading}", os.O_RDWR)
    finally:
        os.close(reading)


def ways_to_change(published: str, folder: str) -> dict[str, Callable[[], object]]:
    """Make what is published another file than the one that is validated."""
    other = f"{folder}/other"
    Path(other).write_text("another network")
    return {
        "write to what is published": write(published),
        "cut what is published": lambda: os.truncate(published, 0),
        "open what is published to write": lambda: os.open(published, os.O_RDWR),
        "open it by its descriptor to write": lambda: _reopen(published),
        "make what is published writable": lambda: os.chmod(published, 0o666),
        "remove what is published": lambda: os.unlink(published),
        "put another file in its place": lambda: os.replace(other, published),
        "link it to another file": lambda: [os.unlink(published), os.symlink(other, published)],
        "put a file beside it": write(f"{published}.tar"),
    }


def ways_to_write(about: dict) -> dict[str, str]:
    """Before the archive is unpacked, when its folder can be written to."""
    folder = about["folder"]
    return {
        f"{what} while it unpacks": attempt(act)
        for what, act in {
            **(
                {}
                if "seccomp" not in about["holds"]
                else {"a file without a name": lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR)}
            ),
            "write beside its folder": write(f"{Path(folder).parent}/escaped"),
            "write to /tmp": write("/tmp/escaped"),
            "write to /": write("/escaped"),
            "write to /dev/shm": write("/dev/shm/escaped"),
            "write to the runtime": write(f"{sandbox.CONTAINER}/escaped.py"),
            "write to the secret": write(about["secret"]),
            **ways_to_change(about["published"], folder),
            "remove the secret": lambda: os.unlink(about["secret"]),
            "write more than a file may hold": lambda: Path(folder, "big").write_bytes(
                b"x" * (3 << 20)
            ),
            "a device": lambda: os.mknod(f"{folder}/disk", 0o60600, os.makedev(254, 0)),
            "a link to the secret": lambda: [
                os.symlink(about["secret"], f"{folder}/link"),
                Path(f"{folder}/link").read_text(),
            ],
        }.items()
    }


def ways_out(about: dict) -> dict[str, str]:
    victim, folder, marker = about["victim"], about["folder"], "".join(about["marker"])
    remote = (ctypes.c_uint64 * 2)(about.get("address", 0x10000), 8)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    seen: dict[str, str] = {
        "read a secret": attempt(lambda: Path(about["secret"]).read_text()),
        "read a secret by /proc/self/root": attempt(
            lambda: Path(f"/proc/self/root{about['secret']}").read_text()
        ),
        "read a secret by a descriptor of the parent": attempt(
            lambda: Path(f"/proc/{os.getppid()}/fd/{about['descriptor']}").read_text()
        ),
        "read /etc/shadow": attempt(lambda: Path("/etc/shadow").read_text()[:3]),
        "read /etc/passwd": attempt(lambda: Path("/etc/passwd").read_text()[:3]),
        "list the secret's folder": attempt(lambda: os.listdir(Path(about["secret"]).parent)),
        "list /home": attempt(lambda: os.listdir("/home")),
        "list what is in home folders": nothing(
            [
                name
                for home in (about["home"], "/root")
                for name in _names(home)
                if not name.startswith(".pyenv")
                and name not in {Path(path).relative_to(home).parts[0] for path in about["runtime"]
                                 if Path(path).is_relative_to(home) and path != home}
            ]
        ),
        "read other processes' environments": nothing(environments(marker)),
        "read its own environment's secrets": nothing(
            [name for name in os.environ if name not in about["environment"]]
        ),
        "write beside its folder": attempt(write(f"{Path(folder).parent}/escaped")),
        "write to /tmp": attempt(write("/tmp/escaped")),
        "write to /": attempt(write("/escaped")),
        "write to /dev/shm": attempt(write("/dev/shm/escaped")),
        "write to the runtime": attempt(write(f"{sandbox.CONTAINER}/escaped.py")),
        "write once all is unpacked": attempt(write(f"{folder}/late")),
        "open the disk": nothing([
            name for name in ("mem", "kmsg", "vda", "sda", "nvme0n1", "tty", "ptmx", "fuse", "kvm")
            if not attempt(lambda name=name: os.open(f"/dev/{name}", os.O_RDONLY))
            .startswith("refused")
        ]),
        "TCP": attempt(connect(socket.AF_INET, (about.get("host", "127.0.0.1"), about["port"]))),
        "UDP": attempt(connect(socket.AF_INET, ("127.0.0.1", 53), socket.SOCK_DGRAM))
        if "seccomp" in about["holds"]
        else "refused: of no use",
        "names of hosts": attempt(lambda: socket.getaddrinfo("example.com", 80)),
        "a Unix socket": attempt(connect(socket.AF_UNIX, about["unix"])),
        "an abstract Unix socket": attempt(connect(socket.AF_UNIX, "\0" + about["abstract"])),
        "signal another process": attempt(lambda: os.kill(victim, 15)),
        "look for all processes": attempt(lambda: os.kill(victim, 0)),
        "ptrace another process": call("ptrace", 0x4206, victim, 0, 0)
        if "seccomp" in about["holds"]
        else nothing(libc.syscall(NUMBERS["ptrace"][CALLS], 0x4206, victim, 0, 0) == 0),
        "read another process's memory": nothing(
            libc.syscall(
                NUMBERS["process_vm_readv"][CALLS], victim, local, 1, remote, 1, 0
            ) > 0
        ),
        "inherited descriptors": nothing(inherited()),
        "become root": attempt(lambda: os.setresuid(0, 0, 0))
        if os.getuid() != 0 else "refused: see the limits",
        "raise the limits": more_than_allowed(),
        "threads without end": nothing((count := threads()) >= 3000 and count),
        "be another process's limits": attempt(
            lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (5, 5))
        ),
    }  # fmt: skip
    if "seccomp" in about["holds"]:
        null = ctypes.c_void_p(0)
        seen |= {
            "fork bomb": nothing(forks()),
            "start a program": attempt(lambda: os.execv(sys.executable, ["python", "-c", ""])),
            "start a setuid program": attempt(lambda: os.posix_spawn("/bin/su", ["su"], {})),
            "a new user namespace": call("unshare", 0x10000000),
            "a new mount namespace": call("unshare", 0x00020000),
            "enter a namespace": call("setns", 0, 0),
            "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, null),
            "chroot": call("chroot", b"/"),
            "bpf": call("bpf", 0, null, 0),
            "keyctl": call("keyctl", 0, -3, 0),
            "add_key": call("add_key", b"user", b"x", b"x", 1, -3),
            "io_uring": call("io_uring_setup", 1, null),
            "perf": call("perf_event_open", null, 0, -1, -1, 0),
            "userfaultfd": call("userfaultfd", 0),
            "memory as a file": call("memfd_create", b"x", 0),
            "a file by its handle": call("open_by_handle_at", -1, null, 0),
            "a process by its descriptor": call("pidfd_open", os.getpid(), 0),
            "signal a thread": call("tgkill", victim, victim, 0),
            "signal its parent": attempt(lambda: os.kill(os.getppid(), signal.SIGTERM)),
            "signal whoever it can": attempt(lambda: os.kill(-1, signal.SIGTERM)),
            "signal by a descriptor": call("pidfd_send_signal", 0, signal.SIGTERM, null, 0),
            "take a descriptor of its parent": call("pidfd_getfd", 0, 0, 0),
            "write another process's memory": call(
                "process_vm_writev", victim, local, 1, remote, 1, 0
            ),
            "a process by the newer call": call("clone3", null, 0),
            "start a program by its descriptor": call("execveat", 0, b"", null, null, 0x1000),
            "memory that nobody sees": call("memfd_secret", 0),
            "compare processes": call("kcmp", victim, victim, 0, 0, 0),
            "shared memory": call("shmget", 0, 4096, 0o1600),
            "a netlink socket": attempt(lambda: socket.socket(socket.AF_NETLINK)),
            "a pair of sockets": attempt(lambda: socket.socketpair()),
            "type into a terminal": attempt(_type),
            "write its memory's file": attempt(lambda: os.open("/proc/self/mem", os.O_RDWR)),
            "unlink once all is unpacked": attempt(lambda: os.unlink(f"{folder}/there")),
            "link": attempt(lambda: os.link(f"{folder}/there", f"{folder}/linked")),
        }
    return seen


def _type() -> object:
    return fcntl.ioctl(2, 0x5412, b"x")  # TIOCSTI


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def fill(folder: str) -> None:
    """Write without end, many files, each as large as may be."""
    for number in range(1_000_000):
        with contextlib.suppress(OSError), open(f"{folder}/{number}", "wb") as file:
            while True:
                file.write(b"x" * 1_000_000)


def main() -> None:
    about = json.loads(sys.argv[1])
    held = sandbox.enter()
    about["holds"] = held["processes"]
    mode = about["mode"]
    if mode == "fill":
        fill(about["folder"])
    Path(about["folder"], "there").write_text("x")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    seen = ways_to_write(about) if mode == "ways out" else {}
    sandbox.forbid_writing()
    if mode == "ways out":
        sandbox.send({"report": seen | ways_out(about)})
    elif mode == "crash":
        ctypes.string_at(struct.calcsize("P"))
    elif mode == "exit":
        os._exit(int(about["code"]))
    elif mode == "stay":
        _stay()
    elif mode == "shout":
        while True:
            os.write(1, b"x" * 60_000)
    elif mode == "memory":
        held_on = [bytearray(50_000_000) for _ in range(1000)]
        print(len(held_on))
    elif mode == "spin":
        while True:
            pass


def _stay() -> None:
    """Ignore what can be ignored, leave the session and the parent, and stay."""
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setsid()
    for _ in range(2):
        with contextlib.suppress(OSError):
            if os.fork():
                break
            os.setsid()
    sandbox.send({"staying": os.getpid()})
    while True:
        time.sleep(3600)


main()
