"""Compiles oneDNN's kernels for the shapes of common networks, before any model is loaded.

oneDNN compiles a kernel for each shape of a convolution at its first pass, and caches it in the
process; a fork finds the kernels of the model host. The key of the cache has the shape, what is
merged into the step and the number of threads, but no weights (oneDNN's primitive_cache.hpp): so
passes on zeros fill it. A network of other shapes has its kernels compiled when it is loaded.
README.md says what this is worth, and which networks have which kernels in common.
"""

from typing import Any

from container.memory import MEGABYTE, rooms
from container.mxnet_alone import mx
from container.processors import one_thread

NETWORKS = ("resnet18_v2", "squeezenet1_0")
INPUT = (1, 3, 224, 224)

ROOM = 256 * MEGABYTE
"""Bytes that must be free: half for the passes, half for the JVM that starts at the same time."""


def there_is_room() -> bool:
    """Whether :data:`ROOM` is free."""
    return all(room.limit - room.used > ROOM for room in rooms())


def prepare() -> None:
    """Compile the kernels, in one thread: the model host may start no other (model_host.py)."""
    from mxnet.gluon.model_zoo import vision

    with one_thread():
        for name in NETWORKS:
            run(getattr(vision, name)()(mx.sym.var("data")), INPUT)


def run(symbol: Any, shape: tuple[int, ...]) -> None:
    """One forward pass of ``symbol`` on zeros, with parameters of zeros."""
    executor = symbol.simple_bind(mx.cpu(), data=shape, grad_req="null")
    executor.forward(is_train=False)[0].asnumpy()
