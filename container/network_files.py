"""Finds the files of a network among the names in an archive.

Packing and loading an archive both use this module, so that they choose the same files.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from container.findings import ArtifactError

# As MXNet's save_checkpoint and export write it: four digits, or more where it needs them.
_EPOCH = re.compile(r"-(\d{4}|[1-9]\d{4,8})\.params", re.ASCII)


# How the names of the files end that every network has.
_KINDS = ("-symbol.json", ".params", "-shapes.json", "synset.txt")
#: Of the files in folders, how many a refusal names.
MAX_FOUND = 5


@dataclass(frozen=True)
class NetworkFiles:
    """The names of the files that are read; all lie at the root."""

    name: str
    symbol: str
    params: str
    shapes: str
    labels: str
    preprocess: str | None
    epoch: int
    #: Weights of other epochs, which are not read.
    other_epochs: tuple[str, ...]

    @property
    def read(self) -> frozenset[str]:
        """The names of all files that are read."""
        named = (self.symbol, self.params, self.shapes, self.labels, self.preprocess)
        return frozenset(name for name in named if name is not None)


def find(names: Iterable[str], outside: Iterable[str] = ()) -> NetworkFiles:
    """The files of the network among ``names``, which are paths below the archive's root.

    Files below folders, names that begin with a dot (macOS adds such), and files that no network
    needs are ignored. The weights of the highest epoch are read. Raises
    :class:`ArtifactError` where files are missing, all of which it names, or where there are two
    networks. ``outside``: files of the archive that lie elsewhere, which a refusal points at.
    """
    every = sorted(names)
    root = [name for name in every if "/" not in name and not name.startswith(".")]
    symbol = _only_symbol(root)
    name = symbol.removesuffix("-symbol.json") if symbol else ""
    epochs = _epochs(name, root) if name else []
    wanted = {
        f"{name or 'NAME'}-symbol.json": bool(symbol),
        f"{name or 'NAME'}-0000.params": bool(epochs) or (not name and _any(root, ".params")),
        f"{name or 'NAME'}-shapes.json": f"{name}-shapes.json" in root
        or (not name and _any(root, "-shapes.json")),
        "synset.txt": "synset.txt" in root,
    }
    missing = [one for one, there in wanted.items() if not there]
    if missing:
        raise _missing(missing, symbol, every, sorted(outside))
    preprocess = f"{name}-preprocess.json"
    return NetworkFiles(
        name=name,
        symbol=symbol,
        params=epochs[0][1],
        shapes=f"{name}-shapes.json",
        labels="synset.txt",
        preprocess=preprocess if preprocess in root else None,
        epoch=epochs[0][0],
        other_epochs=tuple(params for _, params in epochs[1:]),
    )


def pack_command(folder: str) -> str:
    """The command that packs what lies in ``folder``."""
    return f"tar -C {shlex.quote(folder)} -czf NAME.tar.gz ."


def _epochs(name: str, root: list[str]) -> list[tuple[int, str]]:
    """The epochs of the weights of ``name``, and their files, the highest first."""
    found = ((one, _EPOCH.fullmatch(one[len(name) :])) for one in root if one.startswith(name))
    return sorted(((int(match[1]), one) for one, match in found if match), reverse=True)


def _only_symbol(root: list[str]) -> str:
    """The network's file; empty where there is none. Raises ArtifactError where there are two."""
    found = [one for one in root if one.endswith("-symbol.json")]
    if len(found) > 1:
        raise ArtifactError(
            "missing_file",
            f"There are {len(found)} files NAME-symbol.json ({', '.join(found)}): one archive "
            "holds one network.",
            networks=found,
        )
    return found[0] if found else ""


def _any(names: Iterable[str], suffix: str) -> bool:
    return any(one.endswith(suffix) for one in names)


def _missing(
    missing: list[str], symbol: str, every: list[str], outside: list[str]
) -> ArtifactError:
    """All files that are missing, and where files of their kinds were found in their place."""
    kinds = [next(kind for kind in _KINDS if one.endswith(kind)) for one in missing]
    root = [one for one in every if "/" not in one and not one.startswith(".")]
    others = [one for one in root if one != symbol and any(one.endswith(kind) for kind in kinds)]
    found = [
        one
        for one in [*(name for name in every if "/" in name), *outside]
        if any(one.endswith(kind) for kind in kinds) and not _hidden(one)
    ][:MAX_FOUND]
    folders = {one.rpartition("/")[0] for one in found}
    told = ", ".join(missing)
    beside = f" beside {symbol}" if symbol else ""
    if len(missing) == 1:
        message = f"{told} is missing{beside}: the archive's root must hold it."
    else:
        message = f"{len(missing)} files are missing{beside}: {told}. The root must hold them."
    if others:
        message += f" There is {', '.join(others)}, but the names must agree."
    folder = ""
    if found and len(folders) == 1 and not symbol:
        folder = folders.pop()
        message += f" Found {found[0]} in a folder; pack with: {pack_command(folder)}"
    elif found:
        message += f" Found {', '.join(found)}: all files must lie in one folder."
    return ArtifactError(
        "missing_file",
        message,
        missing=missing,
        beside=symbol,
        others=others,
        found=found,
        folder=folder,
        command=pack_command(folder) if folder else "",
    )


def _hidden(path: str) -> bool:
    """Whether archivers and systems made it, or it would name code to run: no place for files."""
    parts = path.casefold().split("/")
    return any(part.startswith(".") or part in ("__macosx", "mar-inf") for part in parts)
