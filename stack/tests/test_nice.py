"""What can wait leaves the processors to what people wait for."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import parts, processes
from stack.layout import Layout
from stack.tests.conftest import Driven

_HERE = os.getpriority(os.PRIO_PROCESS, 0)


@pytest.fixture
def leader() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a session of its own."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def _share(pid: int) -> int | None:
    """What its session leaves to others; None where the kernel knows no sessions."""
    file = Path(f"/proc/{pid}/autogroup")
    return int(file.read_text().rpartition(" ")[2]) if file.exists() else None


def test_a_process_and_its_session_are_nice(leader: "subprocess.Popen[bytes]") -> None:
    processes.be_nice(leader.pid, by=10)
    assert os.getpriority(os.PRIO_PROCESS, leader.pid) == min(19, _HERE + 10)
    assert _share(leader.pid) in (10, None)
    for by in range(11, 17):  # more often than the kernel lets somebody at once
        processes.be_nice(leader.pid, by=by)
    assert _share(leader.pid) in (16, None)


def test_one_that_has_ended_is_no_error() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as process:
        process.wait()
    processes.be_nice(process.pid, by=10)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EAGAIN])
def test_where_sessions_cannot_be_told_it_runs_all_the_same(
    leader: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path, _text: str) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    processes.be_nice(leader.pid, by=10)
    assert os.getpriority(os.PRIO_PROCESS, leader.pid) == min(19, _HERE + 10)


def test_a_part_is_as_nice_as_it_says_with_all_its_threads_once_it_is_ready(
    driven: Driven,
) -> None:
    # One that is nice from its start keeps those that wait for it, on a busy machine for long.
    at_start = (
        "import threading\n"
        "print('at the start', os.getpriority(os.PRIO_PROCESS, 0), flush=True)\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    driven.service("s3", at_start, nice=10)
    driven.service("web", at_start)
    driven.start()
    driven.wait_ready()
    for name, by in (("s3", 10), ("web", 0)):
        pid = driven.pid_of(name)
        assert f"at the start {_HERE}\n" in (driven.stack_dir / "logs" / f"{name}.log").read_text()
        threads = [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
        assert len(threads) > 1
        found = {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
        assert found == {min(19, _HERE + by)}
        assert _share(pid) in (by, None)


def test_s3_alone_is_nice(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "local")
    layout.make_folders()
    found = parts.parts(layout)
    assert {part.name for part in found if part.nice} == {"s3"}
