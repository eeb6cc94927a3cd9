"""Throughput of several busy models, with all threads and with one thread each.

    .venv-container/bin/python bench/threads.py bench/out/networks/squeezenet

Passes a second in one, two and four processes at once, all with as many threads as there are
processors, or all with one (container/processors.py decides between the two): in turns, without a
server. Prints the medians as a table.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests import ending  # noqa: E402

ROUNDS = 5
SECONDS = 2.0
HOW = ("all", "one")


def passes(folder: Path) -> None:
    """In a process of its own: a line says how to run for a while; answers with passes a second."""
    import numpy as np

    from container.artifact import read_artifact
    from container.network import Network
    from container.processors import alone

    network = Network(read_artifact(folder))
    rows = np.zeros(network.input_shape, np.float32)
    print("ready", flush=True)
    for line in sys.stdin:
        count, began = 0, time.perf_counter()
        with alone() if line.strip() == "one" else contextlib.nullcontext():
            while time.perf_counter() < began + SECONDS:
                network.predict_rows(rows)
                count += 1
        print(count / (time.perf_counter() - began), flush=True)


def main() -> None:
    from container import mms_server

    folder = sys.argv[1]
    environment = os.environ | mms_server.worker_environment(mms_server.settings())
    together: dict[tuple[int, str], list[float]] = {}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, folder, "--passes"], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for _ in range(4)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for _ in range(ROUNDS):
            for number in (1, 2, 4):
                for how in HOW:
                    for process in processes[:number]:
                        assert process.stdin is not None
                        process.stdin.write(f"{how}\n")
                        process.stdin.flush()
                    pace = sum(
                        float(process.stdout.readline())
                        for process in processes[:number]
                        if process.stdout is not None
                    )
                    together.setdefault((number, how), []).append(pace)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    name = Path(folder).name
    print(f"| {name}, passes a second | all threads | one each | ratio |\n|---|---:|---:|---:|")
    for number in (1, 2, 4):
        everything, one = (statistics.median(together[number, how]) for how in HOW)
        print(f"| {number} busy | {everything:.1f} | {one:.1f} | {one / everything:.2f} |")


if __name__ == "__main__":
    if sys.argv[2:] == ["--passes"]:
        passes(Path(sys.argv[1]))
    else:
        ending.run(main)
