"""SAGEMAKER_MODEL_SERVER_WORKERS above 1, and SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from container.tests.serving import Server, alive, start_server, wait_until
from container.tests.slow import Caller, hold

pytestmark = pytest.mark.xdist_group("container-workers")

Unpacked = Callable[..., Path]


def described(server: Server, name: str) -> list[str]:
    """The states of a model's workers, as MMS lists them."""
    return [worker["status"] for worker in server.call("GET", f"/models/{name}").json["workers"]]


def test_a_model_has_as_many_workers_as_are_asked_for(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    count = 3
    broken = unpacked()
    (broken / "synset.txt").unlink()
    with start_server(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=str(count)) as server:
        assert server.load("broken", broken).status == 400
        assert server.models() == []

        assert server.load("many", unpacked()).status == 200
        assert described(server, "many") == ["READY"] * count
        first = server.workers()
        assert len(first) == count

        # Each request is held in its worker: that all of them are at work at once is certain.
        held: dict[int, Caller] = {}
        for _ in range(count):
            caller, pid = hold(server, "many", beside=held)
            held[pid] = caller
        assert sorted(server.busy_workers()) == sorted(first)
        for pid in first:
            os.kill(pid, signal.SIGCONT)
        assert [caller.answer().status for caller in held.values()] == [200] * count

        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: bool(server.events("worker_killed")), 10, "the note of its death")
        for _ in range(4):
            assert server.invoke("many", picture, "image/jpeg").status == 200
        wait_until(lambda: len(server.workers()) == count, 20, "its successor")

        assert server.unload("many").status == 200
        wait_until(lambda: len(server.processes()) == 3, 10, "the end of all its workers")


def test_what_takes_too_long_is_answered_in_time_and_the_model_lives_on(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    with start_server(tmp_path, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="3") as server:
        for name in ("slow", "other"):
            assert server.load(name, unpacked()).status == 200
        caller, held = hold(server, "slow")
        try:
            assert server.invoke("other", picture, "image/jpeg").status == 200
            late = caller.answer()
            print(f"The caller is told: {late.status} {late.body!r}")
            assert late.status == 500
            # Its memory is free as well: it does not stay beside its successor.
            wait_until(lambda: not alive(held), 10, "the end of the one that hangs")
            wait_until(
                lambda: server.invoke("slow", picture, "image/jpeg").status == 200,
                20,
                "the model's return",
            )
            assert server.invoke("other", picture, "image/jpeg").status == 200
        finally:
            if alive(held):
                os.kill(held, signal.SIGCONT)  # or nothing would end it
        for name in ("slow", "other"):
            assert server.unload(name).status == 200
        wait_until(lambda: len(server.processes()) == 3, 15, "the end of all workers")
