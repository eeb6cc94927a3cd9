"""How many processors the container has, and how many threads a forward pass uses.

A model that is busy alone uses all processors, at most :data:`MAX_THREADS`. Where as many models
are busy as there are processors, each uses one thread: more would wait for each other, and two
threads take more processor time for a pass than one. README.md has the measurements.
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
    """The processors that this container may use, by CPU affinity and cgroup quota; at least 1."""
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
"""More threads make a single pass little faster, and concurrent passes slower."""


def usual() -> int:
    """Threads of one forward pass: :func:`available`, at most :data:`MAX_THREADS`."""
    return min(available(), MAX_THREADS)


def environment() -> dict[str, str]:
    """The environment variables for MXNet, in workers and in the validation."""
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(usual())),
        # How long a thread spins before it sleeps: some microseconds. The default, some
        # milliseconds, takes processor time from other models; with less, the second thread sleeps
        # between two steps of a pass.
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "3000"),
        # Otherwise NumPy starts threads when it is imported, and forking is not safe.
        "OPENBLAS_NUM_THREADS": "1",
        # A worker has one request at a time, so the engine needs no threads of its own.
        "MXNET_ENGINE_TYPE": os.environ.get("MXNET_ENGINE_TYPE", "NaiveEngine"),
        "MXNET_SUBGRAPH_VERBOSE": os.environ.get("MXNET_SUBGRAPH_VERBOSE", "0"),
        # MMS's own worker sets it as well (apache/mxnet issue 12255).
        "MXNET_USE_OPERATOR_TUNING": os.environ.get("MXNET_USE_OPERATOR_TUNING", "0"),
    }


def pass_runs_here() -> bool:
    """Whether a forward pass runs in the calling thread, as with NaiveEngine alone."""
    return os.environ.get("MXNET_ENGINE_TYPE") == "NaiveEngine"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run parallel loops of this thread on this thread alone, and start no other thread.

    The reported number of threads does not change, because it is part of the key of oneDNN's cache
    of kernels; only the allowed nesting of parallel loops does. Code that calls OpenBLAS (matrix
    products, attention) must not run in it: OpenBLAS would wait for the other threads for ever.
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
    """:func:`one_thread`, with the reported number of threads set to 1, so that OpenBLAS works too.

    OpenBLAS (0.3.13 in MXNet) divides its work among the reported number of threads. oneDNN's
    kernels must have been compiled before.
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
    """Counts the busy workers, and limits a worker's threads by it.

    Each busy worker locks one byte of a file, at the offset of its process id. The kernel releases
    the lock where a worker is killed.
    """

    def __init__(self, folder: Path, processors: int | None = None) -> None:
        """``folder``: the server's temporary folder. Create it in the worker: it owns the lock."""
        self._processors = available() if processors is None else processors
        self._threads = int(_openmp().omp_get_max_threads())
        # OpenMP's settings are per thread: with another engine they would not reach the pass.
        self._shares = pass_runs_here() and self._threads > 1
        self._file = (folder / "sharing").open("ab")

    @contextlib.contextmanager
    def taken(self) -> Iterator[int]:
        """Mark this worker as busy with a request; gives the number of threads for it."""
        with self.held():
            # Lock before counting: of two workers that begin at once, each then sees the other.
            if self._shares and 1 + self._others() >= self._processors:
                with alone():
                    yield 1
            else:
                yield self._threads

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Mark this worker as busy with all its threads: it loads a model."""
        offset = os.getpid()
        fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)

    def _others(self) -> int:
        """The number of other busy workers, counted up to one less than the processors."""
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
    """The offset of a byte in the range that another process has locked; ``length`` 0: no end."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    kind, _, offset, _, _ = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else offset
