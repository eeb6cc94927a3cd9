"""A fork of the model host allocates where it shares no page with the host."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

_FRAGMENTED = """
import ctypes, sys
from container import heap

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
sizes = [40, 200, 3000, 50000, 200, 3000]
pieces = [libc.malloc(sizes[i % 6]) for i in range(6000)]
for piece in pieces[::2]:
    libc.free(piece)

def in_gaps():
    end = libc.sbrk(0) - 8192  # its last page is not full
    return sum(libc.malloc(size) < end for size in sizes for _ in range(50))

print(in_gaps())
for size in range(24, 1040, 16):  # some that malloc keeps by their size
    libc.free(libc.malloc(size))
heap.settle()
sizes += [56, 104, 120, 168, 232, 296, 440, 504, 696, 872, 1000, 1500, 20000]
print(in_gaps())
"""


_GROWING = """
import ctypes, resource, sys
from container import heap, processors

MB = 1 << 20
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // MB

def filled():
    "Page faults of filling 80 MB in pieces, as the weights of a network."
    before, pieces = faults(), [libc.malloc(8 * MB) for _ in range(10)]
    for piece in pieces:
        libc.memset(piece, 1, 8 * MB)
    during = faults() - before
    for piece in pieces:
        libc.free(piece)
    return during

libc.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages would spare most faults
processors.available = lambda: int(sys.argv[1])
if len(sys.argv) > 2:
    taken = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]) * MB,) * 2)
begun = resident()
print(heap.grow(96 * MB) // MB, filled(), end=" ")
heap.trim()
print(resident() - begun)
"""


def grown(*arguments: str) -> tuple[int, int, int]:
    """MB that were provided, page faults of using 80, and MB that are left of them at the end."""
    done = subprocess.run(
        [sys.executable, "-c", _GROWING, *arguments], cwd=REPOSITORY,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    provided, faults, left = map(int, done.stdout.split())
    return provided, faults, left


def test_memory_is_there_before_it_is_used_and_goes_back() -> None:
    provided, faults, left = grown("2")
    assert 95 <= provided <= 97
    assert faults < 500
    assert left < 4

    provided, faults, left = grown("1")
    assert provided == 0, "one processor can only do it in turn"
    assert faults > 15_000
    assert left < 4


def test_too_little_memory_is_no_failure() -> None:
    provided, faults, left = grown("2", "90")
    assert provided == 0
    assert faults > 15_000
    assert left < 4


def test_what_is_allocated_later_lies_behind_the_heap() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FRAGMENTED], cwd=REPOSITORY,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    before, after = map(int, done.stdout.split())
    assert before > 200
    assert after < 20  # Python may have freed a few meanwhile
