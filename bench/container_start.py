"""Start of the model container, beside one whose JVM starts without what is there for it.

``make bench-container-start``, or ``.venv/bin/python bench/container_start.py [--rounds N]``.
Starts the server in turns: as it is, and without its class archive and with Log4j's part of the
JVM's management. Prints medians, and their ratios: the seconds until it answers `/ping`, and the
processor's seconds and the memory of its JVM by then.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from container.tests.serving import start_server  # noqa: E402
from tests import ending  # noqa: E402

WITHOUT = "-Xshare:off -Dlog4j2.disable.jmx=false"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of each, in turns")
    rounds = parser.parse_args().rounds
    took: dict[str, list[tuple[float, float, float]]] = {"": [], WITHOUT: []}
    for _ in range(rounds):
        for options, figures in took.items():
            figures.append(started(options))
    names = ("s until it answers", "s of a processor, the JVM", "MB, the JVM")
    ours, own = (zip(*took[options], strict=True) for options in ("", WITHOUT))
    for name, one, other in zip(names, map(statistics.median, ours), map(statistics.median, own),
                                strict=True):  # fmt: skip
        print(f"{name:26} {one:6.2f}, {other:6.2f} without: {one / other:.2f}")


def started(options: str) -> tuple[float, float, float]:
    """Start a server; its seconds until it answers, and its JVM's of a processor, and megabytes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        began = time.monotonic()
        with start_server(Path(folder), SAGEMAKER_MODEL_SERVER_VMARGS=options) as server:
            seconds = time.monotonic() - began
            (told,) = server.events("server_started")
            process = Path(f"/proc/{told['pid']}")
            times = (process / "stat").read_text().rpartition(")")[2].split()
            ticks = int(times[11]) + int(times[12])
            memory = (process / "status").read_text().partition("VmRSS:")[2].split()[0]
    return seconds, ticks / os.sysconf("SC_CLK_TCK"), int(memory) / 1024


if __name__ == "__main__":
    ending.run(main)
