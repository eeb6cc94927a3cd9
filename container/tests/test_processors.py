"""Busy models share the processors: one alone has several, and many have one each."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container import processors
from container.processors import Share
from container.tests.serving import start_server
from container.tests.slow import hold

REPOSITORY = Path(__file__).resolve().parents[2]

_WORKER = """
import sys
from pathlib import Path
from container.processors import Share

share = Share(Path(sys.argv[1]), int(sys.argv[2]))
for _ in sys.stdin:
    with share.taken() as threads:
        print(threads, flush=True)
        sys.stdin.readline()
    print("idle", flush=True)
"""


class Worker:
    """A process with a share, busy when it is told to be."""

    def __init__(self, folder: Path, count: int, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(folder), str(count)],
            cwd=REPOSITORY,
            env=os.environ | processors.environment() | {"OMP_NUM_THREADS": "4"} | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _tell(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def begin(self) -> int:
        """Be busy; returns the threads that it may use."""
        return int(self._tell())

    def finish(self) -> None:
        assert self._tell() == "idle"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Callable[..., list[Worker]]]:
    made: list[Worker] = []

    def make(number: int, *, processors: int, **environment: str) -> list[Worker]:
        made.extend(Worker(tmp_path, processors, **environment) for _ in range(number))
        return made

    yield make
    for worker in made:
        worker.kill()


def test_who_is_alone_has_all_and_who_is_not_has_one(
    workers: Callable[..., list[Worker]],
) -> None:
    one, other = workers(2, processors=2)
    assert one.begin() == 4
    assert other.begin() == 1
    one.finish()
    assert one.begin() == 1
    other.finish()
    one.finish()
    assert other.begin() == 4


def test_what_runs_passes_elsewhere_has_all_threads_always(
    workers: Callable[..., list[Worker]],
) -> None:
    one, other = workers(2, processors=2, MXNET_ENGINE_TYPE="ThreadedEnginePerDevice")
    assert one.begin() == 4
    assert other.begin() == 4


def test_processors_that_are_idle_are_used(workers: Callable[..., list[Worker]]) -> None:
    several = workers(5, processors=4)
    assert [worker.begin() for worker in several] == [4, 4, 4, 1, 1]
    several[2].finish()
    several[0].finish()
    assert several[0].begin() == 1
    several[1].finish()
    several[3].finish()
    assert several[3].begin() == 4


def test_who_is_killed_is_busy_no_more(workers: Callable[..., list[Worker]]) -> None:
    one, other = workers(2, processors=2)
    assert one.begin() == 4
    assert other.begin() == 1
    other.finish()
    one.kill()
    assert other.begin() == 4


def test_loops_run_on_one_thread_as_long_as_they_are_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Callable[..., list[Worker]]
) -> None:
    openmp = ctypes.CDLL("libgomp.so.1")
    levels = openmp.omp_get_max_active_levels()
    assert levels > 0
    told: list[int] = []
    monkeypatch.setenv("MXNET_ENGINE_TYPE", "NaiveEngine")
    monkeypatch.setattr(openmp, "omp_get_max_threads", lambda: 4, raising=False)
    monkeypatch.setattr(openmp, "omp_set_num_threads", told.append, raising=False)
    monkeypatch.setattr(processors, "_openmp", lambda: openmp)
    share = Share(tmp_path, processors=2)
    with share.taken() as threads:
        assert threads == 4
        assert openmp.omp_get_max_active_levels() == levels
        assert told == []
    [other] = workers(1, processors=2)
    other.begin()

    def fail() -> None:
        with share.taken() as threads:
            assert threads == 1
            assert openmp.omp_get_max_active_levels() == 0
            assert told == [1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert openmp.omp_get_max_active_levels() == levels
    assert told == [1, 4]
    other.finish()
    assert other.begin() == 4, "the lock is let go of where an answer fails"


def on_two_processors() -> tuple[str, ...]:
    """Put before a command, lets it use two processors at most."""
    two = sorted(os.sched_getaffinity(0))[:2]
    return ("taskset", "--cpu-list", ",".join(map(str, two)))


_ATTENTION = """
import json, sys
from pathlib import Path
import numpy as np
from container.mxnet_alone import mx

folder = Path(sys.argv[1])
rows = mx.sym.reshape(mx.sym.var("data"), shape=(0, 0, -1))
weights = mx.sym.softmax(mx.sym.batch_dot(rows, rows, transpose_b=True))
mixed = mx.sym.Flatten(mx.sym.batch_dot(weights, rows))
last = mx.sym.softmax(mx.sym.FullyConnected(mixed, num_hidden=3, name="last"), name="head")
shape = (1, 256, 56, 56)
np.save(folder / "rows.npy", np.ones(shape, np.float32))
shapes, _, _ = last.infer_shape(data=shape)
arrays = {
    f"arg:{name}": mx.nd.ones(size) * 1e-6
    for name, size in zip(last.list_arguments(), shapes)
    if name != "data"
}
last.save(str(folder / "attention-symbol.json"))
mx.nd.save(str(folder / "attention-0000.params"), arrays)
(folder / "attention-shapes.json").write_text(json.dumps([{"name": "data", "shape": shape}]))
(folder / "synset.txt").write_text("cat\\ndog\\nfox\\n")
"""


@pytest.mark.xdist_group("container-workers")
def test_models_that_are_busy_beside_each_other_use_one_thread_each(
    tmp_path: Path, unpacked: Callable[..., Path], picture: bytes, python: str
) -> None:
    """Products of matrices among them: OpenBLAS, alone where it was promised another thread, would
    wait for that for ever."""
    attention = tmp_path / "attention"
    attention.mkdir()
    subprocess.run(
        [python, "-c", _ATTENTION, str(attention)], check=True, cwd=REPOSITORY, timeout=120
    )
    rows = (attention / "rows.npy").read_bytes()
    alone = min(processors.available(), 2)
    with start_server(tmp_path, within=on_two_processors()) as server:
        for name in ("slow", "other"):
            assert server.load(name, unpacked()).status == 200
        assert server.invoke("other", picture, "image/jpeg").timing["threads"] == alone
        caller, worker = hold(server, "slow")
        try:
            assert server.invoke("other", picture, "image/jpeg").timing["threads"] == 1
            assert server.load("attention", attention).status == 200
            answer = server.invoke("attention", rows, "application/x-npy")
            assert answer.status == 200
        finally:
            os.kill(worker, signal.SIGCONT)
        assert caller.answer().status == 200
        assert caller.answer().timing["threads"] == alone
        assert server.invoke("other", picture, "image/jpeg").timing["threads"] == alone
