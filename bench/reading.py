"""The time to read a network's structure with checks, compared with MXNet's own reader.

    .venv-container/bin/python bench/reading.py FOLDER [--rounds 200]

``FOLDER`` is an unpacked archive. Each reading is done in a fork of a process that has imported
MXNet, as a cold start does it, the two in turns. In ms of processor time, which other load
affects little.
"""

import argparse
import json
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from container import processors  # noqa: E402

os.environ.update(processors.environment())

import mxnet as mx  # noqa: E402

from container.artifact import MAX_SYMBOL_BYTES, _read_text  # noqa: E402
from container.graph import check_outputs, parse  # noqa: E402


def plain(path: Path) -> None:
    """MXNet reads the file itself."""
    mx.sym.load(str(path))


def checked(path: Path) -> None:
    """As container/network.py does it."""
    graph = parse(_read_text(path, "bad_symbol", MAX_SYMBOL_BYTES))
    symbol = mx.sym.load_json(graph.text())
    if graph.needs_mxnets_check():
        check_outputs(json.loads(symbol.tojson(remove_amp_cast=False)))


def in_fork(read: Callable[[Path], None], path: Path) -> float:
    """Processor time of ``read`` in a process of its own, in ms."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        started = time.process_time()
        read(path)
        os.write(into, struct.pack("d", (time.process_time() - started) * 1000))
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as answer:
        took = answer.read(8)
    os.waitpid(pid, 0)
    return float(struct.unpack("d", took)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    (path,) = options.folder.glob("*-symbol.json")
    checked(path)  # what the model host does before it forks: the list of operators is read
    times: dict[Callable[[Path], None], list[float]] = {plain: [], checked: []}
    for number in range(options.rounds):
        for read in (plain, checked) if number % 2 else (checked, plain):
            times[read].append(in_fork(read, path))
    for read, took in times.items():
        tenth = sorted(took)[int(0.9 * len(took))]
        print(f"{read.__name__}: median {statistics.median(took):.2f} ms, p90 {tenth:.2f} ms")


if __name__ == "__main__":
    main()
