"""Imports MXNet without what a container and a validation need not of it.

Each validation, each model host and each program of demo/ waits for that import. Of it is left out:

- SciPy and scikit-learn, for conversions of sparse arrays and a base class of an old interface.
  Neither is used here, and MXNet does without them.
- requests, for downloads. It is imported when something is asked of it.
- setuptools, which stands in for the standard library's distutils where it is installed; MXNet
  compares versions with that.
- The Python functions of MXNet's operators. MXNet 1.9.1 writes them as text, and compiles all
  3,300. A network calls its operators without them. Here a function is made when it is called for
  the first time; its documentation is left out.

docs/measured.md has what this saves.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

#: The module that registers operators, and its functions that do; all take a ``make_op_func``.
_REGISTERING = "mxnet.base"
_FUNCTIONS = ("_init_op_module", "_init_np_op_module")

Make = Callable[[Any, str, str], Callable[..., Any]]
"""MXNet's: makes the function of an operator of its handle, its name, and the function's name."""


class _Loader(SourceFileLoader):
    """Loads the module that registers operators, and has it make functions when they are called."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for name in _FUNCTIONS:
            setattr(module, name, _registering_late(getattr(module, name)))


class _Finder:
    """Finds that module for Python's import."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _REGISTERING:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def _registering_late(register: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(register)

    def registering(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs)
        given.arguments["make_op_func"] = made_when_called(given.arguments["make_op_func"])
        register(*given.args, **given.kwargs)

    return registering


def made_when_called(make: Make) -> Make:
    """Makes functions that are made by ``make`` when they are called for the first time."""

    def make_late(handle: Any, name: str, func_name: str) -> Callable[..., Any]:
        made: list[Callable[..., Any]] = []

        def operator(*args: Any, **kwargs: Any) -> Any:
            if not made:
                made.append(make(handle, name, func_name))
            return made[0](*args, **kwargs)

        operator.__name__ = func_name
        operator.__doc__ = ""  # not None: MXNet replaces words in it
        return operator

    return make_late


def _imported_when_used(name: str) -> ModuleType:
    """A module that stands in for another one, which is imported when it is asked for something."""
    module = ModuleType(name)
    vars(module)["__getattr__"] = lambda of: getattr(importlib.import_module(name), of)
    return module


_instead: dict[str, ModuleType | None] = {
    "scipy": None,  # an import of it is an ImportError
    "sklearn": None,
    "requests": _imported_when_used("requests"),
}
_hidden = _instead.keys() - sys.modules.keys()
sys.modules |= {name: _instead[name] for name in _hidden}  # type: ignore[misc]
if _shim := sys.modules.get("_distutils_hack"):
    _shim.remove_shim()
sys.meta_path.insert(0, _Finder)
try:
    import mxnet as mx
finally:
    sys.meta_path.remove(_Finder)
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["mx"]
