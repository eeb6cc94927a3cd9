"""The C heap (glibc's malloc) of the model host and of a worker. README.md has the measurements."""

import ctypes

LARGEST_GAP = 100_000
"""Bytes. From 128 KB on glibc takes memory outside the heap, and then raises that limit."""


def fill_gaps() -> None:
    """In the model host, before it forks: allocate what is free between allocations.

    A fork that allocates in a gap writes to a page that it shares with the host, and the kernel
    copies the page. Without gaps it allocates behind the heap's end, in pages of its own. The host
    does not need the filled memory, and never frees it.
    """
    libc = _libc()
    libc.malloc_trim(0)
    end = libc.sbrk(0)
    size = LARGEST_GAP
    while size > 0:
        # A piece behind the old end, or none, means that there is no gap of this size.
        while (piece := libc.malloc(size)) is not None and piece + size <= end:
            pass
        libc.free(piece)
        # Small pieces are kept in lists of one exact size each, 16 bytes apart (malloc's tcache).
        size -= size // 5 if size > 1280 else 16
    libc.malloc_trim(0)


def release_free() -> None:
    """In a worker, once its model is loaded: give free memory back to the system.

    glibc would keep what the first pass has freed.
    """
    _libc().malloc_trim(0)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    return libc
