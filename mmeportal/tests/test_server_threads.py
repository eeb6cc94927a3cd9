"""The threads of the web server."""

import threading

from mmeportal.server.threads import Threads


class Held:
    """A task that notes its thread and waits to be let go."""

    def __init__(self) -> None:
        self.began, self.go, self.ended = (threading.Event() for _ in range(3))
        self.thread = ""

    def service(self) -> None:
        self.thread = threading.current_thread().name
        self.began.set()
        self.go.wait(30)
        self.ended.set()


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
