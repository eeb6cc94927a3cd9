"""Profile of a forward pass, compared with the processor's peak.

    .venv-container/bin/python bench/limit.py bench/out/networks/resnet-18

One thread, no server: oneDNN says how long each of its primitives took (``MKLDNN_VERBOSE``), and
how large it was; a multiplication of matrices gives the processor's peak. This is the limit where
all processors are busy, so that neither threads nor forks help.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests import ending  # noqa: E402

PASSES = 20
SIDE = 1536


def run_passes(folder: Path) -> None:
    """In a process of its own: warm up, then ``PASSES`` passes, each between marks on stdout."""
    import numpy as np

    from container.artifact import read_artifact
    from container.network import Network

    network = Network(read_artifact(folder))
    rows = np.zeros(network.input_shape, np.float32)
    network.predict_rows(rows)
    for _ in range(PASSES):
        print("pass", flush=True)
        started = time.process_time()
        network.predict_rows(rows)
        print(f"took {time.process_time() - started:.6f}", flush=True)


def matrix_pace() -> float:
    """GFLOP a second of a product of large matrices, the best of a few."""
    import numpy as np

    left = np.ones((SIDE, SIDE), np.float32)
    best = 0.0
    for _ in range(5):
        started = time.process_time()
        left @ left
        best = max(best, 2 * SIDE**3 / (time.process_time() - started) / 1e9)
    return best


def flop(problem: str) -> float:
    """Floating point operations of one convolution, from oneDNN's description of it."""
    groups = re.search(r"(?:^|_)g(\d+)", problem)
    sizes = {key: int(value) for key, value in re.findall(r"(ic|oc|oh|ow|kh|kw|mb)(\d+)", problem)}
    product = 2.0 * sizes["mb"] * sizes["ic"] * sizes["oc"] / int(groups[1] if groups else 1)
    for key in ("oh", "ow", "kh", "kw"):
        product *= sizes.get(key, 1)
    return product


def main() -> None:
    folder = Path(sys.argv[1])
    environment = os.environ | {
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine",
        "MXNET_USE_OPERATOR_TUNING": "0", "MKLDNN_VERBOSE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, str(folder), "--passes"], env=environment, check=True,
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    _, *passes = done.stdout.split("pass\n")
    took = min(float(re.findall(r"took ([\d.]+)", text)[0]) for text in passes) * 1000

    # The minimum of each step over all passes, to leave out other load.
    steps = [[line.split(",") for line in text.splitlines() if ",exec," in line] for text in passes]
    spent: Counter[str] = Counter()
    work = 0.0
    for same in zip(*steps, strict=True):
        kind, problem = same[0][3], same[0][-2]
        spent[kind] += min(float(fields[-1]) for fields in same)
        if kind == "convolution":
            work += flop(problem)
    print(f"{folder.name}: {took:.1f} ms of processor time a pass, on one thread")
    for kind, milliseconds in spent.most_common(6):
        print(f"  {milliseconds:7.1f} ms  {100 * milliseconds / took:4.0f} %  {kind}")
    outside = took - sum(spent.values())
    print(f"  {outside:7.1f} ms  {100 * outside / took:4.0f} %  MXNet's own, and Python")
    pace = work / spent["convolution"] / 1e6
    print(
        f"convolutions: {work / 1e9:.2f} GFLOP at {pace:.0f} GFLOP/s; "
        f"a product of matrices: {matrix_pace():.0f} GFLOP/s"
    )


if __name__ == "__main__":
    if sys.argv[2:] == ["--passes"]:
        run_passes(Path(sys.argv[1]))
    else:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        ending.run(main)
