"""Imports MXNet without what a container and a validation need not of it.

Each validation, each model host and each program of demo/ waits for that import. Two parts of it
are left out:

- MXNet imports SciPy for conversions of sparse arrays, and scikit-learn for a base class of an old
  interface. Neither is used here, and MXNet does without them.
- MXNet 1.9.1 writes Python functions for its operators, as text, and compiles all 3,300
  (`ndarray/register.py`, `symbol/register.py`). A network calls its operators without them. Here a
  function is compiled when it is called for the first time.

docs/measured.md has what this saves.
"""

import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_NOT_NEEDED = ("scipy", "sklearn")
_COMPILING = ("mxnet.ndarray.register", "mxnet.symbol.register")
_NAME = re.compile(r"^def (\w+)\(", re.MULTILINE)


class _Loader(SourceFileLoader):
    """Loads a module that finds ``compile_when_called`` where it calls ``exec``."""

    def exec_module(self, module: ModuleType) -> None:
        module.exec = compile_when_called  # type: ignore[attr-defined]
        super().exec_module(module)


class _Finder:
    """Finds the modules of ``_COMPILING`` for Python's import."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _COMPILING:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def compile_when_called(code: str, _globals: None, local: dict[str, Any]) -> None:
    """As ``exec(code, None, local)`` of MXNet's two modules, but compiles at the first call.

    ``code``: the text of one function, of which ``local`` gets one of the same name and arguments.
    """
    found = _NAME.search(code)
    if found is None:
        raise ImportError(f"MXNet writes no function here: {code[:200]}")
    name = found[1]
    # What the text refers to is in the module that wrote it.
    names = sys._getframe(1).f_globals
    compiled: dict[str, Any] = {}

    def operator(*args: Any, **kwargs: Any) -> Any:
        if name not in compiled:
            exec(code, names, compiled)  # noqa: S102 - the text that MXNet itself would run
        return compiled[name](*args, **kwargs)

    local[name] = operator


_hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment]  # an import of it is an ImportError
sys.meta_path.insert(0, _Finder)
try:
    import mxnet as mx
finally:
    sys.meta_path.remove(_Finder)
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["mx"]
