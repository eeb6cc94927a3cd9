"""The time to pack and unpack an archive, stored and compressed.

``make bench-packing``, or ``.venv/bin/python bench/packing.py [ARCHIVE] [--rounds N]``. Without an
archive it takes 240 MB that compress as trained weights do: numbers of 32 bits from a normal
distribution. All packings run in turns on the same content.
"""

import argparse
import array
import gzip
import random
import shutil
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from models_catalog import packing  # noqa: E402

MADE_BYTES = 240 << 20
CHUNK = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, nargs="?", help="a .tar.gz; else content is made")
    parser.add_argument("--rounds", type=int, default=3, help="of each packing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-packing-") as name:
        folder = Path(name)
        tar = folder / "plain.tar"
        if arguments.archive is None:
            make(tar)
        else:
            with gzip.open(arguments.archive) as plain, tar.open("wb") as out:
                shutil.copyfileobj(plain, out, CHUNK)
        measure(tar, folder, arguments.rounds)


def make(path: Path) -> None:
    """Write content like weights. A piece of 8 MB repeats, far beyond the 32 KB that zlib sees."""
    numbers = random.Random(1)
    piece = array.array("f", (numbers.gauss(0, 0.05) for _ in range(2 << 20))).tobytes()
    with path.open("wb") as out:
        for _ in range(MADE_BYTES // len(piece)):
            out.write(piece)


def measure(tar: Path, folder: Path, rounds: int) -> None:
    """Pack with each choice in turns, read each back in turns, and print the medians."""
    took: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    facts: dict[str, packing.Packed] = {}

    def timed(what: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        took.setdefault(what, []).append(time.perf_counter() - began)

    def pack(choice: str) -> None:
        path = folder / f"{choice}.tar.gz"
        facts[choice] = packing.pack(tar, path, choice=choice, beat=lambda: None)
        sizes[choice] = path.stat().st_size

    for _ in range(rounds):
        for choice in packing.CHOICES:
            timed(f"pack, {choice}", lambda choice=choice: pack(choice))  # type: ignore[misc]
        for choice in ("stored", "compressed"):
            timed(f"gunzip, {choice}", lambda choice=choice: gunzip(folder / f"{choice}.tar.gz"))  # type: ignore[misc]
    size = tar.stat().st_size
    print(f"content: {size:,} bytes")
    for choice, packed in facts.items():
        print(f"{choice}: {sizes[choice]:,} bytes, {packed.packing}")
    for what, seconds in took.items():
        print(f"{what}: {statistics.median(seconds):.3f} s")
    whole = statistics.median(took["pack, compressed"])
    auto = statistics.median(took["pack, auto"])
    print(f"auto takes {auto / whole:.2f} of the time of compressing")
    told, true = facts["auto"].facts, sizes["compressed"]
    print(f"estimate of the compressed size: {told['compressed_bytes'] / true:.4f} of the true one")
    for kind in ("stored", "compressed"):
        seconds = statistics.median(took[f"gunzip, {kind}"])
        print(f"estimate of gunzip, {kind}: {told[f'{kind}_s']:.3f} s, measured {seconds:.3f} s")


def gunzip(path: Path) -> None:
    """Unpack as a reader of a stream does, and throw the content away."""
    reader = zlib.decompressobj(31)
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            reader.decompress(data)
    if not reader.eof:
        raise SystemExit(f"{path} is cut short")


if __name__ == "__main__":
    main()
