"""What `make dev` watches: which parts a changed file restarts.

Templates and styles restart nothing: with DEBUG the portal reads them at each request.
"""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from stack.layout import ROOT
from stack.stack_error import StackError

#: Packages of the checkout that are not the portal's.
_OTHERS = {"bench", "container", "demo", "localaws", "stack", "tests"}
_DEBOUNCE_MS = 400  # editors, and git, write several files at once
_STEP_MS = 20


def portal_packages(root: Path = ROOT) -> list[str]:
    """The names of the portal's top-level packages."""
    found = {path.parent.name for path in root.glob("*/__init__.py")}
    return sorted(found - _OTHERS)


def is_code(path: Path) -> bool:
    """Whether ``path``, relative to the checkout, is Python that runs outside tests."""
    return (
        path.suffix == ".py"
        and "tests" not in path.parts
        and not any(part.startswith(".") for part in path.parts)
    )


def is_portal(path: Path) -> bool:
    """Code of the portal: restarts the web server, the worker and beat."""
    return is_code(path) and path.parts[0] not in _OTHERS


def is_catalog(path: Path) -> bool:
    """Texts of the portal in a language, which are compiled before the web server starts again."""
    return path.suffix == ".po" and path.parts[0] not in _OTHERS


def is_page(path: Path) -> bool:
    """Code of the portal, or its texts: restarts the web server."""
    return is_portal(path) or is_catalog(path)


def is_prepared(path: Path) -> bool:
    """What ``stack.database`` has to prepare: a migration, or a catalog."""
    return is_migration(path) or is_catalog(path)


def is_migration(path: Path) -> bool:
    """A migration, which is run before the portal starts again."""
    return is_portal(path) and path.parts[-2] == "migrations"


def is_localaws(path: Path) -> bool:
    """Code of localaws, or of the containers that it starts."""
    of_s3_alone = path.parts[:2] == ("localaws", "s3")
    return is_code(path) and path.parts[0] in ("localaws", "container") and not of_s3_alone


def is_s3(path: Path) -> bool:
    """Code of the S3 server, which uses other modules of localaws too."""
    return is_code(path) and path.parts[0] == "localaws"


class Changes:
    """The files below ``folders`` that changed since the last call."""

    def __init__(self, root: Path, folders: Iterable[str]) -> None:
        """Begin to watch; raises StackError where the package for it is not installed."""
        if importlib.util.find_spec("watchfiles") is None:
            raise StackError("Reloading needs the development packages: start it with `make dev`.")
        from watchfiles import watch

        self._root = root
        self._found = watch(
            *(root / name for name in folders),
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            rust_timeout=1,  # ms: asked from the supervisor's loop, which must not wait
            yield_on_timeout=True,
        )
        self.take()

    def take(self) -> set[Path]:
        """Paths relative to ``root``; waits some milliseconds while there are none."""
        return {Path(path).relative_to(self._root) for _, path in next(self._found)}


def of_checkout() -> Changes:
    """The changes of all code that a stack runs."""
    return Changes(ROOT, (*portal_packages(), "localaws", "container"))
