"""Model archives: the files of a network in a folder, and that folder as a ``.tar.gz``.

The format is explained in ``docs/artifacts.md``. Packing is deterministic: equal files give
an equal archive, byte for byte, so its SHA-256 tells whether a model changed.
"""

import gzip
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from container.mxnet_alone import mx

Preprocess = Mapping[str, object]


def with_softmax(net: Any) -> Any:
    """The symbol of a Gluon network with a softmax on top, so that its outputs are probabilities.

    Gluon puts the softmax into the loss function; for serving it must be in the network.
    """
    return mx.sym.softmax(net(mx.sym.var("data")), name="softmax")


def save_network(
    folder: Path,
    *,
    name: str,
    symbol: Any,
    parameters: Mapping[str, Any],
    shape: Sequence[int],
    labels: Sequence[str],
    preprocess: Preprocess | None = None,
) -> None:
    """Write the files of an artifact to ``folder``, which is made if missing.

    ``parameters`` maps a parameter's name to its ``NDArray``; those that ``symbol`` does not
    use are left out. ``shape`` is that of the input ``data``, batch first: ``(1, 3, 64, 64)``.
    A parameter that the symbol needs and the mapping lacks is a ``KeyError``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [arg for arg in symbol.list_arguments() if arg != "data"]
    # A SoftmaxOutput head asks for a label, which exists only in training.
    arguments = [arg for arg in arguments if not arg.endswith("_label")]
    arrays = {f"arg:{arg}": parameters[arg] for arg in arguments}
    arrays |= {f"aux:{aux}": parameters[aux] for aux in symbol.list_auxiliary_states()}
    mx.nd.save(str(folder / f"{name}-0000.params"), {key: arrays[key] for key in sorted(arrays)})
    (folder / f"{name}-symbol.json").write_text(symbol.tojson())
    shapes = [{"name": "data", "shape": list(shape)}]
    (folder / f"{name}-shapes.json").write_text(json.dumps(shapes) + "\n")
    (folder / "synset.txt").write_text("".join(f"{label}\n" for label in labels))
    if preprocess is not None:
        (folder / f"{name}-preprocess.json").write_text(json.dumps(dict(preprocess)) + "\n")


def pack(folder: Path, archive: Path, *, level: int = 6) -> None:
    """Pack the files of ``folder`` as the ``.tar.gz`` ``archive``.

    The archive appears whole or not at all. ``level`` is gzip's: trained weights hardly
    compress, so 1 is right for large networks.
    """
    part = archive.with_name(f"{archive.name}.{os.getpid()}.part")
    try:
        # gzip's header would carry the time and the file's name: both left out.
        with (
            part.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=level, fileobj=raw, mtime=0) as zipped,
            tarfile.open(
                fileobj=cast(BinaryIO, zipped), mode="w", format=tarfile.USTAR_FORMAT
            ) as tar,
        ):
            for path in sorted(folder.iterdir()):
                info = tarfile.TarInfo(path.name)  # owner, times and mode stay at fixed values
                info.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(info, file)
        part.replace(archive)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
