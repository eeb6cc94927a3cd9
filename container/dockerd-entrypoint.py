#!/usr/bin/env python3
"""Starts every process of the container: ``python -I dockerd-entrypoint.py COMMAND [ARGUMENT …]``.

``serve`` is the command of SageMaker (``docker run IMAGE serve``); ``__main__.py`` has the others.

This script makes the package importable by its own folder, wherever that is. No folder is added to
the import path: with ``-I`` nothing but this package, the standard library and the packages of the
virtual environment can be imported. It works in the sandbox too, which shows this folder but not
its parent.
"""

import atexit
import gc
import importlib.util
import sys
from pathlib import Path


def make_importable() -> None:
    """Let ``import container`` find the package that this script lies in."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "container", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} holds no package")
    package = importlib.util.module_from_spec(spec)
    sys.modules["container"] = package
    spec.loader.exec_module(package)


make_importable()

if __name__ == "__main__":
    from container.__main__ import main

    # The kernel takes all memory back, so the garbage collector need not look through MXNet's.
    atexit.register(gc.freeze)
    sys.exit(main())
