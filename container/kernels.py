"""oneDNN's kernels for the shapes of common networks, compiled before any model is loaded.

oneDNN compiles a kernel for each shape of a convolution, at its first pass: a tenth of a cold start
of ResNet-18, a seventh of SqueezeNet's. It keeps them in a cache of its process, and so a fork
finds those that the model host has made. They are looked up by shape, by what is merged into the
step, and by the number of threads (oneDNN's primitive_cache.hpp), not by any weights. Hence the
passes below, on zeros:

* those of ResNet-18, which are all that ResNet-34 needs, 8 of the 18 that the zoo's first version
  of either needs, and 5 of the 24 of ResNet-50 to -152;
* those of SqueezeNet 1.0, of which 7 are among the 18 of 1.1.

A network of other shapes has its kernels compiled as it is loaded.
"""

from typing import Any

import mxnet as mx

from container.memory import MEGABYTE, rooms
from container.processors import one_thread

NETWORKS = ("resnet18_v2", "squeezenet1_0")
INPUT = (1, 3, 224, 224)


ROOM = 256 * MEGABYTE
"""What preparing takes for a moment, and as much again for the JVM that starts meanwhile."""


def there_is_room() -> bool:
    """Whether the container can spare that memory."""
    return all(room.limit - room.used > ROOM for room in rooms())


def prepare() -> None:
    """Compile them, with the caller's one thread, as no other would come along into a fork."""
    from mxnet.gluon.model_zoo import vision

    with one_thread():
        for name in NETWORKS:
            run(getattr(vision, name)()(mx.sym.var("data")), INPUT)


def run(symbol: Any, shape: tuple[int, ...]) -> None:
    """One forward pass of ``symbol`` on zeros, with parameters of zeros."""
    executor = symbol.simple_bind(mx.cpu(), data=shape, grad_req="null")
    executor.forward(is_train=False)[0].asnumpy()
