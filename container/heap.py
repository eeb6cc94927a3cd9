"""The heap: of the model host, to be shared with its forks; of a worker, as it loads a model."""

import ctypes
import threading

from container import processors

LARGEST = 100_000
"""Bytes; more than glibc's 128 KB would not come from the heap, and change its ways for good."""

# mallopt(3)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MADV_POPULATE_WRITE = 23  # madvise(2); since Linux 5.14
_USUAL_TOP_PAD = 128 * 1024
_PAGE = 4096
_MEGABYTE = 1 << 20

FROM_HEAP = 32 * _MEGABYTE
"""Bytes; the heap does not grow for what is larger (malloc's own upper limit)."""

KEPT = 16 * _MEGABYTE
"""Bytes that may be free at the heap's end, once a model is loaded, before they are given back."""

WORTH_IT = 16 * _MEGABYTE
"""Bytes; less is there as soon by itself."""


def settle() -> None:
    """Give back what is free, and close the gaps between what is not.

    A fork that allocates in a gap writes to a page that it shares with the host, and the kernel
    copies the page. With the gaps taken it allocates behind the heap's end, where pages are fresh:
    a model is loaded some 7 ms sooner, and takes 5 MB less. What the gaps hold is lost to the
    host, which needs it no more.
    """
    libc = _libc()
    libc.malloc_trim(0)
    end = libc.sbrk(0)
    size = LARGEST
    while size > 0:
        # A piece from behind the end, or from nowhere, means that no gap is as large.
        while (piece := libc.malloc(size)) is not None and piece + size <= end:
            pass
        libc.free(piece)
        # Small ones are kept by their exact size, each 16 bytes apart (malloc's tcache).
        size -= size // 5 if size > 1280 else 16
    libc.malloc_trim(0)


def grow(size: int) -> int:
    """Let the next ``size`` bytes find their memory there; returns the bytes that are.

    Memory comes a page at a time, as each is first written to, and a load takes an eighth longer
    for it. Here two processors have the kernel provide all of it at once. What is not used,
    :func:`trim` gives back. Nothing is done for little, or with one processor. Only what this
    thread allocates is found there: others have heaps of their own.
    """
    if size < WORTH_IT or processors.available() < 2:
        return 0
    libc = _libc()
    _keep(libc, size + FROM_HEAP)
    start = _page(libc.sbrk(0) + _PAGE - 1)
    first = min(size, FROM_HEAP - _MEGABYTE)
    libc.mallopt(_TOP_PAD, size - first)
    libc.free(libc.malloc(first))
    libc.mallopt(_TOP_PAD, _USUAL_TOP_PAD)
    end = _page(libc.sbrk(0))
    if end <= start:  # there was a gap as large, or there is a limit
        return 0
    middle = _page((start + end) // 2)
    # An older kernel does not know this: then pages come as they did.
    beside = threading.Thread(
        target=libc.madvise, args=(middle, end - middle, _MADV_POPULATE_WRITE)
    )
    try:
        beside.start()
    except RuntimeError:  # no room for its stack
        return 0
    done = libc.madvise(start, middle - start, _MADV_POPULATE_WRITE) == 0
    beside.join()
    return end - start if done else 0


def trim() -> None:
    """Give back what is free, which glibc would keep, and later on more than ``KEPT`` of it."""
    libc = _libc()
    _keep(libc, KEPT)
    libc.malloc_trim(0)


def _keep(libc: ctypes.CDLL, size: int) -> None:
    """Let ``size`` free bytes stay at the heap's end, and what requests take come from there.

    Set one, glibc no longer finds out by itself where the other should be: hence both.
    """
    libc.mallopt(_MMAP_THRESHOLD, FROM_HEAP)
    libc.mallopt(_TRIM_THRESHOLD, size)


def _page(address: int) -> int:
    """Where the page of ``address`` begins."""
    return address // _PAGE * _PAGE


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc
