"""Finds the files of a network among the names in an archive.

Packing and loading an archive both use this module, so that they choose the same files.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from container.findings import ArtifactError

# As MXNet's save_checkpoint and export write it: four digits, or more where it needs them.
_EPOCH = re.compile(r"-(\d{4}|[1-9]\d{4,8})\.params", re.ASCII)


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


def find(names: Iterable[str]) -> NetworkFiles:
    """The files of the network among ``names``, which are paths below the archive's root.

    Files below folders, names that begin with a dot (macOS adds such), and files that no network
    needs never matter. The weights of the highest epoch are read. Raises
    :class:`ArtifactError` where a file is missing, or where there are two networks.
    """
    root = sorted(name for name in names if "/" not in name and not name.startswith("."))
    symbol = _only_symbol(root)
    name = symbol.removesuffix("-symbol.json")
    epochs = _epochs(name, root)
    if not epochs:
        raise _missing(f"{name}-0000.params", symbol, root, ".params")
    shapes = f"{name}-shapes.json"
    if shapes not in root:
        raise _missing(shapes, symbol, root, "-shapes.json")
    if "synset.txt" not in root:
        raise ArtifactError(
            "missing_file",
            "synset.txt is missing: the archive's root must hold it, one label a line.",
        )
    preprocess = f"{name}-preprocess.json"
    return NetworkFiles(
        name=name,
        symbol=symbol,
        params=epochs[0][1],
        shapes=shapes,
        labels="synset.txt",
        preprocess=preprocess if preprocess in root else None,
        epoch=epochs[0][0],
        other_epochs=tuple(params for _, params in epochs[1:]),
    )


def _epochs(name: str, root: list[str]) -> list[tuple[int, str]]:
    """The epochs of the weights of ``name``, and their files, the highest first."""
    found = ((one, _EPOCH.fullmatch(one[len(name) :])) for one in root if one.startswith(name))
    return sorted(((int(match[1]), one) for one, match in found if match), reverse=True)


def _only_symbol(root: list[str]) -> str:
    found = [one for one in root if one.endswith("-symbol.json")]
    if not found:
        raise ArtifactError(
            "missing_file",
            "NAME-symbol.json is missing: the archive's root must hold exactly one file of that "
            "kind.",
        )
    if len(found) > 1:
        raise ArtifactError(
            "missing_file",
            f"There are {len(found)} files NAME-symbol.json ({', '.join(found)}): one archive "
            "holds one network.",
        )
    return found[0]


def _missing(wanted: str, symbol: str, root: list[str], suffix: str) -> ArtifactError:
    others = [one for one in root if one.endswith(suffix)]
    hint = f" There is {', '.join(others)}, but the names must agree." if others else ""
    return ArtifactError("missing_file", f"{wanted} is missing beside {symbol}.{hint}")
