"""The threads of the web server."""

import select
import threading

import pytest

from mmeportal.server import threads as server_threads
from mmeportal.server.threads import Threads
from tests.servers import wait_until


class Held:
    """A task that notes its thread and waits to be let go."""

    def __init__(self, *, may_wait: bool = False) -> None:
        self.may_wait = may_wait
        self.began, self.go, self.ended = (threading.Event() for _ in range(3))
        self.thread = ""

    def service(self) -> None:
        self.thread = threading.current_thread().name
        self.began.set()
        self.go.wait(30)
        self.ended.set()

    def comes_again(self, called: int) -> bool:
        return False

    def let_go(self) -> None:
        """Nobody waits for more."""


class Failing(Held):
    def service(self) -> None:
        super().service()
        raise ValueError("a fault")


def test_one_caller_after_the_other_is_served_by_one_thread() -> None:
    threads = Threads(4)
    seen = set()
    for _ in range(50):
        task = Held()
        task.go.set()
        threads.add_task(task)
        assert task.ended.wait(30)
        while len(threads._idle) < threads._started:
            pass  # it is on its way back
        seen.add(task.thread)
    assert len(seen) == 1


def test_no_more_threads_than_allowed_and_the_rest_waits_in_line() -> None:
    threads = Threads(3)
    tasks = [Held() for _ in range(3)] + [Held() for _ in range(40)]
    for task in tasks:
        threads.add_task(task)
    assert all(task.began.wait(30) for task in tasks[:3])
    assert not any(task.began.is_set() for task in tasks[3:])
    for task in tasks:
        task.go.set()
    assert all(task.ended.wait(30) for task in tasks)
    assert len({task.thread for task in tasks}) == 3


def test_a_task_that_fails_takes_no_thread_with_it() -> None:
    threads = Threads(1)
    for task in (Failing(), Held()):
        task.go.set()
        threads.add_task(task)
        assert task.ended.wait(30)


def test_parts_of_pages_are_made_one_at_a_time_and_leave_threads_for_others() -> None:
    threads = Threads(4)
    parts = [Held(may_wait=True) for _ in range(20)]
    for part in parts:
        threads.add_task(part)
    assert parts[0].began.wait(30)
    call = Held()
    call.go.set()
    threads.add_task(call)
    assert call.ended.wait(30)
    assert [part.began.is_set() for part in parts] == [True] + 19 * [False]
    for part in parts:
        part.go.set()
    for part in parts:
        assert part.ended.wait(30)


def test_a_part_that_takes_long_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_threads, "PART_S", 0.0)
    threads = Threads(4)
    slow, quick = Held(may_wait=True), Held(may_wait=True)
    quick.go.set()
    threads.add_task(slow)
    assert slow.began.wait(30)
    threads.add_task(quick)
    assert quick.ended.wait(30)
    slow.go.set()


def test_what_else_waits_goes_before_a_part_that_came_a_moment_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for patience, first in ((60.0, "call"), (-1.0, "part")):
        monkeypatch.setattr(server_threads, "PART_S", patience)
        threads = Threads(1)
        busy, part, call = Held(), Held(may_wait=True), Held()
        threads.add_task(busy)
        assert busy.began.wait(30)
        threads.add_task(part)
        threads.add_task(call)
        busy.go.set()
        earlier, later = (call, part) if first == "call" else (part, call)
        assert earlier.began.wait(30)
        assert not later.began.is_set()
        for task in (part, call):
            task.go.set()
        assert later.ended.wait(30)


class Staying(Held):
    """A task that is there again while it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.go.set()
        self.threads: list[str] = []
        self.again, self.let = threading.Semaphore(0), threading.Event()

    def service(self) -> None:
        super().service()
        self.threads.append(self.thread)

    def comes_again(self, called: int) -> bool:
        while not select.select([called], [], [], 0)[0]:
            if self.again.acquire(timeout=0.01):
                return True
        self.let_go()
        return False

    def let_go(self) -> None:
        self.let.set()


def test_a_thread_serves_again_what_it_waited_with() -> None:
    threads = Threads(2, stay=True)
    task = Staying()
    threads.add_task(task)
    for count in (2, 3, 4):
        task.again.release()
        wait_until(lambda count=count: len(task.threads) == count)
    assert len(set(task.threads)) == 1
    threads.call()
    assert task.let.wait(30)


def test_half_of_the_threads_wait_and_a_task_calls_them() -> None:
    threads = Threads(2, stay=True)
    waiting, other = Staying(), Staying()
    threads.add_task(waiting)
    wait_until(lambda: threads._staying == 1)
    threads.add_task(other)
    assert other.let.wait(30), "its thread would be the second one to wait"
    busy, last = Held(), Held()
    last.go.set()
    threads.add_task(busy)
    assert busy.began.wait(30)
    threads.add_task(last)
    assert last.ended.wait(30)
    assert waiting.let.is_set()
    busy.go.set()
    again = Staying()
    threads.add_task(again)  # nobody hears the call before
    wait_until(lambda: threads._staying == 1)
    again.again.release()
    wait_until(lambda: len(again.threads) == 2)
    threads.call()
