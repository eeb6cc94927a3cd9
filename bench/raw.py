"""The limit: forward passes of one network in one process, no server. Prints the p50 in ms.

Run with the container's Python and the environment that the container gives its workers.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from container.artifact import Preprocess, read_artifact
from container.images import decode
from container.network import Network


def main() -> None:
    network = Network(read_artifact(Path(sys.argv[1])))
    picture = Path(sys.argv[2]).read_bytes()
    print("ready", flush=True)
    for line in sys.stdin:  # one block of passes a line, to interleave with other measurements
        times = []
        for _ in range(int(line)):
            started = time.perf_counter()
            rows = decode(picture, network.input_shape[1:], Preprocess())[np.newaxis]
            network.predict_rows(rows)
            times.append((time.perf_counter() - started) * 1000)
        print(*(f"{each:.3f}" for each in times), flush=True)


if __name__ == "__main__":
    main()
