"""Imports MXNet without SciPy and scikit-learn, where they are installed.

MXNet imports SciPy for conversions of sparse arrays, and scikit-learn for a base class of an old
interface. Neither is used here, and MXNet does without them. They are a third of the processor time
of its import, which each validation and each model host waits for.
"""

import sys

_NOT_NEEDED = ("scipy", "sklearn")

_hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment]  # an import of it is an ImportError
try:
    import mxnet as mx
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["mx"]
