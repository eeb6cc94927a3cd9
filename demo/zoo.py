"""Pack a pretrained network of MXNet's model zoo as an archive for the portal.

``demo/zoo.py NAME --out FILE.tar.gz [--synset FILE_OR_URL]`` prints a line for each step and,
last, one line of JSON: name, archive, bytes, sha256, parameters, labels, description, note. On
failure it prints one sentence to stderr, exits with 1 and leaves no file behind.

Weights come from ``MXNET_GLUON_REPO`` (by default MXNet's own, see :data:`REPOSITORY`) and are
checked against the SHA-1 that MXNet knows for them; they are kept below ``MXNET_HOME``
(``~/.mxnet``) and not fetched twice. The labels of ImageNet come from ``--synset``, or from
``models/imagenet/synset.txt`` below ``MXNET_GLUON_REPO`` where that is set, or from
:data:`SYNSET`, where the example notebook has them from. MXNet was retired in 2023, and since 2024
its hosts refuse to give out files, so set a mirror, or keep the weights from before.
"""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

if not __package__:  # run as `python demo/zoo.py`
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from container.mxnet_alone import mx
from demo import archive
from demo.files import sha256

model_store, vision = mx.gluon.model_zoo.model_store, mx.gluon.model_zoo.vision

REPOSITORY = model_store.apache_repo_url
SYNSET = "http://data.mxnet.io/models/imagenet/synset.txt"
NAMES = ("resnet18_v1", "resnet152_v1", "squeezenet1.0", "resnet50_v1", "mobilenet1.0")
"""Tested networks, which ``--help`` names. The other networks of the zoo work in the same way."""

