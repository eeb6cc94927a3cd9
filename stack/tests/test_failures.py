"""A part that dies is restarted, or ends the whole with a line that names it."""

import os
import signal
from pathlib import Path

import pytest

from stack.part import Part
from stack.supervisor import Supervisor
from stack.tests.conftest import Driven, gone, wait_until
from tests.small_disk import small_disk


def test_a_step_that_fails_ends_the_whole_and_shows_its_last_lines(driven: Driven) -> None:
    driven.service("store")
    driven.add("prepare", "import sys; sys.exit('no such table: users')", once=True,
               after=["store"])  # fmt: skip

    driven.start()

    assert driven.wait_ended() == 1
    assert "Stopped: prepare failed: it ended with exit code 1." in driven.says()
    assert "    no such table: users" in driven.says()
    assert str(driven.stack_dir / "logs" / "prepare.log") in driven.says()
    assert not driven.left()


def test_a_service_that_dies_before_it_was_ready_ends_the_whole(driven: Driven) -> None:
    driven.service("store")
    driven.service("web", "sys.exit('address already in use')", after=["store"])

    driven.start()

    assert driven.wait_ended() == 1
    assert "Stopped: web did not start: it ended with exit code 1." in driven.says()
    assert "address already in use" in driven.says()
    assert not driven.left()


def test_a_program_that_is_not_there_is_named(driven: Driven) -> None:
    driven.parts.append(
        {"name": "s3", "command": ["/no/such/program"], "ready_when_log_contains": "up"}
    )

    driven.start()

    assert driven.wait_ended() == 1
    assert "Stopped: s3 did not start" in driven.says()
    assert "cannot run /no/such/program: No such file or directory" in driven.says()


def test_a_service_that_never_gets_ready_ends_the_whole(driven: Driven) -> None:
    driven.service("web", ready_when_log_contains="never said", ready_within_s=0.5)

    driven.start()

    assert driven.wait_ended() == 1
    assert "Stopped: web was not ready within 0 s" in driven.says()
    assert not driven.left()


def test_a_service_that_is_killed_is_started_again(driven: Driven) -> None:
    driven.plan["policy"] = {"first_pause_s": 0.1}
    driven.service("store")
    driven.service("worker")
    driven.start()
    driven.wait_ready()
    store, first = driven.pid_of("store"), driven.pid_of("worker")

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: "worker is back." in driven.says(), "the restart")
    assert "worker ended with signal SIGKILL; starting it again in 0.1 s (1 of 5" in driven.says()
    assert driven.pid_of("worker") != first
    assert driven.pid_of("store") == store, "the others are left alone"


def test_what_a_killed_service_had_started_does_not_outlive_it(driven: Driven) -> None:
    """Such as a container that would keep its port, and its memory, from the next one."""
    driven.plan["policy"] = {"first_pause_s": 0.1}
    driven.service("localaws", _stubborn_grandchild(driven, "grandchild"))
    driven.start()
    driven.wait_ready()
    grandchild = driven.pid_in("grandchild")

    os.kill(driven.pid_of("localaws"), signal.SIGKILL)

    wait_until(lambda: "localaws is back." in driven.says(), "the restart")
    assert gone(grandchild)


def test_a_service_that_keeps_dying_ends_the_whole(driven: Driven) -> None:
    driven.plan["policy"] = {"limit": 2, "first_pause_s": 0.05}
    driven.service("store")
    again, starts = driven.folder / "again", driven.folder / "starts"
    driven.add(
        "beat",
        "import os, time\n"
        "print('up', flush=True)\n"
        f"open({str(starts)!r}, 'a').write('.')\n"
        f"restarts = os.path.getsize({str(starts)!r}) - 1\n"
        "# It ends each time as soon as the supervisor has seen that it is ready.\n"
        f"while not os.path.exists({str(again)!r}) or (\n"
        f"    open({str(driven.output)!r}).read().count('beat is back.') < restarts\n"
        "): time.sleep(0.02)\n"
        "raise SystemExit(7)",
        ready_when_log_contains="up\n",
    )
    driven.start()
    driven.wait_ready()

    again.touch()

    assert driven.wait_ended() == 1
    assert "Stopped: beat ended 3 times within 120 s, at last with exit code 7." in driven.says()
    assert not driven.left()


def test_a_service_must_have_a_probe(driven: Driven) -> None:
    part = Part(name="web", step="web", command=["true"])
    with pytest.raises(ValueError, match=r"need a probe.*web"):
        Supervisor([part], stack_dir=driven.stack_dir)


def _stubborn_grandchild(driven: Driven, name: str) -> str:
    """A program that starts another one, in its own session, which ignores SIGTERM."""
    path = driven.folder / name
    inner = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(path)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    return (
        "import subprocess\n"
        f"subprocess.Popen([sys.executable, '-c', {inner!r}], start_new_session=True)\n"
        f"while not os.path.exists({str(path)!r}) or not open({str(path)!r}).read(): "
        "time.sleep(0.02)\n"
    )


def _fill(descriptor: int) -> None:
    while True:
        os.write(descriptor, b"x" * 1_000_000)


def test_a_full_disk_ends_no_part(driven: Driven, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        driven.stack_dir.symlink_to(disk)
        driven.service("web", "os.write(1, b'x' * 11_000_000 + b'\\n')")
        driven.service("worker")
        driven.start()
        driven.wait_ready()
        log = disk / "logs" / "web.log"
        wait_until(lambda: log.stat().st_size < 1000, "the log that was put aside")
        worker = driven.pid_of("worker")
        log.with_name("web.log.1").unlink()
        with log.open("ab") as file, pytest.raises(OSError, match="No space left"):
            _fill(file.fileno())
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "worker is back." in driven.says() or driven.ended(), "the worker")
        wait_until(lambda: f"Could not write {driven.stack_dir}/logs/web.log" in driven.says()
                   or driven.ended(), "that the log cannot be put aside")  # fmt: skip
        assert not driven.ended(), driven.says()
        driven.send(signal.SIGTERM)
        assert driven.wait_ended() == 0, driven.says()
