"""A fork of the model host allocates where it shares no page with the host; a worker gives back."""

import subprocess
import sys

from container.tests.serving import REPOSITORY

_FRAGMENTED = """
import ctypes
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
heap.fill_gaps()
sizes += [56, 104, 120, 168, 232, 296, 440, 504, 696, 872, 1000, 1500, 20000]
print(in_gaps())
"""


_FREED = """
import ctypes
from container import heap

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20

pieces = [libc.malloc(100_000) for _ in range(800)]
for piece in pieces:
    libc.memset(piece, 1, 100_000)
for piece in pieces[:-1]:  # the last one keeps them from the heap's end
    libc.free(piece)
before = resident()
heap.release_free()
print(before - resident())
"""


def numbers(program: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [int(word) for word in done.stdout.split()]


def test_what_is_allocated_later_lies_behind_the_heap() -> None:
    before, after = numbers(_FRAGMENTED)
    assert before > 200
    assert after < 20  # Python may have freed a few meanwhile


def test_what_was_freed_goes_back_to_the_system() -> None:
    (megabytes,) = numbers(_FREED)
    assert megabytes > 70
