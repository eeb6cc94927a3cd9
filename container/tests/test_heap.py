"""A fork of the model host allocates where it shares no page with the host."""

import subprocess
import sys
from pathlib import Path

CONTAINER = Path(__file__).resolve().parents[1]

_FRAGMENTED = f"""
import ctypes, sys
sys.path.insert(0, {str(CONTAINER)!r})
import heap

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


def test_what_is_allocated_later_lies_behind_the_heap() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FRAGMENTED], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = map(int, done.stdout.split())
    assert before > 200
    assert after < 20  # Python may have freed a few meanwhile