PREPROCESS: dict[str, object] = {
    # MXNet's documentation of mxnet.gluon.model_zoo.vision: pixels in [0, 1], then these.
    "color": "RGB",
    "resize": 256,
    "crop": True,
    "scale": 1 / 255,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
CLASSES = 1000

CONNECT_S, READ_S = 10.0, 30.0
"""Timeouts in seconds: to connect, and for the next bytes."""
ATTEMPTS = 3
PAUSE_S = 1.0
"""Seconds before the second attempt; there are twice as many before the third."""
CHUNK = 1 << 20
MAX_SYNSET_BYTES = 1 << 20


class ZooError(Exception):
    """The network cannot be packed; the message says what happened and what to do."""


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 when the archive is written, 1 when it is not."""
    parser = argparse.ArgumentParser(
        prog="demo/zoo.py", description="Pack a pretrained network of MXNet's model zoo."
    )
    parser.add_argument("name", metavar="NAME", help=f"a network: {', '.join(NAMES)}, …")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tar.gz")
    parser.add_argument("--synset", metavar="FILE_OR_URL", help="the labels, one a line")
    options = parser.parse_args(argv)
    try:
        result = pack(options.name, options.out, synset=options.synset, report=_print)
    except (ZooError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result), flush=True)
    return 0


def pack(
    name: str, out: Path, *, synset: str | None, report: Callable[[str], None]
) -> dict[str, object]:
    """Fetch the network ``name`` and its labels, and write the archive ``out``.

    Returns what the command prints last. Raises :class:`ZooError`.
    """
    net = _network(name)
    if not out.parent.is_dir():
        raise ZooError(f"There is no folder {out.parent} to write {out.name} to.")
    labels = read_labels(synset or default_synset(), report=report)
    weights = fetch_weights(name, report=report)
    report(f"Packing {name}")
    try:
        net.load_parameters(str(weights), ctx=mx.cpu())
    except (AssertionError, ValueError, mx.MXNetError) as error:
        raise ZooError(f"{weights} does not hold the weights of {name}: {error}") from error
    side = 299 if name == "inceptionv3" else 224
    preprocess = PREPROCESS | ({"resize": 299} if side == 299 else {})
    with tempfile.TemporaryDirectory(prefix="zoo-", dir=out.parent) as folder:
        archive.save_network(
            Path(folder),
            name=name,
            symbol=archive.with_softmax(net),
            parameters={key: value.data() for key, value in net.collect_params().items()},
            shape=(1, 3, side, side),
            labels=labels,
            preprocess=preprocess,
        )
        archive.pack(Path(folder), out, level=1)
    size = out.stat().st_size
    count = sum(int(value.data().size) for value in net.collect_params().values())
    report(f"Packed {out} ({size / 1e6:.1f} MB)")
    return {
        "name": name,
        "archive": str(out),
        "bytes": size,
        "sha256": sha256(out),
        "parameters": count,
        "labels": len(labels),
        "description": f"{name} of MXNet's Gluon model zoo, trained on ImageNet: names what is in a"
        " photograph, out of 1,000 things.",
        "note": f"Pretrained weights {model_store.short_hash(name)} of the Gluon model zoo.",
    }


def _network(name: str) -> Any:
    """The network without weights; its parameters have the same names in every run."""
    try:
        model_store.short_hash(name)
        return vision.get_model(name, prefix=f"{re.sub('[^a-z0-9]', '_', name)}_")
    except ValueError as error:
        raise ZooError(
            f"MXNet's model zoo has no pretrained network {name!r}. Try one of: {', '.join(NAMES)}."
        ) from error


def repository() -> str:
    """Address of the model zoo, with a slash at its end."""
    address: str = os.environ.get("MXNET_GLUON_REPO", REPOSITORY)
    return address.rstrip("/") + "/"


def default_synset() -> str:
    """Where the labels come from when no ``--synset`` is given."""
    if "MXNET_GLUON_REPO" in os.environ:
        return f"{repository()}models/imagenet/synset.txt"
    return SYNSET


def fetch_weights(name: str, *, report: Callable[[str], None]) -> Path:
    """The file of weights of a network, checked; fetched if it is not kept from before.

    As MXNet's ``get_model_file``, with its folder, name and checksum, but with timeouts and
    progress.
    """
    folder = Path(mx.base.data_dir(), "models").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    expected = model_store._model_sha1[name]
    stem = f"{name}-{model_store.short_hash(name)}"
    kept = folder / f"{stem}.params"
    if kept.is_file() and mx.gluon.utils.check_sha1(str(kept), expected):
        report(f"Using {kept} of an earlier download")
        return kept
    url = f"{repository()}gluon/models/{stem}.zip"
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder) as temporary:
        zipped = Path(temporary, "weights.zip")
        _download(url, zipped, report=report)
        try:
            with zipfile.ZipFile(zipped) as bundle:
                fetched = Path(bundle.extract(f"{stem}.params", temporary))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise ZooError(
                f"{url} is not the model zoo's file ({error}). Check MXNET_GLUON_REPO."
            ) from error
        if not mx.gluon.utils.check_sha1(str(fetched), expected):
            raise ZooError(
                f"The weights from {url} are not those that MXNet knows: their SHA-1 is not"
                f" {expected}. Nothing was kept. Try again, or check MXNET_GLUON_REPO."
            )
        fetched.replace(kept)
    return kept


def read_labels(source: str, *, report: Callable[[str], None]) -> list[str]:
    """ImageNet's labels from a file or an address, one for each of the network's outputs."""
    if re.match("https?://", source):
        report(f"Fetching labels from {source}")
        with tempfile.TemporaryDirectory(prefix="synset-") as folder:
            path = Path(folder, "synset.txt")
            _download(source, path, report=report, limit=MAX_SYNSET_BYTES)
            content = path.read_bytes()
    else:
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise ZooError(f"The labels cannot be read from {source}: {error.strerror}.") from error
    try:
        labels = [line.strip() for line in content.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ZooError(f"{source} is not a text file of labels.") from error
    if len(labels) != CLASSES:
        raise ZooError(
            f"{source} holds {len(labels)} labels, but the network has {CLASSES} outputs:"
            " one line for each is needed."
        )
    return labels


def _download(
    url: str, path: Path, *, report: Callable[[str], None], limit: int | None = None
) -> None:
    """Fetch ``url`` to ``path``, trying a few times; no longer than ``limit`` bytes, if given."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download_once(url, path, report=report, limit=limit)
            break
        except requests.RequestException as error:
            refused = error.response is not None and error.response.status_code < 500
            if attempt == ATTEMPTS or refused:
                raise ZooError(
                    f"{url} cannot be fetched ({_reason(error)}). Nothing was written."
                    f"{_advice(url)}"
                ) from error
            report(f"{_reason(error)}; trying again")
            time.sleep(attempt * PAUSE_S)


def _advice(url: str) -> str:
    if url.startswith((REPOSITORY, SYNSET)):
        return (
            " MXNet was retired in 2023, and its hosts no longer give out files. Set"
            " MXNET_GLUON_REPO to a mirror that you have, or put the weights into ~/.mxnet/models"
            " and name a file of labels with --synset: see docs/artifacts.md."
        )
    return (
        " Check that this machine has internet access and that the address is right"
        " (MXNET_GLUON_REPO, --synset), then try again."
    )


def _download_once(
    url: str, path: Path, *, report: Callable[[str], None], limit: int | None
) -> None:
    with requests.get(url, stream=True, timeout=(CONNECT_S, READ_S)) as answer:
        answer.raise_for_status()
        total = int(answer.headers.get("Content-Length", 0))
        done, told = 0, 0.0
        with path.open("wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if limit is not None and done > limit:
                    raise ZooError(f"{url} is far too large to be a file of labels.")
                if total > 2 * CHUNK and done / total >= told + 0.1:
                    told = done / total
                    report(f"Fetching {url}: {done / 1e6:.1f} of {total / 1e6:.1f} MB")


def _reason(error: requests.RequestException) -> str:
    """A short reason, without urllib3's nested objects."""
    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_S:.0f} s"
    # A timeout in the middle of a body comes as another class, which says so in its text alone.
    if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
        return f"no bytes for {READ_S:.0f} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", str(error))
    return found.group(1) if found else type(error).__name__


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # clears away
    sys.exit(main())
