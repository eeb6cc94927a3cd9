"""The processors of this container, and how its models share them.

One model that is busy alone uses several for a forward pass. Where there are as many busy models
as processors, each has one: threads of one pass would only wait for those of another, and two
threads take more processor time for a pass than one does.
"""

import contextlib
import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def available() -> int:
    """The processors that this container may use, by its affinity and its quota; at least 1."""
    count = len(os.sched_getaffinity(0))
    for read in (_quota_v2, _quota_v1):
        quota = read()
        if quota is not None:
            count = min(count, max(1, int(quota)))
    return count


def _quota_v2() -> float | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1() -> float | None:
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None


MAX_THREADS = 4
"""More threads make one answer little faster, and many models slower."""


def usual() -> int:
    """Threads of one forward pass: the processors we may use, at most ``MAX_THREADS``."""
    return min(available(), MAX_THREADS)


def environment() -> dict[str, str]:
    """What MXNet is run with, in a server and where an artifact is validated for one."""
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(usual())),
        # How long a thread spins for its next piece of work before it sleeps: microseconds. The
        # default, some milliseconds, burns the processors that other models need; less lets the
        # second thread sleep between two steps of a pass.
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "3000"),
        # NumPy's own pool of threads would start with its import, and make forking unsafe.
        "OPENBLAS_NUM_THREADS": "1",
        # One request at a time needs no engine that runs operators side by side; without its
        # threads a model takes less memory, and answers sooner.
        "MXNET_ENGINE_TYPE": os.environ.get("MXNET_ENGINE_TYPE", "NaiveEngine"),
        "MXNET_SUBGRAPH_VERBOSE": os.environ.get("MXNET_SUBGRAPH_VERBOSE", "0"),
        # MMS's own worker sets it as well (apache/mxnet issue 12255).
        "MXNET_USE_OPERATOR_TUNING": os.environ.get("MXNET_USE_OPERATOR_TUNING", "0"),
    }


def pass_runs_here() -> bool:
    """Whether a forward pass runs in the thread that asks for it, as with no other engine."""
    return os.environ.get("MXNET_ENGINE_TYPE") == "NaiveEngine"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let parallel loops of this thread run on it alone, and start no other.

    The number of threads stays what it is, as oneDNN looks its kernels up by it; the loops are
    nested too deep to be run by more than the thread that meets them. Not for what calls OpenBLAS,
    which would wait for the others for ever (products of matrices, attention).
    """
    openmp = _openmp()
    levels = openmp.omp_get_max_active_levels()
    openmp.omp_set_max_active_levels(0)
    try:
        yield
    finally:
        openmp.omp_set_max_active_levels(levels)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """:func:`one_thread`, and say so to those who ask for the number of threads.

    OpenBLAS (0.3.13 in MXNet) shares its work among as many as it is told, and where one finds
    itself alone it waits for the others for ever. oneDNN's kernels are there by now.
    """
    openmp = _openmp()
    threads = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(1)
    try:
        with one_thread():
            yield
    finally:
        openmp.omp_set_num_threads(threads)


def _openmp() -> ctypes.CDLL:
    return ctypes.CDLL("libgomp.so.1")  # the one that MXNet has loaded


class Share:
    """A worker's share of the processors.

    Each busy worker locks one byte of a file, at the offset of its process id: the kernel lets go
    of the lock where a worker is killed, and tells the others of it without a list to keep.
    """

    def __init__(self, folder: Path, processors: int | None = None) -> None:
        """``folder`` is the server's own. Make it in the worker: locks are a process's own."""
        self._processors = available() if processors is None else processors
        self._threads = int(_openmp().omp_get_max_threads())
        # What is set here does not reach other threads.
        self._shares = pass_runs_here() and self._threads > 1
        self._file = (folder / "sharing").open("ab")

    @contextlib.contextmanager
    def taken(self) -> Iterator[int]:
        """While this worker is busy; gives the threads that its parallel loops have meanwhile."""
        with self.held():
            # Locked first, counted then: of two that begin at once, each sees the other.
            if self._shares and 1 + self._others() >= self._processors:
                with alone():
                    yield 1
            else:
                yield self._threads

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While this worker is busy with what takes all its threads: loading a model."""
        offset = os.getpid()
        fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)

    def _others(self) -> int:
        """Other workers that are busy; no more are counted than matter."""
        found = 0
        ranges = [(0, 0)]
        while ranges and 1 + found < self._processors:
            start, length = ranges.pop()
            other = _locked(self._file, start, length)
            if other is None:
                continue
            found += 1
            if other > start:
                ranges.append((start, other - start))
            end = start + length
            if not length or end > other + 1:
                ranges.append((other + 1, end - other - 1 if length else 0))
        return found


_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid


def _locked(file: IO[bytes], start: int, length: int) -> int | None:
    """The offset of a byte that another process has locked in the range; ``length`` 0: no end."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    kind, _, offset, _, _ = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else offset
