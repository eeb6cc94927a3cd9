"""What a piece of the container's machinery is worth: with it and without it, in turns.

    .venv/bin/python bench/machinery.py                            # all pieces, ResNet-18
    .venv/bin/python bench/machinery.py --without kernels --only squeezenet --rounds 20

Each side is a server of its own, run from a copy of ``container/``; in a copy, the function of the
piece is replaced by one that does nothing. The sides take turns within each round, and each next
round begins with another side. Prints, for each side, the median and the minimum of a cold start
(load to first answer) and of a warm call, in ms, and the memory of a further model, in MB, and the
ratio of each to the whole container's. A piece that buys less than a tenth of all of them goes.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from bench.container import (  # noqa: E402
    NETWORKS,
    Caller,
    load,
    memory_mb,
    picture_of,
    wait_until_idle,
)
from container.tests import serving  # noqa: E402
from tests import ending  # noqa: E402

WHOLE = "whole"

PIECES = {
    "fill_gaps": ("heap.py", "fill_gaps = lambda: None\n"),
    "freeze": ("model_host.py", "gc.freeze = lambda: None\n"),
    "release_free": ("heap.py", "release_free = lambda: None\n"),
    "kernels": ("kernels.py", "def there_is_room(): return False\n"),
    "warm_up": ("model_host.py", "warm_up = lambda: None\n"),
    "drop pages": ("network.py", "Parameters.drop_pages = lambda self: None\n"),
    "check in a thread": ("network.py", "FiniteCheck.start = FiniteCheck._look\n"),
}
"""Name, and what is written at the end of which file to have the container without it."""


@dataclass
class Figures:
    """Times in ms, memory in MB."""

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)


@contextmanager
def server_without(piece: str, home: Path, models: Path) -> Iterator[serving.Server]:
    """A server from a copy of the container, without ``piece``."""
    home.mkdir()
    copy = home / "container"
    ignored = shutil.ignore_patterns("tests", "__pycache__")
    shutil.copytree(REPOSITORY / "container", copy, ignore=ignored)
    if piece != WHOLE:
        name, replacement = PIECES[piece]
        with (copy / name).open("a") as file:
            file.write(f"\n\n{replacement}")
    whole = serving.ENTRYPOINT
    serving.ENTRYPOINT = copy / "dockerd-entrypoint.py"
    try:
        with serving.start_server(home, MME_MODELS_DIR=str(models)) as server:
            server.said("model_host_ready")
            yield server
    finally:
        serving.ENTRYPOINT = whole


def one_round(server: serving.Server, folder: Path, picture: bytes, figures: Figures) -> None:
    """A cold start, twenty warm calls, two further models; leaves the server as it was."""
    idle = len(server.processes())
    started = time.perf_counter()
    load(server, "m0", folder)
    caller = Caller(server, picture)
    caller.call("m0")
    figures.cold.append((time.perf_counter() - started) * 1000)
    for _ in range(3):
        caller.call("m0")
    figures.warm += [caller.call("m0")[0] for _ in range(20)]
    one = memory_mb(server)
    for number, name in enumerate(("m1", "m2"), 1):
        load(server, name, folder.with_name(f"{folder.name}-{number}"))
        Caller(server, picture).call(name)
    figures.further.append((memory_mb(server) - one) / 2)
    for name in ("m0", "m1", "m2"):
        server.unload(name)
    wait_until_idle(server, idle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--without", choices=PIECES, action="append")
    parser.add_argument("--only", choices=NETWORKS, action="append")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--keep", type=Path, default=REPOSITORY / "bench" / "out" / "networks",
                        help="folder of the networks (bench/networks.py)")  # fmt: skip
    arguments = parser.parse_args()
    sides = [WHOLE, *(arguments.without or PIECES)]
    picture = picture_of(224)
    home = Path(tempfile.mkdtemp(prefix="mme-machinery-"))
    try:
        for network in arguments.only or ["resnet-18"]:
            figures = {side: Figures() for side in sides}
            models = home / network
            for copy in (network, f"{network}-1", f"{network}-2"):  # files that nobody shares
                shutil.copytree(arguments.keep / network, models / copy)
            with ExitStack() as stack:
                servers = {
                    side: stack.enter_context(
                        server_without(side, home / f"{network}-{number}", models)
                    )
                    for number, side in enumerate(sides)
                }
                for number in range(arguments.rounds + 1):
                    shift = number % len(sides)
                    for side in sides[shift:] + sides[:shift]:
                        # The first round warms the JVM up.
                        into = figures[side] if number else Figures()
                        one_round(servers[side], models / network, picture, into)
            show(network, figures)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def show(network: str, figures: dict[str, Figures]) -> None:
    kinds = ("cold", "warm", "further")
    heads = [f"{kind} {what}" for kind in kinds for what in ("median", "min")]
    print(f"| {network}, without | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
    whole = figures[WHOLE]
    for side, one in figures.items():
        cells = []
        for kind in kinds:
            for how in (statistics.median, min):
                value, base = how(getattr(one, kind)), how(getattr(whole, kind))
                cells.append(f"{value:.1f} ({value / base:.2f})")
        print(f"| {side} | {' | '.join(cells)} |", flush=True)
    print()


if __name__ == "__main__":
    ending.run(main)
