"""However a stack ends, no process of it is left."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.tests.conftest import Driven, gone, wait_until
from stack.tests.test_failures import _stubborn_grandchild


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process_in_order(driven: Driven, number: signal.Signals) -> None:
    said = driven.folder / "said"
    # web is slow, so that redis would write first if both were ended together.
    for name, slow_s, last in (("web", 0.2, False), ("redis", 0, True)):
        goodbye = f"time.sleep({slow_s}), open({str(said)!r}, 'a').write('{name} '), sys.exit()"
        driven.service(
            name, f"signal.signal(signal.SIGTERM, lambda *_: ({goodbye}))", ends_last=last
        )
    driven.start()
    driven.wait_ready()
    pids = [driven.pid_of("web"), driven.pid_of("redis")]

    driven.send(number)

    assert driven.wait_ended() == 0
    assert said.read_text().split() == ["web", "redis"], "stores end when none writes any more"
    assert all(gone(pid) for pid in pids)
    assert not list((driven.stack_dir / "run").glob("*.pid"))


def test_the_stubborn_and_their_grandchildren_are_ended_within_15_s(driven: Driven) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    driven.service("localaws", ignore + _stubborn_grandchild(driven, "grandchild"),
                   stop_within_s=1)  # fmt: skip
    driven.start()
    driven.wait_ready()
    pids = [driven.pid_of("localaws"), driven.pid_in("grandchild")]

    driven.send(signal.SIGTERM)

    assert driven.wait_ended(15) == 0
    assert all(gone(pid) for pid in pids)
    assert not driven.left()


def test_a_second_signal_ends_without_patience(driven: Driven) -> None:
    driven.service("web", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", stop_within_s=60)
    driven.start()
    driven.wait_ready()

    driven.send(signal.SIGINT)
    wait_until(lambda: "Ending" in driven.says(), "the first signal to be heard")
    driven.send(signal.SIGINT)

    assert driven.wait_ended(10) == 0
    assert not driven.left()


def test_a_signal_during_the_start_ends_what_had_started(driven: Driven) -> None:
    driven.service("store")
    driven.service("web", ready_when_log_contains="never said", after=["store"])
    driven.start()
    pid = driven.pid_of("web")

    driven.send(signal.SIGTERM)

    assert driven.wait_ended() == 0
    assert gone(pid)
    assert not driven.left()


def test_parts_end_when_the_supervisor_is_killed(driven: Driven) -> None:
    driven.service("web")
    driven.start()
    driven.wait_ready()
    pid = driven.pid_of("web")

    driven.send(signal.SIGKILL)

    wait_until(lambda: gone(pid), "the part to end with its supervisor")


def test_the_next_start_ends_what_a_killed_supervisor_left(driven: Driven) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    driven.service("web", ignore + _stubborn_grandchild(driven, "grandchild"))
    driven.start()
    driven.wait_ready()
    old = [driven.pid_of("web"), driven.pid_in("grandchild")]
    driven.send(signal.SIGKILL)
    driven.wait_ended()
    assert not any(gone(pid) for pid in old), "they ignore SIGTERM, so they are still there"

    driven.plan["leftovers_s"] = 0.5
    driven.parts.clear()
    driven.service("web")
    driven.start()
    driven.wait_ready()

    assert "Ended 2 processes that an earlier run left behind." in driven.says()
    assert all(gone(pid) for pid in old)


def test_a_stack_ends_with_the_process_that_it_follows(driven: Driven) -> None:
    followed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        driven.plan["follow"] = followed.pid
        driven.service("web")
        driven.start()
        driven.wait_ready()
    finally:
        followed.kill()
        followed.wait()

    assert driven.wait_ended() == 0
    assert not driven.left()


def test_a_stack_stands_other_programs_whatever_their_names(driven: Driven, tmp_path: Path) -> None:
    # Of a longer name the kernel keeps 15 bytes, which here end within a letter.
    other = tmp_path / "a한글프로그램"
    shutil.copy("/bin/sleep", other)
    with subprocess.Popen([other, "600"]) as running:
        try:
            name = Path(f"/proc/{running.pid}/comm")
            wait_until(lambda: name.read_bytes() == other.name.encode()[:15] + b"\n", "its name")
            driven.service("web")
            driven.start()
            driven.wait_ready()
            driven.send(signal.SIGTERM)
            assert driven.wait_ended() == 0, driven.says()
        finally:
            running.kill()
    assert not (driven.stack_dir / "run" / "stack.json").exists()


def test_two_stacks_side_by_side_do_not_touch_each_other(
    make_driven: Callable[[str], Driven],
) -> None:
    left, right = make_driven("left"), make_driven("right")
    for each in (left, right):
        each.service("web")
        each.start()
    for each in (left, right):
        each.wait_ready()
    pid = right.pid_of("web")

    left.send(signal.SIGTERM)
    assert left.wait_ended() == 0

    os.kill(pid, 0)
    assert not right.ended()
    right.send(signal.SIGTERM)
    assert right.wait_ended() == 0
